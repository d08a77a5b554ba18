"""Line and branch coverage of our RTL, from what compiled designs counted as they ran.

A simulation that was compiled with ``compile_model(coverage=True)`` writes a file of this form,
Verilator's. Its first line is ``# SystemC::Coverage-3``; every other is one point of the sources
in one instance's module, and how often it was reached::

    C '<key><value><key><value>...' COUNT

with byte 1 before each key and byte 2 before each value. The keys:

- ``f``, ``l``, ``n``: source file, line, and column.
- ``o``: what it is. ``block`` is the body of an ``always`` or a loop, a function, an initial value,
  or a continuous assignment with a choice. The others are ways of a branch: ``if``, ``elsif``,
  ``else`` (also where the source has none), ``case``, ``cond_then`` and ``cond_else`` (of ``?:``).
- ``S``: the lines that run with it, such as ``3-5,9``; missing where there are none.
- ``t``, ``page``, ``h``: kind (``line`` or ``branch``), module with its parameters, instance.

Verilator leaves out blocks that may end the simulation (with ``$error`` or ``$stop``), and
continuous assignments of plain signals. It also can't know of a generate block that no instance
has: therefore the sources are searched for ``always`` and ``initial``, and any other one without a
point counts as a line not reached.
"""

import argparse
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sdq_fpga.errors import StageError

__all__ = ["Branch", "Excluded", "FileCoverage", "markdown", "measure", "read_excluded"]

_HEAD = "# SystemC::Coverage-"
_CONSTANT = "functions that only constants call run when the design is elaborated"
_PROCESS = re.compile(r"\b(?:always(?:_\w+)?|initial)\b")
_WORD = re.compile(r"\bbegin\b|\bend\b|;")
_ENDS = re.compile(r"\$(?:error|fatal|stop|finish)\b")
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_FUNCTION = re.compile(r"^\s*function\b.*?^\s*endfunction\b", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, order=True)
class Branch:
    """One way of a branch.

    Attributes:
        line: line of the source, from 1.
        column: column of it.
        way: "if", "elsif", "else", "case", "cond_then" or "cond_else".
    """

    line: int
    column: int
    way: str


@dataclass(frozen=True)
class Excluded:
    """Lines and branches that need not be reached.

    Attributes:
        file: name of the source.
        text: what a line has to contain.
        reason: why it can't be reached.
        ways: which ways of branches on such lines; none stands for the line and all its branches.
    """

    file: str
    text: str
    reason: str
    ways: tuple[str, ...] = ()


@dataclass(frozen=True)
class FileCoverage:
    """Coverage of one source.

    Attributes:
        path: the source, below the folder of sources.
        simulated: whether any design had a module of it.
        lines: by number, whether the line was reached.
        branches: whether they were taken.
        excluded: (line, reason) of what was not reached and counts in neither.
    """

    path: Path
    simulated: bool
    lines: Mapping[int, bool]
    branches: Mapping[Branch, bool]
    excluded: tuple[tuple[int, str], ...] = ()


@dataclass
class _Counts:
    """Of one source: how often points were reached, and which lines run with each."""

    reached: dict[Branch, int] = field(default_factory=dict)
    lines: dict[Branch, set[int]] = field(default_factory=dict)


def measure(
    data: Iterable[Path], sources: Path, excluded: Sequence[Excluded] = ()
) -> tuple[FileCoverage, ...]:
    """Merges what simulations counted, for all SystemVerilog files below ``sources``.

    Args:
        data: files that simulations wrote. Their sources may be copies: names count.
        sources: folder, also of folders.
        excluded: what need not be reached.

    Raises:
        StageError: a file can't be read; or an exclusion excludes nothing.
    """
    paths = sorted(sources.rglob("*.sv"))
    counts = {path.name: _Counts() for path in paths}
    for path in data:
        _add(path, counts)
    used: set[Excluded] = set()
    found = tuple(
        _judge(path, sources, counts[path.name], [e for e in excluded if e.file == path.name], used)
        for path in paths
    )
    for rule in excluded:
        if rule not in used:
            what = f"nothing uncovered in {rule.file} contains {rule.text!r}"
            raise StageError(what, "remove this exclusion from coverage")
    return found


