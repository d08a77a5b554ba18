"""The normalised grid: quantizers whose scales are powers of two, with straight-through gradients.

Weights of b bits are ``code * 2^-(b-1)`` with codes from -(2^(b-1) - 1) to 2^(b-1) - 1 (symmetric,
"narrow range"), activations of a bits after a ReLU are ``code * 2^-a`` with codes from 0 to
2^a - 1, and those with a sign are ``code * 2^-a`` with codes from -2^a to 2^a - 1. No range is lost
by this: the batch norm after a layer carries its real-valued scale, so what is free is only the
*unit* of a channel, the weight that is mapped to 1 on the grid.
"""

import math
from collections.abc import Callable
from functools import lru_cache

from torch import Tensor

from sdq_fpga.search.several import TINY, Levels, mixed
from sdq_fpga.train.grid import Passes, rounded

__all__ = [
    "activation_grid",
    "best_clip",
    "code_grid",
    "code_levels",
    "gaussian_clip",
    "quantize_weights",
    "unit_axes",
    "weight_grid",
    "weight_levels",
    "weight_limit",
    "weight_unit",
]


def weight_limit(bits: int) -> float:
    """The largest weight on the grid: 1 - 2^-(bits-1).

    Raises:
        ValueError: fewer than 2 bits, where a symmetric grid has no level but 0.
    """
    if bits < 2:
        raise ValueError(f"a symmetric weight grid needs 2 bits or more, not {bits}")
    return 1 - 2.0 ** -(bits - 1)


def weight_grid(weights: Tensor, bits: int) -> Tensor:
    """Rounds to the nearest weight on the grid of ``bits``, half to even.

    The gradient passes unchanged where |weight| <= weight_limit(bits), and is 0 outside
    (straight-through estimator; Bengio, Leonard and Courville 2013, section 4).
    """
    levels = 2.0 ** (bits - 1)
    most = weight_limit(bits) * levels
    return rounded(weights, levels, -most, most, Passes.INSIDE)


def activation_grid(activations: Tensor, bits: int) -> Tensor:
    """Rounds to the nearest activation on the grid of ``bits``, half to even.

    The gradient passes unchanged from 0 to 1 - 2^-bits, and is 0 outside.
    """
    return code_grid(activations, bits, signed=False)


def code_grid(activations: Tensor, exponent: int, *, signed: bool) -> Tensor:
    """Rounds to the nearest multiple of 2^-exponent in [0, 1), or [-1, 1), half to even.

    The gradient passes unchanged within that range, and is 0 outside. Without a sign it is
    ``activation_grid`` of as many bits.
    """
    levels = 2.0**exponent
    least = -levels if signed else 0.0
    return rounded(activations, levels, least, levels - 1, Passes.INSIDE)


def weight_unit(weights: Tensor, bits: int, *, per_channel: bool) -> Tensor:
    """The weight that is mapped to 1 on the grid: alpha / weight_limit(bits).

    The clip alpha = gaussian_clip(bits) * mean|weight| is that of the least squared error for
    normally distributed weights; it follows the weights while they are trained.

    Args:
        weights: [out, ...].
        bits: of the grid.
        per_channel: one unit for each output channel, which the batch norm after the layer
            takes in; else one for the whole tensor, so that scores stay comparable.

    Returns:
        Positive units, [out, 1, ...] or [1, 1, ...], to divide the weights by.
    """
    mean = weights.abs().mean(dim=unit_axes(weights, per_channel), keepdim=True).clamp(min=TINY)
    return mean * (gaussian_clip(bits) / weight_limit(bits))


def unit_axes(weights: Tensor, per_channel: bool) -> tuple[int, ...]:
    """The axes of weights [out, ...] over which their unit is the same."""
    return tuple(range(1 if per_channel else 0, weights.dim()))


def quantize_weights(weights: Tensor, bits: int, *, per_channel: bool) -> Tensor:
    """Quantizes weights [out, ...] in their own units: unit * weight_grid(weights / unit).

    The gradient also flows through the unit; see ``mixed``.
    """
    return mixed(weights, (weight_levels(bits),), axes=unit_axes(weights, per_channel))


@lru_cache
def weight_levels(bits: int) -> Levels:
    """The levels of weights in their own units; steps in mean absolute values."""
    most = weight_limit(bits) * 2.0 ** (bits - 1)
    return Levels(gaussian_clip(bits) / weight_limit(bits) / 2.0 ** (bits - 1), -most, most)


@lru_cache
def code_levels(exponent: int, *, signed: bool) -> Levels:
    """The levels of ``code_grid``."""
    levels = 2.0**exponent
    return Levels(1 / levels, -levels if signed else 0.0, levels - 1)


@lru_cache
def gaussian_clip(bits: int) -> float:
    """The clip k(b), in mean absolute values, of the least squared error for a Gaussian.

    Minimises the error of the symmetric uniform quantizer of 2^b - 1 levels for a standard
    normal variable (J. Max, "Quantizing for Minimum Distortion", IRE Transactions on Information
    Theory 1960, table II: steps 1.224 for 3 levels, 0.6508 for 7) and divides the clip by
    E|x| = sqrt(2 / pi).
    """
    return best_clip(bits, _gaussian_error)


def best_clip(bits: int, cost: Callable[[float, int], float]) -> float:
    """The clip, in mean absolute values of a Gaussian, that costs the least.

    Args:
        bits: of the grid of levels -codes .. codes.
        cost: of a step, in standard deviations, and codes; unimodal in the step.
    """
    codes = (1 << (bits - 1)) - 1
    low, high = 0.0, 8.0 / codes
    # Ternary search, to 1 in 10 million of a clip.
    for _ in range(50):
        left, right = low + (high - low) / 3, high - (high - low) / 3
        if cost(left, codes) < cost(right, codes):
            high = right
        else:
            low = left
    # Rounded, so that it does not depend on the last bits of a machine's math library.
    return round(codes * (low + high) / 2 / math.sqrt(2 / math.pi), 6)


def _gaussian_error(step: float, codes: int) -> float:
    """Mean squared error of the quantizer with levels -codes*step .. codes*step, for N(0, 1)."""
    error = 0.0
    for code in range(codes + 1):
        start = (code - 0.5) * step if code else 0.0
        end = (code + 0.5) * step if code < codes else math.inf
        level = code * step
        # The integral of (x - level)^2 phi(x) over the bin, in closed form.
        mass = _tail(start) - _tail(end)
        first = _density(start) - _density(end)
        second = mass + start * _density(start) - (end * _density(end) if end < math.inf else 0)
        error += second - 2 * level * first + level * level * mass
    return 2.0 * error


def _density(x: float) -> float:
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def _tail(x: float) -> float:
    return math.erfc(x / math.sqrt(2)) / 2
