"""The ways to fold one node, with the cycles and resources of each."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from sdq_fpga.board import Board
from sdq_fpga.cost.cycles import matrix_cycles, node_cycles
from sdq_fpga.cost.features.weights import streams_weights, weight_word, weight_words
from sdq_fpga.cost.folding.figures import RESOURCES
from sdq_fpga.cost.folding.foldings import Foldings, NodeFoldings
from sdq_fpga.cost.node import HardwareGraph, HardwareNode, Value
from sdq_fpga.cost.ports import input_ports, output_ports
from sdq_fpga.cost.resources import matrix_amounts, node_resources
from sdq_fpga.cost.window_cycles import can_generate

__all__ = [
    "WINDOWS",
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
_MATRIX = frozenset({"MVAU_rtl", "SdqMvuLut_rtl"})

Attributes = dict[str, Value]


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


def choices(node: HardwareNode, board: Board) -> NodeFoldings:
    """Every folding of a node, but for those whose products no part as large as the board's holds.

    Args:
        node: the node, of any folding.
        board: the board.
    """
    if node.op in _MATRIX:
        return NodeFoldings.joined([_of_matrix(unit, board) for unit in units(node)])
    most = _most(board)
    ((name, axis),) = parallel_axes(node).items()
    tried: Iterator[Attributes] = ({name: each} for each in divisors(axis) if each <= most)
    if node.op == WINDOWS:
        tried = (each | more for each in tried for more in _windows(node, each))
    made = ((node.with_attributes(each), each) for each in tried)
    return _one_by_one(
        [each for each in made if node.op != WINDOWS or can_generate(each[0])], board
    )


def units(node: HardwareNode) -> list[HardwareNode]:
    """The node, and what else does the same."""
    if node.op != "MVAU_rtl":
        return [node]
    bits = sorted((node.bits("inputDataType"), node.bits("weightDataType")))
    in_luts = all(each <= most for each, most in zip(bits, _LUT_UNIT_BITS, strict=True))
    return [node, lut_unit(node)] if in_luts else [node]


def _most(board: Board) -> int:
    """Products that a part may have at the most."""
    return board.budget.lut + _PRODUCTS_A_SLICE * board.budget.dsp


def _windows(node: HardwareNode, attributes: Attributes) -> list[Attributes]:
    """Further attributes of a window generator of some parallelism."""
    # With all channels in a beat, it may be a whole window.
    whole = attributes["SIMD"] == node.integer("IFMChannels") and node.product("ConvKernelDim") > 1
    return [{"parallel_window": parallel} for parallel in range(1 + whole)]


def _of_matrix(unit: HardwareNode, board: Board) -> NodeFoldings:
    """Every folding of a matrix-vector unit; PE, then SIMD, then the memory."""
    axes = parallel_axes(unit)
    grid = np.meshgrid(*(divisors(axes[name]) for name in ("PE", "SIMD")), indexing="ij")
    pe, simd = (each.reshape(-1) for each in grid)
    fits = pe * simd <= _most(board)
    pe, simd = pe[fits], simd[fits]
    several = np.asarray(weight_words(unit, pe, simd)) >= _LEAST_WORDS
    many, single = np.flatnonzero(several), np.flatnonzero(~several)
    styles = _memories(unit, board)
    tried: list[str | None] = [*styles] or [None]
    asked = styles or [unit.text("ram_style")]
    found = matrix_amounts(unit, board.dsp, pe[many], simd[many], asked)
    alone = [unit.with_attributes({"PE": int(pe[k]), "SIMD": int(simd[k])}) for k in single]
    rows = np.concatenate([*found, *([_amounts(each, board)] for each in alone)])
    of_row = np.concatenate([*(many for _ in found), single])
    style = np.repeat(np.arange(len(tried) + 1), [*(len(many) for _ in found), len(single)])
    order = np.lexsort((style, of_row))
    pe, simd = pe[of_row][order], simd[of_row][order]
    names = [*tried, None]  # a single word needs no memory
    return NodeFoldings(
        [unit.op] * len(order),
        {
            "PE": pe.tolist(),
            "SIMD": simd.tolist(),
            "ram_style": [names[k] for k in style[order].tolist()],
        },
        np.asarray(matrix_cycles(unit, pe, simd)),
        rows[order],
        simd[:, None],
        pe[:, None],
    )


def _one_by_one(folded: Sequence[tuple[HardwareNode, Attributes]], board: Board) -> NodeFoldings:
    """Foldings of a node that has been folded, each with the attributes that say how."""
    nodes = [node for node, _ in folded]
    names = dict.fromkeys(name for _, attributes in folded for name in attributes)
    return NodeFoldings(
        [node.op for node in nodes],
        {name: [attributes.get(name) for _, attributes in folded] for name in names},
        np.array([node_cycles(node) for node in nodes], np.int64),
        np.array([_amounts(node, board) for node in nodes]).reshape(-1, len(RESOURCES)),
        *(
            np.array([[port.elements for port in ports(node)] for node in nodes], np.int64)
            for ports in (input_ports, output_ports)
        ),
    )


def _amounts(node: HardwareNode, board: Board) -> list[float]:
    found = node_resources(node, board.dsp)
    return [float(getattr(found, name)) for name in RESOURCES]


def _memories(node: HardwareNode, board: Board) -> list[str]:
    """What several words of weights may be kept in, where nobody has said.

    A bitstream does not fill UltraRAM, so it is for weights that can be written.
    """
    if not streams_weights(node) or node.text("ram_style") != "auto":
        return []
    styles = ["distributed", "block"]
    if board.budget.uram and node.integer("runtime_writeable_weights"):
        styles.append("ultra")
    return styles


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


def stage_choices(nodes: Sequence[HardwareNode], board: Board) -> Foldings:
    """Every folding of nodes that are folded together.

    Args:
        nodes: of ``stage_nodes``, of any folding.
        board: the board.
    """
    if len(nodes) == 1:
        return Foldings((choices(nodes[0], board),))
    windows, reader = nodes
    return depthwise_choices(windows, reader, board)


def depthwise_choices(windows: HardwareNode, reader: HardwareNode, board: Board) -> Foldings:
    """Foldings of a depthwise window generator with the node that takes its windows.

    No width converter may stand between them, as that would mix channels: the same channels go in
    parallel in both; with all of them, also a whole window at a time.
    """
    channels, taps = windows.integer("IFMChannels"), reader.integer("taps")
    pairs = []
    for pe in divisors(channels):
        # FINN's whole windows of a part of the channels came out wrong where windows are few.
        for parallel in (0, 1) if taps > 1 and pe == channels else (0,):
            of_windows: Attributes = {"SIMD": pe, "parallel_window": parallel}
            of_reader: Attributes = {"PE": pe, "SIMD": taps if parallel else 1}
            generator = windows.with_attributes(of_windows)
            if can_generate(generator):
                folded = reader.with_attributes(of_reader)
                pairs += [
                    ((generator, of_windows), (folded.with_attributes(more), of_reader | more))
                    for more in _kept(folded, board)
                ]
    generators, readers = zip(*pairs, strict=True) if pairs else ((), ())
    return Foldings((_one_by_one(generators, board), _one_by_one(readers, board)))


def _kept(folded: HardwareNode, board: Board) -> list[Attributes]:
    """The ways to keep the weights of a folded node; one for a node that has none."""
    if "mem_mode" not in folded.attributes or weight_word(folded)[1] < _LEAST_WORDS:
        return [{}]
    return [{"ram_style": style} for style in _memories(folded, board)] or [{}]


def lut_unit(node: HardwareNode) -> HardwareNode:
    """The matrix-vector unit of LUTs that does the same as one of DSP slices (MVAU_rtl)."""
    weight_type = node.text("weightDataType")
    if weight_type == "INT2" and node.narrow:
        weight_type = "TERNARY"  # which DSP slices have no use for
    attributes: Attributes = {
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
