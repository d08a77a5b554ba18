"""Float networks: plain torch modules, made by the kind that a flow names."""

import inspect

from torch import nn

from sdq_fpga.errors import UserError
from sdq_fpga.flow import NetworkSpec
from sdq_fpga.nets.cnn import Cnn
from sdq_fpga.nets.layers import QuantLayer, class_count, frame_shape, quant_layers
from sdq_fpga.nets.mlp import Mlp

__all__ = ["Cnn", "Mlp", "QuantLayer", "class_count", "frame_shape", "make_net", "quant_layers"]

_KINDS: dict[str, type[nn.Module]] = {"cnn": Cnn, "mlp": Mlp}


def make_net(spec: NetworkSpec) -> nn.Module:
    """Makes a network with fresh weights, drawn from torch's global random generator.

    Raises:
        UserError: there is no such kind, or a parameter is unknown, missing or out of range.
    """
    if spec.kind not in _KINDS:
        raise UserError(
            f"unknown network kind '{spec.kind}'", f"use one of {', '.join(sorted(_KINDS))}"
        )
    kind = _KINDS[spec.kind]
    signature = inspect.signature(kind)
    try:
        signature.bind(**spec.params)
    except TypeError as error:
        raise UserError(
            f"params of network '{spec.kind}' do not fit: {error}",
            f"give exactly {', '.join(signature.parameters)}",
        ) from error
    return kind(**spec.params)
