"""Keeps what Vivado found for the nodes of a run, for the hardware model to be fitted on."""

from pathlib import Path

from qonnx.core.modelwrapper import ModelWrapper

from sdq_fpga.cost.measured import Amounts, append_measured, read_measured
from sdq_fpga.cost.resources import total_resources
from sdq_fpga.errors import UserError
from sdq_fpga.lower.describe import describe
from sdq_fpga.plain import Plain
from sdq_fpga.report.summary import Report
from sdq_fpga.run import read_manifest
from sdq_fpga.stages.finished import open_finished
from sdq_fpga.stages.settings import read_plain
from sdq_fpga.synth.utilization import measured_nodes
from sdq_fpga.synth.yosys import family_of

__all__ = ["Learnt", "learn"]


class Learnt(Plain):
    """What was kept of a run.

    Attributes:
        origin: what its design is called in the file.
        nodes: how many.
        predicted: what the hardware model says that they take.
        found: what Vivado says.
    """

    origin: str
    nodes: int
    predicted: Amounts
    found: Amounts


def learn(directory: Path, report: Path, data: Path, top: str | None) -> Learnt:
    """Adds the nodes of a run, with what they take in Vivado, to a file.

    Args:
        directory: of the run.
        report: of ``report_utilization -hierarchical`` of its design.
        data: the file, a node a line (``sdq_fpga.cost.measured``); made if there is none.
        top: path of the instance that has those of the nodes; None to find it.

    Raises:
        UserError: it is not the directory of a finished build, or the file has this run already.
        StageError: the report can't be read, or has no row for a node.
    """
    with open_finished(directory) as run:
        made = read_plain(Report, run.directory / "report.json")
        graph = describe(ModelWrapper(str(run.directory / "size" / "folded.onnx")))
    part = made.accelerator.part
    key = read_manifest(directory).stages["size"].key
    origin = f"{made.name}:{made.accelerator.board}:{key[:12]}"
    if any(node.origin == origin for node in read_measured(data)):
        raise UserError(f"{data} has the nodes of {directory} already", "give another run")
    nodes = measured_nodes(graph.nodes, report, top, origin)
    append_measured(data, nodes)
    predicted = total_resources(graph.nodes, family_of(part))
    return Learnt(
        origin=origin,
        nodes=len(nodes),
        predicted=Amounts(**predicted.model_dump()),
        found=sum((node.total for node in nodes), Amounts(lut=0, ff=0)),
    )
