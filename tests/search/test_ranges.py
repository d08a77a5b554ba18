"""Bringing activations into [0, 1): the function stays, the range fits."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_nets import PARAMS, frames, random_net

from sdq_fpga.nets import quant_layers
from sdq_fpga.search import activation_grid, activation_ranges, rescale_activations, unit_ranges
from sdq_fpga.train import to_input


@settings(deadline=None, max_examples=20)
@given(
    st.sampled_from(sorted(PARAMS)),
    st.integers(0, 99),
    st.lists(st.floats(0.01, 100), min_size=12, max_size=12),
)
def test_rescaling_leaves_the_function_unchanged(kind, seed, factors):
    net = random_net(kind, seed).double()
    groups = dict.fromkeys(each.group for each in net.structure.quantizers)
    before = net(frames().double())
    scaled = rescale_activations(net, dict(zip(groups, factors, strict=False)))
    torch.testing.assert_close(scaled(frames().double()), before)
    assert torch.equal(net(frames().double()), before)


def test_rescaling_divides_activations_by_their_range():
    net = random_net("cnn", 0)
    outputs = []
    scaled = rescale_activations(net, {"block1.conv": 5.0, "block2.conv": 0.25})
    for each in (net, scaled):
        each.block1.act.register_forward_hook(lambda _, __, output: outputs.append(output))
        each.block2.act.register_forward_hook(lambda _, __, output: outputs.append(output))
        each(frames())
    torch.testing.assert_close(outputs[2] * 5, outputs[0])
    torch.testing.assert_close(outputs[3] * 0.25, outputs[1], rtol=1e-4, atol=1e-5)


def test_a_layer_without_a_range_is_left_alone():
    net = random_net("cnn", 0)
    same = rescale_activations(net, {})
    assert all(torch.equal(v, same.state_dict()[k]) for k, v in net.state_dict().items())


@pytest.mark.parametrize("bits", [2, 4])
def test_unit_ranges_are_the_best_for_the_grid(net, digits, bits):
    scaled = unit_ranges(net, digits.train_images, bits)
    images = to_input(torch.from_numpy(digits.train_images))
    torch.testing.assert_close(scaled(images), net(images), rtol=1e-3, atol=1e-3)
    outputs = []
    hooks = [
        scaled.get_submodule(layer.activation).register_forward_hook(
            lambda _, __, output: outputs.append(output)
        )
        for layer in quant_layers(scaled)[:-1]
    ]
    scaled(images)
    assert len(outputs) == len(hooks) == 2
    for output in outputs:

        def error(factor, output=output):
            quantized = activation_grid(output / factor, bits) * factor
            return (output - quantized).square().mean().item()

        assert error(1.0) < min(error(0.8), error(1.25))


def test_ranges_come_from_evaluation_mode_and_leave_the_network_alone(net, digits):
    net.train()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    ranges = activation_ranges(net, digits.train_images, 4)
    assert set(ranges) == {"block1.conv", "block2.conv"}
    assert net.training
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    assert not any(module._forward_hooks for module in net.modules())


def test_a_dead_layer_has_range_one(net, digits):
    with torch.no_grad():
        net.block1.norm.weight.zero_()
        net.block1.norm.bias.fill_(-1)
    assert activation_ranges(net, digits.train_images, 4)["block1.conv"] == 1.0
