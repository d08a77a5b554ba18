"""Grids of training: the values and gradients of Brevitas's quantizers, to the bit."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sdq_fpga.data import Dataset
from sdq_fpga.flow import load_flow
from sdq_fpga.lower.brevitas_net import to_brevitas
from sdq_fpga.nets import make_net
from sdq_fpga.nets.layers import quant_layers
from sdq_fpga.policy import LayerBits, Policy
from sdq_fpga.progress import SilentProgress
from sdq_fpga.train import finetune, off_grid, on_grid
from sdq_fpga.train.grid import Passes, rounded

NETWORKS = ("digits-cnn", "cifar10-resnet20", "cifar10-mobilenetv2", "speech-commands-vgg")


def mixed(flow, net):
    """Bits that differ from layer to layer, but where values are added."""
    shared = "cnn" not in flow.network.kind
    return Policy(
        network=flow.name,
        layers=tuple(
            LayerBits(
                shape=layer.shape,
                weight_bits=2 + index % 7,
                activation_bits=None
                if layer.activation is None
                else (3 if shared else 2 + index % 5),
            )
            for index, layer in enumerate(quant_layers(net))
        ),
    )


def drawn(name):
    """A network with weights and statistics that fill the grids, and go beyond them."""
    flow = load_flow(name)
    generator = torch.Generator().manual_seed(0)
    net = make_net(flow.network)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.weight.copy_(torch.rand(module.weight.shape, generator=generator) * 0.5)
                module.bias.copy_(torch.rand(module.bias.shape, generator=generator))
            elif isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear):
                values = torch.randn(module.weight.shape, generator=generator) * 0.6
                module.weight.copy_(values)
    return flow, net, mixed(flow, net)


@pytest.mark.parametrize("name", NETWORKS)
def test_values_and_gradients_are_those_of_brevitas(name):
    _, net, policy = drawn(name)
    generator = torch.Generator().manual_seed(1)
    images = torch.rand((3, *net.input_shape), generator=generator)
    found = []
    for student in (on_grid(net, policy), to_brevitas(net, policy)):
        student.train()
        scores = student(images)
        scores.square().sum().backward()
        gradients = {
            key.replace(".parametrizations.weight.original", ".weight"): value.grad
            for key, value in student.named_parameters()
        }
        found.append((scores.detach(), gradients))
    (ours, our_gradients), (theirs, their_gradients) = found
    assert torch.equal(ours, theirs)
    assert our_gradients.keys() == their_gradients.keys()
    for key, gradient in our_gradients.items():
        assert torch.equal(gradient, their_gradients[key]), key
        assert gradient.abs().max() > 0, key


def test_finetuning_ends_where_that_of_the_brevitas_network_does():
    flow, net, policy = drawn("digits-cnn")
    generator = torch.Generator().manual_seed(2)
    images = torch.randint(0, 256, (64, 1, 8, 8), dtype=torch.uint8, generator=generator).numpy()
    labels = torch.arange(64).numpy() % 10
    data = Dataset("drawn", images, labels, images, labels)
    spec = flow.finetune.model_copy(update={"epochs": 3, "batch_size": 16})
    states = []
    for student in (on_grid(net, policy), to_brevitas(net, policy)):
        finetune(student, copy.deepcopy(net), spec, data, 0, SilentProgress())
        states.append(off_grid(student))
    ours, theirs = states
    assert ours.keys() == net.state_dict().keys()
    for key, value in ours.items():
        assert torch.equal(value, theirs[key]), key
    moved = [key for key, value in ours.items() if not torch.equal(value, net.state_dict()[key])]
    assert any("weight" in key for key in moved)


@settings(deadline=None)
@given(
    st.lists(st.floats(-3, 3, width=32), min_size=1, max_size=20),
    st.integers(1, 8),
    st.sampled_from(Passes),
    st.booleans(),
)
def test_rounding_and_its_gradient_by_the_definition(values, bits, passes, signed):
    levels = 2.0**bits
    least, most = (-levels if signed else 0.0), levels - 1
    given_values = torch.tensor(values, requires_grad=True)
    found = rounded(given_values, levels, least, most, passes)
    found.sum().backward()
    for value, result, gradient in zip(
        given_values.tolist(), found.tolist(), given_values.grad.tolist(), strict=True
    ):
        code = round(value * levels)  # half to even
        assert result == min(max(code, least), most) / levels
        tested = code if passes is Passes.ROUNDED_INSIDE else value * levels
        assert gradient == float(passes is Passes.EVERYWHERE or least <= tested <= most)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("passes", [Passes.INSIDE, Passes.ROUNDED_INSIDE])
@pytest.mark.parametrize("signed", [True, False])
def test_limits_are_exact_in_any_type(dtype, passes, signed):
    """At the limits, halves a code beyond, and the next numbers on either side of all of these."""
    levels = 8.0
    least, most = (-levels if signed else 0.0), levels - 1
    ends = torch.tensor([least - 0.5, least, most, most + 0.5], dtype=dtype) / levels
    up, down = (torch.nextafter(ends, torch.full_like(ends, to)) for to in (torch.inf, -torch.inf))
    values = torch.cat([ends, up, down]).requires_grad_()
    rounded(values, levels, least, most, passes).sum().backward()
    codes = values.detach().double() * levels
    if passes is Passes.ROUNDED_INSIDE:
        codes = codes.round()
    assert values.grad.tolist() == ((codes >= least) & (codes <= most)).double().tolist()
