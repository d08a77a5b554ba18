"""How sums of products are built of LUTs: the structure of hw/ops/mac_pkg.sv and dot.sv."""

from dataclasses import dataclass
from enum import Enum, IntEnum
from functools import cached_property

from sdq_fpga.cost.node import bits_of, is_signed

__all__ = ["Format", "NumberFormat", "Structure", "Tree", "queue_places"]


class Format(IntEnum):
    """How bits are read as a number, with the values of hw/ops/mac_pkg.sv."""

    UNSIGNED = 0
    SIGNED = 1
    BIPOLAR = 2
    TERNARY = 3


class Structure(Enum):
    """How a product is built; see hw/ops/mac_pkg.sv."""

    XNOR = 0
    SIGN = 1
    MASK = 2
    BOOTH = 3


@dataclass(frozen=True)
class NumberFormat:
    """The format of an operand.

    Attributes:
        format: how bits are read.
        bits: how many.
    """

    format: Format
    bits: int

    @classmethod
    def of(cls, datatype: str) -> "NumberFormat | None":
        """The format of a QONNX type; None if the datapath has none for it."""
        if datatype in ("BIPOLAR", "TERNARY"):
            return cls(Format[datatype], bits_of(datatype))
        try:
            bits = bits_of(datatype)
        except ValueError:
            return None
        return cls(Format.SIGNED if is_signed(datatype) else Format.UNSIGNED, bits)

    @property
    def limits(self) -> tuple[int, int]:
        """Least and greatest value."""
        if self.format is Format.UNSIGNED:
            return 0, 2**self.bits - 1
        if self.format is Format.SIGNED:
            return -(2 ** (self.bits - 1)), 2 ** (self.bits - 1) - 1
        return -1, 1

    @property
    def booth_digits(self) -> int:
        """Radix-4 digits as a multiplier."""
        if self.format is Format.UNSIGNED:
            return self.bits // 2 + 1
        return (self.bits + 1) // 2


@dataclass(frozen=True)
class Tree:
    """The tree of adders of hw/ops/dot.sv.

    Attributes:
        simd: number of products.
        x: format of the one operand.
        w: format of the other.
    """

    simd: int
    x: NumberFormat
    w: NumberFormat

    @cached_property
    def structure(self) -> Structure:
        """How products are built."""
        formats = {self.x.format, self.w.format}
        if formats == {Format.BIPOLAR}:
            return Structure.XNOR
        if formats & {Format.BIPOLAR, Format.TERNARY}:
            return Structure.SIGN
        if NumberFormat(Format.UNSIGNED, 1) in (self.x, self.w):
            return Structure.MASK
        return Structure.BOOTH

    @cached_property
    def swapped(self) -> bool:
        """Whether x is the multiplier."""
        match self.structure:
            case Structure.SIGN:
                return self.w.format is not Format.BIPOLAR and (
                    self.x.format is Format.BIPOLAR or self.w.format is not Format.TERNARY
                )
            case Structure.MASK:
                return self.x == NumberFormat(Format.UNSIGNED, 1)
            case Structure.BOOTH:
                mine = self.x.booth_digits * (self.w.bits + 2)
                return mine < self.w.booth_digits * (self.x.bits + 2)
        return False

    @property
    def data(self) -> NumberFormat:
        """The operand that is added."""
        return self.w if self.swapped else self.x

    @property
    def multiplier(self) -> NumberFormat:
        """The operand that decides how."""
        return self.x if self.swapped else self.w

    @cached_property
    def digits(self) -> int:
        """Rows of a product."""
        return self.multiplier.booth_digits if self.structure is Structure.BOOTH else 1

    @property
    def leaves(self) -> int:
        """Products, or counts of up to four."""
        return -(-self.simd // 4) if self.structure is Structure.XNOR else self.simd

    @cached_property
    def below(self) -> int:
        """Levels within a product."""
        return (self.digits - 1).bit_length()

    @property
    def levels(self) -> int:
        """All levels of adders."""
        return self.below + (self.leaves - 1).bit_length()

    def nodes(self, level: int) -> int:
        """Nodes of a level; 0 is that of the rows."""
        if level <= self.below:
            return self.leaves * -(-self.digits >> level)
        return -(-self.leaves >> (level - self.below))

    def adders(self, level: int) -> int:
        """Adders of a level; the other nodes pass a value on."""
        if level <= self.below:
            return self.leaves * (-(-self.digits >> (level - 1)) // 2)
        return self.nodes(level - 1) // 2

    def bounds(self, level: int) -> tuple[int, int]:
        """Least and greatest value of a node (``bound`` of hw/ops/mac_pkg.sv)."""
        low, high = self.data.limits
        count = min(1 << max(level - self.below, 0), self.leaves)
        match self.structure:
            case Structure.XNOR:
                return 0, min(4 * count - 1, self.simd)
            case Structure.SIGN:
                most = max(-low, high)
                if self.multiplier.format is Format.TERNARY:
                    low = min(low, 0)
                return low - (count - 1) * most, high + (count - 1) * most
            case Structure.MASK:
                return count * low, count * high
        least, greatest = self.multiplier.limits
        if level < self.below:
            greatest = 1 << ((2 << level) - 1)
            least = -greatest
        bottom = min(least * high, greatest * low)
        top = max(least * low, greatest * high)
        if level == 0 or self.digits == 1:
            return (
                (count - 1) * bottom + min(least * high - 1, greatest * low),
                (count - 1) * top + max(least * low - 1, greatest * high),
            )
        return count * bottom - 1, count * top

    def width(self, level: int) -> int:
        """Bits of a node."""
        low, high = self.bounds(level)
        if low < 0:
            return 1 + max((-low - 1).bit_length(), high.bit_length())
        return max(high.bit_length(), 1)

    def luts(self) -> int:
        """LUTs: of adders, and of rows that are the first operand of one.

        An adder takes a LUT per bit, in which it computes its second operand. That of the highest
        bit it does without: the bit is the carry, or, if there is a sign, has the operands of the
        bit below. Within a product that does not hold for digits of a signed number.
        """
        signed = self.data.limits[0] < 0
        total = 0
        for level in range(1, self.levels + 1):
            inside = level <= self.below
            spared = (1 << level) - signed if inside else 1
            total += self.adders(level) * (self.width(level) - spared)
        first = self.nodes(0) - (self.adders(1) if self.levels else 0)
        match self.structure:
            case Structure.XNOR:
                return total + 2 * self.leaves + self.simd // 8
            case Structure.SIGN:
                gated = self.multiplier.format is Format.TERNARY
                return total + first * self.data.bits * gated + self.leaves - 1
            case Structure.MASK:
                return total + first * self.data.bits
        return total + first * (self.width(0) - (not signed))


def queue_places(beats: int, latency: int) -> int:
    """Places of the result queue (``places`` of hw/ops/mac_pkg.sv).

    Args:
        beats: beats of a sum.
        latency: cycles from the last of them to the sum.
    """
    return 2 if 2 * beats >= latency + 3 else -(-(latency + 4) // beats)
