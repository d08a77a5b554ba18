"""Quantizes values to the grids of several bits at once, and mixes these.

A search quantizes each layer with all options of its bits in every step. In one pass over all of
them what they share is computed once, and each kernel is started once; the backward pass is in
closed form. In small networks it is the number of kernels that a step's time goes by.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from sdq_fpga.train.grid import Passes, passing

__all__ = ["TINY", "Levels", "mixed"]

# Under this mean a channel is dead, and its weights are all code 0.
TINY = 1e-12


@dataclass(frozen=True)
class Levels:
    """The grid of one number of bits: code * step.

    Attributes:
        step: between two levels; of grids that follow the values, in mean absolute values.
        least: the lowest code.
        most: the highest.
    """

    step: float
    least: float
    most: float


def mixed(
    values: Tensor,
    options: Sequence[Levels],
    shares: Tensor | None = None,
    axes: tuple[int, ...] | None = None,
) -> tuple[Tensor, Tensor]:
    """Rounds values to the nearest levels of each option, half to even, and sums by shares.

    The gradient passes unchanged where values are within the levels, and is 0 outside
    (straight-through estimator). It also flows through the mean absolute value that a step
    follows, so that a clipped value still moves its channel's clip (as in LSQ; Esser et al., ICLR
    2020, equation 3). What has no share passes no gradient.

    Args:
        values: of any shape.
        options: the grids.
        shares: [options], differentiable; None for a single option.
        axes: of the means of absolute values that steps follow; None where they are fixed.

    Returns:
        The sum, of the shape of ``values``; and [options, ...] what they quantize to with each,
        without a gradient.
    """
    return _Mixed.apply(values, shares, tuple(options), axes)  # type: ignore[no-any-return, no-untyped-call]


class _Context(Protocol):
    saved_tensors: tuple[Tensor, ...]
    needs_input_grad: tuple[bool, ...]
    taken: list[tuple[float, float, float]]
    place: torch.device
    axes: tuple[int, ...] | None

    def save_for_backward(self, *tensors: Tensor) -> None: ...
    def mark_non_differentiable(self, *tensors: Tensor) -> None: ...


class _Mixed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: _Context,
        values: Tensor,
        shares: Tensor | None,
        options: tuple[Levels, ...],
        axes: tuple[int, ...] | None,
    ) -> tuple[Tensor, Tensor]:
        steps = values.new_tensor([each.step for each in options])
        steps = steps.view(-1, *([1] * values.dim()))
        mean = values.new_empty(0)
        if axes is not None:
            mean = values.abs().mean(dim=axes, keepdim=True).clamp_(min=TINY)
            steps = mean * steps
        scaled = values / steps  # in codes
        several = scaled.round() if axes is not None else scaled.round_()
        for codes, each in zip(several.unbind(), options, strict=True):
            codes.clamp_(each.least, each.most)
        several.mul_(steps)

        parts = [1.0] if shares is None else shares.tolist()
        if 1.0 in parts:
            total = several[parts.index(1.0)]
        else:
            total = several[0] * parts[0]
            for share, one in zip(parts[1:], several[1:], strict=True):
                total.add_(one, alpha=share)
        # Of fixed steps, limits are those of values: nothing more is kept.
        ctx.taken = []
        for share, each in zip(parts, options, strict=True):
            codes_of_one = 1.0 if axes is not None else 1 / each.step
            ends = passing(codes_of_one, each.least, each.most, Passes.INSIDE, values.dtype)
            ctx.taken.append((share, *ends))
        kept = tuple(
            one
            for share, one in zip(parts, scaled.unbind(), strict=True)
            if share and axes is not None
        )
        ctx.axes, ctx.place = axes, values.device if shares is None else shares.device
        ctx.mark_non_differentiable(several)
        ctx.save_for_backward(values, several, total, mean, *kept)
        return total, several

    @staticmethod
    def backward(
        ctx: _Context, gradient: Tensor, _: Tensor
    ) -> tuple[Tensor | None, Tensor | None, None, None]:
        values, several, total, mean, *kept = ctx.saved_tensors
        of_shares = None
        if ctx.needs_input_grad[1]:
            of_shares = (several.flatten(1) @ gradient.flatten()).to(ctx.place)
        if not ctx.needs_input_grad[0]:
            return None, of_shares, None, None
        left = iter(kept)
        passed: Tensor | None = None
        for share, low, high in ctx.taken:
            if share:
                at = values if ctx.axes is None else next(left)
                # One kernel; a mask of booleans takes several times as long.
                part = torch.ops.aten.hardtanh_backward(gradient, at, low, high)
                if share != 1.0:
                    part.mul_(share)
                passed = part if passed is None else passed.add_(part)
        if passed is None:
            passed = torch.zeros_like(values)
        if ctx.axes is not None:
            # With q = mean * r * code(v / (mean * r)), dq/dmean = (q - v [within]) / mean.
            slope = (gradient * total).addcmul_(passed, values, value=-1)
            slope = slope.mean(dim=ctx.axes, keepdim=True).div_(mean).mul_(mean > TINY)
            passed.addcmul_(values.sign(), slope)
        return passed, of_shares, None, None
