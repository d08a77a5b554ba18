"""Puts stochastic quantizers into a float network, at the paths of its layers and ReLUs."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from sdq_fpga.nets import QuantLayer
from sdq_fpga.search.dbp import Dbp
from sdq_fpga.search.qer import expected_error, relative_error
from sdq_fpga.search.quantizers import activation_grid, quantize_weights

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
    """Makes every layer of ``net`` quantize its weights, and every ReLU its output, in place.

    Args:
        net: a float network whose activations are in [0, 1).
        layers: its layers.
        weight_dbps: by the name of the layer, for every layer.
        activation_dbps: by the name of the layer, for every layer that has an activation.

    Returns:
        The quantizers, in order of the data.
    """
    quantizers = []
    for layer in layers:
        quantize = partial(quantize_weights, per_channel=layer.norm is not None)
        quantizer = StochasticQuantizer(weight_dbps[layer.name], quantize)
        parametrize.register_parametrization(
            net.get_submodule(layer.weight), "weight", quantizer, unsafe=True
        )
        quantizers.append(quantizer)
        if layer.activation is not None:
            quantizer = StochasticQuantizer(activation_dbps[layer.name], activation_grid)
            net.set_submodule(layer.activation, nn.Sequential(nn.ReLU(), quantizer))
            quantizers.append(quantizer)
    return quantizers


def remove_quantizers(net: nn.Module, layers: tuple[QuantLayer, ...]) -> None:
    """Undoes ``insert_quantizers``; the float weights stay as they were trained."""
    for layer in layers:
        parametrize.remove_parametrizations(
            net.get_submodule(layer.weight), "weight", leave_parametrized=False
        )
        if layer.activation is not None:
            net.set_submodule(layer.activation, nn.ReLU())
