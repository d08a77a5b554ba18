"""Sum, difference or product of two streams, and what products take."""

from dataclasses import dataclass

from sdq_fpga.cost.features.parts import Amount, Part, Terms, clog2
from sdq_fpga.cost.node import HardwareNode, bits_of, is_signed

__all__ = ["DSP_FROM", "elementwise", "product_luts", "slices"]

DSP_FROM = 64
"""Product of the bits of operands from which "auto" takes a DSP slice."""

_MULTIPLIERS = {"xc7": (25, 18), "xcup": (27, 18)}  # signed bits of the two inputs of a slice


def slices(part: Part, left: int, right: int) -> int:
    """DSP slices of a signed product: every slice but the last leaves out the sign bit."""
    long, short = _MULTIPLIERS[part]
    return min(
        -(-max(a - 1, 1) // (long - 1)) * -(-max(b - 1, 1) // (short - 1))
        for a, b in ((left, right), (right, left))
    )


def elementwise(node: HardwareNode, part: Part) -> Terms:
    """Sum, difference or product of two streams (hw/ops/elementwise.sv)."""
    pe, out = node.integer("PE"), node.bits("out_type")
    kinds = node.text("left_type"), node.text("right_type")
    left, right = (bits_of(kind) + (not is_signed(kind) or kind == "BIPOLAR") for kind in kinds)
    multiplies = node.text("operation") == "mul" and "BIPOLAR" not in kinds
    wanted = node.text("resType")
    in_slices = multiplies and (wanted == "dsp" or (wanted == "auto" and left * right >= DSP_FROM))
    lut: Amount = {"constant": 1.0}
    ff: Amount = {"constant": 1.0}
    if in_slices:
        dsp = pe * slices(part, left, right)
        return Terms(lut, ff, dsp=dsp)
    if multiplies:
        lut["products"] = pe * product_luts(*(bits_of(kind) for kind in kinds))
        ff["bits"] = pe * out
        return Terms(lut, ff)
    first = _Operand.of(kinds[0], node.integer("left_factor"))
    second = _Operand.of(kinds[1], node.integer("right_factor"))
    scaled = first.digits > 1 or second.digits > 1
    lut["sums"] = pe * _sum_luts(first, second, out, node.text("operation"))
    lut["scaled"] = pe * (first.scaling + second.scaling)
    lut["scaled stage"] = ff["scaled stage"] = float(scaled)
    ff["bits"] = pe * out
    ff["scaled"] = 2 * pe * out * scaled
    return Terms(lut, ff)


@dataclass(frozen=True)
class _Operand:
    """A number times a factor: where its own bits begin and end, and what is beyond them.

    Attributes:
        bits: of the number.
        begin: zeros below.
        end: of its bits; above are its sign or zeros.
        signed: which of these.
        digits: ones of the factor.
    """

    bits: int
    begin: int
    end: int
    signed: bool
    digits: int

    @classmethod
    def of(cls, kind: str, factor: int) -> "_Operand":
        bits, signed = bits_of(kind) + (kind == "BIPOLAR"), is_signed(kind)
        begin = (factor & -factor).bit_length() - 1
        return cls(bits, begin, bits + clog2(factor), signed, factor.bit_count())

    @property
    def scaling(self) -> int:
        """LUTs of the multiplication: an adder for each further one of the factor."""
        width = self.bits if not self.signed else self.end - self.begin - 1
        return (self.digits - 1) * width


def _sum_luts(left: _Operand, right: _Operand, out: int, operation: str) -> int:
    """LUTs of a carry chain: one where both have a bit, also where its inverse is taken.

    Above the bits of both it is the same LUT for all bits, or the sign of one of them.
    """
    ends = [min(each.end, out) for each in (left, right)]
    if operation != "add":
        return max(ends) - min(left.begin, right.begin)
    both = min(
        max(ends) if each.signed else end for each, end in zip((left, right), ends, strict=True)
    )
    return max(0, both - max(left.begin, right.begin))


def product_luts(*bits: float) -> float:
    """LUTs of a product: rows of the longer number, as many as the shorter has bits.

    Two rows are summed on a carry chain; for each further one there are full adders of two LUTs a
    bit, which take in what a bit is multiplied by (Yosys's maccmap).
    """
    short, long = sorted(bits)
    return long * short + long * max(0, short - 2)
