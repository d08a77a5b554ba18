"""Brings the weights of a searched network onto the normalised grid, without changing it."""

import copy

import torch
from torch import nn

from sdq_fpga.nets import as_network, check_policy
from sdq_fpga.policy import Policy
from sdq_fpga.search.entropy import entropy_clip
from sdq_fpga.search.quantizers import gaussian_clip, weight_unit

__all__ = ["normalised_state"]


def normalised_state(net: nn.Module, policy: Policy, *, even_bins: bool = False) -> nn.Module:
    """A copy of ``net`` whose weights are in units of the grid that the policy gives them.

    Each layer's weights w are divided by their unit u (``weight_unit``), one for each output
    channel, one for the whole last layer. So ``weight_grid(w / u, bits)`` are the very codes
    that the search trained with, and a quantizer of constant scale 2^-(bits-1) gives them. The
    batch norm after the layer takes u in: with mean' = mean / u, var' = var / u^2 and
    gamma' = gamma * sqrt((var / u^2 + eps) / ((var + eps) / u^2)) its output is as before, eps
    included. The scores of the last layer, and its bias, come out divided by its unit, a positive
    number.

    Args:
        net: a float network whose activations are in [0, 1); it is not changed.
        policy: bits of its layers.
        even_bins: whether units are those of the most entropy of the codes (``entropy_clip``), and
            not those that the search trained with, of the least squared error.

    Raises:
        UserError: the policy is of another network, or the hardware can't do it.
    """
    copied = copy.deepcopy(as_network(net))
    check_policy(policy, policy.network, copied)
    layers = copied.structure.layers
    with torch.no_grad():
        for layer, bits in zip(layers, policy.layers, strict=True):
            weight = copied.get_submodule(layer.weight).get_parameter("weight")
            unit = weight_unit(weight, bits.weight_bits, per_channel=layer.norm is not None)
            if even_bins:
                unit *= entropy_clip(bits.weight_bits) / gaussian_clip(bits.weight_bits)
            weight.div_(unit)
            bias = getattr(copied.get_submodule(layer.weight), "bias", None)
            if bias is not None:
                bias.div_(unit.flatten())
            if layer.norm is not None:
                _absorb(copied.get_submodule(layer.norm), unit.flatten())
    return copied


def _absorb(norm: nn.Module, unit: torch.Tensor) -> None:
    """Adapts a batch norm to inputs that are divided by ``unit`` [channels]."""
    if not isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
        raise TypeError(f"quant_layers() named a {type(norm).__name__} as a batch norm")
    mean, var = norm.get_buffer("running_mean"), norm.get_buffer("running_var")
    before = (var + norm.eps) / unit.square()
    mean.div_(unit)
    var.div_(unit.square())
    norm.get_parameter("weight").mul_(((var + norm.eps) / before).sqrt())
