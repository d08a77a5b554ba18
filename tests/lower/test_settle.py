"""Settling of thresholds: none is left so near to an integer that rounding decides."""

import copy
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sdq_fpga.flow import NetworkSpec
from sdq_fpga.lower.settle import INPUT_BITS, Settled, settle_thresholds
from sdq_fpga.nets import make_net, quant_layers
from sdq_fpga.policy import LayerBits, Policy

# Twice the sum of the eight roundings of float32 that a threshold goes through.
MARGIN = 2 * 8 * 2.0**-24
EPS = 2.0**-17  # of the batch norms here, so that var + eps can be a power of two


def make(channels: Sequence[int], bits: Sequence[tuple[int, int]]) -> tuple[nn.Module, Policy]:
    """A CNN and a policy; the bits are those of weights and activations of its blocks."""
    params = {
        "in_channels": 1,
        "image_size": 4,
        "channels": list(channels),
        "strides": [1] * len(channels),
        "classes": 3,
    }
    net = make_net(NetworkSpec(kind="cnn", params=params)).eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = EPS
    layers = tuple(
        LayerBits(shape=layer.shape, weight_bits=weight_bits, activation_bits=activation_bits)
        for layer, (weight_bits, activation_bits) in zip(
            quant_layers(net), [*bits, (8, None)], strict=True
        )
    )
    return net, Policy(network="cnn", layers=layers)


def set_norm(
    norm: nn.Module,
    gamma: Sequence[float],
    bias: Sequence[float],
    mean: Sequence[float],
    variance: Sequence[float] | None = None,
) -> None:
    with torch.no_grad():
        norm.weight.copy_(torch.tensor(gamma))
        norm.bias.copy_(torch.tensor(bias))
        norm.running_mean.copy_(torch.tensor(mean))
        norm.running_var.copy_(torch.tensor(variance or [1.0 - EPS] * len(gamma)))


def one_block(
    gamma: Sequence[float],
    bias: Sequence[float],
    mean: Sequence[float],
    variance: Sequence[float] | None = None,
    weight_bits: int = 4,
    activation_bits: int = 4,
) -> tuple[nn.Module, Policy, nn.Module, float]:
    """The net, its policy, its only batch norm, and the value of one step of its accumulator."""
    net, policy = make([len(gamma)], [(weight_bits, activation_bits)])
    norm = net.get_submodule("block1.norm")
    set_norm(norm, gamma, bias, mean, variance)
    return net, policy, norm, 2.0 ** -(INPUT_BITS + weight_bits - 1)


def numbers(norm: nn.Module) -> tuple[np.ndarray, ...]:
    """Gain, bias and mean of each channel, in double precision."""
    gamma, bias, mean, variance = (
        tensor.detach().numpy().astype(np.float64)
        for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var)
    )
    return gamma / np.sqrt(variance + norm.eps), bias, mean


def thresholds(norm: nn.Module, step: float, bits: int) -> np.ndarray:
    """The accumulator values, not whole, at which a channel's code changes: [channels, codes]."""
    gain, bias, mean = (each[:, None] for each in numbers(norm))
    gain = np.where(gain == 0, np.nan, gain)  # a dead channel has no thresholds
    levels = (np.arange(1, 2**bits) - 0.5) / 2**bits
    return ((levels - bias) / gain + mean) / step


def needed(norm: nn.Module, step: float, bits: int) -> np.ndarray:
    """How far from an integer each threshold must be: by every term that float32 rounds."""
    gain, bias, mean = (each[:, None] for each in numbers(norm))
    gain = np.where(gain == 0, np.nan, gain)
    terms = np.abs(thresholds(norm, step, bits)) + np.abs(bias / gain / step) + np.abs(mean / step)
    return MARGIN * terms


def clearance(norm: nn.Module, step: float, bits: int) -> np.ndarray:
    found = thresholds(norm, step, bits)
    return np.abs(found - np.round(found))


def check_settled(norm: nn.Module, step: float, bits: int) -> None:
    assert (clearance(norm, step, bits) >= 0.999 * needed(norm, step, bits)).all()


def check_moves(before: nn.Module, after: nn.Module, step: float) -> None:
    """A bias moves by half a step of the accumulator at most; nothing else moves."""
    gain, old, _ = numbers(before)
    assert (np.abs(numbers(after)[1] - old) <= 0.5 * np.abs(gain) * step).all()
    for name in ("weight", "running_mean", "running_var"):
        assert torch.equal(getattr(before, name), getattr(after, name))


def room(norm: nn.Module, step: float, bits: int) -> np.ndarray:
    """How much of the needed distance the worst threshold of each channel has, up to all of it."""
    return np.minimum(clearance(norm, step, bits) / needed(norm, step, bits), 1).min(axis=1)


