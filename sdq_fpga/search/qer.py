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
        quantized: [options] what they quantize to.
    """

    values: Tensor
    quantized: tuple[Tensor, ...]


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
    tensors = chain.from_iterable((each.values, *each.quantized) for each in seen)
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
        norms, left = [], iter(tensors)
        for count in options:
            values = next(left)
            norms.append(torch.linalg.vector_norm(values))
            error = torch.empty_like(values)
            for _ in range(count):
                torch.sub(values, next(left), out=error)
                norms.append(torch.linalg.vector_norm(error))
        powers = torch.stack(norms).square_()
        own, all_options, layer = _places(options)
        power = powers[own].clamp_(min=_TINY)
        errors = powers[all_options] / power[layer]
        ctx.options = options
        ctx.save_for_backward(probabilities, power, errors, *tensors)
        return probabilities.to(errors.device) @ errors

    @staticmethod
    def backward(ctx: _Context, gradient: Tensor) -> tuple[Tensor | None, ...]:
        probabilities, power, errors, *tensors = ctx.saved_tensors
        # d/dv of sum_k p_k |v - q_k|^2 / |v|^2 is 2 / |v|^2 * (v (1 - E) - sum_k p_k q_k).
        slopes = 2 * gradient / power
        expected = errors * probabilities.to(errors.device)
        means = torch.stack([each.sum() for each in torch.split(expected, list(ctx.options))])
        left, shares = iter(tensors), iter(probabilities.tolist())
        found: list[Tensor | None] = []
        for count, slope, own in zip(
            ctx.options, slopes.unbind(), (slopes * (1 - means)).unbind(), strict=True
        ):
            pull = next(left) * own
            for _ in range(count):
                pull.addcmul_(next(left), slope, value=-next(shares))
            found += [pull, *(None for _ in range(count))]
        return (errors * gradient).to(probabilities.device), None, *found


def _places(options: Sequence[int]) -> tuple[list[int], list[int], list[int]]:
    """Of layers' own norms and of their options' among all; and of each option, its layer."""
    own: list[int] = []
    of_options: list[int] = []
    layers: list[int] = []
    for layer, count in enumerate(options):
        own.append(len(own) + len(of_options))
        of_options += range(own[-1] + 1, own[-1] + 1 + count)
        layers += [layer] * count
    return own, of_options, layers
