"""Float networks: plain torch modules, made by the kind that a flow names."""

import inspect
from collections.abc import Callable

import torch
from torch import nn

from sdq_fpga.errors import UserError
from sdq_fpga.flow import NetworkSpec
from sdq_fpga.imports import own_function
from sdq_fpga.nets.cnn import Cnn
from sdq_fpga.nets.cnv import Cnv
from sdq_fpga.nets.layers import (
    QuantLayer,
    check_policy,
    class_count,
    frame_shape,
    quant_layers,
    quantizers,
)
from sdq_fpga.nets.mlp import Mlp
from sdq_fpga.nets.mobilenet import MobileNetV2
from sdq_fpga.nets.network import Network, Quantizer
from sdq_fpga.nets.normal import as_network
from sdq_fpga.nets.resnet import ResNet
from sdq_fpga.nets.vgg1d import Vgg1d

__all__ = [
    "Cnn",
    "Cnv",
    "Mlp",
    "MobileNetV2",
    "Network",
    "QuantLayer",
    "Quantizer",
    "ResNet",
    "Vgg1d",
    "as_network",
    "check_policy",
    "class_count",
    "frame_shape",
    "make_net",
    "quant_layers",
    "quantizers",
]

_KINDS: dict[str, type[nn.Module]] = {
    "cnn": Cnn,
    "cnv": Cnv,
    "mlp": Mlp,
    "mobilenet_v2": MobileNetV2,
    "resnet": ResNet,
    "vgg1d": Vgg1d,
}


def make_net(spec: NetworkSpec) -> Network:
    """Makes a network with fresh weights, drawn from torch's global random generator.

    Returns:
        The network in its normal form (``sdq_fpga.nets.normal``).

    Raises:
        UserError: there is no such kind, or a parameter is unknown, missing or out of range.
    """
    kind: Callable[..., object]
    if ":" in spec.kind:
        kind = own_function(spec.kind)
    elif spec.kind in _KINDS:
        kind = _KINDS[spec.kind]
    else:
        raise UserError(
            f"unknown network kind '{spec.kind}'",
            f"use one of {', '.join(sorted(_KINDS))}, or package.module:function",
        )
    signature = inspect.signature(kind)
    try:
        signature.bind(**spec.params)
    except TypeError as error:
        raise UserError(
            f"params of network '{spec.kind}' do not fit: {error}",
            f"give exactly {', '.join(signature.parameters)}",
        ) from error
    try:
        net = kind(**spec.params)
    except UserError:
        raise
    except Exception as error:
        if spec.kind in _KINDS:
            raise
        # The user's code may raise anything.
        raise UserError(
            f"'{spec.kind}' failed ({type(error).__name__}: {' '.join(str(error).split())})",
            "correct it",
        ) from error
    if not isinstance(net, nn.Module):
        raise UserError(
            f"'{spec.kind}' returns {type(net).__name__}", "let it return a torch module"
        )
    network = as_network(net, spec.input_shape)
    for name, parameter in network.named_parameters():
        if parameter.dtype != torch.float32:
            raise UserError(
                f"'{name}' of '{spec.kind}' is of {parameter.dtype}",
                "return the network in torch.float32; --precision says what it is trained in",
            )
    return network