def codes_differ(norm: nn.Module, step: float, bits: int) -> int:
    """Of the accumulator values beside each threshold, how many give another code in float32.

    The reference is an integer comparison, as in hardware; float32 is PyTorch's batch norm, and
    the same folded into one multiplication and one addition.
    """
    different = 0
    gain = numbers(norm)[0]
    found = thresholds(norm, step, bits)
    beside = np.concatenate([np.floor(found), np.ceil(found), found.round() + 1], axis=1)
    sign = np.sign(gain)[:, None, None]
    passed = sign * beside[:, :, None] >= sign * found[:, None, :]
    exact = passed.sum(axis=2)

    values = torch.tensor(beside * step, dtype=torch.float32)
    normed = norm(values.T[:, :, None, None]).detach()[:, :, 0, 0].T
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    folded = (values * scale[:, None] + (norm.bias - norm.running_mean * scale)[:, None]).detach()
    for outputs in (normed, folded):
        codes = torch.clamp(torch.round(outputs * 2.0**bits), 0, 2**bits - 1)
        different += int((codes.numpy() != exact).sum())
    return different


# Thresholds exactly on integers

ADVERSARIAL = {
    "plain": ([1.0] * 4, [0.0] * 4, [0.0] * 4),
    "gains": ([0.25, 0.5, 2.0, 4.0], [0.0] * 4, [0.0] * 4),
    "negative gains": ([-1.0, -0.5, -2.0, -4.0], [0.5] * 4, [0.0] * 4),
    "biases": ([1.0] * 4, [0.5, -0.25, 0.125, -1.0], [0.0] * 4),
    "means": ([1.0, 1.0, -1.0, -1.0], [0.0] * 4, [0.5, -0.125, 2.0**-11, 3.0]),
    "everything": ([0.5, -0.5, 2.0, -2.0], [0.25, 0.75, -0.5, 1.0], [1.5, -2.0, 0.125, 0.25]),
    "cancelled": ([1.0, 1.0, -1.0, 0.5], [8.0, 100.0, -50.0, 20.0], [8.0, 100.0, 50.0, 40.0]),
}


@pytest.mark.parametrize("bits", [1, 2, 4, 6])
@pytest.mark.parametrize("case", ADVERSARIAL)
def test_thresholds_on_integers_are_moved_off(case, bits):
    net, policy, norm, step = one_block(*ADVERSARIAL[case], activation_bits=bits)
    assert (clearance(norm, step, bits) == 0).all()
    assert codes_differ(norm, step, bits) > 0
    before = copy.deepcopy(norm)
    (record,) = settle_thresholds(net, policy)
    check_settled(norm, step, bits)
    check_moves(before, norm, step)
    assert codes_differ(norm, step, bits) == 0
    assert record.layer == "block1.conv"
    assert (record.moved, record.unclear) == (4, 0)
    assert 0 < record.largest_shift <= 0.5


@pytest.mark.parametrize("case", ADVERSARIAL)
def test_a_second_call_moves_nothing(case):
    net, policy, norm, _ = one_block(*ADVERSARIAL[case])
    settle_thresholds(net, policy)
    before = copy.deepcopy(net.state_dict())
    assert settle_thresholds(net, policy) == (Settled("block1.conv", 0, 0.0, 0),)
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert isinstance(norm, nn.BatchNorm2d)


def test_nothing_but_biases_is_changed():
    net, policy, _, _ = one_block(*ADVERSARIAL["everything"])
    before = copy.deepcopy(net.state_dict())
    settle_thresholds(net, policy)
    changed = {
        name for name, tensor in net.state_dict().items() if not torch.equal(tensor, before[name])
    }
    assert changed == {"block1.norm.bias"}


@pytest.mark.parametrize("gamma", [1.0, -1.0])
def test_a_move_is_no_larger_than_needed(gamma):
    """The grid of moves has 400 steps to an accumulator step."""
    net, policy, norm, step = one_block([gamma], [0.25], [0.0])
    before = numbers(norm)[1][0]
    (record,) = settle_thresholds(net, policy)
    shift = abs(numbers(norm)[1][0] - before) / step
    assert shift <= needed(norm, step, 4).max() + 1 / 400
    assert record.largest_shift == pytest.approx(shift, rel=1e-3)


def test_thresholds_that_are_clear_stay():
    half = 0.5 * 2.0 ** -(INPUT_BITS + 3)
    net, policy, norm, step = one_block([1.0, -1.0, 2.0], [0.0] * 3, [half, half, half])
    assert (clearance(norm, step, 4) == 0.5).all()
    before = norm.bias.detach().clone()
    assert settle_thresholds(net, policy) == (Settled("block1.conv", 0, 0.0, 0),)
    assert torch.equal(norm.bias, before)


