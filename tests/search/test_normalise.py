"""Normalised weights: the codes of the search, and the function of the network."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_nets import PARAMS, frames, random_net

from sdq_fpga.errors import UserError
from sdq_fpga.nets import quant_layers
from sdq_fpga.policy import LayerBits, Policy
from sdq_fpga.search import normalised_state, quantize_weights, weight_grid, weight_unit
from sdq_fpga.search.entropy import entropy_clip, gaussian_entropy
from tests.search.codes import entropy


def policy_for(net, bits):
    layers = quant_layers(net)
    return Policy(
        network="random",
        layers=tuple(
            LayerBits(
                shape=layer.shape,
                weight_bits=b,
                activation_bits=None if layer.activation is None else 4,
            )
            for layer, b in zip(layers, itertools.cycle(bits), strict=False)
        ),
    )


CASES = given(
    st.sampled_from(sorted(PARAMS)),
    st.integers(0, 99),
    st.lists(st.integers(2, 8), min_size=3, max_size=3),
)


@settings(deadline=None, max_examples=25)
@CASES
def test_float_function_is_the_same_up_to_one_positive_factor(kind, seed, bits):
    net = random_net(kind, seed).double()
    normal = normalised_state(net, policy_for(net, bits))
    scores, scaled = net(frames().double()), normal(frames().double())
    if not scores.any():  # all ReLUs are dead on these frames: there is no factor
        assert not scaled.any()
        return
    factor = (scores * scaled).sum() / scaled.square().sum()
    assert factor > 0
    torch.testing.assert_close(scaled * factor, scores)
    # The factor is the unit of the last layer, and it is the only one.
    last = bits[(len(quant_layers(net)) - 1) % len(bits)]
    unit = weight_unit(net.classifier.weight, last, per_channel=False)
    assert factor.item() == pytest.approx(unit.item())


@settings(deadline=None, max_examples=25)
@CASES
def test_grid_of_normalised_weights_is_the_quantizer_of_the_search(kind, seed, bits):
    net = random_net(kind, seed)
    normal = normalised_state(net, policy_for(net, bits))
    for layer, b in zip(quant_layers(net), itertools.cycle(bits), strict=False):
        weight = net.get_submodule(layer.weight).weight
        per_channel = layer.norm is not None
        unit = weight_unit(weight, b, per_channel=per_channel)
        codes = weight_grid(normal.get_submodule(layer.weight).weight, b)
        assert torch.equal(codes * unit, quantize_weights(weight, b, per_channel=per_channel))


def test_eps_is_taken_in_even_where_it_rules():
    net = random_net("cnn", 3).double()
    with torch.no_grad():
        net.block1.conv.weight.mul_(torch.tensor([1e-3, 1, 30, 1e-4])[:, None, None, None])
        net.block1.norm.running_var.copy_(torch.tensor([1e-9, 1e-6, 900.0, 1e-11]))
        net.block1.norm.running_mean.copy_(torch.tensor([1e-5, 0.1, -20.0, 1e-6]))
    normal = normalised_state(net, policy_for(net, [3, 4, 5]))
    before, after = (
        each.block1.norm(each.block1.conv(frames().double())) for each in (net, normal)
    )
    torch.testing.assert_close(after, before)
    assert torch.all(normal.block1.norm.running_var > 0)


def test_network_is_left_as_it_was():
    net = random_net("mlp", 0)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    normalised_state(net, policy_for(net, [2, 3, 4]))
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())


def test_policy_of_another_network_is_refused():
    with pytest.raises(UserError, match=r"block1\.linear"):
        normalised_state(random_net("cnn", 0), policy_for(random_net("mlp", 0), [2, 3, 4]))


@pytest.mark.parametrize("bits", range(2, 9))
def test_no_other_clip_has_more_entropy(bits):
    codes = (1 << (bits - 1)) - 1
    step = entropy_clip(bits) * math.sqrt(2 / math.pi) / codes
    most = gaussian_entropy(step, codes)
    assert most <= math.log2(2 * codes + 1) + 1e-9
    for factor in (0.5, 0.9, 0.99, 1.01, 1.1, 2.0):
        assert gaussian_entropy(step * factor, codes) < most


def test_bins_are_filled_more_evenly():
    net = random_net("cnn", 0).double()
    with torch.no_grad():
        for layer in quant_layers(net):
            weight = net.get_submodule(layer.shape.name).weight
            weight.normal_(generator=torch.Generator().manual_seed(1))
    policy = policy_for(net, [2, 3, 4])
    plain, even = (normalised_state(net, policy, even_bins=each) for each in (False, True))
    for bits in policy.layers:
        before, after = (each.get_submodule(bits.shape.name).weight for each in (plain, even))
        assert entropy(after, bits.weight_bits) > entropy(before, bits.weight_bits)
    scores, scaled = net(frames().double()), even(frames().double())
    factor = (scores * scaled).sum() / scaled.square().sum()
    torch.testing.assert_close(scaled * factor, scores)
