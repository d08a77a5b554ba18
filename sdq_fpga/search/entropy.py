"""The grid that weights fill as evenly as they can: that of the most entropy of their codes.

Source: Huang et al., "SDQ: Stochastic Differentiable Quantization with Mixed Precision", ICML 2022,
section 3.4: codes carry the most when all of them are used alike. Steps are even here, as the
hardware's are, so that normally distributed weights can't fill all bins alike; what is free is the
clip.
"""

import math
from functools import lru_cache

__all__ = ["entropy_clip"]


@lru_cache
def entropy_clip(bits: int) -> float:
    """The clip, in mean absolute values, of the most entropy for a Gaussian.

    Args:
        bits: of the grid of 2^bits - 1 levels.
    """
    codes = (1 << (bits - 1)) - 1
    low, high = 0.0, 8.0 / codes
    # The entropy is unimodal in the step: ternary search, to 1 in 10 million of a clip.
    for _ in range(50):
        left, right = low + (high - low) / 3, high - (high - low) / 3
        if gaussian_entropy(left, codes) > gaussian_entropy(right, codes):
            high = right
        else:
            low = left
    # Rounded, so that it does not depend on the last bits of a machine's math library.
    return round(codes * (low + high) / 2 / math.sqrt(2 / math.pi), 6)


def gaussian_entropy(step: float, codes: int) -> float:
    """Bits of entropy of the codes -codes .. codes of a standard normal variable."""
    edges = [0.0, *((code + 0.5) * step for code in range(codes)), math.inf]
    tails = [math.erfc(edge / math.sqrt(2)) for edge in edges]
    # The bin of code 0 has both sides of its edge, each other one is there twice.
    first, *others = (tails[k] - tails[k + 1] for k in range(codes + 1))
    shares = [first, *(each / 2 for each in others for _ in range(2))]
    return -sum(share * math.log2(share) for share in shares if share > 0)
