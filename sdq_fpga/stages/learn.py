"""Keeps what Vivado found for a run, for the hardware model to be fitted on."""

from collections.abc import Sequence
from pathlib import Path

from qonnx.core.modelwrapper import ModelWrapper

from sdq_fpga.cost.clock_measured import MeasuredClock
from sdq_fpga.cost.measured import (
    Amounts,
    MeasuredNode,
    append_measured,
    read_clocks,
    read_measured,
)
from sdq_fpga.cost.node import HardwareNode
from sdq_fpga.cost.resources import total_resources
from sdq_fpga.errors import StageError, UserError
from sdq_fpga.lower.describe import describe
from sdq_fpga.report.learnt import Learnt, LearntNodes
from sdq_fpga.report.summary import Report
from sdq_fpga.run import read_manifest
from sdq_fpga.stages.finished import open_finished
from sdq_fpga.stages.settings import read_plain
from sdq_fpga.synth.utilization import measured_nodes
from sdq_fpga.synth.vivado_reports import read_timing
from sdq_fpga.synth.yosys import family_of

__all__ = ["clocks_beside", "learn"]


def clocks_beside(data: Path) -> Path:
    """The file of clocks that belongs to a file of nodes: X.clocks.jsonl beside X.jsonl."""
    return data.with_name(f"{data.stem}.clocks.jsonl")


def learn(
    directory: Path, data: Path, *, report: Path | None, timing: Path | None, top: str | None
) -> Learnt:
    """Adds the nodes of a run, with what they take in Vivado, to a file, and its clock to another.

    Args:
        directory: of the run.
        data: the file of nodes, a node a line (``sdq_fpga.cost.measured``); made if there is none,
            as is that of clocks (``clocks_beside``).
        report: of ``report_utilization -hierarchical`` of its design; None for no nodes.
        timing: of ``report_timing_summary`` of its design, routed; None for what the run's own
            bitstream has reached, if it has one.
        top: path of the instance that has those of the nodes; None to find it.

    Raises:
        UserError: it is not the directory of a finished build, there is nothing to keep, or the
            files have this run already.
        StageError: a report can't be read, lacks a row for a node, or does not name its clock.
    """
    with open_finished(directory) as run:
        made = read_plain(Report, run.directory / "report.json")
        nodes = describe(ModelWrapper(str(run.directory / "size" / "folded.onnx"))).nodes
    key = read_manifest(directory).stages["size"].key
    origin = f"{made.name}:{made.accelerator.board}:{key[:12]}"
    clocks = clocks_beside(data)
    if report is not None and any(node.origin == origin for node in read_measured(data)):
        raise UserError(f"{data} has the nodes of {directory} already", "give another run")
    found = [] if report is None else measured_nodes(nodes, report, top, origin)
    clock = _clock(made, nodes, origin, timing)
    if clock is not None and _same(clock) in map(_same, read_clocks(clocks)):
        if report is None:
            raise UserError(f"{clocks} has the clock of {directory} already", "give another run")
        clock = None
    if report is None and clock is None:
        raise UserError(
            f"there is nothing of Vivado's to keep: {directory} has no bitstream",
            "give --report, --timing or both",
        )
    if found:
        append_measured(data, found)
    if clock is not None:
        append_measured(clocks, [clock])
    return Learnt(origin=origin, nodes=_summed(made, nodes, found), clock=clock)


def _clock(
    made: Report, nodes: Sequence[HardwareNode], origin: str, report: Path | None
) -> MeasuredClock | None:
    """What Vivado found by a report, or else by that of the run's bitstream; None without both."""
    asked = made.accelerator.clock_mhz
    if report is not None:
        try:
            timing = read_timing(report.read_text(encoding="utf-8"), 1e3 / asked, str(report))
        except (OSError, UnicodeDecodeError) as error:
            raise StageError(f"{report} can't be read ({error})", "give a readable file") from error
        if timing.clock_mhz is None:
            raise StageError(
                f"{report} does not say which of its clocks is the accelerator's",
                "give the report of report_timing_summary of a design with one clock, or with the "
                "shell's",
            )
    elif made.bitstream.achieved is not None:
        timing = made.bitstream.achieved.timing
    else:
        return None
    target = timing.clock_mhz or asked
    slack = timing.slack_ns if timing.clock_slack_ns is None else timing.clock_slack_ns
    return MeasuredClock.of(origin, made.accelerator.part, nodes, target, slack)


def _same(clock: MeasuredClock) -> tuple[str, float]:
    """What two clocks that were kept may not share: the design, and what was asked of it."""
    return clock.origin, clock.target_mhz


def _summed(
    made: Report, nodes: Sequence[HardwareNode], found: Sequence[MeasuredNode]
) -> LearntNodes | None:
    if not found:
        return None
    predicted = total_resources(nodes, family_of(made.accelerator.part))
    return LearntNodes(
        count=len(found),
        predicted=Amounts(**predicted.model_dump()),
        found=sum((node.total for node in found), Amounts(lut=0, ff=0)),
    )
