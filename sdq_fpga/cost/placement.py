"""Where a memory is put, and what it takes there, by the rules of Yosys.

Yosys compares what a memory would cost in LUTs, in LUT RAM and in block RAM (its pass
``memory_libmap``) with the geometries and costs of techlibs/xilinx: lutrams_xcu.txt,
lutrams_xc5v.txt (the 7 series), brams_xc4v.txt and urams.txt. A memory that asks for a
kind gets it, and ``sdq_fpga.synth.netlist`` asks for block RAM for those of a single address and
many words.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Literal

__all__ = ["Access", "Kind", "Part", "Placement", "distinct_bits", "place", "rom_luts"]

Part = Literal["xcup", "xc7"]
"""UltraScale+ and the 7 series, as Yosys calls them."""

_HALF_BLOCK, _BLOCK = 129, 257  # cost of a block RAM of 18 and of 36 kbit
_HALF_WIDTHS, _WIDTHS = (1, 2, 4, 9, 18, 36), (1, 2, 4, 9, 18, 36, 72)
_HALF_BITS, _ADDRESS_BITS = 14, 15  # address bits at a width of 1
_BYTE = 9  # bits that have a write enable of their own
_ULTRA_BYTES = 8, 9
_ROM_BIT = 1 / 64  # cost of a bit that is never written
_RAM_BIT = 1.0  # cost of a bit in registers
_READ_PORT = 2  # cost of a read port that is not shared with a write port
_MUX = 0.5  # cost of a bit of a multiplexer, and of a write enable
_MOST_LUT_WORDS = 256  # of a single address, see netlist
_ULTRA = 1024  # cost of an UltraRAM
_ULTRA_WORDS, _ULTRA_BITS = 4096, 72
_LUT_INPUTS = 6
_LUT_WORDS = 1 << _LUT_INPUTS
_MANY = 24  # bits of a function's truth table, with which all functions differ


class Access(StrEnum):
    """How a memory is used."""

    TWO = "two"  # an address to write and one to read
    ONE = "one"  # the same address
    READ = "read"  # never written


class Kind(StrEnum):
    """What a memory is made of."""

    NONE = "none"
    REGISTERS = "registers"
    TABLE = "table"
    LUT_RAM = "lutram"
    BLOCK = "block"
    ULTRA = "ultra"


@dataclass(frozen=True)
class _LutRam:
    """LUTs as memories.

    Attributes:
        cost: of one.
        luts: in one.
        two: (words, bits) with two addresses.
        one: with one address; those of 64 words and more are made of single LUTs.
    """

    cost: int
    luts: int
    two: tuple[tuple[int, int], ...]
    one: tuple[tuple[int, int], ...]


_LUT_RAMS = {
    "xcup": _LutRam(16, 8, ((32, 14), (64, 7)), ((32, 16), (64, 8), (128, 4), (256, 2))),
    "xc7": _LutRam(8, 4, ((32, 6), (64, 3)), ((32, 8), (64, 4), (128, 2), (256, 1))),
}

_DEEP_LUT_RAMS = (256, 2), (512, 1)  # of UltraScale+, see hw/synth/lutrams_xcup.txt


@dataclass(frozen=True)
class Placement:
    """What a memory is made of.

    Attributes:
        kind: of what.
        lut: LUTs that hold data.
        mux_bits: two-to-one multiplexers of one bit behind the memory's columns.
        bram18: block RAMs of 18 kbit.
        uram: UltraRAMs.
    """

    kind: Kind
    lut: int = 0
    mux_bits: int = 0
    bram18: int = 0
    uram: int = 0


@cache
def place(
    words: int,
    width: int,
    part: Part,
    *,
    style: str = "auto",
    access: Access = Access.TWO,
    padding: int = 0,
) -> Placement:
    """Decides what a memory is made of.

    Args:
        words: how many.
        width: bits of a word.
        part: family of the part.
        style: "auto", "distributed", "block" or "ultra".
        access: how it is used.
        padding: further bits of a word that nobody reads; they weigh in the decision, but what
            holds nothing else is not built.
    """
    if words < 1 or width < 1:
        return Placement(Kind.NONE)
    if style == "ultra":
        return _ultra(words, width, padding, access)
    port = 0 if access is Access.ONE else _READ_PORT
    block_cost, block = _block(words, width, padding, written=access is not Access.READ)
    block_cost += port
    if style == "block" or (access is Access.ONE and words > _MOST_LUT_WORDS and style == "auto"):
        return block
    stored = width + padding
    if access is Access.READ:
        cost, found = words * stored * _ROM_BIT, Placement(Kind.TABLE, lut=rom_luts(words, width))
    else:
        cost, found = _lut_ram(words, width, padding, part, access, deep=style == "distributed")
        cost += port
        if style == "auto" and int(words * stored * _RAM_BIT) <= min(cost, block_cost):
            return Placement(Kind.REGISTERS)
    # What comes first is kept unless the other is cheaper than its whole cost.
    return found if style == "distributed" or int(cost) <= block_cost else block


def _block(words: int, width: int, padding: int, *, written: bool) -> tuple[float, Placement]:
    best, found = math.inf, Placement(Kind.NONE)
    for halves, price, widths, bits in (
        (1, _HALF_BLOCK, _HALF_WIDTHS, _HALF_BITS),
        (2, _BLOCK, _WIDTHS, _ADDRESS_BITS),
    ):
        own, geometry = math.inf, (0, 0, 0)
        for step, wide in enumerate(widths):
            columns = math.ceil(words / (1 << (bits - step)))
            byte = min(_BYTE, wide) if written else 1
            stride = math.ceil((width + padding) / byte) * byte
            # Columns may share a block.
            cost: float = price * math.ceil(columns * stride / wide)
            cost += _MUX * (columns - 1) * (width + padding)
            cost += _MUX * columns * (written and columns > 1)
            if cost < _whole(own):
                own, geometry = cost, (columns, stride, wide)
        if own < best:
            columns, stride, wide = geometry
            blocks = halves * _units(columns, stride, width, wide)
            best = own
            found = Placement(Kind.BLOCK, bram18=blocks, mux_bits=(columns - 1) * width)
    return best, found


def _ultra(words: int, width: int, padding: int, access: Access) -> Placement:
    """UltraRAM; one of a single address may have half the words, of twice the bits."""
    found, best = Placement(Kind.NONE), math.inf
    for fold in (1, 2) if access is Access.ONE else (1,):
        columns = math.ceil(words / (_ULTRA_WORDS // fold))
        for byte in _ULTRA_BYTES:
            stride = math.ceil((width + padding) / byte) * byte
            cost: float = _ULTRA * math.ceil(columns * stride / (_ULTRA_BITS * fold))
            cost += _MUX * (columns - 1) * (width + padding) + _MUX * columns * (columns > 1)
            if cost < _whole(best):
                best = cost
                blocks = _units(columns, stride, width, _ULTRA_BITS * fold)
                found = Placement(Kind.ULTRA, uram=blocks, mux_bits=(columns - 1) * width)
    return found


def _whole(cost: float) -> float:
    """The cost as Yosys keeps the least so far: without its fraction."""
    return cost if math.isinf(cost) else int(cost)


def _units(columns: int, stride: int, width: int, wide: int) -> int:
    """Of memories ``wide`` bits wide, those that hold any of the first ``width`` of a column."""
    held, last = 0, -1
    for column in range(columns):
        begin = column * stride
        first, end = begin // wide, (begin + width - 1) // wide
        held += end - max(first, last + 1) + 1
        last = end
    return held


def _lut_ram(
    words: int, width: int, padding: int, part: Part, access: Access, *, deep: bool
) -> tuple[float, Placement]:
    rams = _LUT_RAMS[part]
    best, found = math.inf, Placement(Kind.NONE)
    shapes = rams.one if access is Access.ONE else rams.two
    if deep and access is Access.ONE and words > _MOST_LUT_WORDS and part == "xcup":
        shapes = _DEEP_LUT_RAMS
    for words_of, wide in shapes:
        columns = math.ceil(words / words_of)
        cost = rams.cost * columns * (width + padding) / wide
        cost += _MUX * (columns - 1) * (width + padding) + _MUX * columns * (columns > 1)
        if cost < best:
            if access is Access.ONE and words_of >= _LUT_WORDS:
                used = columns * width * words_of // _LUT_WORDS
            else:
                used = rams.luts * columns * math.ceil(width / wide)
            best = cost
            found = Placement(Kind.LUT_RAM, lut=used, mux_bits=(columns - 1) * width)
    return best, found


def rom_luts(words: int, width: int) -> int:
    """LUTs of a table: one for each 64 words of a bit; bits with equal contents share theirs.

    Args:
        words: how many.
        width: bits of a word, with contents that are as good as random.
    """
    if words <= 2:  # a bit is the address, its inverse or constant
        return 0
    return math.ceil(distinct_bits(words, width) * math.ceil(words / _LUT_WORDS))


def distinct_bits(words: int, width: int) -> float:
    """How many bits of a table differ: of few words there are few different columns.

    Constant columns do not count: they need neither a LUT nor a register.

    Args:
        words: how many.
        width: bits of a word, with contents that are as good as random.
    """
    if words > _MANY:
        return float(width)
    columns = 2.0**words
    return (columns - 2) * -math.expm1(width * math.log1p(-1 / columns))
