"""What becomes of a node whose input streams have other types."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sdq_fpga.cost.features.elementwise import DSP_FROM
from sdq_fpga.cost.node import (
    HardwareNode,
    Value,
    bits_of,
    is_signed,
    limits_of,
    signed_bits,
    smallest_type,
)
from sdq_fpga.errors import StageError, UserError

__all__ = ["Changes", "Stream", "retype"]

_LARGEST_FACTOR = 4096  # of an operand of a sum (sdq_fpga/lower/read/pointwise.py)

Changes = dict[str, Value]
"""New values of attributes."""


@dataclass(frozen=True)
class Stream:
    """What is known of a stream after bits have changed.

    Attributes:
        datatype: of its values.
        coarser: logarithm, to base 2, of how much more one unit of the values means than before.
        layer: the last one that has weights or quantizes; "" where there is none.
    """

    datatype: str
    coarser: int
    layer: str


Rule = Callable[[HardwareNode, Sequence[Stream]], tuple[Changes, int]]
"""What changes in a node, and how much coarser its results are."""


def retype(node: HardwareNode, inputs: Sequence[Stream]) -> tuple[Changes, int]:
    """What other inputs change in a node that has neither weights nor thresholds.

    Args:
        node: of the hardware graph.
        inputs: its streams.

    Returns:
        The changes, and how much coarser the node's results are (see ``Stream``).

    Raises:
        StageError: nothing is known of nodes of that type.
        UserError: there can be no such node.
    """
    if node.op not in _RULES:
        raise StageError(
            f"what other bits make of {node.op} ('{node.name}') is not known", "report the network"
        )
    return _RULES[node.op](node, inputs)


def _passed(*names: str) -> Rule:
    """Values go through; their type has these names."""
    return lambda _, inputs: (dict.fromkeys(names, inputs[0].datatype), inputs[0].coarser)


def _converter(node: HardwareNode, inputs: Sequence[Stream]) -> tuple[Changes, int]:
    kind, before = inputs[0].datatype, node.bits("dataType")
    widths = {
        name: node.integer(name) // before * bits_of(kind) for name in ("inWidth", "outWidth")
    }
    return {"dataType": kind, **widths}, inputs[0].coarser


def _pad(node: HardwareNode, inputs: Sequence[Stream]) -> tuple[Changes, int]:
    kind, coarser = inputs[0].datatype, inputs[0].coarser
    low, high = limits_of(kind)
    value = round(node.integer("value") * 2.0**-coarser)
    least, most = limits_of(node.text("in_type"))
    if least <= node.integer("value") <= most:
        value = min(max(value, low), high)
    out = kind
    if kind != "BIPOLAR" or value == 0:
        out = smallest_type(min(low, value), max(high, value))
    return {"in_type": kind, "out_type": out, "value": value}, coarser


def _reduced(count: Callable[[HardwareNode], int]) -> Rule:
    """The maximum, or the sum, of so many values."""

    def rule(node: HardwareNode, inputs: Sequence[Stream]) -> tuple[Changes, int]:
        out = kind = inputs[0].datatype
        if node.text("operation") == "sum":
            low, high = limits_of(kind)
            out = smallest_type(count(node) * low, count(node) * high)
        return {"in_type": kind, "out_type": out}, inputs[0].coarser

    return rule


# ---- two streams and more ----------------------------------------------------------------------


def _elementwise(node: HardwareNode, inputs: Sequence[Stream]) -> tuple[Changes, int]:
    left, right = inputs
    multiplies = node.text("operation") == "mul"
    kinds = left.datatype, right.datatype
    lefts, rights = map(limits_of, kinds)
    factors = node.integer("left_factor"), node.integer("right_factor")
    if multiplies:
        products = [a * b for a in lefts for b in rights]
        low, high, coarser = min(products), max(products), left.coarser + right.coarser
    else:
        factors, coarser = _factors(node, left, right)
        sign = -1 if node.text("operation") == "sub" else 1
        added = sorted(sign * factors[1] * each for each in rights)
        low, high = factors[0] * lefts[0] + added[0], factors[0] * lefts[1] + added[1]
    changes: Changes = {
        "left_type": left.datatype,
        "right_type": right.datatype,
        "out_type": smallest_type(low, high),
        "left_factor": factors[0],
        "right_factor": factors[1],
    }
    if "dsp" in node.attributes:
        wide = math.prod(signed_bits(*limits_of(kind)) for kind in kinds)
        changes["dsp"] = int(multiplies and "BIPOLAR" not in kinds and _in_slices(node, wide))
    return changes, coarser


def _in_slices(node: HardwareNode, product: int) -> bool:
    """Whether products are made of DSP slices (``worth_a_dsp`` of sdq_fpga/ops/elementwise.py)."""
    wanted = node.text("resType")
    return wanted == "dsp" or (wanted == "auto" and product >= DSP_FROM)


def _factors(node: HardwareNode, left: Stream, right: Stream) -> tuple[tuple[int, int], int]:
    """Factors by which both operands mean the same again, and how much coarser the sum is."""
    least = min(left.coarser, right.coarser)
    factors = (
        node.integer("left_factor") << (left.coarser - least),
        node.integer("right_factor") << (right.coarser - least),
    )
    before = math.gcd(node.integer("left_factor"), node.integer("right_factor"))
    common = math.gcd(*factors) // before
    factors = factors[0] // common, factors[1] // common
    if max(factors) > _LARGEST_FACTOR:
        raise UserError(
            f"'{node.layer}' joins the results of '{left.layer}' and '{right.layer}', one of which "
            f"would have to be multiplied by {max(factors)}",
            "give both more alike bits",
        )
    return factors, least + common.bit_length() - 1


def _concat(node: HardwareNode, inputs: Sequence[Stream]) -> tuple[Changes, int]:
    first = inputs[0]
    for other in inputs[1:]:
        if other.coarser != first.coarser:
            raise UserError(
                f"'{node.layer}' joins the activations of '{first.layer}' and '{other.layer}', "
                "which would no longer have one scale",
                "change the bits of both by the same number",
            )
    kinds = tuple(each.datatype for each in inputs)
    lows, highs = zip(*map(limits_of, kinds), strict=True)
    out = smallest_type(min(lows), max(highs)) if set(kinds) != {"BIPOLAR"} else "BIPOLAR"
    return {"in_types": kinds, "out_type": out}, first.coarser


# ---- gains and offsets -------------------------------------------------------------------------


def _affine(node: HardwareNode, inputs: Sequence[Stream]) -> tuple[Changes, int]:
    """Gains stay; offsets, in units of the input, and the results go with its bits."""
    source = inputs[0]
    more = bits_of(source.datatype) - node.bits("in_type")
    changes: Changes = {"out_type": _resized(node.text("out_type"), more)}
    return changes | _operands(node, source, 0), source.coarser


def _requant(node: HardwareNode, inputs: Sequence[Stream]) -> tuple[Changes, int]:
    """The results stay: coarser inputs have a smaller shift, and with it smaller offsets."""
    shift = node.integer("shift") - inputs[0].coarser
    changes: Changes = {"shift": max(0, shift)}
    return changes | _operands(node, inputs[0], max(0, -shift)), 0


def _operands(node: HardwareNode, source: Stream, gain: int) -> Changes:
    """Types of the input and of constants, whose gains have ``gain`` more bits."""
    kind = _resized(node.text("gain_type"), gain)
    changes: Changes = {"in_type": source.datatype, "gain_type": kind}
    if node.text("offset_form") != "none":
        changes["offset_type"] = _resized(node.text("offset_type"), -source.coarser)
    if "dsp" in node.attributes:  # see ``LinearOperator.derived``
        bits = signed_bits(*limits_of(source.datatype)), signed_bits(*limits_of(kind))
        multiplies = node.text("gain_form") in {"channels", "scalar"}
        changes["dsp"] = int(multiplies and _in_slices(node, math.prod(bits)))
        changes |= {"x_bits": bits[0], "gain_bits": bits[1]}
    return changes


def _resized(datatype: str, more: int) -> str:
    """A type with more bits, or fewer."""
    if not more:
        return datatype
    signed = is_signed(datatype)
    return f"{'INT' if signed else 'UINT'}{max(1 + signed, bits_of(datatype) + more)}"


_RULES: Mapping[str, Rule] = {
    "ConvolutionInputGenerator_rtl": _passed("inputDataType", "outputDataType"),
    "SdqAffine_rtl": _affine,
    "SdqConcat_rtl": _concat,
    "SdqCrop_rtl": _passed("data_type"),
    "SdqDuplicate_rtl": _passed("data_type"),
    "SdqElementwise_rtl": _elementwise,
    "SdqGlobalPool_rtl": _reduced(lambda node: math.prod(node.integers("shape")[:-1])),
    "SdqLabelSelect_rtl": _passed("in_type"),
    "SdqPad_rtl": _pad,
    "SdqPool_rtl": _reduced(lambda node: node.integer("taps")),
    "SdqRequant_rtl": _requant,
    "SdqSplit_rtl": _passed("data_type"),
    "SdqUpsample_rtl": _passed("data_type"),
    "StreamingDataWidthConverter_rtl": _converter,
    "StreamingFIFO_rtl": _passed("dataType"),
}
