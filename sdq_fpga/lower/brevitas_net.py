"""Turns a normalised network and a policy into a Brevitas network.

Every scale is a constant power of two (see ``search.normalise``), so that floating point computes
the integer network exactly: a product of codes times a power of two needs no rounding in float32
as long as the accumulator has under 24 bits.
"""

import copy

from brevitas.nn import QuantConv2d, QuantLinear, QuantReLU
from brevitas.quant import Int8WeightPerTensorFixedPoint, Uint8ActPerTensorFixedPoint
from torch import nn

from sdq_fpga.cost.limits import check_bits
from sdq_fpga.nets.layers import quant_layers
from sdq_fpga.policy import Policy

__all__ = ["to_brevitas"]


class UnitWeightQuant(Int8WeightPerTensorFixedPoint):  # type: ignore[misc]
    """Codes in [-(2^(b-1)-1), 2^(b-1)-1], scale 2^-(b-1): weights fill [-1, 1]."""

    scaling_impl_type = "const"
    scaling_init = 1.0
    narrow_range = True


class UnitActivationQuant(Uint8ActPerTensorFixedPoint):  # type: ignore[misc]
    """Codes in [0, 2^a-1], scale 2^-a: activations fill [0, 1)."""

    scaling_impl_type = "const"
    scaling_init = 1.0
    min_val = 0.0
    max_val = 1.0


def to_brevitas(net: nn.Module, policy: Policy) -> nn.Module:
    """Replaces every layer of ``net`` by its Brevitas counterpart at the policy's bits.

    Args:
        net: a network on the normalised grid: weights in [-1, 1], activations in [0, 1).
        policy: bits for each of its layers.

    Returns:
        A new module with the same module paths and the weights of ``net``.

    Raises:
        UserError: the policy is for another network, or the hardware lacks its bits.
    """
    layers = quant_layers(net)
    policy.check_network(policy.network, tuple(layer.shape for layer in layers))
    check_bits(policy, [layer.activation is not None for layer in layers])
    quantized = copy.deepcopy(net)
    for layer, bits in zip(layers, policy.layers, strict=True):
        weight = net.get_submodule(layer.weight)
        quantized.set_submodule(layer.weight, _quantized_weight_layer(weight, bits.weight_bits))
        if layer.activation is not None:
            activation = QuantReLU(act_quant=UnitActivationQuant, bit_width=bits.activation_bits)
            quantized.set_submodule(layer.activation, activation)
    quantized.load_state_dict(net.state_dict(), strict=False)
    return quantized


def _quantized_weight_layer(layer: nn.Module, bits: int) -> nn.Module:
    quant = {"bias": False, "weight_quant": UnitWeightQuant, "weight_bit_width": bits}
    if isinstance(layer, nn.Conv2d):
        return QuantConv2d(  # type: ignore[no-any-return]
            layer.in_channels,
            layer.out_channels,
            layer.kernel_size,
            stride=layer.stride,
            padding=layer.padding,
            **quant,
        )
    if isinstance(layer, nn.Linear):
        return QuantLinear(  # type: ignore[no-any-return]
            layer.in_features, layer.out_features, **quant
        )
    raise TypeError(f"quant_layers() named a {type(layer).__name__} as a weight layer")
