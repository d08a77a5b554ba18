"""FINN's own automatic folding on our hardware graph, and what both need that FINN has not.

FINN's SetFolding folds the nodes that FINN has. A matrix-vector unit of LUTs is shown to it as
FINN's MVAU_hls, and gets the PE and SIMD that this gets. All other operators are folded by the rule
that SetFolding has for every node but the matrix-vector unit: the least parallelism that keeps up.
"""

import copy
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, replace

from finn.transformation.fpgadataflow.set_folding import SetFolding
from finn.util.basic import getHWCustomOp
from onnx import NodeProto, helper
from qonnx.core.modelwrapper import ModelWrapper

from sdq_fpga.cost.cycles import node_cycles
from sdq_fpga.cost.folding.choices import WINDOWS, divisors, lut_unit, parallel_axes
from sdq_fpga.cost.node import HardwareGraph, HardwareNode
from sdq_fpga.cost.window_cycles import can_generate

__all__ = [
    "MATRIX_UNITS",
    "Automatic",
    "asked_automatic",
    "best_automatic",
    "in_luts",
    "keep_up",
    "slowest",
]

MATRIX_UNITS = frozenset({"MVAU_rtl", "SdqMvuLut_rtl"})
_OF_FINN = frozenset({*MATRIX_UNITS, "Thresholding_rtl"})
# Bits of the narrow and the wide operand up to which units may be of LUTs; the last is our rule.
_LUT_BITS = {"4 bits": (4, 4), "4x8 bits": (4, 8)}
# SetFolding's limit on the bits of one row's weights in a cycle: what FINN has where nobody says
# otherwise, some that are larger, and none.
_WEIGHT_WIDTHS = (36, 192, 576, 8191)
_FINENESS = 1.01  # of the bisection of the interval
_MISSES = 4  # halvings of the interval that may fail before the search turns back


def slowest(graph: HardwareGraph, names: Set[str] | None = None) -> int:
    """Cycles a frame of the slowest node, or of the slowest of some."""
    return max(node_cycles(node) for node in graph.nodes if names is None or node.name in names)


def in_luts(graph: HardwareGraph, names: Set[str]) -> HardwareGraph:
    """Makes matrix-vector units of LUTs of some that are of DSP slices."""
    return replace(
        graph,
        nodes=tuple(
            lut_unit(node) if node.name in names and node.op == "MVAU_rtl" else node
            for node in graph.nodes
        ),
    )


def keep_up(graph: HardwareGraph, names: Set[str], interval: int) -> HardwareGraph:
    """Gives nodes the least parallelism that keeps an interval, or the most that they have.

    A window generator of a depthwise layer or a pool is folded with its reader.

    Args:
        graph: hardware graph.
        names: of the nodes; no matrix-vector units.
        interval: cycles a frame.
    """
    readers = {name: node for node in graph.nodes for name in node.inputs}
    folded: dict[str, HardwareNode] = {}
    for node in graph.nodes:
        if node.name not in names or node.name in folded:
            continue
        for together in _foldings(node, readers):
            folded.update((each.name, each) for each in together)
            if all(node_cycles(each) <= interval for each in together):
                break
    return replace(graph, nodes=tuple(folded.get(node.name, node) for node in graph.nodes))


def _foldings(
    node: HardwareNode, readers: Mapping[str, HardwareNode]
) -> Iterator[tuple[HardwareNode, ...]]:
    """A node in all foldings that there are, the least first, with what is folded with it."""
    if node.op == WINDOWS and node.integer("depthwise"):
        reader = readers[node.outputs[0]]
        channels, taps = node.integer("IFMChannels"), reader.integer("taps")
        for pe, whole in [*((pe, 0) for pe in divisors(channels)), (channels, 1)]:
            generator = node.with_attributes({"SIMD": pe, "parallel_window": whole})
            taker = reader.with_attributes({"PE": pe, "SIMD": taps if whole else 1})
            if can_generate(generator):
                yield generator, taker
        return
    axes = parallel_axes(node)
    ways = itertools.product(*map(divisors, axes.values()))
    for values in sorted(ways, key=math.prod):
        folded = node.with_attributes(dict(zip(axes, values, strict=True)))
        if node.op != WINDOWS or can_generate(folded):
            yield (folded,)


@dataclass(frozen=True)
class Automatic:
    """What FINN's automatic folding comes to.

    Attributes:
        graph: folded; neither width converters nor FIFOs.
        interval: cycles a frame of the slowest node.
        setting: what FINN was told, in words.
    """

    graph: HardwareGraph
    interval: int
    setting: str


def best_automatic(
    model: ModelWrapper, graph: HardwareGraph, fits: Callable[[HardwareGraph], bool]
) -> Automatic | None:
    """The fastest folding of SetFolding that fits, over its settings; None if none does.

    Args:
        model: FINN's graph before folding.
        graph: the same as plain nodes.
        fits: whether a folded graph keeps the budget.
    """
    found = [
        _bisected(model, start, width, fits, f"{title}mvau_wwidth_max {width}")
        for title, start in _starts(graph)
        for width in _WEIGHT_WIDTHS
    ]
    return min(filter(None, found), key=lambda each: each.interval, default=None)


def asked_automatic(model: ModelWrapper, graph: HardwareGraph, target: int) -> list[Automatic]:
    """SetFolding's answers to a target in cycles a frame, at its least and largest weight width."""
    found = [
        _at(model, start, target, width, lambda _: True, f"{title}mvau_wwidth_max {width}")
        for title, start in _starts(graph)
        for width in (_WEIGHT_WIDTHS[0], _WEIGHT_WIDTHS[-1])
    ]
    return [each for each in found if each is not None]


