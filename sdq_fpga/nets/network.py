"""Network: a float network as a graph of plain torch modules, with every quantizer in its place."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from sdq_fpga.errors import UserError
from sdq_fpga.policy import LayerShape

__all__ = ["FRAMES", "MEAN_BITS", "Network", "QuantLayer", "Quantizer", "Step", "Structure"]

FRAMES = "<frames>"
"""What steps call the network's input."""

MEAN_BITS = 8
"""Bits of averages: those of a pool, whose inputs have fewer, are worth more than these have."""

# The hardware compares an activation with at most 2^8 - 1 thresholds.
_MOST_BITS = 8


@dataclass(frozen=True)
class Step:
    """One operation on the data.

    Attributes:
        name: of its result, unique.
        operation: "module" calls the module at ``path``; "add" is the sum of two values, "cat"
            joins the channels of several.
        inputs: names of the values that it takes.
        path: of the module; empty for others.
        place: what messages call it.
    """

    name: str
    operation: Literal["module", "add", "cat"]
    inputs: tuple[str, ...]
    path: str
    place: str


@dataclass(frozen=True)
class Quantizer:
    """A place where values are quantized: to codes times a power of two, signed or not.

    Attributes:
        path: of the module that the quantizer takes the place of: a ReLU, or an identity.
        signed: whether values are in [-1, 1) instead of [0, 1), once ranges are normalised.
        layer: name of the layer whose activation bits it has; None for ``MEAN_BITS``.
        group: values of one group are added or joined somewhere, so they share one range; it is
            called by the first quantizer's layer. None where the network's frames belong to it,
            whose range is fixed.
        values: how many there are in one frame.
    """

    path: str
    signed: bool
    layer: str | None
    group: str | None
    values: int

    def code_bits(self, bits: int | None) -> int:
        """Bits of its codes, from the activation bits of its layer.

        A sign takes one bit more, so that both arms of a sum have one scale, up to the 8 bits
        that thresholds can make: there the step doubles.

        Args:
            bits: activation bits of ``layer``, or None where that is None.

        Raises:
            ValueError: ``bits`` is missing.
        """
        given = MEAN_BITS if self.layer is None else bits
        if given is None:
            raise ValueError(f"the quantizer '{self.path}' has no bits")
        return min(given + self.signed, _MOST_BITS)

    def exponent(self, bits: int | None) -> int:
        """E of the scale 2^-e of one code."""
        return self.code_bits(bits) - self.signed


@dataclass(frozen=True)
class QuantLayer:
    """One layer with weights, and what follows it.

    Attributes:
        name: what messages and policies call it: the path of its weight module.
        shape: its number of weights and multiplications.
        weight: path of the convolution or Linear module, for example "block1.conv".
        norm: path of the batch norm that follows; None for the last layer.
        activation: path of the quantizer that follows; None for the last layer.
        sources: paths of the quantizers whose values it takes; none for the network's frames.
    """

    name: str
    shape: LayerShape
    weight: str
    norm: str | None
    activation: str | None
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Structure:
    """What is known of a network.

    Attributes:
        name: what messages call the network.
        steps: in order of the data; each takes the frames (``FRAMES``) or earlier results.
        output: name of the scores.
        layers: those with weights, in order of the data.
        quantizers: all places where activations are quantized, in order of the data.
    """

    name: str
    steps: tuple[Step, ...]
    output: str
    layers: tuple[QuantLayer, ...] = ()
    quantizers: tuple[Quantizer, ...] = ()

    def quantizer(self, path: str) -> Quantizer:
        """The quantizer at a path.

        Raises:
            KeyError: there is none.
        """
        for each in self.quantizers:
            if each.path == path:
                return each
        raise KeyError(path)

    def bits_layer(self, layer: QuantLayer) -> str | None:
        """The layer whose activation bits ``layer`` shares: itself, or one that it is added to."""
        return None if layer.activation is None else self.quantizer(layer.activation).layer

    def range_group(self, layer: QuantLayer) -> str | None:
        """The group whose range the inputs of ``layer`` have; None for a fixed one."""
        return self.quantizer(layer.sources[0]).group if layer.sources else None


class Network(nn.Module):
    """Calls modules in the order of ``structure``; they keep their paths.

    Args:
        input_shape: of one frame, without the batch.
        modules: by their paths; they become part of this network.
        structure: which module takes what.

    Attributes:
        input_shape: as given.
        structure: as given.

    Raises:
        UserError: a module has a name that torch keeps for itself.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        modules: dict[str, nn.Module],
        structure: Structure,
    ) -> None:
        super().__init__()
        self.input_shape = input_shape
        self.structure = structure
        for path, module in modules.items():
            parent: nn.Module = self
            *parents, last = path.split(".")
            try:
                for part in parents:
                    if part not in parent._modules:
                        parent.add_module(part, nn.Module())
                    parent = parent.get_submodule(part)
                parent.add_module(last, module)
            except KeyError as error:
                raise UserError(
                    f"module '{path}' of network {structure.name} has a name that is taken",
                    "call it otherwise",
                ) from error

    def forward(self, frames: Tensor) -> Tensor:
        """Maps frames [N, *input_shape] to raw scores [N, classes]."""
        return self.values(frames)[self.structure.output]

    def values(self, frames: Tensor, *, keep: bool = False) -> dict[str, Tensor]:
        """The results of the steps by their names, with that of the last one.

        Args:
            frames: [N, *input_shape].
            keep: whether those that no later step takes are kept as well.
        """
        steps = self.structure.steps
        last = {name: index for index, step in enumerate(steps) for name in step.inputs}
        found = {FRAMES: frames}
        for index, step in enumerate(steps):
            taken = [found[name] for name in step.inputs]
            if step.operation == "module":
                found[step.name] = self.get_submodule(step.path)(taken[0])
            elif step.operation == "add":
                found[step.name] = taken[0] + taken[1]
            else:
                found[step.name] = torch.cat(taken, 1)
            for name in step.inputs:
                if not keep and last[name] == index:
                    found.pop(name, None)
        return found
