"""What a policy costs by counting, without a board: what the priced cost is compared with.

With these the interval is taken to be in proportion to the count.
"""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from sdq_fpga.nets.network import MEAN_BITS
from sdq_fpga.search.choice import Choice
from sdq_fpga.search.space import Space

__all__ = ["Count", "bit_count", "mac_count"]

C = TypeVar("C", bound=Choice)

Count = Callable[[Tensor], Tensor]
"""From [choices] expected bits, in order of the space's, to a scalar; differentiable."""

_FRAME_BITS = 8


def bit_count(space: Space[C]) -> Count:
    """Bits of all weights, and of all activation values of a frame."""
    sizes = torch.tensor([float(each.size) for each in space.choices])
    return lambda bits: sizes @ bits


def mac_count(space: Space[C]) -> Count:
    """Bit operations: multiplications by bits of both operands, summed over the layers.

    A layer that takes the values of several quantizers has the mean of their bits; frames have 8.
    """
    choices, structure = space.choices, space.structure
    macs = torch.tensor([float(layer.shape.macs) for layer in structure.layers])
    weights = [choices.index(space.weights[layer.name]) for layer in structure.layers]
    inputs = torch.zeros(len(structure.layers), len(choices))
    fixed = torch.zeros(len(structure.layers))
    for row, layer in enumerate(structure.layers):
        if not layer.sources:
            fixed[row] = _FRAME_BITS
        for path in layer.sources:
            owner = structure.quantizer(path).layer
            if owner is None:
                fixed[row] += MEAN_BITS / len(layer.sources)
            else:
                column = choices.index(space.activations[owner])
                inputs[row, column] += 1 / len(layer.sources)
    return lambda bits: (macs * bits[weights] * (inputs @ bits + fixed)).sum()
