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
    gains, xs = limits_of(node.text("gain_type")), limits_of(node.text("in_type"))
    low, high = (value + half for value in limits_of(node.text("offset_type")))
    products = [x * gain for x in xs for gain in gains]
    bits = max(signed_bits(min(products) + low, max(products) + high), shift + 1)
    # Of bits that are rounded down nothing but their carry is needed.
    linear = _linear(node, part, bits, half, stored=bits if halves else bits - shift)
    pe, out, kept = node.integer("PE"), node.bits("out_type"), bits - shift
    most, low, high = (1 << (kept - 1)) - 1, node.integer("low"), node.integer("high")
    clips_low, clips_high = -most - 1 < low, most > high
    clips = clips_low + clips_high
    # A half that is rounded to the lower bound counts as below it.
    compared = clips_low * _beyond_luts(-low, kept, equal=halves)
    compared += clips_high * _beyond_luts(high + 1, kept, equal=False)
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


def _beyond_luts(bound: int, bits: int, *, equal: bool) -> int:
    """LUTs of whether a number of some bits is beyond ``bound``, or there where that is ``equal``.

    Beyond a power of two, its upper bits are not all the same; equal to it, the lower ones are 0.
    """
    if bound == 0 and not equal:
        return 0
    if bound & (bound - 1):
        return comparison_with_constant(bits)
    inputs = bits if equal else bits - (bound.bit_length() - 1)
    return math.ceil((inputs - 1) / (LUT_INPUTS - 1))


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
    # The shifts of a single gain differ as it is 0.
    multiplies, varies = form != "shift", form == "channels" and folds > 1
    zero = form == "shifts" and not negative
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
    sums = pe * bits * (1 - (1 - set_bits) ** seen) * (added != "none")
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
        adders = _share_of(node, "gain_sums", channels, default=gain / 2)
        luts, own = x * (adders + max(0.0, adders - 1)), node.bits("in_type")
        # Of few bits, each bit of the product is a function of all of them.
        lut["products by constants"] = pe * (min(luts, own + gain) if own <= LUT_INPUTS else luts)
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
