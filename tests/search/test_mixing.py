"""Stochastic quantizers inside a network."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from sdq_fpga.nets import quant_layers
from sdq_fpga.search import activation_grid, quantize_weights
from sdq_fpga.search.dbp import START_BETA, Dbp
from sdq_fpga.search.mixing import MixingQuantizer, insert_quantizers, remove_quantizers
from sdq_fpga.search.qer import expected_errors
from sdq_fpga.search.quantizers import code_levels
from sdq_fpga.train import to_input


def with_quantizers(net):
    layers = quant_layers(net)
    weights = {layer.name: Dbp(layer.name, (2, 4), layer.shape.weights) for layer in layers}
    activations = {layer.name: Dbp(layer.name, (2, 3), 10) for layer in layers[:-1]}
    quantizers = insert_quantizers(net, layers, weights, activations)
    return layers, weights, activations, quantizers


def grid_levels(bits):
    """Those of ``activation_grid``."""
    return code_levels(bits, signed=False)


def test_training_draws_one_of_two_and_evaluation_is_at_the_higher():
    values = torch.rand(100)
    quantizer = MixingQuantizer(Dbp("x", (2, 5), 100), grid_levels)
    torch.manual_seed(0)
    drawn = [quantizer(values) for _ in range(300)]
    high = [torch.equal(each, activation_grid(values, 5)) for each in drawn]
    low = [torch.equal(each, activation_grid(values, 2)) for each in drawn]
    assert all(h != lo for h, lo in zip(high, low, strict=True))
    assert abs(sum(high) / 300 - START_BETA) < 0.1
    assert torch.equal(quantizer.eval()(values), activation_grid(values, 5))


def test_error_is_the_expectation_over_both():
    values = torch.rand(100)
    dbp = Dbp("x", (2, 5), 100)
    quantizer = MixingQuantizer(dbp, grid_levels)
    quantizer(values)
    power = values.square().sum()

    def error():
        return expected_errors([quantizer.errors()], dbp.probabilities())

    found = error()
    high, low = (
        ((values - activation_grid(values, bits)).square().sum() / power).item() for bits in (5, 2)
    )
    assert found.item() == pytest.approx(START_BETA * high + (1 - START_BETA) * low)
    found.backward()
    slope = START_BETA * (1 - START_BETA)
    assert dbp.logit.grad.item() == pytest.approx((high - low) * slope, rel=1e-4)
    dbp.drop()
    quantizer(values)
    assert error().item() == pytest.approx(low)
    with pytest.raises(ValueError, match="'x' has measured nothing"):
        error()


def test_the_task_alone_moves_every_beta_and_every_weight(net, digits):
    _, weights, activations, quantizers = with_quantizers(net)
    images = to_input(torch.from_numpy(digits.train_images[:64]))
    labels = torch.from_numpy(digits.train_labels[:64])
    torch.manual_seed(0)
    net.train()
    functional.cross_entropy(net(images), labels).backward()
    assert len(quantizers) == 5
    for dbp in (*weights.values(), *activations.values()):
        assert dbp.logit.grad.item() != 0
    assert all(parameter.grad.abs().sum() > 0 for parameter in net.parameters())


def test_layers_compute_with_quantized_weights(net, digits):
    layers, *_ = with_quantizers(net)
    net.eval()
    images = to_input(torch.from_numpy(digits.test_images[:20]))
    expected = images
    for layer in layers:
        module = net.get_submodule(layer.weight)
        original = module.parametrizations.weight.original
        quantized = quantize_weights(original, 4, per_channel=layer.norm is not None)
        if isinstance(module, nn.Conv2d):
            expected = functional.conv2d(expected, quantized, stride=2, padding=1)
            expected = activation_grid(net.get_submodule(layer.norm)(expected), 3)
        else:
            expected = functional.linear(expected.flatten(1), quantized)
    torch.testing.assert_close(net(images), expected)


def test_removal_gives_the_float_network_back(net, digits):
    images = to_input(torch.from_numpy(digits.test_images[:20]))
    before, state = net(images), {key: value.clone() for key, value in net.state_dict().items()}
    layers, *_ = with_quantizers(net)
    assert not torch.equal(net.eval()(images), before)
    remove_quantizers(net, layers)
    assert list(net.state_dict()) == list(state)
    assert torch.equal(net(images), before)
