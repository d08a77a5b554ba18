"""Operators around ``gain*x + offset`` (hw/ops/affine.sv)."""

import math

from sdq_fpga.cost.features.elementwise import DSP_FROM, product_luts, slices
from sdq_fpga.cost.features.parts import (
    LUT_INPUTS,
    Amount,
    Part,
    Terms,
    clog2,
    comparison_with_constant,
    table_luts,
)
from sdq_fpga.cost.node import HardwareNode, limits_of, signed_bits
from sdq_fpga.cost.placement import distinct_bits

__all__ = ["affine", "requant"]

_COPIED = 2  # words of a table, whose bits are the address or its inverse


def affine(node: HardwareNode, part: Part) -> Terms:
    """``gain*x + offset`` (hw/ops/affine.sv)."""
    bits = node.bits("out_type")
    return _linear(node, part, bits, 0, stored=bits)


def requant(node: HardwareNode, part: Part) -> Terms:
    """``gain*x + offset``, rounded and clipped (hw/ops/requant.sv)."""
    shift = node.integer("shift")
    halves = node.text("rounding") == "half_even" and shift > 0
    half = 1 << (shift - 1) if halves else 0
    bits = _sum_bits(node, limits_of(node.text("gain_type")), half)
    # Of bits that are rounded down nothing but their carry is needed.
    linear = _linear(node, part, bits, half, stored=bits if halves else bits - shift)
    pe, out, kept = node.integer("PE"), node.bits("out_type"), bits - shift
    most, low, high = (1 << (kept - 1)) - 1, node.integer("low"), node.integer("high")
    clips_low, clips_high = -most - 1 < low, most > high
    clips = clips_low + clips_high
    varying = _varying_bits(node, half, in_slices="slices: sums" in linear.lut)
    # A half that is rounded to the lower bound counts as below it.
    compared = clips_low * _beyond_luts(-low, varying, equal=halves)
    compared += clips_high * _beyond_luts(high + 1, varying, equal=False)
    lut = dict(linear.lut) | {
        "rounding": 1.0,
        "comparisons": pe * compared,
        "halves": pe * math.ceil(shift / 5) * halves,
        # Nothing but 0 is what a register is reset to.
        "clipped bits": pe * out * (clips_high or (clips_low and low != 0)),
    }
    ff = dict(linear.ff) | {
        "rounding": 1.0,
        "rounded bits": pe * out,
        "clipped bits": pe * (out * (clips > 0) + clips),
        "clipped": float(clips > 0),
    }
    return Terms(lut, ff, dsp=linear.dsp, bram18=linear.bram18)


def _sum_bits(node: HardwareNode, gains: tuple[int, int], half: int) -> int:
    """Bits of ``gain*x + offset`` for all gains from one to another, and more than the shift."""
    low, high = (value + half for value in limits_of(node.text("offset_type")))
    products = [x * gain for x in limits_of(node.text("in_type")) for gain in gains]
    return max(signed_bits(min(products) + low, max(products) + high), node.integer("shift") + 1)


def _varying_bits(node: HardwareNode, half: int, *, in_slices: bool) -> int:
    """Bits of a sum, above those that are rounded, that a comparison has to look at.

    Gains that are known make a narrower sum than their type. Of sums with the same constants in all
    beats, synthesis finds out which bits are the offset's: those above the product and, where the
    product is a shift, those below. It does not look into slices.
    """
    shift, form = node.integer("shift"), node.text("gain_form")
    gains = limits_of(node.text("gain_type"))
    if form == "shift":
        gains = 1 << node.integer("gain_shift"), 1 << node.integer("gain_shift")
    elif _is_zero(node):
        gains = 0, 0
    bits = _sum_bits(node, gains, half) - shift
    channels = node.integers("shape")[-1]
    by_channel = "channels" in {form, node.text("offset_form")}
    if in_slices or (by_channel and channels > node.integer("PE")):
        return bits
    x = signed_bits(*limits_of(node.text("in_type")))
    products = _share_of(node, "gain_products", channels, default=1.0)
    if not products and not node.integer("negative", 0):
        return min(bits, x)
    return min(bits, max(1, x + signed_bits(*gains) - shift))


def _is_zero(node: HardwareNode) -> bool:
    """Whether all gains are 0, as shifts of a single gain differ only if it is."""
    return node.text("gain_form") == "shifts" and not node.integer("negative", 0)


def _beyond_luts(bound: int, bits: int, *, equal: bool) -> int:
    """LUTs of whether a number of some bits is beyond ``bound``, or there where that is ``equal``.

    Beyond a power of two, its upper bits are not all the same. A comparison of up to two LUTs'
    bits comes down to that; one of more is a carry chain (cmp2lcu.v) over all bits, whatever they
    are compared with. A number is equal to 0 if all of its bits are.
    """
    if bound == 0:
        return math.ceil((bits - 1) / (LUT_INPUTS - 1)) if equal else 0
    if not equal and bound & (bound - 1) == 0 and bits <= 2 * LUT_INPUTS:
        return comparison_with_constant(bits - (bound.bit_length() - 1))
    return comparison_with_constant(bits)


