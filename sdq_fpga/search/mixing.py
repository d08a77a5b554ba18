"""Puts quantizers of undecided bits into a float network, at the paths of its layers and ReLUs."""

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from sdq_fpga.nets import Quantizer, QuantLayer, as_network
from sdq_fpga.nets.network import MEAN_BITS
from sdq_fpga.search.choice import Choice
from sdq_fpga.search.qer import expected_error, relative_error
from sdq_fpga.search.quantizers import code_grid, quantize_weights

__all__ = ["MixingQuantizer", "insert_quantizers", "remove_quantizers"]


class MixingQuantizer(nn.Module):
    """Mixes what the options of a choice quantize to; in evaluation mode it takes ``bits`` alone.

    Args:
        choice: the layer's bits.
        quantize: from values and bits to quantized values of the same shape.

    Attributes:
        error: expected relative error of what was quantized last in training mode, scalar; 0
            where nobody asked for it.
        measured: whether errors are asked for.
    """

    def __init__(
        self, choice: Choice, quantize: Callable[[Tensor, int], Tensor], *, measured: bool = True
    ) -> None:
        super().__init__()
        self.choice = choice
        self.quantize = quantize
        self.measured = measured
        self.error = torch.zeros(())

    def forward(self, values: Tensor) -> Tensor:
        """Maps values to quantized values of the same shape."""
        options = self.choice.options()
        if not self.training or len(options) == 1:
            quantized = self.quantize(values, self.choice.bits)
            if self.training and self.measured:
                self.error = relative_error(values, quantized)
            return quantized
        several = [self.quantize(values, bits) for bits in options]
        if self.measured:
            errors = torch.stack([relative_error(values, each) for each in several])
            self.error = expected_error(self.choice.probabilities().to(errors.device), errors)
        mixed = torch.zeros(())
        for share, each in zip(self.choice.shares(), several, strict=True):
            mixed = mixed + share * each
        return mixed


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
