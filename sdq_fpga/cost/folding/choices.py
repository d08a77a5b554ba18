"""The ways to fold one node, with the cycles and resources of each."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sdq_fpga.board import Board
from sdq_fpga.cost.features.weights import streams_weights, weight_word
from sdq_fpga.cost.folding.cycles import node_cycles
from sdq_fpga.cost.folding.figures import Resources
from sdq_fpga.cost.folding.windows import can_generate
from sdq_fpga.cost.node import HardwareGraph, HardwareNode, Value
from sdq_fpga.cost.resources import node_resources

__all__ = [
    "WINDOWS",
    "Choice",
    "choices",
    "depthwise_choices",
    "divisors",
    "lut_unit",
    "parallel_axes",
    "stage_choices",
    "stage_nodes",
    "units",
]

WINDOWS = "ConvolutionInputGenerator_rtl"
_LUT_UNIT_BITS = 4, 8  # of the narrow and the wide operand of products that are worth LUTs
_PRODUCTS_A_SLICE = 9  # of a DSP slice, at the most
_LEAST_WORDS = 2  # of a memory of weights


@dataclass(frozen=True)
class Choice:
    """One folding of one node.

    Attributes:
        op: type of the node; a matrix-vector unit may be of DSP slices or of LUTs.
        attributes: its folding attributes.
        cycles: cycles of a frame.
        resources: what it takes.
    """

    op: str
    attributes: Mapping[str, Value]
    cycles: int
    resources: Resources


def divisors(number: int) -> list[int]:
    """Divisors, ascending."""
    small = [each for each in range(1, math.isqrt(number) + 1) if number % each == 0]
    return sorted({*small, *(number // each for each in small)})


def parallel_axes(node: HardwareNode) -> dict[str, int]:
    """The folding attributes of a node, and the number that each must divide."""
    match node.op:
        case "MVAU_rtl" | "SdqMvuLut_rtl":
            return {"PE": node.integer("MH"), "SIMD": node.integer("MW")}
        case "ConvolutionInputGenerator_rtl":
            return {"SIMD": node.integer("IFMChannels")}
        case "Thresholding_rtl":
            return {"PE": node.integer("NumChannels")}
        case "SdqConcat_rtl" | "SdqSplit_rtl":
            return {"PE": math.gcd(*node.integers("channels"))}
        case "SdqLabelSelect_rtl":
            return {"PE": node.integer("labels") if node.integer("k") == 1 else 1}
        case _:
            return {"PE": node.integers("shape")[-1]}


def choices(node: HardwareNode, board: Board, slowest: int | None = None) -> Iterator[Choice]:
    """Every folding of a node, but for those whose products no part as large as the board's holds.

    Args:
        node: the node, of any folding.
        board: the board.
        slowest: cycles of a frame that a folding may have; None for any.
    """
    most = board.budget.lut + _PRODUCTS_A_SLICE * board.budget.dsp
    for unit in units(node):
        axes = parallel_axes(unit)
        for values in itertools.product(*map(divisors, axes.values())):
            if math.prod(values) > most:
                continue
            attributes: dict[str, Value] = dict(zip(axes, values, strict=True))
            for more in _variants(unit, attributes):
                folded = unit.with_attributes(attributes | more)
                if node.op == WINDOWS and not can_generate(folded):
                    continue
                if slowest is None or node_cycles(folded) <= slowest:
                    yield from _choices(folded, attributes | more, board)


def units(node: HardwareNode) -> list[HardwareNode]:
    """The node, and what else does the same."""
    if node.op != "MVAU_rtl":
        return [node]
    bits = sorted((node.bits("inputDataType"), node.bits("weightDataType")))
    in_luts = all(each <= most for each, most in zip(bits, _LUT_UNIT_BITS, strict=True))
    return [node, lut_unit(node)] if in_luts else [node]


def _variants(node: HardwareNode, attributes: Mapping[str, Value]) -> list[dict[str, Value]]:
    """Further attributes to try with some parallelism."""
    if node.op != WINDOWS:
        return [{}]
    # With all channels in a beat, it may be a whole window.
    whole = attributes["SIMD"] == node.integer("IFMChannels") and node.product("ConvKernelDim") > 1
    return [{"parallel_window": parallel} for parallel in range(1 + whole)]


def _choices(
    folded: HardwareNode, attributes: Mapping[str, Value], board: Board
) -> Iterator[Choice]:
    """The ways to keep the weights of a folded node; one for a node that has none."""
    cycles = node_cycles(folded)
    for more in _memories(folded, board):
        made = folded.with_attributes(more) if more else folded
        resources = node_resources(made, board.dsp)
        yield Choice(folded.op, {**attributes, **more}, cycles, resources)


def _memories(folded: HardwareNode, board: Board) -> list[dict[str, Value]]:
    """What weights may be kept in, where nobody has said; a single word needs no memory.

    A bitstream does not fill UltraRAM, so it is for weights that can be written.
    """
    keeps = "mem_mode" in folded.attributes and streams_weights(folded)
    if not keeps or folded.text("ram_style") != "auto" or weight_word(folded)[1] < _LEAST_WORDS:
        return [{}]
    styles = ["distributed", "block"]
    if board.budget.uram and folded.integer("runtime_writeable_weights"):
        styles.append("ultra")
    return [{"ram_style": style} for style in styles]


def stage_nodes(graph: HardwareGraph) -> list[tuple[HardwareNode, ...]]:
    """Nodes that are folded together: depthwise windows with the node that takes them."""
    readers = {name: node for node in graph.nodes for name in node.inputs}
    taken: set[str] = set()
    found: list[tuple[HardwareNode, ...]] = []
    for node in graph.nodes:
        if node.name in taken:
            continue
        pair = node.op == WINDOWS and node.integer("depthwise")
        found.append((node, readers[node.outputs[0]]) if pair else (node,))
        taken |= {each.name for each in found[-1]}
    return found


def stage_choices(
    nodes: Sequence[HardwareNode], board: Board, slowest: int | None = None
) -> Iterator[tuple[Choice, ...]]:
    """Every folding of nodes that are folded together, one choice for each.

    Args:
        nodes: of ``stage_nodes``, of any folding.
        board: the board.
        slowest: cycles of a frame that a folding may have; None for any.
    """
    if len(nodes) == 1:
        for choice in choices(nodes[0], board, slowest):
            yield (choice,)
        return
    windows, reader = nodes
    for pair in depthwise_choices(windows, reader, board):
        if slowest is None or max(each.cycles for each in pair) <= slowest:
            yield pair


def depthwise_choices(
    windows: HardwareNode, reader: HardwareNode, board: Board
) -> Iterator[tuple[Choice, Choice]]:
    """Foldings of a depthwise window generator with the node that takes its windows.

    No width converter may stand between them, as that would mix channels: the same channels go in
    parallel in both; with all of them, also a whole window at a time.
    """
    channels, taps = windows.integer("IFMChannels"), reader.integer("taps")
    for pe in divisors(channels):
        # FINN's whole windows of a part of the channels came out wrong where windows are few.
        for parallel in (0, 1) if taps > 1 and pe == channels else (0,):
            of_windows: dict[str, Value] = {"SIMD": pe, "parallel_window": parallel}
            of_reader: dict[str, Value] = {"PE": pe, "SIMD": taps if parallel else 1}
            generator = windows.with_attributes(of_windows)
            if can_generate(generator):
                (first,) = _choices(generator, of_windows, board)
                for second in _choices(reader.with_attributes(of_reader), of_reader, board):
                    yield first, second


def lut_unit(node: HardwareNode) -> HardwareNode:
    """The matrix-vector unit of LUTs that does the same as one of DSP slices (MVAU_rtl)."""
    weight_type = node.text("weightDataType")
    if weight_type == "INT2" and node.narrow:
        weight_type = "TERNARY"  # which DSP slices have no use for
    attributes: dict[str, Value] = {
        "shape": node.integers("numInputVectors"),
        "MW": node.integer("MW"),
        "MH": node.integer("MH"),
        "PE": node.integer("PE"),
        "SIMD": node.integer("SIMD"),
        "in_type": node.text("inputDataType"),
        "weight_type": weight_type,
        "out_type": node.text("outputDataType"),
        "mem_mode": "external" if node.text("mem_mode") == "external" else "internal",
        "ram_style": node.text("ram_style"),
        "runtime_writeable_weights": node.integer("runtime_writeable_weights"),
        "adder_step": 1,
    }
    return replace(node, op="SdqMvuLut_rtl", attributes=attributes)
