"""Puts quantizers of undecided bits into a float network, at the paths of its layers and ReLUs."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from sdq_fpga.nets import Quantizer, QuantLayer, as_network
from sdq_fpga.nets.network import MEAN_BITS
from sdq_fpga.search.choice import Choice
from sdq_fpga.search.qer import Seen
from sdq_fpga.search.quantizers import code_grid, quantize_weights

__all__ = ["MixingQuantizer", "insert_quantizers", "remove_quantizers"]


class MixingQuantizer(nn.Module):
    """Mixes what the options of a choice quantize to; in evaluation mode it takes ``bits`` alone.

    Args:
        choice: the layer's bits.
        quantize: from values and bits to quantized values of the same shape.
        measured: whether to keep what is quantized, for its errors to be measured.

    Attributes:
        choice: as given.
        quantize: likewise.
        measured: likewise.
        shares: [options] with which the next forward pass mixes; None to ask the choice then.
    """

    def __init__(
        self, choice: Choice, quantize: Callable[[Tensor, int], Tensor], *, measured: bool = True
    ) -> None:
        super().__init__()
        self.choice = choice
        self.quantize = quantize
        self.measured = measured
        self.shares: Tensor | None = None
        self._seen: Seen | None = None

    def forward(self, values: Tensor) -> Tensor:
        """Maps values to quantized values of the same shape."""
        options = self.choice.options()
        if not self.training or len(options) == 1:
            quantized = self.quantize(values, self.choice.bits)
            if self.training and self.measured:
                self._seen = Seen(values, (quantized,))
            return quantized
        shares = self.choice.shares() if self.shares is None else self.shares
        self.shares = None
        several = tuple(
            self._taken(values, bits, share)
            for share, bits in zip(shares.tolist(), options, strict=True)
        )
        if self.measured:
            self._seen = Seen(values, several)
        mixed: Tensor = _Mixed.apply(shares, *several)  # type: ignore[no-untyped-call]
        return mixed

    def seen(self) -> Seen:
        """What was quantized last in training mode; once, so that its memory is not kept.

        Raises:
            ValueError: nothing was, or it was not to be kept.
        """
        if self._seen is None:
            raise ValueError(f"the quantizer of '{self.choice.name}' has kept nothing")
        seen, self._seen = self._seen, None
        return seen

    def _taken(self, values: Tensor, bits: int, share: float) -> Tensor:
        """What values quantize to; what has no share in the result passes no gradient."""
        if share:
            return self.quantize(values, bits)
        with torch.no_grad():
            return self.quantize(values, bits)


class _Context(Protocol):
    saved_tensors: tuple[Tensor, ...]
    shares: list[float]
    place: torch.device

    def save_for_backward(self, *tensors: Tensor) -> None: ...


class _Mixed(torch.autograd.Function):
    """Sum of tensors by their shares; where one is drawn, nothing is computed but gradients."""

    @staticmethod
    def forward(ctx: _Context, shares: Tensor, *several: Tensor) -> Tensor:
        ctx.save_for_backward(*several)
        ctx.shares, ctx.place = shares.tolist(), shares.device
        if 1.0 in ctx.shares:
            return several[ctx.shares.index(1.0)].view_as(several[0])
        mixed = several[0] * ctx.shares[0]
        for share, each in zip(ctx.shares[1:], several[1:], strict=True):
            mixed.add_(each, alpha=share)
        return mixed

    @staticmethod
    def backward(ctx: _Context, gradient: Tensor) -> tuple[Tensor | None, ...]:
        of_shares = torch.stack([_inner(gradient, each) for each in ctx.saved_tensors])
        return of_shares.to(ctx.place), *(
            gradient if share == 1.0 else gradient * share if share else None
            for share in ctx.shares
        )


def _inner(one: Tensor, other: Tensor) -> Tensor:
    """Sum of products."""
    if one.is_contiguous() and other.is_contiguous():
        return torch.dot(one.view(-1), other.view(-1))
    return (one * other).sum()


def insert_quantizers(
    net: nn.Module,
    layers: tuple[QuantLayer, ...],
    weights: Mapping[str, Choice],
    activations: Mapping[str, Choice],
    *,
    measured: bool = True,
) -> list[MixingQuantizer]:
    """Makes ``net`` quantize all weights, and all activations where it says so, in place.

    Args:
        net: a float network (``Network``) whose activations are in their unit ranges.
        layers: its layers.
        weights: by the name of the layer, for every layer.
        activations: by the name of the layer, for every layer that has an activation.
        measured: whether the quantizers tell their errors.

    Returns:
        The quantizers that have a choice: those of each layer in order of the data, then those of
        sums. Averages are quantized with fixed bits.
    """
    quantizers = []
    places = {each.path: each for each in as_network(net).structure.quantizers}

    def insert(place: Quantizer, choice: Choice) -> MixingQuantizer:
        quantizer = MixingQuantizer(choice, partial(_quantize_place, place), measured=measured)
        float_part = nn.Identity() if place.signed else nn.ReLU()
        net.set_submodule(place.path, nn.Sequential(float_part, quantizer))
        return quantizer

    for layer in layers:
        quantize = partial(quantize_weights, per_channel=layer.norm is not None)
        quantizer = MixingQuantizer(weights[layer.name], quantize, measured=measured)
        parametrize.register_parametrization(
            net.get_submodule(layer.weight), "weight", quantizer, unsafe=True
        )
        quantizers.append(quantizer)
        if layer.activation is not None:
            quantizers.append(insert(places.pop(layer.activation), activations[layer.name]))
    for place in places.values():
        if place.layer is None:
            insert(place, Choice(place.path, (MEAN_BITS,), place.values))
        else:
            quantizers.append(insert(place, activations[place.layer]))
    return quantizers


def _quantize_place(place: Quantizer, values: Tensor, bits: int) -> Tensor:
    return code_grid(values, place.exponent(bits), signed=place.signed)


def remove_quantizers(net: nn.Module, layers: tuple[QuantLayer, ...]) -> None:
    """Undoes ``insert_quantizers``; the float weights stay as they were trained."""
    for layer in layers:
        parametrize.remove_parametrizations(
            net.get_submodule(layer.weight), "weight", leave_parametrized=False
        )
    for place in as_network(net).structure.quantizers:
        net.set_submodule(place.path, nn.Identity() if place.signed else nn.ReLU())
