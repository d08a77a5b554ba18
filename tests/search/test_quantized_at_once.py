"""Quantizing to several grids at once, against one after the other with torch's own gradients."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sdq_fpga.search.dbp import Dbp
from sdq_fpga.search.mixing import MixingQuantizer
from sdq_fpga.search.quantizers import (
    code_grid,
    code_levels,
    unit_axes,
    weight_grid,
    weight_levels,
    weight_unit,
)
from sdq_fpga.search.several import mixed

SHARES = {"first": (1.0, 0.0, 0.0), "last": (0.0, 0.0, 1.0), "all": (0.2, 0.5, 0.3)}
BITS = (8, 4, 2)


def of_weights(weights, bits, per_channel):
    unit = weight_unit(weights, bits, per_channel=per_channel)
    return unit * weight_grid(weights / unit, bits)


def check(values, parts, levels, axes, one):
    """Values and gradients of the mix, where ``one`` quantizes to one number of bits."""
    shares = torch.tensor(parts, dtype=values.dtype, requires_grad=True)
    pull = torch.cos(torch.arange(values.numel(), dtype=values.dtype)).view_as(values)
    found, several = mixed(values, levels, shares, axes)
    apart = torch.stack([one(values, bits) for bits in BITS])
    assert torch.equal(several, apart)
    assert not several.requires_grad
    expected = (shares.view(-1, *[1] * values.dim()) * apart).sum(0)
    torch.testing.assert_close(found, expected)
    inputs = [values, shares]
    pairs = zip(
        torch.autograd.grad(found, inputs, pull),
        torch.autograd.grad(expected, inputs, pull),
        strict=True,
    )
    for ours, theirs in pairs:
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("parts", SHARES.values(), ids=SHARES)
@pytest.mark.parametrize("per_channel", [True, False])
@given(seed=st.integers(0, 1000))
def test_weights_and_their_gradients_are_those_of_each_grid(parts, per_channel, seed):
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randn(3, 2, 3, 3, generator=generator, dtype=torch.float64)
    weights[seed % 3] *= 10.0 ** -(seed % 4)
    levels = [weight_levels(bits) for bits in BITS]
    axes = unit_axes(weights, per_channel)
    check(weights.requires_grad_(), parts, levels, axes, lambda w, b: of_weights(w, b, per_channel))


@pytest.mark.parametrize("parts", SHARES.values(), ids=SHARES)
@pytest.mark.parametrize("signed", [True, False])
@given(seed=st.integers(0, 1000))
def test_activations_and_their_gradients_are_those_of_each_grid(parts, signed, seed):
    generator = torch.Generator().manual_seed(seed)
    values = 2 * torch.randn(40, generator=generator, dtype=torch.float64)
    values[:3] = torch.tensor([1.0, -1.0, 0.75])  # at limits
    levels = [code_levels(bits, signed=signed) for bits in BITS]
    check(values.requires_grad_(), parts, levels, None, lambda v, b: code_grid(v, b, signed=signed))


def test_a_dead_channel_has_zeros_and_no_gradient_by_its_unit():
    weights = torch.tensor([[1.0, -0.5], [0.0, 0.0]], requires_grad=True)
    found, _ = mixed(weights, [weight_levels(4)], axes=(1,))
    assert found[1].tolist() == [0, 0]
    found.sum().backward()
    assert weights.grad[1].tolist() == [1, 1]


def test_channels_that_come_last_in_memory_are_quantized_alike():
    plain = torch.rand(2, 3, 4, 4)
    for values in (plain, plain.to(memory_format=torch.channels_last)):
        dbp = Dbp("x", (2, 5), 1)
        quantizer = MixingQuantizer(dbp, lambda bits: code_levels(bits, signed=False))
        quantizer.shares = torch.tensor([1.0, 0.0])
        found = quantizer(values.requires_grad_())
        assert torch.equal(found, code_grid(plain, 5, signed=False))
        assert found.is_contiguous(memory_format=torch.channels_last) == (values is not plain)
        seen = quantizer.seen()
        assert seen.values.is_contiguous()
        assert seen.quantized.is_contiguous()
