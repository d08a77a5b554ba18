"""The grid that weights fill as evenly as they can: that of the most entropy of their codes.

Source: Huang et al., "SDQ: Stochastic Differentiable Quantization with Mixed Precision", ICML 2022,
section 3.4: codes carry the most when all of them are used alike. Steps are even here, as the
hardware's are, so that normally distributed weights can't fill all bins alike; what is free is the
clip.
"""

import math
from functools import lru_cache

from sdq_fpga.search.quantizers import best_clip

__all__ = ["entropy_clip"]


@lru_cache
def entropy_clip(bits: int) -> float:
    """The clip, in mean absolute values, of the most entropy for a Gaussian.

    Args:
        bits: of the grid of 2^bits - 1 levels.
    """
    return best_clip(bits, lambda step, codes: -gaussian_entropy(step, codes))


def gaussian_entropy(step: float, codes: int) -> float:
    """Bits of entropy of the codes -codes .. codes of a standard normal variable."""
    edges = [0.0, *((code + 0.5) * step for code in range(codes)), math.inf]
    tails = [math.erfc(edge / math.sqrt(2)) for edge in edges]
    # The bin of code 0 has both sides of its edge, each other one is there twice.
    first, *others = (tails[k] - tails[k + 1] for k in range(codes + 1))
    shares = [first, *(each / 2 for each in others for _ in range(2))]
    return -sum(share * math.log2(share) for share in shares if share > 0)
