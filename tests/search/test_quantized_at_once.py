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
from sdq_fpga.search.several import mixed, mixed_and_measured

SHARES = {"first": (1.0, 0.0, 0.0), "last": (0.0, 0.0, 1.0), "all": (0.2, 0.5, 0.3)}
BITS = (8, 4, 2)


def of_weights(weights, bits, per_channel):
    unit = weight_unit(weights, bits, per_channel=per_channel)
    return unit * weight_grid(weights / unit, bits)


# In float32 by loops on a CPU, in any other type by kernels, as on other devices.
TYPES = {"loops": torch.float32, "kernels": torch.float64}
by_both = pytest.mark.parametrize("dtype", TYPES.values(), ids=TYPES)


def check(values, parts, levels, axes, one):
    """Values, errors and gradients of the mix, where ``one`` quantizes to one number of bits."""
    shares = torch.tensor(parts, dtype=values.dtype, requires_grad=True)
    pull = torch.cos(torch.arange(values.numel(), dtype=values.dtype)).view_as(values)
    apart = torch.stack([one(values, bits) for bits in BITS])
    for number, its in enumerate(levels):
        assert torch.equal(mixed(values, [its], None, axes), apart[number])
    found, errors = mixed_and_measured(values, levels, shares, axes)
    assert torch.equal(mixed(values, levels, shares, axes), found)
    expected = (shares.view(-1, *[1] * values.dim()) * apart).sum(0)
    torch.testing.assert_close(found, expected)
    distances = (values - apart.detach()).square().flatten(1).sum(1)
    power = values.square().sum()
    torch.testing.assert_close(errors.distances, distances)
    torch.testing.assert_close(errors.power, power)
    inputs = [values, shares]
    weights = torch.tensor([0.7, 0.2, 1.5], dtype=values.dtype)

    def gradients(total, of_options, whole):
        loss = (pull * total).sum() + weights @ of_options + 0.3 * whole
        for each in (total, loss):
            upstream = pull if each is total else None
            yield from torch.autograd.grad(each, inputs, upstream, retain_graph=True)

    ours = gradients(found, errors.distances, errors.power)
    # Of float32, sums of so many numbers of about 1 are not closer, in whatever order.
    short = values.dtype is torch.float32
    close = {"rtol": 1e-5, "atol": values.numel() * 2.0**-25} if short else {}
    for one_of, other in zip(ours, gradients(expected, distances, power), strict=True):
        torch.testing.assert_close(one_of, other, **close)


@by_both
@pytest.mark.parametrize("parts", SHARES.values(), ids=SHARES)
@pytest.mark.parametrize("per_channel", [True, False])
@given(seed=st.integers(0, 1000))
def test_weights_and_their_gradients_are_those_of_each_grid(dtype, parts, per_channel, seed):
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randn(3, 2, 3, 3, generator=generator, dtype=dtype)
    weights[seed % 3] *= 10.0 ** -(seed % 4)
    levels = [weight_levels(bits) for bits in BITS]
    axes = unit_axes(weights, per_channel)
    check(weights.requires_grad_(), parts, levels, axes, lambda w, b: of_weights(w, b, per_channel))


@by_both
@pytest.mark.parametrize("parts", SHARES.values(), ids=SHARES)
@pytest.mark.parametrize("signed", [True, False])
@given(seed=st.integers(0, 1000))
def test_activations_and_their_gradients_are_those_of_each_grid(dtype, parts, signed, seed):
    generator = torch.Generator().manual_seed(seed)
    values = 2 * torch.randn(40, 77, generator=generator, dtype=dtype)
    values[0, :3] = torch.tensor([1.0, -1.0, 0.75])  # at limits
    levels = [code_levels(bits, signed=signed) for bits in BITS]
    check(values.requires_grad_(), parts, levels, None, lambda v, b: code_grid(v, b, signed=signed))


@by_both
def test_a_dead_channel_has_zeros_and_no_gradient_by_its_unit(dtype):
    weights = torch.tensor([[1.0, -0.5], [0.0, 0.0]], dtype=dtype, requires_grad=True)
    found = mixed(weights, [weight_levels(4)], axes=(1,))
    assert found[1].tolist() == [0, 0]
    found.sum().backward()
    assert weights.grad[1].tolist() == [1, 1]


@by_both
@pytest.mark.parametrize("axes", [None, (1,)])
def test_what_is_not_a_number_stays_so(dtype, axes):
    values = torch.tensor([[0.25, float("nan"), 0.5]], dtype=dtype, requires_grad=True)
    found, errors = mixed_and_measured(values, [code_levels(3, signed=True)], axes=axes)
    assert found[0, 1].isnan()
    assert errors.distances.isnan().all()
    assert errors.power.isnan()


def test_many_values_come_to_the_same_bits_by_any_number_of_threads():
    values = torch.randn(3, 123_457, generator=torch.Generator().manual_seed(0))
    levels = [code_levels(bits, signed=True) for bits in BITS]
    pull = torch.cos(torch.arange(values.numel(), dtype=torch.float64)).view_as(values)

    def found(dtype):
        its, shares = values.to(dtype), torch.tensor([0.0, 1.0, 0.0], dtype=dtype)
        inputs = [its.requires_grad_(), shares.requires_grad_()]
        total, errors = mixed_and_measured(its, levels, shares)
        loss = (pull.to(dtype) * total).sum() + errors.distances.sum() - 0.1 * errors.power
        gradients = torch.autograd.grad(loss, inputs)
        return total, errors.distances, errors.power, *gradients

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = found(torch.float32)
        torch.set_num_threads(3)
        together = found(torch.float32)
    finally:
        torch.set_num_threads(before)
    for one, other, kernels in zip(alone, together, found(torch.float64), strict=True):
        assert torch.equal(one, other)
        torch.testing.assert_close(
            one.double(), kernels, rtol=1e-5, atol=1e-2 * one.numel() ** -0.5
        )


def test_no_values_are_no_error():
    total, errors = mixed_and_measured(torch.empty(0, 3), [code_levels(3, signed=False)])
    assert total.shape == (0, 3)
    assert errors.distances.tolist() == [0]


def test_channels_that_come_last_in_memory_are_quantized_alike():
    plain = torch.rand(2, 3, 4, 4)
    for values in (plain, plain.to(memory_format=torch.channels_last)):
        dbp = Dbp("x", (2, 5), 1)
        quantizer = MixingQuantizer(dbp, lambda bits: code_levels(bits, signed=False))
        quantizer.shares = torch.tensor([1.0, 0.0], requires_grad=True)
        found = quantizer(values.requires_grad_())
        assert torch.equal(found, code_grid(plain, 5, signed=False))
        assert found.is_contiguous(memory_format=torch.channels_last) == (values is not plain)
        pull = torch.arange(96.0).view_as(plain)
        (gradient,) = torch.autograd.grad(found, values, pull)
        torch.testing.assert_close(gradient, pull * (plain <= 31 / 32))
