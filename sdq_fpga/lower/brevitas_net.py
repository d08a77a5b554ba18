"""Turns a normalised network and a policy into a Brevitas network.

Every scale is a constant power of two (see ``search.normalise``), so that floating point computes
the integer network exactly: a product of codes times a power of two needs no rounding in float32
as long as the accumulator has under 24 bits.
"""

import copy

from brevitas.nn import QuantConv1d, QuantConv2d, QuantIdentity, QuantLinear, QuantReLU
from brevitas.quant import (
    Int8ActPerTensorFixedPoint,
    Int8WeightPerTensorFixedPoint,
    Uint8ActPerTensorFixedPoint,
)
from torch import nn

from sdq_fpga.nets.layers import check_policy
from sdq_fpga.nets.normal import as_network
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


class SignedActivationQuant(Int8ActPerTensorFixedPoint):  # type: ignore[misc]
    """Codes in [-2^(b-1), 2^(b-1)-1], scale 2^-(b-1): activations fill [-1, 1)."""

    scaling_impl_type = "const"
    scaling_init = 1.0
    min_val = -1.0
    max_val = 1.0


def to_brevitas(net: nn.Module, policy: Policy) -> nn.Module:
    """Replaces every layer and quantizer of ``net`` by its Brevitas counterpart.

    Args:
        net: a network on the normalised grid: weights in [-1, 1], activations in [0, 1), or in
            [-1, 1) where they have a sign.
        policy: bits for each of its layers.

    Returns:
        A new module with the same module paths and the weights of ``net``.

    Raises:
        UserError: the policy is for another network, or the hardware lacks its bits.
    """
    float_net = as_network(net)
    check_policy(policy, policy.network, float_net)
    structure = float_net.structure
    quantized = copy.deepcopy(float_net)
    activation_bits = policy.activation_bits
    for layer, bits in zip(structure.layers, policy.layers, strict=True):
        weight = float_net.get_submodule(layer.weight)
        quantized.set_submodule(layer.weight, _quantized_weight_layer(weight, bits.weight_bits))
    for place in structure.quantizers:
        bits_of_codes = place.code_bits(activation_bits[place.layer])
        quantizer: nn.Module = (
            QuantIdentity(act_quant=SignedActivationQuant, bit_width=bits_of_codes)
            if place.signed
            else QuantReLU(act_quant=UnitActivationQuant, bit_width=bits_of_codes)
        )
        quantized.set_submodule(place.path, quantizer)
    quantized.load_state_dict(float_net.state_dict(), strict=False)
    return quantized


def _quantized_weight_layer(layer: nn.Module, bits: int) -> nn.Module:
    quant = {
        "bias": layer.bias is not None,
        "weight_quant": UnitWeightQuant,
        "weight_bit_width": bits,
    }
    if isinstance(layer, nn.Conv1d | nn.Conv2d):
        kind = QuantConv2d if isinstance(layer, nn.Conv2d) else QuantConv1d
        return kind(  # type: ignore[no-any-return]
            layer.in_channels,
            layer.out_channels,
            layer.kernel_size,
            stride=layer.stride,
            padding=layer.padding,
            dilation=layer.dilation,
            groups=layer.groups,
            **quant,
        )
    if isinstance(layer, nn.Linear):
        return QuantLinear(  # type: ignore[no-any-return]
            layer.in_features, layer.out_features, **quant
        )
    raise TypeError(f"quant_layers() named a {type(layer).__name__} as a weight layer")
