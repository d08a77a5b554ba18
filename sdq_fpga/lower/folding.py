"""Folds a FINN graph as ``sdq_fpga.cost.folding`` decides it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from finn.util.basic import getHWCustomOp
from onnx import NodeProto, helper
from qonnx.core.modelwrapper import ModelWrapper

from sdq_fpga.board import Board
from sdq_fpga.cost.cycles import node_cycles
from sdq_fpga.cost.features.weights import weight_style
from sdq_fpga.cost.folding import FoldedNode, Folding, Resources, Shares
from sdq_fpga.cost.folding.choices import lut_unit
from sdq_fpga.cost.folding.foldings import Choice
from sdq_fpga.cost.folding.solve import solve
from sdq_fpga.cost.node import HardwareGraph, HardwareNode
from sdq_fpga.cost.ports import input_ports
from sdq_fpga.cost.rebit import WEIGHTED
from sdq_fpga.cost.resources import node_resources
from sdq_fpga.cost.roofline import weight_bits
from sdq_fpga.lower.describe import describe
from sdq_fpga.lower.streams import insert_streams, set_depths
from sdq_fpga.ops import DOMAIN
from sdq_fpga.progress import Progress

__all__ = ["FoldedModel", "fold", "folded_figures"]


@dataclass(frozen=True)
class FoldedModel:
    """A folded FINN graph, as ``sdq_fpga.cost.fifo_room`` wants it.

    Attributes:
        model: the graph; its FIFOs have the least depth.
        figures: of its nodes.
    """

    model: ModelWrapper
    figures: Folding

    @cached_property
    def graph(self) -> HardwareGraph:
        """Its nodes."""
        return describe(self.model)

    @property
    def interval(self) -> int:
        """Cycles of its slowest node."""
        return self.figures.interval

    @property
    def resources(self) -> Resources:
        """Of all nodes."""
        return self.figures.resources

    def deepen(self, depths: Mapping[str, int], board: Board) -> Folding:
        """Sets the depths of FIFOs in the model, by name; the figures with these."""
        set_depths(self.model, depths, board)
        kept = {name: getattr(self.figures, name) for name in ("bound", "gap", "prices")}
        return folded_figures(self.model, board).model_copy(update=kept)


def fold(
    model: ModelWrapper,
    board: Board,
    clock_mhz: float,
    target_fps: float | None,
    shares: Shares,
    progress: Progress,
    target_latency_us: float | None = None,
    *,
    thrifty: bool = False,
) -> tuple[ModelWrapper, Folding]:
    """Chooses the parallelism of every node, and inserts width converters and FIFOs.

    Args:
        model: hardware graph, changed in place.
        board: whose budget to keep.
        clock_mhz: clock of the accelerator.
        target_fps: frames per second to reach; None for the fastest that fits.
        shares: of the board that may be used.
        progress: told how far it is.
        target_latency_us: microseconds that a frame may take; None for any.
        thrifty: whether it takes the least without a target, too, and nothing to fill faster.

    Returns:
        The folded graph and its figures. Its FIFOs have the least depth.

    Raises:
        UserError: a target can't be reached, or nothing fits the board.
    """
    with progress.task("fold", 2) as advance:
        plain = describe(model)
        advance(1)
        solution = solve(
            plain, board, clock_mhz, target_fps, shares, target_latency_us, thrifty=thrifty
        )
        _apply(model, {node.name: node for node in plain.nodes}, solution.chosen)
        advance(1)
    folded = insert_streams(model)
    figures = folded_figures(folded, board)
    return folded, figures.model_copy(
        update={
            "bound": solution.bound,
            "gap": solution.gap,
            "prices": dict(solution.prices),
        }
    )


def _apply(
    model: ModelWrapper, plain: Mapping[str, HardwareNode], chosen: Mapping[str, Choice]
) -> None:
    for node in list(model.graph.node):
        choice = chosen[node.name]
        if choice.op != node.op_type:
            node.CopyFrom(_lut_unit(node, plain[node.name]))
        inst = getHWCustomOp(node)
        for name, value in choice.attributes.items():
            inst.set_nodeattr(name, value)


def _lut_unit(node: NodeProto, plain: HardwareNode) -> NodeProto:
    made = helper.make_node(
        "SdqMvuLut_rtl",
        list(node.input),
        list(node.output),
        name=node.name,
        domain=DOMAIN,
        backend="fpgadataflow",
        **lut_unit(plain).attributes,
    )
    made.doc_string = node.doc_string
    return made


def folded_figures(model: ModelWrapper, board: Board) -> Folding:
    """Cycles and resources of every node of a folded graph."""
    nodes = tuple(
        FoldedNode(
            name=node.name,
            op=node.op,
            layer=node.layer,
            memory=weight_style(node),
            weight_bits=weight_bits(node) if node.op in WEIGHTED else 0,
            input_bits=input_ports(node)[0].bits if node.op in WEIGHTED else 0,
            pe=node.integer("PE", 1),
            simd=node.integer("SIMD", 1),
            cycles=node_cycles(node),
            resources=node_resources(node, board.dsp),
        )
        for node in describe(model).nodes
    )
    slowest = max(nodes, key=lambda each: each.cycles)
    total = sum((each.resources for each in nodes), Resources(lut=0, bram18=0, uram=0, dsp=0))
    return Folding(nodes=nodes, interval=slowest.cycles, bottleneck=slowest.name, resources=total)
