"""What a FIFO of FINN's RTL library is made of, and how many words it really holds.

Mirrors finn-rtllib/fifo/hdl/fifo.sv.
"""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["LEAST_ADDRESS_BITS", "FifoMemory", "FifoStyle", "asked_style", "fifo_memory"]

_SHIFT_WORDS = 33
_LEAST_SHIFT = 5
_NARROW_SHIFT = 64, 12  # words, bits
_DISTRIBUTED = 257, 5
_BLOCK_WORDS = 2028
_ULTRA_QUEUE = 16


class FifoStyle(StrEnum):
    """What the words are kept in."""

    SHIFT = "shift"
    DISTRIBUTED = "distributed"
    BLOCK = "block"
    ULTRA = "ultra"


LEAST_ADDRESS_BITS = {FifoStyle.BLOCK: 9, FifoStyle.ULTRA: 12}
"""Address bits of the smallest memory of a kind; a smaller one is of any kind."""


@dataclass(frozen=True)
class FifoMemory:
    """A FIFO as it is built.

    Attributes:
        style: what keeps the words.
        capacity: words that it holds.
        forward: cycles from a word's going in to its being offered.
        address_bits: of the one or two memories that a "block" or "ultra" one is made of.
    """

    style: FifoStyle
    capacity: int
    forward: int
    address_bits: tuple[int, ...] = ()


def asked_style(depth: int, *, ultra: bool) -> str:
    """What a FIFO is asked to be made of, as ``fifo_memory`` takes it.

    Args:
        depth: words.
        ultra: whether the part has UltraRAM, which fifo.sv takes by itself; else deep FIFOs are to
            be block RAM.
    """
    return "auto" if ultra or depth <= _DISTRIBUTED[0] else "block"


def fifo_memory(depth: int, width: int, ram_style: str = "auto") -> FifoMemory:
    """What fifo.sv makes of its parameters.

    Args:
        depth: words, at least 2.
        width: bits of a word.
        ram_style: "auto", "shift", "distributed", "block" or "ultra".
    """
    style = _style(depth, width, ram_style)
    if style is FifoStyle.SHIFT:
        return FifoMemory(style, max(depth, _LEAST_SHIFT), 2)
    if style is FifoStyle.DISTRIBUTED:
        return FifoMemory(style, depth, 2)
    ultra = style is FifoStyle.ULTRA
    queue = _ULTRA_QUEUE if ultra else 0
    wanted = depth - queue - 1
    low = (wanted - 1).bit_length()
    bits: tuple[int, ...] = (low,)
    if low > LEAST_ADDRESS_BITS[style]:
        rest = (wanted - 2 ** (low - 1) - 1).bit_length()
        if rest < low - 1:
            bits = low - 1, max(1, rest)
    words = sum(2**each for each in bits)
    stages = 3 + (2 ** bits[0] - 1) // 8192 if ultra else 2
    return FifoMemory(style, words + stages + queue, 1 + stages + (2 if ultra else 0), bits)


def _style(depth: int, width: int, ram_style: str) -> FifoStyle:
    if depth <= _SHIFT_WORDS:
        return FifoStyle.SHIFT
    if ram_style != "auto":
        return FifoStyle(ram_style)
    if depth <= _NARROW_SHIFT[0] and width < _NARROW_SHIFT[1]:
        return FifoStyle.SHIFT
    if depth <= _DISTRIBUTED[0] or width < _DISTRIBUTED[1]:
        return FifoStyle.DISTRIBUTED
    return FifoStyle.BLOCK if depth <= _BLOCK_WORDS else FifoStyle.ULTRA
