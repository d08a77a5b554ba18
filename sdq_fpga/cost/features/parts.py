"""What the resources of a node are explained by."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from sdq_fpga.cost.many import Array, Many
from sdq_fpga.cost.placement import Kind, Part, Placement, place

__all__ = [
    "Amount",
    "Memories",
    "Part",
    "Terms",
    "clog2",
    "memories",
    "memory",
    "multiplexer",
]

Amount = dict[str, float | Array]
"""Amounts of structures, by name, each of which takes some LUTs or flip-flops."""


@dataclass(frozen=True)
class Terms:
    """What one part of a node is made of.

    LUTs and flip-flops are a sum over structures of an amount times a coefficient, which is
    fitted; DSP slices and memories follow from the RTL. They may be arrays, of several foldings.

    Attributes:
        lut: amounts that take LUTs.
        ff: amounts that take flip-flops.
        dsp: DSP slices.
        bram18: block RAMs of 18 kbit.
        uram: UltraRAMs.
    """

    lut: Mapping[str, float | Array]
    ff: Mapping[str, float | Array]
    dsp: Many = 0
    bram18: Many = 0
    uram: Many = field(default=0)


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


@dataclass(frozen=True)
class Memories:
    """What memories are made of; attributes are as of ``Placement``.

    Attributes:
        lut: LUTs that hold data.
        mux_bits: multiplexers behind columns.
        bram18: block RAMs.
        uram: UltraRAMs.
        block: 1 for block RAM, else 0.
        ultra: 1 for UltraRAM, else 0.
    """

    lut: Many
    mux_bits: Many
    bram18: Many
    uram: Many
    block: Many
    ultra: Many


def memories(place: Callable[[int], Placement], numbers: Many) -> Memories:
    """Where memories are put, by a function of each number that is called once for equal ones."""
    if isinstance(numbers, int):
        return Memories(*_fields(place(numbers)))
    distinct, back = np.unique(numbers, return_inverse=True)
    rows = np.array([_fields(place(each)) for each in distinct.tolist()], np.int64)
    return Memories(*rows.reshape(-1, 6)[back.reshape(-1)].T)


def _fields(made: Placement) -> tuple[int, int, int, int, int, int]:
    block, ultra = made.kind is Kind.BLOCK, made.kind is Kind.ULTRA
    return made.lut, made.mux_bits, made.bram18, made.uram, int(block), int(ultra)
