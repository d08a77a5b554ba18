"""Gives every layer of a network its DBPs, with the candidates that a flow states."""

from torch import nn

from sdq_fpga.errors import UserError
from sdq_fpga.flow import SearchSpec
from sdq_fpga.nets import QuantLayer, as_network
from sdq_fpga.search.dbp import Dbp

__all__ = ["activation_dbps", "unique", "weight_dbps"]


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

    Layers whose values are added or joined share one, so that both arms of a sum have the same
    quantizer; it has the name of the first of them.

    Raises:
        UserError: the network is a single layer, without activations.
    """
    if len(layers) < 2:
        raise UserError(
            f"the network's only layer is '{layers[0].name}', so there is nothing to search",
            "use a network of two layers or more",
        )
    structure = as_network(net).structure
    sizes: dict[str, int] = {}
    for quantizer in structure.quantizers:
        if quantizer.layer is not None:
            sizes[quantizer.layer] = sizes.get(quantizer.layer, 0) + quantizer.values
    dbps = {name: Dbp(name, spec.activation_bits, size) for name, size in sizes.items()}
    shared = {layer.name: structure.bits_layer(layer) for layer in layers}
    return {name: dbps[owner] for name, owner in shared.items() if owner is not None}


def unique(dbps: dict[str, Dbp]) -> list[Dbp]:
    """Each DBP once, in order."""
    return list(dict.fromkeys(dbps.values()))
