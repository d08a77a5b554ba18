"""What was kept of Vivado's figures for a run, beside what the hardware model says."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from sdq_fpga.cost.clock_measured import MeasuredClock
from sdq_fpga.cost.measured import Amounts
from sdq_fpga.plain import Plain
from sdq_fpga.report.summary import RESOURCE_TITLES

__all__ = ["Learnt", "LearntNodes", "print_learnt"]


class LearntNodes(Plain):
    """The nodes of a run that were kept.

    Attributes:
        count: how many.
        predicted: what the hardware model says that they take.
        found: what Vivado says.
    """

    count: int
    predicted: Amounts
    found: Amounts


class Learnt(Plain):
    """What was kept of a run.

    Attributes:
        origin: what its design is called in the files.
        nodes: None where no report of them was given.
        clock: that Vivado found; None where there is neither a bitstream nor a report of timing, or
            the file has it already.
    """

    origin: str
    nodes: LearntNodes | None
    clock: MeasuredClock | None


def print_learnt(learnt: Learnt, nodes: Path, clocks: Path, console: Console) -> None:
    """Shows what was kept.

    Args:
        learnt: of one run.
        nodes: the file that has its nodes now.
        clocks: the file that has its clock now.
        console: to print on.
    """
    if learnt.nodes is not None:
        found = learnt.nodes
        table = Table(caption=f"{found.count} nodes, now in {nodes}", caption_justify="left")
        for heading in ("resource", "predicted", "Vivado"):
            table.add_column(heading, justify="right")
        for name, title in RESOURCE_TITLES.items():
            amounts = (f"{getattr(each, name):,}" for each in (found.predicted, found.found))
            table.add_row(title, *amounts)
        console.print(table)
    if learnt.clock is not None:
        clock = learnt.clock
        console.print(
            f"clock: {clock.achieved_mhz:g} MHz achieved ({clock.target_mhz:g} MHz asked for, "
            f"slack {clock.slack_ns:+.3f} ns), {clock.foretold.mhz:.0f} MHz foretold; now in "
            f"{clocks}"
        )
    elif learnt.nodes is not None:
        console.print("no clock: there is neither a bitstream nor --timing, or it is known already")