def read_excluded(path: Path) -> tuple[Excluded, ...]:
    """Reads exclusions: a TOML file of tables ``[[excluded]]`` with the fields of ``Excluded``.

    Raises:
        StageError: the file can't be read, or is something else.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8")).get("excluded", [])
        return tuple(
            Excluded(t["file"], t["text"], t["reason"], tuple(t.get("ways", ()))) for t in tables
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StageError(f"{path} holds no exclusions ({error})", "correct it") from error


def markdown(files: Sequence[FileCoverage]) -> str:
    """A table of all files, what was not reached, and what is excluded."""
    rows = ["| File | Lines | Branches | Not reached |", "| --- | ---: | ---: | --- |"]
    simulated = [file for file in files if file.simulated]
    for file in simulated:
        missed = [_ranges(line for line, reached in file.lines.items() if not reached)]
        missed += [f"{b.line} {b.way}" for b, taken in sorted(file.branches.items()) if not taken]
        shares = f"{_share(file.lines.values())} | {_share(file.branches.values())}"
        rows.append(f"| {file.path.as_posix()} | {shares} | {', '.join(filter(None, missed))} |")
    lines = [reached for file in simulated for reached in file.lines.values()]
    branches = [taken for file in simulated for taken in file.branches.values()]
    rows.append(f"| all | {_share(lines)} | {_share(branches)} | |")
    parts = ["\n".join(rows)]
    if others := [file.path.as_posix() for file in files if not file.simulated]:
        parts.append(f"Not measured, or without statements: {', '.join(others)}.")
    reasons: dict[str, list[str]] = {}
    for file in simulated:
        for reason in sorted({reason for _, reason in file.excluded}):
            where = _ranges(line for line, other in file.excluded if other == reason)
            reasons.setdefault(reason, []).append(f"{file.path.as_posix()} {where}")
    if reasons:
        parts.append(
            "Not reached, and not counted:\n\n"
            + "\n".join(f"- {reason}: {'; '.join(where)}." for reason, where in reasons.items())
        )
    return "\n\n".join(parts) + "\n"


def _add(path: Path, counts: Mapping[str, _Counts]) -> None:
    try:
        head, *rows = path.read_text(encoding="utf-8").splitlines()
        if not head.startswith(_HEAD):
            raise ValueError(f"it begins with {head[:40]!r}")
        for row in rows:
            if not (match := re.fullmatch(r"C '(.*)' (\d+)", row)):
                raise ValueError(f"it has a line {row[:40]!r}")
            fields = dict(part.split("\2", 1) for part in match[1].split("\1")[1:])
            file = counts.get(Path(fields["f"]).name)
            if file is None:
                continue
            point = Branch(int(fields["l"]), int(fields["n"]), fields["o"])
            file.reached[point] = file.reached.get(point, 0) + int(match[2])
            file.lines.setdefault(point, set()).update(_numbers(fields.get("S", "")))
    except (OSError, ValueError, KeyError) as error:
        raise StageError(f"{path} holds no coverage ({error})", "simulate again") from error


def _judge(
    path: Path, root: Path, counts: _Counts, excluded: Sequence[Excluded], used: set[Excluded]
) -> FileCoverage:
    source = _COMMENT.sub(
        lambda match: re.sub(r"[^\n]", " ", match[0]), path.read_text(encoding="utf-8")
    )
    lines = dict.fromkeys(_processes(source), False)
    for point, covered in counts.lines.items():
        for line in covered:
            lines[line] = lines.get(line, False) or counts.reached[point] > 0
    branches = {point: count > 0 for point, count in counts.reached.items() if point.way != "block"}
    left_out: set[tuple[int, str]] = set()

    def leave_out(numbers: Iterable[int], reason: str, ways: Sequence[str] = ()) -> bool:
        some = False
        for number in numbers:
            missed = [
                branch
                for branch, taken in branches.items()
                if branch.line == number and not taken and (not ways or branch.way in ways)
            ]
            for branch in missed:
                del branches[branch]
            if lines.get(number) is False and not ways:
                del lines[number]
            elif not missed:
                continue
            some = True
            left_out.add((number, reason))
        return some

    for match in _FUNCTION.finditer(source):
        first = source.count("\n", 0, match.start() + len(match[0]) - len(match[0].lstrip())) + 1
        inside = range(first, source.count("\n", 0, match.end()) + 2)
        if not any(lines.get(number) for number in inside):
            leave_out(inside, _CONSTANT)
    text = source.splitlines()
    for rule in excluded:
        numbers = [n for n, line in enumerate(text, start=1) if rule.text in line]
        if leave_out(numbers, rule.reason, rule.ways):
            used.add(rule)
    return FileCoverage(
        path.relative_to(root), bool(counts.reached), lines, branches, tuple(sorted(left_out))
    )


def _processes(source: str) -> Iterable[int]:
    """The lines of ``always`` and ``initial``, without those that may end the simulation."""
    for match in _PROCESS.finditer(source):
        depth, end = 0, len(source)
        for word in _WORD.finditer(source, match.end()):
            depth += {"begin": 1, "end": -1, ";": 0}[word[0]]
            if depth == 0:
                end = word.end()
                break
        if not _ENDS.search(source, match.end(), end):
            yield source.count("\n", 0, match.start()) + 1


def _numbers(text: str) -> list[int]:
    """The numbers of "3-5,9"."""
    found: list[int] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def _ranges(numbers: Iterable[int]) -> str:
    """The inverse of ``_numbers``, for reading."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)


def _share(reached: Iterable[bool]) -> str:
    all_of = list(reached)
    if not all_of:
        return "-"
    return f"{sum(all_of)}/{len(all_of)} ({100 * sum(all_of) // len(all_of)} %)"


def _main() -> None:
    parser = argparse.ArgumentParser(description="Prints coverage of RTL, and writes it.")
    parser.add_argument("data", type=Path, help="folder of what simulations wrote (*.dat)")
    parser.add_argument("sources", type=Path, help="folder of SystemVerilog files")
    parser.add_argument("excluded", type=Path, help="TOML file of what need not be reached")
    parser.add_argument("written", type=Path, help="Markdown file to write, after its own head")
    options = parser.parse_args()
    if not (data := sorted(options.data.glob("*.dat"))):
        parser.error(f"{options.data} holds no coverage (*.dat)")
    table = markdown(measure(data, options.sources, read_excluded(options.excluded)))
    print(table)
    options.written.write_text(_DOCUMENT.format(table), encoding="utf-8")


_DOCUMENT = """\
# Coverage of the RTL

Produced by `make coverage`: what the tests in tests/hw reach of the SystemVerilog in hw/, as
counted by Verilator. A line counts if it holds a statement, an initial value, or an assignment
with a choice; a branch is one way of an `if`, a `case` or a `?:`. Verilator counts neither
elaboration checks nor assertions.

{}"""


if __name__ == "__main__":
    _main()
