"""What becomes of nodes with weights or thresholds that get other bits."""

import math
from dataclasses import replace

from sdq_fpga.cost.folding.choices import lut_unit
from sdq_fpga.cost.node import HardwareNode, bits_of, is_signed, limits_of, smallest_type
from sdq_fpga.cost.retype import Changes
from sdq_fpga.errors import UserError

__all__ = ["DEPTHWISE", "WEIGHTED", "rebit_thresholds", "rebit_weights"]

DEPTHWISE = "SdqDepthwise_rtl"
_DSP, _LUT = "MVAU_rtl", "SdqMvuLut_rtl"
WEIGHTED = frozenset({_DSP, _LUT, DEPTHWISE})
"""Types of the nodes that have weights."""

_DSP_BITS = range(2, 17)  # operands of finn-rtllib/mvu/mvu.sv
_ACCUMULATOR_BITS = 32
_SINGLE = ("BIPOLAR", "TERNARY")  # weights of magnitude 1


def rebit_weights(
    node: HardwareNode, source: str, bits: int | None, *, worst_case: bool
) -> tuple[HardwareNode, int]:
    """A node with weights, on a stream of another type, with weights of other bits.

    Args:
        node: one of ``WEIGHTED``.
        source: type of its input.
        bits: of its weights; None for those that it has.
        worst_case: whether its sums may be as large as any such weights make them.

    Returns:
        The node, and how much coarser its results are (see ``Stream`` of ``cost.retype``).

    Raises:
        UserError: its sums have too many bits.
    """
    names = ("inputDataType", "weightDataType", "outputDataType")
    if node.op != _DSP:
        names = ("in_type", "weight_type", "out_type")
    before, weight, sums = map(node.text, names)
    narrow = node.narrow or weight in _SINGLE
    kind = _weight_type(node, weight, bits, narrow=narrow)
    if (source, kind) == (before, weight):
        return node, 0
    count = node.integer("taps" if node.op == DEPTHWISE else "MW")
    out = _worst(count, source, kind, narrow=narrow)
    if not worst_case:
        grown = math.log2(
            _largest(source)
            * _typical(kind, narrow=narrow)
            / (_largest(before) * _typical(weight, narrow=narrow))
        )
        found = max(2, node.bits(names[2]) + round(grown))
        # Lowering takes one more than the worst where it negates weights of some channels.
        found = min(found, max(bits_of(out) + 1, node.bits(names[2])))
        out = f"{'INT' if is_signed(sums) else 'UINT'}{found}"
    if bits_of(out) > _ACCUMULATOR_BITS:
        raise UserError(
            f"the accumulator of '{node.layer}' would have {bits_of(out)} bits, beyond "
            f"{_ACCUMULATOR_BITS}",
            "use fewer bits",
        )
    coarser = _digits(weight) - _digits(kind)
    made = node.with_attributes(dict(zip(names, (source, kind, out), strict=True)))
    if node.op == _DSP:
        made = made.with_attributes({"accDataType": out})
    elif node.op == DEPTHWISE and (kind in _SINGLE) != (weight in _SINGLE):
        made = made.with_attributes({"resType": "lut" if kind in _SINGLE else "dsp"})
    made = replace(made, narrow=narrow)
    return _unit(made, was_possible=_possible(before, weight)), coarser


def _weight_type(node: HardwareNode, kind: str, bits: int | None, *, narrow: bool) -> str:
    """Type of weights of some bits, as sdq_fpga/lower/hardware.py chooses it."""
    if bits is None or bits == bits_of(kind):
        return kind
    if bits == 1:
        return "BIPOLAR"
    if bits == 2 and narrow and node.op != _DSP:
        return "TERNARY"
    return f"INT{bits}"


def _worst(count: int, source: str, weight: str, *, narrow: bool) -> str:
    """Type of sums of so many products."""
    most = count * _largest(source) * _largest(weight, narrow=narrow)
    return smallest_type(-most, most)


def _typical(kind: str, *, narrow: bool) -> float:
    """Mean magnitude of weights, as it is in networks of the zoo: what decides on sums.

    About a third of the largest; of weights that are only -1, 0 and 1, some more are not 0.
    """
    largest = _largest(kind, narrow=narrow)
    if kind == "BIPOLAR":
        return 1.0
    return 0.6 if largest == 1 else 0.35 * largest


def _largest(kind: str, *, narrow: bool = False) -> int:
    """Greatest magnitude of a type; of a symmetric range of its values if it is narrow."""
    low, high = limits_of(kind)
    return high if narrow else max(-low, high)


def _digits(kind: str) -> int:
    """Bits of a magnitude."""
    return max(1, bits_of(kind) - is_signed(kind))


def _possible(source: str, weight: str) -> bool:
    """Whether finn-rtllib/mvu has a unit for such operands."""
    kinds = source, weight
    return "BIPOLAR" not in kinds and all(bits_of(each) in _DSP_BITS for each in kinds)


