"""FINN's own automatic folding on our hardware graph, and what both need that FINN has not.

FINN's SetFolding folds the nodes that FINN has. A matrix-vector unit of LUTs is shown to it as
FINN's MVAU_hls, and gets the PE and SIMD that this gets. All other operators are folded by the rule
that SetFolding has for every node but the matrix-vector unit: the least parallelism that keeps up.
"""

import copy
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from finn.transformation.fpgadataflow.set_folding import SetFolding
from finn.util.basic import getHWCustomOp
from onnx import NodeProto, helper
from qonnx.core.modelwrapper import ModelWrapper

from sdq_fpga.lower.parallelism import divisors, lut_unit, makes_windows, parallel_axes

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
_LUT_BITS = 4  # of weights and inputs, up to which a unit may be of LUTs
# SetFolding's limit on the bits of one row's weights in a cycle: what FINN has where nobody says
# otherwise, some that are larger, and none.
_WEIGHT_WIDTHS = (36, 192, 576, 8191)
_FINENESS = 1.01  # of the bisection of the interval
_MISSES = 4  # halvings of the interval that may fail before the search turns back


def slowest(model: ModelWrapper, names: set[str] | None = None) -> int:
    """Cycles a frame of the slowest node, or of the slowest of some."""
    return max(
        int(getHWCustomOp(node).get_exp_cycles())
        for node in model.graph.node
        if names is None or node.name in names
    )


def in_luts(model: ModelWrapper, names: set[str]) -> None:
    """Makes matrix-vector units of LUTs of some that are of DSP slices, in place."""
    for node in model.graph.node:
        if node.name in names and node.op_type == "MVAU_rtl":
            node.CopyFrom(lut_unit(model, getHWCustomOp(node)))


def keep_up(model: ModelWrapper, names: set[str], interval: int) -> None:
    """Gives nodes the least parallelism that keeps an interval, or the most that they have.

    A window generator of a depthwise layer or a pool is folded with its reader, in place.

    Args:
        model: hardware graph, changed in place.
        names: of the nodes; no matrix-vector units.
        interval: cycles a frame.
    """
    readers = {name: node for node in model.graph.node for name in node.input}
    done: set[str] = set()
    for node in model.graph.node:
        if node.name not in names or node.name in done:
            continue
        for together in _foldings(node, readers):
            done.update(each.name for each in together)
            if all(int(getHWCustomOp(each).get_exp_cycles()) <= interval for each in together):
                break


def _foldings(node: NodeProto, readers: Mapping[str, NodeProto]) -> Iterator[tuple[NodeProto, ...]]:
    """Folds a node in all ways that there are, the least first; yields what is folded with it."""
    inst = getHWCustomOp(node)
    windows = node.op_type == "ConvolutionInputGenerator_rtl"
    if windows and inst.get_nodeattr("depthwise"):
        reader = readers[node.output[0]]
        taker = getHWCustomOp(reader)
        channels = int(inst.get_nodeattr("IFMChannels"))
        taps = taker.integer("taps")
        for pe, whole in [*((pe, 0) for pe in divisors(channels)), (channels, 1)]:
            inst.set_nodeattr("SIMD", pe)
            inst.set_nodeattr("parallel_window", whole)
            taker.set_nodeattr("PE", pe)
            taker.set_nodeattr("SIMD", taps if whole else 1)
            if makes_windows(inst):
                yield node, reader
        return
    axes = parallel_axes(inst)
    ways = itertools.product(*map(divisors, axes.values()))
    for values in sorted(ways, key=math.prod):
        for name, value in zip(axes, values, strict=True):
            inst.set_nodeattr(name, value)
        if not windows or makes_windows(inst):
            yield (node,)


@dataclass(frozen=True)
class Automatic:
    """What FINN's automatic folding comes to.

    Attributes:
        model: folded; neither width converters nor FIFOs.
        interval: cycles a frame of the slowest node.
        setting: what FINN was told, in words.
    """

    model: ModelWrapper
    interval: int
    setting: str


def best_automatic(model: ModelWrapper, fits: Callable[[ModelWrapper], bool]) -> Automatic | None:
    """The fastest folding of SetFolding that fits, over its settings; None if none does.

    Args:
        model: hardware graph before folding.
        fits: whether a folded graph keeps the budget.
    """
    found = [
        _bisected(start, width, fits, f"{title}mvau_wwidth_max {width}")
        for title, start in _starts(model)
        for width in _WEIGHT_WIDTHS
    ]
    return min(filter(None, found), key=lambda each: each.interval, default=None)


def asked_automatic(model: ModelWrapper, target: int) -> list[Automatic]:
    """SetFolding's answers to a target in cycles a frame, at its least and largest weight width."""
    found = [
        _at(start, target, width, lambda _: True, f"{title}mvau_wwidth_max {width}")
        for title, start in _starts(model)
        for width in (_WEIGHT_WIDTHS[0], _WEIGHT_WIDTHS[-1])
    ]
    return [each for each in found if each is not None]


