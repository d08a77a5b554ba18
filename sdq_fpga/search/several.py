"""Quantizes values to the grids of several bits at once, and mixes these.

A search quantizes each layer with all options of its bits in every step. In one pass over all of
them what they share is computed once, the errors that QER asks for come with it, and the backward
pass is in closed form: on a CPU by loops of ours (``fused``), elsewhere by few kernels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from sdq_fpga.search import fused
from sdq_fpga.train.grid import Passes, passing

__all__ = ["TINY", "Levels", "SquaredErrors", "mixed", "mixed_and_measured"]

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


@dataclass(frozen=True)
class SquaredErrors:
    """How far values are from what they quantize to; differentiable by the values.

    What they quantize to counts as constant: the gradient pulls values towards the levels that they
    are rounded to.

    Attributes:
        distances: [options] sums of squared differences.
        power: [] sum of squared values.
    """

    distances: Tensor
    power: Tensor


def mixed(
    values: Tensor,
    options: Sequence[Levels],
    shares: Tensor | None = None,
    axes: tuple[int, ...] | None = None,
) -> Tensor:
    """Rounds values to the nearest levels of each option, half to even, and sums by shares.

    The gradient passes unchanged where values are within the levels, and is 0 outside
    (straight-through estimator). It also flows through the mean absolute value that a step
    follows, so that a clipped value still moves its channel's clip (as in LSQ; Esser et al., ICLR
    2020, equation 3). What has no share passes no gradient.

    Args:
        values: of any shape.
        options: the grids.
        shares: [options], differentiable; None for a single option.
        axes: of the means of absolute values that steps follow, all of them or all but the first;
            None where they are fixed.

    Returns:
        The sum, of the shape of ``values``.
    """
    return _Mixed.apply(values, shares, tuple(options), axes, False)[0]  # type: ignore[no-any-return, no-untyped-call]


def mixed_and_measured(
    values: Tensor,
    options: Sequence[Levels],
    shares: Tensor | None = None,
    axes: tuple[int, ...] | None = None,
) -> tuple[Tensor, SquaredErrors]:
    """As ``mixed``, with the errors of all options."""
    total, *errors = _Mixed.apply(values, shares, tuple(options), axes, True)  # type: ignore[no-untyped-call]
    return total, SquaredErrors(*errors)


class _Context(Protocol):
    saved_tensors: tuple[Tensor, ...]
    needs_input_grad: tuple[bool, ...]
    options: tuple[Levels, ...]
    parts: list[float]
    place: torch.device
    axes: tuple[int, ...] | None
    measured: bool
    grids: fused.Grids

    def save_for_backward(self, *tensors: Tensor) -> None: ...


_Found = tuple[Tensor, Tensor | None, Tensor | None]
_Back = tuple[Tensor | None, Tensor | None, None, None, None]


class _Mixed(torch.autograd.Function):
    """Sum, and distances and power where they are measured."""

    @staticmethod
    def forward(
        ctx: _Context,
        values: Tensor,
        shares: Tensor | None,
        options: tuple[Levels, ...],
        axes: tuple[int, ...] | None,
        measured: bool,
    ) -> _Found:
        ctx.options, ctx.axes, ctx.measured = options, axes, measured
        ctx.parts = [1.0] if shares is None else shares.tolist()
        ctx.place = values.device if shares is None else shares.device
        return _fused(ctx, values) if _is_fused(values) else _by_kernels(ctx, values)

    @staticmethod
    def backward(
        ctx: _Context, gradient: Tensor, of_distances: Tensor | None, of_power: Tensor | None
    ) -> _Back:
        values = ctx.saved_tensors[0]
        of_errors = None
        if of_distances is not None and of_power is not None:
            of_errors = torch.cat([of_distances, of_power[None]])
        back = _fused_back if _is_fused(values) else _back_by_kernels
        return *back(ctx, gradient, of_errors), None, None, None


def _is_fused(values: Tensor) -> bool:
    return values.device.type == "cpu" and values.dtype is torch.float32


# ---- a pass of loops -----------------------------------------------------------------------------


def _fused(ctx: _Context, values: Tensor) -> _Found:
    its = values.contiguous()
    rows = len(its) if ctx.axes is not None and 0 not in ctx.axes else 1
    steps = np.array([[each.step] for each in ctx.options], np.float32)
    mean = its.new_empty(0)
    if ctx.axes is not None:
        mean = its.abs().mean(dim=ctx.axes).view(rows).clamp_(min=TINY)
        steps = mean.numpy() * steps
    ctx.grids = fused.Grids(
        steps=steps,
        least=np.array([each.least for each in ctx.options], np.float32),
        most=np.array([each.most for each in ctx.options], np.float32),
        shares=np.array(ctx.parts, np.float32),
    )
    total = torch.empty_like(its)
    where = _rows(its, rows), ctx.grids, _rows(total, rows)
    sums = fused.mix(*where, measured=ctx.measured, threads=torch.get_num_threads())
    ctx.save_for_backward(its, mean)
    if not ctx.measured:
        return total, None, None
    errors = torch.from_numpy(sums).to(total.dtype)
    return total, errors[:-1], errors[-1]


def _fused_back(
    ctx: _Context, gradient: Tensor, of_errors: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    values, mean = ctx.saved_tensors
    rows, found = max(len(mean), 1), torch.empty_like(values)
    of_sums = np.zeros(len(ctx.parts) + 1)
    if of_errors is not None:
        of_sums = of_errors.double().numpy()
    of_shares = fused.pull_back(
        _rows(values, rows),
        ctx.grids,
        mean.masked_fill(mean <= TINY, 0.0).numpy(),  # dead channels have no slope
        _rows(gradient.contiguous(), rows),
        of_sums,
        _rows(found, rows),
        threads=torch.get_num_threads(),
    )
    if not ctx.needs_input_grad[1]:
        return found, None
    return found, torch.from_numpy(of_shares).to(ctx.place, values.dtype)


def _rows(values: Tensor, rows: int) -> fused.Floats:
    found: fused.Floats = values.detach().numpy().reshape(rows, -1)
    return found


# ---- kernel after kernel -------------------------------------------------------------------------


def _by_kernels(ctx: _Context, values: Tensor) -> _Found:
    steps = values.new_tensor([each.step for each in ctx.options])
    steps = steps.view(-1, *([1] * values.dim()))
    mean = values.new_empty(0)
    if ctx.axes is not None:
        mean = values.abs().mean(dim=ctx.axes, keepdim=True).clamp_(min=TINY)
        steps = mean * steps
    scaled = values / steps  # in codes
    several = scaled.round() if ctx.axes is not None else scaled.round_()
    for codes, each in zip(several.unbind(), ctx.options, strict=True):
        codes.clamp_(each.least, each.most)
    several.mul_(steps)
    if 1.0 in ctx.parts:
        total = several[ctx.parts.index(1.0)]
    else:
        total = several[0] * ctx.parts[0]
        for share, one in zip(ctx.parts[1:], several[1:], strict=True):
            total.add_(one, alpha=share)
    # Of fixed steps, limits are those of values: nothing more is kept.
    kept = [
        one
        for share, one in zip(ctx.parts, scaled.unbind(), strict=True)
        if share and ctx.axes is not None
    ]
    ctx.save_for_backward(values, several, total, mean, *kept)
    if not ctx.measured:
        return total, None, None
    distances = torch.linalg.vector_norm((several - values).flatten(1), dim=1).square_()
    return total, distances, torch.linalg.vector_norm(values).square_()


def _back_by_kernels(
    ctx: _Context, gradient: Tensor, of_errors: Tensor | None
) -> tuple[Tensor | None, Tensor | None]:
    values, several, total, mean, *kept = ctx.saved_tensors
    of_shares = None
    if ctx.needs_input_grad[1]:
        of_shares = (several.flatten(1) @ gradient.flatten()).to(ctx.place)
    if not ctx.needs_input_grad[0]:
        return None, of_shares
    left = iter(kept)
    passed: Tensor | None = None
    for share, each in zip(ctx.parts, ctx.options, strict=True):
        if share:
            codes_of_one = 1.0 if ctx.axes is not None else 1 / each.step
            ends = passing(codes_of_one, each.least, each.most, Passes.INSIDE, values.dtype)
            at = values if ctx.axes is None else next(left)
            # One kernel; a mask of booleans takes several times as long.
            part = torch.ops.aten.hardtanh_backward(gradient, at, *ends)
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
    if of_errors is not None:
        # d/dv of |v - q|^2 is 2 (v - q).
        passed.addcmul_(values, 2 * of_errors.sum())
        passed.sub_((2 * of_errors[:-1] @ several.flatten(1)).view_as(values))
    return passed, of_shares