def _unit(node: HardwareNode, *, was_possible: bool) -> HardwareNode:
    """A matrix-vector unit of DSP slices or of LUTs, whichever can be.

    One of LUTs stays so, if slices were possible and not chosen.
    """
    if node.op == _DSP:
        kinds = node.text("inputDataType"), node.text("weightDataType")
        return node if _possible(*kinds) else lut_unit(node)
    if node.op == _LUT and not was_possible:
        kinds = node.text("in_type"), node.text("weight_type")
        return _of_slices(node) if _possible(*kinds) else node
    return node


def _of_slices(node: HardwareNode) -> HardwareNode:
    kept = ("MW", "MH", "PE", "SIMD", "ram_style", "runtime_writeable_weights")
    attributes: Changes = {name: node.attributes[name] for name in kept}
    weight, out = node.text("weight_type"), node.text("out_type")
    inside = node.text("mem_mode") == "internal"
    attributes |= {
        "inputDataType": node.text("in_type"),
        "weightDataType": "INT2" if weight == "TERNARY" else weight,
        "outputDataType": out,
        "accDataType": out,
        "numInputVectors": node.integers("shape"),
        "mem_mode": "internal_decoupled" if inside else "external",
        "resType": "dsp",
        "noActivation": 1,
        "ActVal": 0,
        "TH": 1,
        "binaryXnorMode": 0,
        "pumpedCompute": 0,
        "pumpedMemory": 0,
        "ram_style_thresholds": "auto",
    }
    return replace(node, op=_DSP, attributes=attributes)


# ---- thresholds --------------------------------------------------------------------------------


def rebit_thresholds(node: HardwareNode, source: str, bits: int | None) -> tuple[HardwareNode, int]:
    """Thresholds on a stream of another type, with results of other bits.

    Args:
        node: a Thresholding_rtl.
        source: type of its input.
        bits: of its results; None for those that they have.

    Returns:
        The node, and how much coarser its results are (see ``Stream`` of ``cost.retype``).
    """
    kind = "UINT1" if source == "BIPOLAR" else source  # compared as the bit that travels
    # The thresholds' type is that of the input, or wide enough for one that is never reached.
    kept = bits_of(kind) + node.bits("weightDataType") - node.bits("inputDataType")
    changes: Changes = {
        "inputDataType": kind,
        "weightDataType": f"{'INT' if is_signed(kind) else 'UINT'}{kept}",
    }
    coarser = 0
    if bits is not None and bits != node.bits("outputDataType"):
        levels = _levels(node, bits)
        coarser = _digits(node.text("outputDataType")) - _digits(str(levels["outputDataType"]))
        changes |= levels
    made = node.with_attributes(changes)
    if "distinct_bits" in node.attributes:
        more = _further_bits(node, made, coarser)
        changes["distinct_bits"] = min(kept, max(1, node.integer("distinct_bits") + more))
    return node.with_attributes(changes), coarser


def _further_bits(before: HardwareNode, after: HardwareNode, coarser: int) -> int:
    """By how much more bits thresholds differ from each other.

    Those that are the same in all channels are multiples of what a level is worth, as many as
    there are levels. Others are any numbers, up to the one before the last level.
    """
    if before.integer("equal_channels", 0):
        return -coarser
    wider = after.bits("weightDataType") - before.bits("weightDataType")
    return wider + round(math.log2(_reach(after) / _reach(before)))


def _reach(node: HardwareNode) -> float:
    """The outermost threshold, as a share of the range of the results."""
    kind, low = node.text("outputDataType"), node.integer("ActVal")
    if kind == "BIPOLAR":
        kind, low, high = "INT2", -1, 1
    else:
        high = low + node.integer("numSteps")
    return float((max(-low, high) - 0.5) / 2 ** _digits(kind))


def _levels(node: HardwareNode, bits: int) -> Changes:
    """Type, thresholds and least output for other bits.

    An end of the range that is that of the type, or one from it so that the range is symmetric,
    stays so; another is scaled.
    """
    kind = node.text("outputDataType")
    signed = is_signed(kind)
    if signed and bits == 1:
        return {"outputDataType": "BIPOLAR", "numSteps": 1, "ActVal": 0}
    low = node.integer("ActVal")
    high = low + node.integer("numSteps")
    if kind == "BIPOLAR":
        kind, low, high = "INT2", -1, 1
    new = f"{'INT' if signed else 'UINT'}{bits}"
    (least, most), (new_least, new_most) = limits_of(kind), limits_of(new)
    factor = 2.0 ** (bits - bits_of(kind))
    symmetric = signed and low == least + 1
    new_low = new_least + symmetric if symmetric or low == least else round(low * factor)
    new_high = new_most if high >= most else min(new_most, round(high * factor))
    steps = max(new_high - new_low, 2 ** (bits - 1))  # ``_fill_steps`` of lower/hardware.py
    return {"outputDataType": new, "numSteps": steps, "ActVal": new_low}
