"""Gives every layer of a network its DBPs, with the candidates that a flow states."""

from torch import nn

from sdq_fpga.errors import UserError
from sdq_fpga.flow import SearchSpec
from sdq_fpga.nets import QuantLayer
from sdq_fpga.search.dbp import Dbp

__all__ = ["activation_dbps", "weight_dbps"]


def weight_dbps(spec: SearchSpec, layers: tuple[QuantLayer, ...]) -> dict[str, Dbp]:
    """A DBP for the weights of every layer, by its name, sized by its number of weights.

    Raises:
        UserError: ``fixed_weight_bits`` names a layer that does not exist.
    """
    names = [layer.name for layer in layers]
    for name in spec.fixed_weight_bits:
        if name not in names:
            raise UserError(
                f"fixed_weight_bits names layer '{name}', which the network lacks",
                f"use one of {', '.join(names)}",
            )
    return {
        layer.name: Dbp(
            layer.name,
            (spec.fixed_weight_bits[layer.name],)
            if layer.name in spec.fixed_weight_bits
            else spec.weight_bits,
            layer.shape.weights,
        )
        for layer in layers
    }


def activation_dbps(
    spec: SearchSpec, layers: tuple[QuantLayer, ...], net: nn.Module
) -> dict[str, Dbp]:
    """A DBP for the activations of every layer but the last, sized by their number in a frame.

    Raises:
        UserError: the network is a single layer, without activations.
    """
    if len(layers) < 2:
        raise UserError(
            f"the network's only layer is '{layers[0].name}', so there is nothing to search",
            "use a network of two layers or more",
        )
    return {
        layer.name: Dbp(layer.name, spec.activation_bits, _values(layer, net))
        for layer in layers
        if layer.activation is not None
    }


def _values(layer: QuantLayer, net: nn.Module) -> int:
    """Activation values of one frame: a weight is used once for each position of its channel."""
    channels = net.get_submodule(layer.weight).get_parameter("weight").shape[0]
    return channels * layer.shape.macs // layer.shape.weights
