"""The normalised grid: exact values, the properties of a quantizer, and its gradients."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sdq_fpga.search import (
    activation_grid,
    gaussian_clip,
    quantize_weights,
    weight_grid,
    weight_limit,
    weight_unit,
)

BITS = st.integers(2, 8)
VALUES = st.lists(st.floats(-4, 4, width=32, allow_subnormal=False), min_size=1, max_size=20).map(
    torch.tensor
)


def weight_reference(value, bits):
    """Nearest code in exact arithmetic, half to even, as Python's round does."""
    code = round(Fraction(value) * 2 ** (bits - 1))
    most = 2 ** (bits - 1) - 1
    return Fraction(min(max(code, -most), most), 2 ** (bits - 1))


def activation_reference(value, bits):
    code = round(Fraction(value) * 2**bits)
    return Fraction(min(max(code, 0), 2**bits - 1), 2**bits)


@given(VALUES, BITS)
def test_grids_are_exactly_the_reference(values, bits):
    weights, activations = weight_grid(values, bits), activation_grid(values, bits)
    for value, weight, activation in zip(values, weights, activations, strict=True):
        assert Fraction(weight.item()) == weight_reference(value.item(), bits)
        assert Fraction(activation.item()) == activation_reference(value.item(), bits)


@given(VALUES, BITS)
def test_grids_are_idempotent_monotone_and_symmetric(values, bits):
    ordered = values.sort().values
    for grid in (weight_grid, activation_grid):
        once = grid(ordered, bits)
        assert torch.equal(grid(once, bits), once)
        assert torch.all(once.diff() >= 0)
    assert torch.equal(weight_grid(-values, bits), -weight_grid(values, bits))


@given(BITS)
def test_grids_have_all_their_levels_and_no_other(bits):
    dense = torch.linspace(-2, 2, 8193)
    codes = (weight_grid(dense, bits) * 2 ** (bits - 1)).unique()
    most = 2 ** (bits - 1) - 1
    assert codes.tolist() == list(range(-most, most + 1))
    codes = (activation_grid(dense, bits) * 2**bits).unique()
    assert codes.tolist() == list(range(2**bits))


@given(VALUES, BITS)
def test_gradient_passes_inside_the_range_only(values, bits):
    weights = values.clone().requires_grad_()
    weight_grid(weights, bits).sum().backward()
    assert torch.equal(weights.grad, (values.abs() <= weight_limit(bits)).float())
    activations = values.clone().requires_grad_()
    activation_grid(activations, bits).sum().backward()
    inside = (values >= 0) & (values <= 1 - 2.0**-bits)
    assert torch.equal(activations.grad, inside.float())


def test_clips_are_those_of_max():
    # J. Max 1960, table II: the step of the best uniform quantizer of N levels for N(0, 1).
    for bits, step in ((2, 1.224), (3, 0.6508), (4, 0.3534)):
        clip = gaussian_clip(bits) * math.sqrt(2 / math.pi)
        assert clip / (2 ** (bits - 1) - 1) == pytest.approx(step, abs=2e-4)


@pytest.mark.parametrize("bits", range(2, 9))
def test_clips_are_the_best_for_a_gaussian_sample(bits):
    # Quantiles of N(0, 1), evenly spaced in probability, stand for a large sample.
    probabilities = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000
    sample = torch.special.ndtri(probabilities)[None]

    def error(factor):
        unit = weight_unit(sample, bits, per_channel=True) * factor
        return (sample - unit * weight_grid(sample / unit, bits)).square().mean().item()

    assert error(1.0) < min(error(0.97), error(1.03))


def test_one_bit_has_no_grid():
    with pytest.raises(ValueError, match="2 bits or more"):
        weight_limit(1)


SEEDS = st.integers(0, 1000)


@given(SEEDS, BITS, st.booleans())
def test_quantized_weights_are_unit_times_grid_whatever_the_scale(seed, bits, per_channel):
    generator = torch.Generator().manual_seed(seed)
    weights = (
        torch.randn(5, 3, 3, 3, generator=generator)
        * torch.tensor([1, 9, 0.1, 4, 0.7])[:, None, None, None]
    )
    unit = weight_unit(weights, bits, per_channel=per_channel)
    assert unit.shape == ((5, 1, 1, 1) if per_channel else (1, 1, 1, 1))
    quantized = quantize_weights(weights, bits, per_channel=per_channel)
    assert torch.equal(quantized, unit * weight_grid(weights / unit, bits))
    # A power of two scales everything exactly.
    assert torch.equal(quantize_weights(weights * 4, bits, per_channel=per_channel), quantized * 4)
    clip = gaussian_clip(bits) * weights.abs().mean(dim=(1, 2, 3))
    if per_channel:
        np.testing.assert_allclose(unit.flatten() * weight_limit(bits), clip, rtol=1e-5)
    else:
        alpha = gaussian_clip(bits) * weights.abs().mean()
        np.testing.assert_allclose(unit.item() * weight_limit(bits), alpha, rtol=1e-5)


def test_a_dead_channel_is_all_zero():
    weights = torch.zeros(2, 4)
    weights[1] = torch.tensor([0.5, -0.5, 1, 2])
    quantized = quantize_weights(weights, 3, per_channel=True)
    assert torch.equal(quantized[0], torch.zeros(4))
    assert torch.isfinite(quantized).all()


def test_more_bits_are_nearer():
    weights = torch.randn(4, 50, generator=torch.Generator().manual_seed(0))
    errors = [
        (quantize_weights(weights, bits, per_channel=True) - weights).square().sum().item()
        for bits in range(2, 9)
    ]
    assert errors == sorted(errors, reverse=True)


def test_a_clipped_weight_still_moves_its_channel():
    # All weights are clipped, so the grid passes no gradient: it comes through the unit alone.
    weights = torch.tensor([[0.01, 5.0, -0.01, 0.01]], requires_grad=True)
    quantize_weights(weights, 2, per_channel=True)[0, 1].backward()
    assert weights.grad[0, 1] == pytest.approx(gaussian_clip(2) / 4, rel=1e-5)
