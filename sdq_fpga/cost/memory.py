"""Resources of a memory that is read at one word a cycle."""

import math

from sdq_fpga.cost.folding import Resources

__all__ = ["memory_resources"]

_LUT_WORDS = 64  # one LUT6 is a memory of 64 x 1 bit
_DISTRIBUTED_WORDS = 64  # one LUT a bit: up to here, LUTs are the cheaper memory
_BLOCK_SHAPES = ((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384))
_ULTRA_SHAPE = (72, 4096)  # the only one


def memory_resources(width: int, words: int, style: str = "auto") -> Resources:
    """LUTs of a shallow memory, 18 Kbit block RAMs of a deep one, or what the style says.

    Args:
        width: bits of a word.
        words: how many.
        style: "auto", "distributed", "block" or "ultra".
    """
    if style == "ultra":
        wide, deep = _ULTRA_SHAPE
        blocks = math.ceil(width / wide) * math.ceil(words / deep)
        return Resources(lut=0, bram18=0, uram=blocks, dsp=0)
    if style == "distributed" or (style == "auto" and words <= _DISTRIBUTED_WORDS):
        lut = width * math.ceil(words / _LUT_WORDS) if words > 1 else 0
        return Resources(lut=lut, bram18=0, uram=0, dsp=0)
    blocks = min(math.ceil(width / wide) * math.ceil(words / deep) for wide, deep in _BLOCK_SHAPES)
    return Resources(lut=0, bram18=blocks, uram=0, dsp=0)
