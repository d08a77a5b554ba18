"""Brings every activation of a float network into [0, 1) or [-1, 1), its function unchanged.

Values that are added or joined somewhere have one range: those of one group
(``sdq_fpga.nets.network.Quantizer``).
"""

import copy

import torch
from torch import Tensor, nn

from sdq_fpga.data.dataset import Images
from sdq_fpga.nets import Quantizer, as_network
from sdq_fpga.search.quantizers import code_grid
from sdq_fpga.train import to_input

__all__ = ["activation_ranges", "rescale_activations", "unit_ranges"]

# More frames or values than these don't move a range by more than one of its steps; large frames
# are fewer, for the memory that their activations take.
_FRAMES = 1024
_PIXELS = 1 << 22
_VALUES = 1 << 16
_STEPS = 100


def unit_ranges(net: nn.Module, images: Images, bits: int) -> nn.Module:
    """A copy of ``net`` whose activations fill their ranges, best for a grid of ``bits``.

    Every ReLU6 becomes a ReLU: no range is above 6, so the quantizer cuts what it cut.

    Args:
        net: a float network; it is not changed.
        images: uint8 training images [N, ...]; up to 1024 of them, evenly spread, are used, where
            the network is.
        bits: of the activations.
    """
    scaled = rescale_activations(net, activation_ranges(net, images, bits))
    for path, module in list(scaled.named_modules()):
        if isinstance(module, nn.ReLU6):
            scaled.set_submodule(path, nn.ReLU())
    return scaled


def activation_ranges(net: nn.Module, images: Images, bits: int) -> dict[str, float]:
    """The range r of each group's values x with the least squared error of r * grid(x / r).

    Args:
        net: a float network.
        images: uint8 training images [N, ...].
        bits: of the grid.

    Returns:
        Ranges above 0, by the name of the group: in a chain, the layer that a ReLU belongs to.
    """
    network = as_network(net)
    outputs: dict[str, dict[Quantizer, tuple[float, Tensor]]] = {}
    hooks = []
    for quantizer in network.structure.quantizers:
        if quantizer.group is not None and quantizer.layer is not None:

            def record(
                _: nn.Module, __: object, output: Tensor, quantizer: Quantizer = quantizer
            ) -> None:
                values = output.flatten()
                largest = (values.abs() if quantizer.signed else values).max().item()
                kept = values[:: max(1, len(values) // _VALUES)].clone()
                outputs.setdefault(str(quantizer.group), {})[quantizer] = largest, kept

            hooks.append(network.get_submodule(quantizer.path).register_forward_hook(record))
    training = network.training
    network.eval()
    most = min(_FRAMES, max(1, _PIXELS // images[0].size))
    some = torch.from_numpy(images[:: max(1, len(images) // most)][:most])
    device = next(network.parameters()).device
    try:
        with torch.no_grad():
            network(to_input(some.to(device)))
    finally:
        network.train(training)
        for hook in hooks:
            hook.remove()
    return {group: _best_range(found, bits) for group, found in outputs.items()}


def rescale_activations(net: nn.Module, ranges: dict[str, float]) -> nn.Module:
    """A copy of ``net`` in which each group's values are divided by a positive range.

    ReLU, pools and sums are positively homogeneous, relu(x / r) = relu(x) / r: the batch norms
    before them are divided by r and the weights after them multiplied by r, which leaves the
    scores as they were.

    Args:
        net: a float network; it is not changed.
        ranges: by the name of the group; one without a range is left as it is.
    """
    scaled = copy.deepcopy(as_network(net))
    structure = scaled.structure
    with torch.no_grad():
        for layer in structure.layers:
            if layer.norm is None or layer.activation is None:
                continue
            group = structure.quantizer(layer.activation).group
            if group in ranges:
                norm = scaled.get_submodule(layer.norm)
                norm.get_parameter("weight").div_(ranges[group])
                norm.get_parameter("bias").div_(ranges[group])
        for layer in structure.layers:
            group = structure.range_group(layer)
            if group in ranges:
                scaled.get_submodule(layer.weight).get_parameter("weight").mul_(ranges[group])
    return scaled


def _best_range(outputs: dict[Quantizer, tuple[float, Tensor]], bits: int) -> float:
    """Tries ``_STEPS`` ranges up to the largest value; all quantizers count alike."""
    largest = max(most for most, _ in outputs.values())
    if largest <= 0:
        return 1.0
    ranges = [largest * (step + 1) / _STEPS for step in range(_STEPS)]

    def error(quantizer: Quantizer, values: Tensor, candidate: float) -> float:
        rounded = code_grid(values / candidate, quantizer.exponent(bits), signed=quantizer.signed)
        return (values - candidate * rounded).square().mean().item()

    errors = [
        sum(error(quantizer, values, candidate) for quantizer, (_, values) in outputs.items())
        for candidate in ranges
    ]
    return ranges[errors.index(min(errors))]
