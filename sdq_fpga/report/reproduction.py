"""How a build compares with its lock."""

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from sdq_fpga.plain import Plain

__all__ = ["Difference", "Reproduction", "print_reproduction"]


class Difference(Plain):
    """A file that is not as the lock says.

    Attributes:
        stage: that wrote it; "." for the reports.
        file: its path in the stage's directory.
        what: "differs", "missing" (now) or "new" (not in the lock).
    """

    stage: str
    file: str
    what: str


class Reproduction(Plain):
    """How a build compares with its lock.

    Attributes:
        directory: of the new run.
        files: how many were compared.
        differences: files that are not the same.
        tools: tools of another version, and "code" if this package is another: what was, what is.
        pinned: whether the trained network was taken from a run instead of trained again.
        left_out: stages of the lock that were neither made again nor compared.
    """

    directory: str
    files: int
    differences: tuple[Difference, ...]
    tools: Mapping[str, tuple[str, str]]
    pinned: bool
    left_out: tuple[str, ...]


def print_reproduction(found: Reproduction, console: Console) -> None:
    """Every difference in a line, and the verdict."""
    if found.tools:
        tools = Table(title="other versions than in the lock", title_justify="left")
        for heading in ("what", "then", "now"):
            tools.add_column(heading, overflow="fold")
        for name, (then, now) in found.tools.items():
            tools.add_row(name, then, now)
        console.print(tools)
    if found.differences:
        table = Table(title="files", title_justify="left")
        for heading in ("stage", "file", ""):
            table.add_column(heading, overflow="fold")
        for each in found.differences:
            table.add_row(each.stage, each.file, each.what)
        console.print(table)
    if found.left_out:
        console.print(f"not made again: {', '.join(found.left_out)}, which takes Vivado")
    equal = found.files - len(found.differences)
    verdict = "the same bytes" if not found.differences else "NOT the same"
    trained = ", with the trained network taken over" if found.pinned else ""
    console.print(f"{verdict}: {equal} of {found.files} files are equal{trained}", soft_wrap=True)
    console.print(f"it is in {found.directory}", markup=False, soft_wrap=True)