def _starts(graph: HardwareGraph) -> list[tuple[str, HardwareGraph]]:
    """The graph with its units of DSP slices, and with those of few bits of LUTs; and what is said.

    Binary units are of LUTs in any case.
    """
    starts = [("units of DSP slices, ", graph)]
    for said, most in _LUT_BITS.items():
        small = {node.name for node in graph.nodes if _small(node, most)}
        start = in_luts(graph, small)
        if start not in [each for _, each in starts]:
            starts.append((f"units of LUTs up to {said}, ", start))
    return starts if len(starts) > 1 else [("", graph)]


def _small(node: HardwareNode, most: tuple[int, int]) -> bool:
    if node.op != "MVAU_rtl":
        return False
    bits = sorted((node.bits("inputDataType"), node.bits("weightDataType")))
    return bits[0] <= most[0] and bits[1] <= most[1]


def _at(
    model: ModelWrapper,
    graph: HardwareGraph,
    target: int,
    width: int,
    fits: Callable[[HardwareGraph], bool],
    setting: str,
) -> Automatic | None:
    folded = _set_folding(model, graph, target, width)
    if folded is None or not fits(folded):
        return None
    return Automatic(folded, slowest(folded), setting)


def _bisected(
    model: ModelWrapper,
    graph: HardwareGraph,
    width: int,
    fits: Callable[[HardwareGraph], bool],
    setting: str,
) -> Automatic | None:
    """Halves the target while something fits, then bisects; deep memories may fit less well."""
    best: Automatic | None = None
    before: HardwareGraph | None = None
    high, misses = float(slowest(_with_parallelism_one(graph))), 0
    target = high
    while target >= 1 and misses < _MISSES:
        folded = _set_folding(model, graph, int(target), width)
        if folded is not None and fits(folded):
            best, high, misses = Automatic(folded, slowest(folded), setting), target, 0
        elif best is not None:
            misses += 1
        if folded is not None and folded == before and slowest(folded) > target:
            break  # as parallel as SetFolding makes it
        before = folded
        target /= 2
    if best is None:
        return None
    low = high / 2
    while high / low > _FINENESS:
        middle = math.sqrt(low * high)
        found = _at(model, graph, int(middle), width, fits, setting)
        if found is None:
            low = middle
        else:
            high = middle
            best = min(best, found, key=lambda each: each.interval)
    return best


def _with_parallelism_one(graph: HardwareGraph) -> HardwareGraph:
    nodes = (node.with_attributes(dict.fromkeys(parallel_axes(node), 1)) for node in graph.nodes)
    return replace(graph, nodes=tuple(nodes))


def _set_folding(
    model: ModelWrapper, graph: HardwareGraph, target: int, width: int
) -> HardwareGraph | None:
    """SetFolding's result for a target; None where FINN can't make one of its window generators."""
    ours = {node.name for node in graph.nodes if not _is_finns(node)}
    kept = keep_up(graph, ours, target)
    shown = _shown(model, kept).transform(SetFolding(target, width), make_deepcopy=False)
    nodes = []
    for node, found in zip(kept.nodes, shown.graph.node, strict=True):
        if node.name in ours:
            nodes.append(node)
            continue
        inst = getHWCustomOp(found)
        folded = node.with_attributes(
            {name: int(inst.get_nodeattr(name)) for name in _folding_attributes(node)}
        )
        if node.op == WINDOWS and not can_generate(folded):
            return None
        nodes.append(folded)
    result = replace(kept, nodes=tuple(nodes))
    # What SetFolding's second pass gives up, the others need not keep either.
    return keep_up(result, ours, slowest(result))


def _folding_attributes(node: HardwareNode) -> list[str]:
    """What SetFolding decides of a node."""
    return [*parallel_axes(node), *(["parallel_window"] if node.op == WINDOWS else [])]


def _is_finns(node: HardwareNode) -> bool:
    return node.op in _OF_FINN or (node.op == WINDOWS and not node.integer("depthwise"))


def _shown(model: ModelWrapper, graph: HardwareGraph) -> ModelWrapper:
    """FINN's graph for SetFolding to look at, our operators folded as they are in the plain one."""
    shown = copy.deepcopy(model)
    for node, plain in zip(shown.graph.node, graph.nodes, strict=True):
        if plain.op == "SdqMvuLut_rtl":
            node.CopyFrom(_stand_in(node, plain))
            continue
        inst = getHWCustomOp(node)
        for name in ("PE", "SIMD", "parallel_window"):
            if name in plain.attributes:
                inst.set_nodeattr(name, plain.integer(name))
    return shown


def _stand_in(node: NodeProto, plain: HardwareNode) -> NodeProto:
    """FINN's matrix-vector unit of the same shape and types, for SetFolding to look at."""
    return helper.make_node(
        "MVAU_hls",
        list(node.input),
        list(node.output),
        name=node.name,
        domain="finn.custom_op.fpgadataflow.hls",
        backend="fpgadataflow",
        MW=plain.integer("MW"),
        MH=plain.integer("MH"),
        PE=1,
        SIMD=1,
        inputDataType=plain.text("in_type"),
        weightDataType=plain.text("weight_type"),
        outputDataType=plain.text("out_type"),
        numInputVectors=plain.integers("shape"),
        mem_mode="internal_decoupled",
        noActivation=1,
        binaryXnorMode=0,
    )
