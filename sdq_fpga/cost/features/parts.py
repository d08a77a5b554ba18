"""What the resources of a node are explained by."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sdq_fpga.cost.placement import Kind, Part, Placement, place

__all__ = ["Amount", "Part", "Terms", "clog2", "memory", "multiplexer"]

Amount = dict[str, float]
"""Amounts of structures, by name, each of which takes some LUTs or flip-flops."""


@dataclass(frozen=True)
class Terms:
    """What one part of a node is made of.

    LUTs and flip-flops are a sum over structures of an amount times a coefficient, which is
    fitted; DSP slices and memories follow from the RTL.

    Attributes:
        lut: amounts that take LUTs.
        ff: amounts that take flip-flops.
        dsp: DSP slices.
        bram18: block RAMs of 18 kbit.
        uram: UltraRAMs.
    """

    lut: Mapping[str, float]
    ff: Mapping[str, float]
    dsp: int = 0
    bram18: int = 0
    uram: int = field(default=0)


def clog2(number: int) -> int:
    """Address bits of a memory of ``number`` words."""
    return max(number - 1, 0).bit_length()


def multiplexer(inputs: int) -> float:
    """LUTs of a multiplexer of one bit; a LUT selects among 4, and up to 16 need no more levels."""
    return max(0, inputs - 1) / 3 if inputs > 2 else max(0, inputs - 1) / 2


def memory(words: int, width: int, part: Part, style: str = "auto") -> Placement:
    """Where a buffer is put that is written and read."""
    if words < 2:
        return Placement(Kind.NONE)
    return place(words, width, part, style=style)
