"""Resources of a memory that is read at one word a cycle."""

import math

from sdq_fpga.cost.folding import Resources

__all__ = ["memory_resources"]

_LUT_ROM_WORDS = 64  # one LUT6 is a ROM of 64 x 1 bit
_DISTRIBUTED_WORDS = 128  # up to here, LUTs are the cheaper memory
_BLOCK_SHAPES = ((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384))


def memory_resources(width: int, words: int) -> Resources:
    """LUTs of a shallow memory, 18 Kbit block RAMs of a deep one.

    Args:
        width: bits of a word.
        words: how many.
    """
    if words <= _DISTRIBUTED_WORDS:
        lut = width * math.ceil(words / _LUT_ROM_WORDS) if words > 1 else 0
        return Resources(lut=lut, bram18=0, uram=0, dsp=0)
    blocks = min(math.ceil(width / wide) * math.ceil(words / deep) for wide, deep in _BLOCK_SHAPES)
    return Resources(lut=0, bram18=blocks, uram=0, dsp=0)
