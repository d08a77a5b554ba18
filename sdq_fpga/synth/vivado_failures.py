"""Recognises in Vivado's logs why it failed, and says what to do next.

The messages are those that Vivado 2021 to 2025 is known to print, by their numbers.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Failure", "last_error", "recognise"]


@dataclass(frozen=True)
class Failure:
    """Why there is no bitstream.

    Attributes:
        what: happened, without a full stop.
        fix: what the user can do, without a full stop.
    """

    what: str
    fix: str


_Explain = Callable[[re.Match[str]], Failure]


def _overflow(found: re.Match[str]) -> Failure:
    kind, needed, there = found.groups()
    return Failure(
        f"the design does not fit the part: it needs {int(needed):,} {kind} of {int(there):,}",
        "give a smaller --budget, a lower --target-fps or fewer bits, or another board",
    )


def _packing(found: re.Match[str]) -> Failure:
    return Failure(
        f"the design does not fit the part: {found[1].strip()}",
        "give a smaller --budget, a lower --target-fps or fewer bits, or another board",
    )


def _licence(found: re.Match[str]) -> Failure:
    return Failure(
        f"Vivado has no licence for {found[2]} ({found[1]})",
        "see the part in Vivado's licence manager: the free edition has the parts of pynq-z1, "
        "pynq-z2, ultra96-v2, zcu104 and kv260, not that of zcu102; set XILINXD_LICENSE_FILE "
        "where a licence is kept elsewhere",
    )


def _board(found: re.Match[str]) -> Failure:
    return Failure(
        f"Vivado has no files of the board {found[1]}",
        "run finn deps update, and give what it fetched with --finn-deps; or install the board "
        "in Vivado's own board store",
    )


def _memory(_: re.Match[str]) -> Failure:
    return Failure(
        "there was not enough memory",
        "close other programs, or use a machine with more memory or swap; the same command then "
        "goes on at the last checkpoint",
    )


def _disk(_: re.Match[str]) -> Failure:
    return Failure(
        "the disk is full",
        "free some space; the same command then goes on at the last checkpoint",
    )


def _sources(found: re.Match[str]) -> Failure:
    return Failure(
        f"there is no finn-hlslib (its {found[1]} is missing)",
        "run finn deps update, or give its directory with --finn-deps",
    )


def _part(found: re.Match[str]) -> Failure:
    return Failure(
        f"the part {found[1]} is not installed in Vivado",
        "add its devices with Vivado's installer",
    )


_KNOWN: tuple[tuple[str, _Explain], ...] = (
    (
        r"(?:DRC UTLZ-1|Place 30-640)\].*?requires more (.+?) cells than are available.*?"
        r"requires (\d+) of such cell types but only (\d+) compatible",
        _overflow,
    ),
    (r"Place 30-(?:487|484|859)\] ([^\n]*)", _packing),
    (
        r"Common 17-345\] A valid license was not found for feature '(\w+)' and/or device "
        r"'([\w-]+)'",
        _licence,
    ),
    (
        r"Common 17-348\] Failed to get the license for feature '(\w+)' and/or device '([\w-]+)'",
        _licence,
    ),
    (r"Board 49-71\] The board_part definition was not found for ([\w.:-]+?)\.(?:\s|$)", _board),
    (
        r"Fork failed: Cannot allocate memory|std::bad_alloc|\bout of memory\b|"
        r"line \d+:\s*\d+ Killed\s|Cannot allocate memory",
        _memory,
    ),
    (r"No space left on device|Common 17-1294\]", _disk),
    (r"'((?:bnn-library|dma|streamtools)\.h)' file not found", _sources),
    (
        r"(?:Coretcl 2-106\] Specified part could not be found|HLS 200-1023\] Part)\W*([\w-]+)",
        _part,
    ),
)
_ERROR = re.compile(r"^ERROR: (.*)$", re.MULTILINE)
_CONSEQUENCE = re.compile(r"Common 17-39\]|Vivado 12-13638\]|Vivado_Tcl 4-23\]|Common 17-69\]")
_KILLED = frozenset({-9, 137})


def recognise(text: str, code: int = 1) -> Failure | None:
    """Explains a failure that is known; None if it is none of those.

    Args:
        text: all that was logged.
        code: the exit code of the process that failed, negative for the signal it died of.
    """
    for pattern, explain in _KNOWN:
        found = re.search(pattern, text, re.IGNORECASE | re.DOTALL)
        if found is not None:
            return explain(found)
    if code in _KILLED:
        return _memory(re.compile("").match(""))  # type: ignore[arg-type]
    return None


def last_error(text: str) -> str | None:
    """The last error that is more than the consequence of another; None if there is none."""
    errors = [line for line in _ERROR.findall(text) if not _CONSEQUENCE.search(line)]
    return errors[-1].strip() if errors else None
