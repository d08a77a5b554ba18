"""What the stages ask of a network: its layers, the frames it takes, the classes it knows."""

from torch import nn

from sdq_fpga.cost.limits import check_bits
from sdq_fpga.errors import UserError
from sdq_fpga.nets.network import Quantizer, QuantLayer
from sdq_fpga.nets.normal import as_network
from sdq_fpga.policy import Policy

__all__ = ["QuantLayer", "check_policy", "class_count", "frame_shape", "quant_layers", "quantizers"]


def frame_shape(net: nn.Module) -> tuple[int, ...]:
    """Shape of one input frame of ``net``, without the batch.

    Raises:
        UserError: the network does not say, or is not supported.
    """
    return as_network(net).input_shape


def class_count(net: nn.Module) -> int:
    """Number of scores of ``net``: the rows of its last layer.

    Raises:
        UserError: the network has a layer that does not fit.
    """
    network = as_network(net)
    last = network.structure.layers[-1]
    return network.get_submodule(last.weight).get_parameter("weight").shape[0]


def quant_layers(net: nn.Module) -> tuple[QuantLayer, ...]:
    """Every convolution and Linear of ``net``, with the batch norm and quantizer that follow it.

    The order is that of the data, not that in which modules were declared.

    Args:
        net: a float network; it is left as it was.

    Raises:
        UserError: a module or an operation does not fit, naming its path and what does fit.
    """
    return as_network(net).structure.layers


def quantizers(net: nn.Module) -> tuple[Quantizer, ...]:
    """Every place of ``net`` where activations are quantized, in order of the data.

    Raises:
        UserError: as ``quant_layers``.
    """
    return as_network(net).structure.quantizers


def check_policy(policy: Policy, network: str, net: nn.Module) -> None:
    """Makes sure that a policy is for a network, and that the hardware can do it.

    Args:
        policy: bits of every layer.
        network: name of the network.
        net: the network.

    Raises:
        UserError: it has other layers, bits that the hardware lacks, or activations of different
            bits that the network adds or joins.
    """
    structure = as_network(net).structure
    policy.check_network(network, tuple(layer.shape for layer in structure.layers))
    check_bits(policy, [layer.activation is not None for layer in structure.layers])
    bits = policy.activation_bits
    for layer in structure.layers:
        shared = structure.bits_layer(layer)
        if shared is not None and bits[layer.name] != bits[shared]:
            raise UserError(
                f"the policy gives layer '{shared}' {bits[shared]} activation bits and layer "
                f"'{layer.name}' {bits[layer.name]}, but their values are added or joined",
                "give both the same activation bits",
            )