def test_only_the_channels_that_need_it_are_moved():
    half = 0.5 * 2.0 ** -(INPUT_BITS + 3)
    net, policy, norm, _ = one_block([1.0, 1.0], [0.0, 0.0], [0.0, half])
    (record,) = settle_thresholds(net, policy)
    assert record.moved == 1
    assert norm.bias[0] != 0.0
    assert norm.bias[1] == 0.0


def test_dead_channels_are_left_alone():
    gamma, bias = [0.0, 1.0, 0.0, 1e-20], [0.25, 0.25, -7.0, 0.5]
    net, policy, norm, step = one_block(gamma, bias, [0.0, 0.0, 3.0, 0.0])
    (record,) = settle_thresholds(net, policy)
    assert norm.bias[[0, 2, 3]].tolist() == [0.25, -7.0, 0.5]
    assert norm.bias[1] != 0.25
    assert (record.moved, record.unclear) == (1, 0)
    assert torch.isfinite(norm.bias).all()
    assert (clearance(norm, step, 4)[1] >= needed(norm, step, 4)[1]).all()


def test_a_channel_that_no_move_can_clear_is_counted():
    """So large a mean that float32 rounds the accumulator itself."""
    net, policy, norm, step = one_block([1.0, 1.0], [0.0, 0.0], [2.0**20 * 2.0**-11, 0.0])
    before = copy.deepcopy(norm)
    (record,) = settle_thresholds(net, policy)
    assert record.unclear == 1
    check_moves(before, norm, step)
    assert room(norm, step, 4)[0] > room(before, step, 4)[0]
    assert (clearance(norm, step, 4)[1] >= needed(norm, step, 4)[1]).all()


def test_a_bias_so_large_that_float32_has_no_half_step_there():
    gamma = [0.55, 0.6, 0.7, 0.8, 0.9]
    net, policy, norm, step = one_block(gamma, [4096.0] * 5, [0.0] * 5)
    before = copy.deepcopy(norm)
    settle_thresholds(net, policy)
    check_moves(before, norm, step)


# Any batch norm

CHANNELS = st.integers(1, 5)


@st.composite
def norms(draw: st.DrawFn) -> tuple[list[float], ...]:
    count = draw(CHANNELS)

    def column(values: st.SearchStrategy[float]) -> list[float]:
        return draw(st.lists(values, min_size=count, max_size=count))

    def floats(low: float, high: float) -> st.SearchStrategy[float]:
        return st.floats(low, high, width=32)

    gamma = floats(0.125, 4) | floats(-4, -0.125)
    return column(gamma), column(floats(-4, 4)), column(floats(-4, 4)), column(floats(0.125, 4))


@settings(deadline=None, max_examples=50)
@given(norm=norms(), weight_bits=st.integers(2, 8), bits=st.integers(1, 4))
def test_any_norm(norm, weight_bits, bits):
    net, policy, module, step = one_block(*norm, weight_bits=weight_bits, activation_bits=bits)
    before = copy.deepcopy(module)
    (record,) = settle_thresholds(net, policy)
    check_moves(before, module, step)
    after = room(module, step, bits)
    assert (after >= 0.999 * room(before, step, bits)).all()
    assert np.count_nonzero(after < 0.999) <= record.unclear <= np.count_nonzero(after < 1.001)
    moved = numbers(module)[1] != numbers(before)[1]
    assert record.moved == np.count_nonzero(moved)
    if record.unclear == 0:
        assert codes_differ(module, step, bits) == 0


# More than one layer


def test_the_step_of_a_layer_is_that_of_its_weights_and_of_the_activation_before_it():
    net, policy = make([2, 3, 2], [(4, 3), (6, 2), (2, 4)])
    norms = [net.get_submodule(f"block{index}.norm") for index in (1, 2, 3)]
    for norm in norms:
        count = len(norm.weight)
        set_norm(norm, [1.0] * count, [0.0] * count, [0.0] * count)
    steps = [2.0 ** -(8 + 3), 2.0 ** -(3 + 5), 2.0 ** -(2 + 1)]
    shifted = [0.5 * steps[1], 0.0, 0.5 * steps[1]]  # of the second: two channels are clear
    set_norm(norms[1], [1.0] * 3, [0.0] * 3, shifted)
    before = copy.deepcopy(norms)
    records = settle_thresholds(net, policy)
    assert [record.layer for record in records] == ["block1.conv", "block2.conv", "block3.conv"]
    assert [record.moved for record in records][:2] == [2, 1]
    assert [record.unclear for record in records] == [0, 0, 0]
    for old, norm, step, bits in zip(before, norms, steps, (3, 2, 4), strict=True):
        check_settled(norm, step, bits)
        check_moves(old, norm, step)
