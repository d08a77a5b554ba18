"""Memories inside operators: which kind suits a depth and width, and what it takes."""

import math
from dataclasses import dataclass

__all__ = ["Buffer"]

# (words, bits) of a block RAM of 18 Kbit
_ASPECTS = ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))
# Devices have 150 to 400 LUTs for each block RAM of 18 Kbit.
_LUTS_FOR_BLOCK = 128


@dataclass(frozen=True)
class Buffer:
    """A memory with one address to write and one to read.

    Attributes:
        words: depth; a single word is a register, and takes no memory.
        bits: width.
        wanted: "auto", "distributed" or "block".
    """

    words: int
    bits: int
    wanted: str

    @property
    def style(self) -> str:
        """The kind: "auto" is "block" where LUTs would be more than 128 for each block RAM."""
        if self.wanted != "auto":
            return self.wanted
        dear = self._distributed > _LUTS_FOR_BLOCK * self._blocks
        return "block" if dear else "distributed"

    @property
    def luts(self) -> int:
        """LUTs that hold data."""
        return self._distributed if self.words > 1 and self.style == "distributed" else 0

    @property
    def block_rams(self) -> int:
        """Block RAMs of 18 Kbit."""
        return self._blocks if self.words > 1 and self.style == "block" else 0

    @property
    def _blocks(self) -> int:
        return min(-(-self.words // depth) * -(-self.bits // width) for depth, width in _ASPECTS)

    @property
    def _distributed(self) -> int:
        """LUTs: 4 hold 6 bits of 32 words, 8 hold 7 bits of 64 words, one selects among four."""
        column = 4 / 6 if self.words <= 32 else 8 / 7
        banks = -(-self.words // 64)
        return math.ceil(self.bits * (column * banks + (banks - 1) / 3))
