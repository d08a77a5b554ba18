"""Which board this is."""

from __future__ import annotations

import getpass
import importlib
import importlib.metadata
import os
import platform
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from .refused import Refused

__all__ = ["board_name", "check_board", "identify", "same_board"]

_DEVICE_TREE = Path("/proc/device-tree/chosen/pynq_board")
_ENVIRONMENT = Path("/etc/environment")
# What the images call themselves where that isn't the board's own name.
_OTHER_NAMES = {"ultra96": "ultra96v2"}


def board_name() -> str | None:
    """The board's name, from where PYNQ images keep it; None on something else.

    It is in the device tree, or in the variable BOARD, which login shells have and other processes
    may not.
    """
    if _DEVICE_TREE.is_file():
        return _DEVICE_TREE.read_bytes().rstrip(b"\0").decode("utf-8", "replace")
    if "BOARD" in os.environ:
        return os.environ["BOARD"]
    if _ENVIRONMENT.is_file():
        text = _ENVIRONMENT.read_text(encoding="utf-8", errors="replace")
        found = re.search(r'^\s*(?:export\s+)?BOARD="?([^"\n]+)"?\s*$', text, re.MULTILINE)
        if found:
            return found.group(1)
    return None


def same_board(wanted: str, found: str) -> bool:
    """Whether two names, such as pynq-z2 and Pynq-Z2, are those of one board."""
    return _plain(wanted) == _plain(found)


def identify(root: Path) -> dict[str, Any]:
    """What there is to know of this board before anything is copied."""
    return {
        "board": board_name(),
        "emulated": bool(getattr(_pynq(), "EMULATED", False)),
        "driver": importlib.metadata.version("finn-plus-driver"),
        "python": platform.python_version(),
        "host": platform.node(),
        "user": getpass.getuser(),
        "free": shutil.disk_usage(root).free,
    }


def check_board(package: dict[str, Any]) -> None:
    """Makes sure that a package is for this board.

    Args:
        package: the package's description.

    Raises:
        Refused: it is for another board, or this is none.
    """
    name = board_name()
    if name is None:
        raise Refused(
            "this is not a PYNQ image: it does not say which board it is on",
            "use one, or set BOARD in /etc/environment",
            "wrong",
        )
    if not same_board(package["board"], name):
        raise Refused(
            f"the package is for {package['board']}, and this board is {name}",
            f"build with --board {name.lower()}, or give the host of another board",
            "wrong",
        )
    emulated = bool(getattr(_pynq(), "EMULATED", False))
    if emulated != package["emulated"]:
        there, here = (
            ("a simulation", "a real board") if package["emulated"] else ("a bitstream", "emulated")
        )
        raise Refused(
            f"the package holds {there}, and this board is {here}",
            "give --emulate for a simulated board only",
            "wrong",
        )


def _pynq() -> Any:
    try:
        importlib.metadata.version("finn-plus-driver")
        return importlib.import_module("pynq")
    except ImportError as error:  # PackageNotFoundError is one
        missing = "pynq" if "pynq" in str(error) else "finn-plus-driver"
        raise Refused(
            f"{missing} is not installed for {sys.executable}",
            "install it on the board, or name the Python that has it with --board-python",
        ) from error


def _plain(name: str) -> str:
    letters = re.sub("[^a-z0-9]", "", name.lower())
    return _OTHER_NAMES.get(letters, letters)
