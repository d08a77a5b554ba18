"""What a search chooses among: the bits of the weights and activations of every layer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from torch import nn

from sdq_fpga.errors import UserError
from sdq_fpga.flow import SearchSpec
from sdq_fpga.nets import QuantLayer, as_network
from sdq_fpga.nets.network import Structure
from sdq_fpga.policy import LayerBits, Policy
from sdq_fpga.search.choice import Choice

__all__ = ["Make", "Space", "activation_choices", "unique", "weight_choices"]

C = TypeVar("C", bound=Choice)

Make = Callable[[str, Sequence[int], int], C]
"""Makes a choice of a name, candidates and a size."""


@dataclass(frozen=True)
class Space(Generic[C]):
    """The choices of a network.

    Attributes:
        structure: of the network.
        weights: of the weights of each layer, by its name.
        activations: of the activations of each layer but the last; some are shared.
    """

    structure: Structure
    weights: Mapping[str, C]
    activations: Mapping[str, C]

    @classmethod
    def of(
        cls, spec: SearchSpec, net: nn.Module, make: Make[C], most: Policy | None = None
    ) -> "Space[C]":
        """The choices with the candidates that a flow states.

        Args:
            spec: of the flow.
            net: the network.
            make: makes a choice.
            most: bits that no layer is to exceed, each of them a candidate; None for any.

        Raises:
            UserError: a fixed layer does not exist, or the network is a single layer.
        """
        structure = as_network(net).structure
        weights, activations = make, make
        if most is not None:
            of_layer = {layer.shape.name: layer for layer in most.layers}
            weights = _at_most(make, lambda name: of_layer[name].weight_bits)
            activations = _at_most(make, lambda name: of_layer[name].activation_bits)
        return cls(
            structure,
            weight_choices(spec, structure.layers, weights),
            activation_choices(spec, structure.layers, net, activations),
        )

    @property
    def choices(self) -> tuple[C, ...]:
        """Of weights, then of activations; each once."""
        return (*unique(self.weights), *unique(self.activations))

    def layer_bits(self) -> tuple[LayerBits, ...]:
        """Bits that each layer is at."""
        return tuple(
            LayerBits(
                shape=layer.shape,
                weight_bits=self.weights[layer.name].bits,
                activation_bits=(
                    self.activations[layer.name].bits if layer.activation is not None else None
                ),
            )
            for layer in self.structure.layers
        )


def _at_most(make: Make[C], most: Callable[[str], int | None]) -> Make[C]:
    def limited(name: str, candidates: Sequence[int], size: int) -> C:
        return make(name, [bits for bits in candidates if bits <= (most(name) or bits)], size)

    return limited


def weight_choices(spec: SearchSpec, layers: tuple[QuantLayer, ...], make: Make[C]) -> dict[str, C]:
    """A choice for the weights of every layer, by its name, sized by its number of weights.

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
        layer.name: make(
            layer.name,
            (spec.fixed_weight_bits[layer.name],)
            if layer.name in spec.fixed_weight_bits
            else spec.weight_bits,
            layer.shape.weights,
        )
        for layer in layers
    }


def activation_choices(
    spec: SearchSpec, layers: tuple[QuantLayer, ...], net: nn.Module, make: Make[C]
) -> dict[str, C]:
    """A choice for the activations of every layer but the last, sized by their number in a frame.

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
    made = {name: make(name, spec.activation_bits, size) for name, size in sizes.items()}
    shared = {layer.name: structure.bits_layer(layer) for layer in layers}
    return {name: made[owner] for name, owner in shared.items() if owner is not None}


def unique(choices: Mapping[str, C]) -> list[C]:
    """Each choice once, in order."""
    return list(dict.fromkeys(choices.values()))
