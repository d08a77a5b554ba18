"""The hardware graph of a network that has not been trained, for the hardware model."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from qonnx.core.modelwrapper import ModelWrapper
from torch import nn

from sdq_fpga.board import Board
from sdq_fpga.cost.node import HardwareGraph
from sdq_fpga.errors import UserError
from sdq_fpga.flow import Flow
from sdq_fpga.lower.brevitas_net import to_brevitas
from sdq_fpga.lower.describe import describe
from sdq_fpga.lower.direct import direct_qonnx
from sdq_fpga.lower.export import write_qonnx
from sdq_fpga.lower.finn_session import finn_session
from sdq_fpga.lower.hardware import to_hardware
from sdq_fpga.lower.read.model import load_qonnx, read_qonnx
from sdq_fpga.nets import Network, make_net
from sdq_fpga.nets.layers import check_policy, frame_shape, quant_layers
from sdq_fpga.policy import LayerBits, Policy

__all__ = [
    "changed_policy",
    "hardware_of_flow",
    "hardware_of_model",
    "uniform_policy",
    "untrained_model",
]


def hardware_of_model(path: Path, input_type: str | None, board: Board) -> HardwareGraph:
    """The nodes of a QONNX model, unfolded.

    Args:
        path: the model.
        input_type: type of its inputs, where the model does not say.
        board: decides which matrix-vector units are possible.

    Raises:
        UserError: the model can't be read, or has an operator that hardware lacks.
    """
    return _hardware(load_qonnx(path, input_type), board)


def _hardware(model: ModelWrapper, board: Board) -> HardwareGraph:
    network, _ = read_qonnx(model)
    with TemporaryDirectory() as scratch, finn_session(Path(scratch), Path(scratch) / "finn.log"):
        return describe(to_hardware(network, board.dsp))


def uniform_policy(flow: Flow, bits: int) -> Policy:
    """The same bits for all weights and activations of a flow's network."""
    return Policy(
        network=flow.name,
        layers=tuple(
            LayerBits(
                shape=layer.shape,
                weight_bits=bits,
                activation_bits=None if layer.activation is None else bits,
            )
            for layer in quant_layers(make_net(flow.network))
        ),
    )


def changed_policy(flow: Flow, policy: Policy, changes: Mapping[str, int]) -> Policy:
    """A policy with other bits of some layers.

    Layers whose activations share a quantizer with one of them get its activation bits too.

    Args:
        flow: whose network the policy is for.
        policy: the policy.
        changes: bits by layer with weights, for these and its activation; or by quantizer, such
            as "block1.act", for the activation alone, whose bits are then those of that name.

    Raises:
        UserError: there is no such layer.
    """
    structure = make_net(flow.network).structure
    shared = {layer.name: structure.bits_layer(layer) for layer in structure.layers}
    owners = {each.path: each.layer for each in structure.quantizers if each.layer is not None}
    for name in changes:
        if name not in shared and name not in owners:
            known = ", ".join((*shared, *owners))
            raise UserError(f"there is no layer '{name}'", f"name one of {known}")
    activations = {shared[name]: bits for name, bits in changes.items() if name in shared}
    activations |= {owners[name]: bits for name, bits in changes.items() if name in owners}

    def change(layer: LayerBits) -> LayerBits:
        name, activation = layer.shape.name, layer.activation_bits
        if activation is not None:
            activation = activations.get(shared[name], activation)
        weights = changes.get(name, layer.weight_bits)
        return layer.model_copy(update={"weight_bits": weights, "activation_bits": activation})

    return policy.model_copy(update={"layers": tuple(map(change, policy.layers))})


def hardware_of_flow(flow: Flow, policy: Policy, board: Board) -> HardwareGraph:
    """The nodes of a flow's network, unfolded, with the weights of ``untrained_model``.

    Layers are called as the network's modules are, not as the nodes of its QONNX model.

    Args:
        flow: the recipe.
        policy: bits of every layer.
        board: decides which matrix-vector units are possible.

    Raises:
        UserError: the policy is for another network, or the hardware lacks its bits.
    """
    net = _drawn(flow, policy)
    model, names = direct_qonnx(net, policy)
    graph = _hardware(model, board)
    nodes = tuple(replace(node, layer=names.get(node.layer, node.layer)) for node in graph.nodes)
    return replace(graph, nodes=nodes)


def untrained_model(flow: Flow, policy: Policy, path: Path) -> dict[str, str]:
    """Writes the QONNX model of a flow's network with random weights.

    Weights fill their range and normalisations differ from channel to channel, as they do after
    training: what is alike would cost less.

    Args:
        flow: the recipe.
        policy: bits of every layer.
        path: the file.

    Returns:
        For nodes of the model, the path of the module that they come from.

    Raises:
        UserError: the policy is for another network, or the hardware lacks its bits.
    """
    net = _drawn(flow, policy)
    return write_qonnx(to_brevitas(net, policy), frame_shape(net), path)


def _drawn(flow: Flow, policy: Policy) -> Network:
    """The network with random weights, made sure that the policy is for it."""
    net = make_net(flow.network)
    check_policy(policy, flow.name, net)
    _fill(net, [layer.weight for layer in net.structure.layers])
    return net


def _fill(net: nn.Module, weights: list[str]) -> None:
    """Draws weights and normalisations, always the same."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name in weights:
            weight = net.get_submodule(name).get_parameter("weight")
            weight.uniform_(-1, 1, generator=generator)
        for module in net.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.weight.uniform_(0.05, 0.15, generator=generator)
                module.bias.uniform_(0.2, 0.5, generator=generator)
