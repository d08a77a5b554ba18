"""What operators share whose streams take turns within a pixel: the Python side of turns.sv."""

from collections.abc import Iterable

__all__ = ["flags", "turns_luts", "words"]


def words(values: Iterable[int]) -> str:
    """A packed array of 32-bit words in SystemVerilog, the first of ``values`` lowest."""
    return "{" + ", ".join(f"32'd{value}" for value in reversed(tuple(values))) + "}"


def flags(values: Iterable[bool]) -> str:
    """A vector of bits in SystemVerilog, the first of ``values`` lowest."""
    bits = "".join(str(int(value)) for value in reversed(tuple(values)))
    return f"{len(bits)}'b{bits}"


def turns_luts(beats: Iterable[int]) -> int:
    """Estimate of LUTs of hw/ops/turns.sv: 1.5 for each bit of the two counters."""
    turns = tuple(beats)
    return 3 * ((len(turns) - 1).bit_length() + (max(turns) - 1).bit_length()) // 2
