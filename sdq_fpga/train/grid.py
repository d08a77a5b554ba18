"""Rounds weights and activations to grids while a network is trained: what Brevitas does, in less.

Brevitas's quantizers derive scale, zero point and limits from tensors in every forward pass, some
thirty kernels each. Here all of them are constants, and a quantizer is four kernels forward and
one backward, with the same values and the same gradients to the bit. Networks are trained with
these; what is measured and exported is a Brevitas network with the same weights
(``sdq_fpga.lower.brevitas_net``).
"""

import copy
import math
from enum import Enum
from functools import lru_cache
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from sdq_fpga.nets import as_network, check_policy
from sdq_fpga.policy import Policy

__all__ = ["Passes", "WeightGrid", "off_grid", "on_grid", "passing", "rounded"]


class Passes(Enum):
    """Where the gradient passes a rounding unchanged; elsewhere it is 0.

    Straight-through estimators (Bengio, Leonard and Courville 2013, section 4).
    """

    INSIDE = "values within the limits"
    ROUNDED_INSIDE = "values that are within the limits once they are rounded"
    EVERYWHERE = "all values"


def rounded(values: Tensor, levels: float, least: float, most: float, passes: Passes) -> Tensor:
    """Rounds to the nearest code / levels, half to even, with codes from least to most.

    Args:
        values: of any shape.
        levels: codes of a unit, a power of two.
        least: the lowest code, an integer.
        most: the highest.
        passes: where the gradient does.
    """
    return _Rounded.apply(values, levels, least, most, passes)  # type: ignore[no-any-return, no-untyped-call]


class _Context(Protocol):
    saved_tensors: tuple[Tensor, ...]
    between: tuple[float, float]

    def save_for_backward(self, *tensors: Tensor) -> None: ...


class _Rounded(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: _Context, values: Tensor, levels: float, least: float, most: float, passes: Passes
    ) -> Tensor:
        if passes is not Passes.EVERYWHERE:
            ctx.save_for_backward(values)
            ctx.between = passing(levels, least, most, passes, values.dtype)
        return (values * levels).round_().clamp_(least, most).div_(levels)

    @staticmethod
    def backward(ctx: _Context, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        for values in ctx.saved_tensors:
            # One kernel; a mask of booleans takes several times as long to find and to multiply by.
            gradient = torch.ops.aten.hardtanh_backward(gradient, values, *ctx.between)
        return gradient, None, None, None, None


@lru_cache
def passing(
    levels: float, least: float, most: float, passes: Passes, dtype: torch.dtype
) -> tuple[float, float]:
    """Between which numbers, themselves excluded, values lie whose gradient passes a rounding.

    Args:
        levels: as of ``rounded``, and so are the next.
        least: there.
        most: there.
        passes: there, but not everywhere.
        dtype: of the values.
    """
    if passes is Passes.ROUNDED_INSIDE:
        # Halves are rounded to even codes: half a code beyond an even limit is still within.
        odd = least % 2 == 1, most % 2 == 1
        low, high = least - 0.5, most + 0.5
    else:
        odd, low, high = (False, False), least, most
    # Limits are exact in any type; an excluded number is the next one of the values' type, and
    # of float32 where that is shorter, as kernels compare in float32 then.
    ends = low / levels, high / levels
    beyond = [_next(end, to, dtype) for end, to in zip(ends, (-math.inf, math.inf), strict=True)]
    first, last = (end if o else n for end, n, o in zip(ends, beyond, odd, strict=True))
    return first, last


def _next(number: float, to: float, dtype: torch.dtype) -> float:
    if dtype is torch.float64:
        return math.nextafter(number, to)
    return float(np.nextafter(np.float32(number), np.float32(to)))


class WeightGrid(nn.Module):
    """The grid of weights of ``bits``: code * 2^-(bits-1), symmetric.

    Args:
        bits: from 2.
    """

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.levels = 2.0 ** (bits - 1)

    def forward(self, weights: Tensor) -> Tensor:
        """Rounds weights of any shape."""
        most = self.levels - 1
        return rounded(weights, self.levels, -most, most, Passes.EVERYWHERE)


class _ActivationGrid(nn.Module):
    """The grid of activations: code * 2^-exponent within [0, 1), or [-1, 1) with a sign."""

    def __init__(self, exponent: int, *, signed: bool) -> None:
        super().__init__()
        self.levels = 2.0**exponent
        self.least = -self.levels if signed else 0.0

    def forward(self, activations: Tensor) -> Tensor:
        return rounded(activations, self.levels, self.least, self.levels - 1, Passes.ROUNDED_INSIDE)


def on_grid(net: nn.Module, policy: Policy) -> nn.Module:
    """A copy of a network that rounds as its Brevitas counterpart does.

    Args:
        net: a network on the normalised grid: weights in [-1, 1], activations in [0, 1), or in
            [-1, 1) where they have a sign.
        policy: bits for each of its layers.

    Raises:
        UserError: the policy is for another network, or the hardware lacks its bits.
    """
    network = copy.deepcopy(as_network(net))
    check_policy(policy, policy.network, network)
    structure = network.structure
    bits = policy.activation_bits
    for layer, its in zip(structure.layers, policy.layers, strict=True):
        parametrize.register_parametrization(
            network.get_submodule(layer.weight), "weight", WeightGrid(its.weight_bits), unsafe=True
        )
    for place in structure.quantizers:
        grid = _ActivationGrid(place.exponent(bits[place.layer]), signed=place.signed)
        network.set_submodule(place.path, grid if place.signed else nn.Sequential(nn.ReLU(), grid))
    return network


def off_grid(net: nn.Module) -> dict[str, Tensor]:
    """``state_dict`` of the float network that ``on_grid`` was given, as it is trained now."""
    original = ".parametrizations.weight.original"
    return {key.replace(original, ".weight"): value for key, value in net.state_dict().items()}
