"""QER: quantization-error regularization, the expected errors of all layers under their DBPs."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

import torch
from torch import Tensor

__all__ = ["Seen", "expected_errors"]

_TINY = 1e-12


@dataclass(frozen=True)
class Seen:
    """What was quantized.

    Attributes:
        values: of any shape.
        quantized: [options, ...] what they quantize to.
    """

    values: Tensor
    quantized: Tensor


def expected_errors(seen: Sequence[Seen], probabilities: Tensor) -> Tensor:
    """Sum of expected relative errors: beta * error at b_i + (1 - beta) * error at b_(i-1).

    A relative error is the squared error over the squared values: the noise-to-signal power ratio.
    Divided by the layer's own power, errors of layers with small and large weights add up to one
    measure. The quantized values are taken as constants: the gradient pulls values towards the
    levels that they are rounded to.

    Source: Huang et al. (ICML 2022), quantization error regularization, there not normalised.

    Args:
        seen: of each layer; all on one device.
        probabilities: [options of the first, those of the second, ...] of each.

    Returns:
        Scalar, where the values are.
    """
    options = tuple(len(each.quantized) for each in seen)
    tensors = chain.from_iterable((each.values, each.quantized) for each in seen)
    found: Tensor = _Expected.apply(probabilities, options, *tensors)  # type: ignore[no-untyped-call]
    return found


class _Context(Protocol):
    saved_tensors: tuple[Tensor, ...]
    options: tuple[int, ...]

    def save_for_backward(self, *tensors: Tensor) -> None: ...


class _Expected(torch.autograd.Function):
    """Few kernels over the values, and all that comes after for all layers at once."""

    @staticmethod
    def forward(
        ctx: _Context, probabilities: Tensor, options: tuple[int, ...], *tensors: Tensor
    ) -> Tensor:
        norms = [torch.linalg.vector_norm(values) for values in tensors[::2]]
        away = [
            torch.linalg.vector_norm((quantized - values).flatten(1), dim=1)
            for values, quantized in zip(tensors[::2], tensors[1::2], strict=True)
        ]
        power = torch.stack(norms).square_().clamp_(min=_TINY)
        errors = torch.cat(away).square_() / power[_layers(options)]
        ctx.options = options
        ctx.save_for_backward(probabilities, power, errors, *tensors)
        return probabilities.to(errors.device) @ errors

    @staticmethod
    def backward(ctx: _Context, gradient: Tensor) -> tuple[Tensor | None, ...]:
        probabilities, power, errors, *tensors = ctx.saved_tensors
        # d/dv of sum_k p_k |v - q_k|^2 / |v|^2 is 2 / |v|^2 * (v (1 - E) - sum_k p_k q_k).
        layers = _layers(ctx.options)
        shares = probabilities.to(errors.device)
        means = torch.zeros_like(power).index_add_(
            0, torch.tensor(layers, device=power.device), errors * shares
        )
        slopes = 2 * gradient / power
        own = slopes * (1 - means)
        of_options = torch.split(slopes[layers] * shares, list(ctx.options))
        found: list[Tensor | None] = []
        for values, quantized, slope, its in zip(
            tensors[::2], tensors[1::2], own.unbind(), of_options, strict=True
        ):
            pull = its @ quantized.flatten(1)
            found += [torch.addcmul(pull.view_as(values).neg_(), values, slope), None]
        return (errors * gradient).to(probabilities.device), None, *found


def _layers(options: Sequence[int]) -> list[int]:
    """Of each option of all, its layer."""
    return [layer for layer, count in enumerate(options) for _ in range(count)]
