"""Brings every activation of a float network into [0, 1), without changing its function."""

import copy
from itertools import pairwise

import torch
from torch import Tensor, nn

from sdq_fpga.data.dataset import Images
from sdq_fpga.nets import quant_layers
from sdq_fpga.search.quantizers import activation_grid
from sdq_fpga.train import to_input

__all__ = ["activation_ranges", "rescale_activations", "unit_ranges"]

# More frames or values than these don't move a range by more than one of its steps.
_FRAMES = 1024
_VALUES = 1 << 16
_STEPS = 100


def unit_ranges(net: nn.Module, images: Images, bits: int) -> nn.Module:
    """A copy of ``net`` whose activations fill [0, 1), best for a grid of ``bits``.

    Args:
        net: a float network; it is not changed.
        images: uint8 training images [N, ...]; up to 1024 of them, evenly spread, are used.
        bits: of the activations.
    """
    return rescale_activations(net, activation_ranges(net, images, bits))


def activation_ranges(net: nn.Module, images: Images, bits: int) -> dict[str, float]:
    """The range r of each ReLU's output x with the least squared error of r * grid(x / r).

    Args:
        net: a float network.
        images: uint8 training images [N, ...].
        bits: of the grid.

    Returns:
        Ranges above 0, by the name of the layer that the ReLU belongs to.
    """
    outputs: dict[str, Tensor] = {}
    hooks = []
    for layer in quant_layers(net):
        if layer.activation is not None:

            def record(_: nn.Module, __: object, output: Tensor, name: str = layer.name) -> None:
                outputs[name] = output.flatten()

            hooks.append(net.get_submodule(layer.activation).register_forward_hook(record))
    training = net.training
    net.eval()
    try:
        with torch.no_grad():
            net(to_input(torch.from_numpy(images[:: max(1, len(images) // _FRAMES)][:_FRAMES])))
    finally:
        net.train(training)
        for hook in hooks:
            hook.remove()
    return {name: _best_range(output, bits) for name, output in outputs.items()}


def rescale_activations(net: nn.Module, ranges: dict[str, float]) -> nn.Module:
    """A copy of ``net`` in which each layer's activations are divided by a positive range.

    ReLU is positively homogeneous, relu(x / r) = relu(x) / r: the batch norm before it is
    divided by r and the weights after it multiplied by r, which leaves the scores as they were.

    Args:
        net: a float network; it is not changed.
        ranges: by the name of the layer; a layer without one is left as it is.
    """
    scaled = copy.deepcopy(net)
    layers = quant_layers(scaled)
    with torch.no_grad():
        for layer, following in pairwise(layers):
            if layer.norm is None or layer.name not in ranges:
                continue
            norm = scaled.get_submodule(layer.norm)
            norm.get_parameter("weight").div_(ranges[layer.name])
            norm.get_parameter("bias").div_(ranges[layer.name])
            scaled.get_submodule(following.weight).get_parameter("weight").mul_(ranges[layer.name])
    return scaled


def _best_range(values: Tensor, bits: int) -> float:
    """Tries ``_STEPS`` ranges up to the largest value."""
    largest = values.max().item()
    values = values[:: max(1, len(values) // _VALUES)]
    if largest <= 0:
        return 1.0
    ranges = [largest * (step + 1) / _STEPS for step in range(_STEPS)]
    errors = [
        (values - candidate * activation_grid(values / candidate, bits)).square().mean().item()
        for candidate in ranges
    ]
    return ranges[errors.index(min(errors))]