def _starts(model: ModelWrapper) -> list[tuple[str, ModelWrapper]]:
    """The graph with its units of DSP slices, and with those of few bits of LUTs; and what is said.

    Binary units are of LUTs in any case.
    """
    small = {node.name for node in model.graph.node if _small(node)}
    if not small:
        return [("", model)]
    with_luts = copy.deepcopy(model)
    in_luts(with_luts, small)
    return [
        ("units of DSP slices, ", model),
        (f"units of LUTs up to {_LUT_BITS} bits, ", with_luts),
    ]


def _small(node: NodeProto) -> bool:
    if node.op_type != "MVAU_rtl":
        return False
    inst = getHWCustomOp(node)
    return all(int(inst.get_input_datatype(port).bitwidth()) <= _LUT_BITS for port in (0, 1))


def _at(
    model: ModelWrapper,
    target: int,
    width: int,
    fits: Callable[[ModelWrapper], bool],
    setting: str,
) -> Automatic | None:
    folded = _set_folding(model, target, width)
    if folded is None or not fits(folded):
        return None
    return Automatic(folded, slowest(folded), setting)


def _bisected(
    model: ModelWrapper, width: int, fits: Callable[[ModelWrapper], bool], setting: str
) -> Automatic | None:
    """Halves the target while something fits, then bisects; deep memories may fit less well."""
    best: Automatic | None = None
    high, misses = float(slowest(_with_parallelism_one(model))), 0
    target = high
    while target >= 1 and misses < _MISSES:
        folded = _set_folding(model, int(target), width)
        if folded is not None and fits(folded):
            best, high, misses = Automatic(folded, slowest(folded), setting), target, 0
        elif best is not None:
            misses += 1
        if folded is not None and slowest(folded) > target * _FINENESS:
            break  # as parallel as SetFolding makes it
        target /= 2
    if best is None:
        return None
    low = high / 2
    while high / low > _FINENESS:
        middle = math.sqrt(low * high)
        found = _at(model, int(middle), width, fits, setting)
        if found is None:
            low = middle
        else:
            high = middle
            best = min(best, found, key=lambda each: each.interval)
    return best


def _with_parallelism_one(model: ModelWrapper) -> ModelWrapper:
    plain = copy.deepcopy(model)
    for node in plain.graph.node:
        inst = getHWCustomOp(node)
        for name in parallel_axes(inst):
            inst.set_nodeattr(name, 1)
    return plain


def _set_folding(model: ModelWrapper, target: int, width: int) -> ModelWrapper | None:
    """SetFolding's result for a target; None where FINN can't make one of its window generators."""
    folded = copy.deepcopy(model)
    ours = {node.name for node in folded.graph.node if not _is_finns(node)}
    keep_up(folded, ours, target)
    shown = copy.deepcopy(folded)
    for node in shown.graph.node:
        if node.op_type == "SdqMvuLut_rtl":
            node.CopyFrom(_stand_in(node))
    shown = shown.transform(SetFolding(target, width))
    for node, found in zip(folded.graph.node, shown.graph.node, strict=True):
        inst = getHWCustomOp(node)
        if node.name in ours:
            continue
        attributes = [*parallel_axes(inst)]
        if node.op_type == "ConvolutionInputGenerator_rtl":
            attributes.append("parallel_window")
        for name in attributes:
            inst.set_nodeattr(name, int(getHWCustomOp(found).get_nodeattr(name)))
        if node.op_type == "ConvolutionInputGenerator_rtl" and not makes_windows(inst):
            return None
    # What SetFolding's second pass gives up, the others need not keep either.
    keep_up(folded, ours, slowest(folded))
    return folded


def _is_finns(node: NodeProto) -> bool:
    if node.op_type == "ConvolutionInputGenerator_rtl":
        return not getHWCustomOp(node).get_nodeattr("depthwise")
    return node.op_type in _OF_FINN


def _stand_in(node: NodeProto) -> NodeProto:
    """FINN's matrix-vector unit of the same shape and types, for SetFolding to look at."""
    inst = getHWCustomOp(node)
    return helper.make_node(
        "MVAU_hls",
        list(node.input),
        list(node.output),
        name=node.name,
        domain="finn.custom_op.fpgadataflow.hls",
        backend="fpgadataflow",
        MW=inst.integer("MW"),
        MH=inst.integer("MH"),
        PE=1,
        SIMD=1,
        inputDataType=inst.get_nodeattr("in_type"),
        weightDataType=inst.get_nodeattr("weight_type"),
        outputDataType=inst.get_nodeattr("out_type"),
        numInputVectors=[int(each) for each in inst.get_nodeattr("shape")],
        mem_mode="internal_decoupled",
        noActivation=1,
        binaryXnorMode=0,
    )
