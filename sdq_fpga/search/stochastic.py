"""Puts stochastic quantizers into a float network, at the paths of its layers and ReLUs."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from sdq_fpga.nets import Quantizer, QuantLayer, as_network
from sdq_fpga.nets.network import MEAN_BITS
from sdq_fpga.search.dbp import Dbp
from sdq_fpga.search.qer import expected_error, relative_error
from sdq_fpga.search.quantizers import code_grid, quantize_weights

__all__ = ["StochasticQuantizer", "insert_quantizers", "remove_quantizers"]


class StochasticQuantizer(nn.Module):
    """Quantizes with b_i or b_(i-1) bits, as its DBP draws; with b_i in evaluation mode.

    Args:
        dbp: the layer's bits.
        quantize: from values and bits to quantized values of the same shape.

    Attributes:
        error: expected relative error of what was quantized last in training mode, scalar.
    """

    def __init__(self, dbp: Dbp, quantize: Callable[[Tensor, int], Tensor]) -> None:
        super().__init__()
        self.dbp = dbp
        self.quantize = quantize
        self.error = torch.zeros(())

    def forward(self, values: Tensor) -> Tensor:
        """Maps values to quantized values of the same shape."""
        high = self.quantize(values, self.dbp.bits)
        if not self.training:
            return high
        if self.dbp.deterministic:
            self.error = relative_error(values, high)
            return high
        low = self.quantize(values, self.dbp.lower_bits)
        self.error = expected_error(
            self.dbp.beta, relative_error(values, high), relative_error(values, low)
        )
        gate = self.dbp.draw()
        return gate * high + (1 - gate) * low


def insert_quantizers(
    net: nn.Module,
    layers: tuple[QuantLayer, ...],
    weight_dbps: dict[str, Dbp],
    activation_dbps: dict[str, Dbp],
) -> list[StochasticQuantizer]:
    """Makes ``net`` quantize all weights, and all activations where it says so, in place.

    Args:
        net: a float network (``Network``) whose activations are in their unit ranges.
        layers: its layers.
        weight_dbps: by the name of the layer, for every layer.
        activation_dbps: by the name of the layer, for every layer that has an activation.

    Returns:
        The quantizers that have a DBP: those of each layer in order of the data, then those of
        sums. Averages are quantized with fixed bits.
    """
    quantizers = []
    places = {each.path: each for each in as_network(net).structure.quantizers}

    def insert(place: Quantizer, dbp: Dbp) -> StochasticQuantizer:
        quantizer = StochasticQuantizer(dbp, partial(_quantize_place, place))
        float_part = nn.Identity() if place.signed else nn.ReLU()
        net.set_submodule(place.path, nn.Sequential(float_part, quantizer))
        return quantizer

    for layer in layers:
        quantize = partial(quantize_weights, per_channel=layer.norm is not None)
        quantizer = StochasticQuantizer(weight_dbps[layer.name], quantize)
        parametrize.register_parametrization(
            net.get_submodule(layer.weight), "weight", quantizer, unsafe=True
        )
        quantizers.append(quantizer)
        if layer.activation is not None:
            quantizers.append(insert(places.pop(layer.activation), activation_dbps[layer.name]))
    for place in places.values():
        if place.layer is None:
            insert(place, Dbp(place.path, (MEAN_BITS,), place.values))
        else:
            quantizers.append(insert(place, activation_dbps[place.layer]))
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
