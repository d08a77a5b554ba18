"""What the resources of a node are explained by."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from sdq_fpga.cost.many import Array, Many
from sdq_fpga.cost.placement import Kind, Part, Placement, place

__all__ = [
    "LUT_INPUTS",
    "SRL",
    "Amount",
    "Memories",
    "Part",
    "Terms",
    "clog2",
    "comparison",
    "comparison_with_constant",
    "maximum",
    "memories",
    "memory",
    "multiplexer",
    "table_luts",
]

LUT_INPUTS = 6
"""Of both families."""

SRL = 32
"""Stages of a shift register in one LUT."""

_COMPARED_BITS = LUT_INPUTS // 2  # of two numbers, in a LUT
_SMALL_TABLE, _TABLE_WORDS = 32, 1 << LUT_INPUTS

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


def multiplexer(inputs: int) -> int:
    """LUTs of a multiplexer of one bit; a LUT selects among 4."""
    return -(-max(0, inputs - 1) // 3)


def comparison(bits: int) -> int:
    """LUTs of "greater" of two numbers, by Yosys's cmp2lcu.v.

    A LUT takes three bits of both; on a carry chain there are two for these, one for what is
    greater and one for what is equal. Two places are no carry chain yet.
    """
    if bits <= _COMPARED_BITS:
        return 1
    if bits <= 2 * _COMPARED_BITS:
        return bits - 2
    return 2 * -(-bits // _COMPARED_BITS)


def comparison_with_constant(bits: int) -> int:
    """LUTs of a comparison with a constant, as ``comparison``; a LUT takes six bits."""
    if bits <= LUT_INPUTS:
        return 1
    if bits <= 2 * LUT_INPUTS:
        return 3
    return 2 * -(-bits // LUT_INPUTS)


def maximum(bits: int) -> int:
    """LUTs of the greater of two numbers: a bit of few bits is a function of all of them."""
    return bits if bits <= _COMPARED_BITS else comparison(bits) + bits


def table_luts(words: int) -> float:
    """LUTs of a bit of a table beyond the one that holds 32 words, if each held 64.

    Yosys's abc9 makes logic of a table and does not find that every 64 words are one LUT, so this
    is to be fitted.
    """
    return max(0, words - _SMALL_TABLE) / _TABLE_WORDS


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