def _linear(node: HardwareNode, part: Part, bits: int, half: int, *, stored: int) -> Terms:
    """A product and a sum.

    Args:
        node: the operator.
        part: family of the part.
        bits: of the sum.
        half: what has been added to all offsets.
        stored: bits of the sum that are used.
    """
    pe, channels = node.integer("PE"), node.integers("shape")[-1]
    folds = channels // pe
    x = signed_bits(*limits_of(node.text("in_type")))
    gain = min(signed_bits(*limits_of(node.text("gain_type"))), bits)
    low, high = limits_of(node.text("offset_type"))
    offset = min(signed_bits(low + half, high + half), bits)
    form, added = node.text("gain_form"), node.text("offset_form")
    negative = node.integer("negative", 0)
    multiplies, varies = form != "shift", form == "channels" and folds > 1
    zero = _is_zero(node)
    wanted = node.text("resType")
    in_slices = form in {"channels", "scalar"} and (
        wanted == "dsp" or (wanted == "auto" and x * gain >= DSP_FROM)
    )
    tables = _Tables(folds, in_slices)
    if varies:
        tables.add("gains", pe * gain, folds << negative)
    if added == "channels" and folds > 1:
        tables.add("offsets", pe * offset, folds)
        if multiplies:
            tables.ff["pointers"] = clog2(folds)
    lut, ff = tables.lut, tables.ff
    # Nothing is added to bits of offsets that are 0 in all channels.
    set_bits = min(1.0, _share_of(node, "offset_ones", channels * bits, default=0.5))
    seen = folds if added == "channels" else 1
    sums = pe * bits * (1 - (1 - set_bits) ** seen) * (added != "none" and not zero)
    # Of constants, those that are shifts need no slice.
    products = _share_of(node, "gain_products", channels, default=1.0)
    if in_slices and (varies or products):
        lut["slices: sums"] = sums
        ff["slices: products"] = pe * min(x + gain, bits)
        ff["slices: sums"] = pe * stored * (added != "none")
        dsp = slices(part, x, gain) * (pe if varies else round(pe * products))
        return Terms(lut, ff, dsp=dsp)
    if varies:
        # A bit of the gain that is 0 in all channels adds nothing.
        ones = min(1.0, (_share_of(node, "gain_sums", channels, default=gain / 2 - 1) + 1) / gain)
        used = gain * (1 - (1 - ones) ** (folds << negative))
        lut["products"] = pe * product_luts(node.bits("in_type"), used)
    elif form in {"channels", "scalar"}:
        lut |= _constant_products(node, x, gain)
    elif form == "shifts":
        lut["shifted bits"] = pe * (x + gain) * negative
    if multiplies or (added == "channels" and folds > 1):
        ff["inputs"] = pe * node.bits("in_type") * (not zero)
    if multiplies:
        # The lower bits of a product that is a shift are 0.
        ff["products"] = pe * min(x + gain * (1.0 if varies else products), bits) * (not zero)
    lut["sums"] = sums
    if added != "none" or not multiplies:
        ff["sums"] = pe * stored
    return Terms(lut, ff)


def _constant_products(node: HardwareNode, x: int, gain: int) -> Amount:
    """Products by constants of so many bits, in LUTs.

    Shifted inputs are summed. The negation of a shift, too, counts as a sum (``gain_sums``), but
    there is nothing else that it would take in. Of inputs of few bits, each bit of a product is a
    function of all of them.
    """
    pe, channels, own = node.integer("PE"), node.integers("shape")[-1], node.bits("in_type")
    sums = pe * x * _share_of(node, "gain_sums", channels, default=gain / 2)
    if own <= LUT_INPUTS:
        return {"products by constants: few bits": min(sums, pe * (own + gain))}
    products = min(1.0, _share_of(node, "gain_products", channels, default=1.0))
    return {"products by constants": sums, "products by constants: sums": sums * products}


class _Tables:
    """Amounts of an operator whose constants are those of each beat: the tables of these.

    Args:
        folds: words of a table.
        in_slices: whether what is read goes into a DSP slice.
    """

    def __init__(self, folds: int, in_slices: bool) -> None:
        self._folds, self._prefix = folds, "slices: " if in_slices else ""
        self.lut: Amount = {"constant": 1.0}
        self.ff: Amount = {"constant": 1.0}

    def add(self, name: str, width: int, words: int) -> None:
        """Adds a table, of so many words with what it is chosen by besides the beat."""
        distinct = distinct_bits(words, width)
        amounts = {
            "tables": distinct * (words > _COPIED),
            "tables: further": distinct * table_luts(words),
        }
        for each, amount in amounts.items():
            self.lut[each] = self.lut.get(each, 0.0) + amount
        self.lut["fold"] = self.ff["fold"] = clog2(self._folds)
        self.ff[f"{self._prefix}{name}"] = distinct_bits(self._folds, width)


def _share_of(node: HardwareNode, name: str, total: int, default: float) -> float:
    """What an operator counted, of a total; the default where it saw no constants.

    Which constants are in a beat is not known.
    """
    count = node.integer(name, -1)
    return default if count < 0 else count / total
