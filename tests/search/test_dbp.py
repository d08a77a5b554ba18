"""DBP: its draws, its gradient, and its way down the candidates."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sdq_fpga.search.dbp import START_BETA, Dbp, draw_gate
from sdq_fpga.search.qer import expected_error, relative_error


def draws(logit, temperature, count=200_000):
    """Gates and the mean gradient of a gate by its logit."""
    torch.manual_seed(0)
    leaf = torch.tensor(logit, requires_grad=True)
    gates = draw_gate(leaf.expand(count), temperature)
    gates.mean().backward()
    return gates.detach(), leaf.grad.item()


@pytest.mark.parametrize("beta", [0.15, 0.5, 0.9])
@pytest.mark.parametrize("temperature", [1.0, 0.1])
def test_gate_is_one_with_probability_beta(beta, temperature):
    gates, _ = draws(math.log(beta / (1 - beta)), temperature)
    assert set(gates.unique().tolist()) == {0.0, 1.0}
    # Five standard deviations.
    assert abs(gates.mean().item() - beta) < 5 * math.sqrt(beta * (1 - beta) / 200_000)


@pytest.mark.parametrize("beta", [0.3, 0.8])
def test_gradient_reaches_beta_and_is_that_of_the_expectation(beta):
    logit = math.log(beta / (1 - beta))
    # d E[gate] / d logit = beta (1 - beta); the estimate is the less biased, the colder.
    exact = beta * (1 - beta)
    _, cold = draws(logit, 0.1)
    assert cold == pytest.approx(exact, rel=0.05)
    # At any temperature it is the derivative of the relaxed gate's mean over logistic noise.
    probabilities = (torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000
    noise = torch.logit(probabilities)
    step = 1e-4
    up, down = (torch.sigmoid(logit + by + noise).mean().item() for by in (step, -step))
    _, warm = draws(logit, 1.0)
    assert warm == pytest.approx((up - down) / (2 * step), rel=0.02)


def test_gate_is_exact_for_extreme_logits():
    torch.manual_seed(0)
    for logit in (-40.0, 40.0):
        gate = draw_gate(torch.tensor(logit, requires_grad=True), 0.1)
        assert gate.item() == float(logit > 0)
        assert torch.isfinite(gate)


def test_a_layer_walks_down_its_candidates():
    dbp = Dbp("fc", (2, 4, 8), 10)
    seen = []
    for _ in range(2):
        seen.append((dbp.bits, dbp.lower_bits, dbp.deterministic))
        assert dbp.beta.item() == pytest.approx(START_BETA)
        with torch.no_grad():
            dbp.logit.fill_(-3.0)
        dbp.drop()
    assert seen == [(8, 4, False), (4, 2, False)]
    assert (dbp.bits, dbp.lower_bits, dbp.deterministic) == (2, 2, True)
    assert dbp.draw().item() == dbp.beta.item() == 1.0
    with pytest.raises(ValueError, match="'fc' can't drop from 2"):
        dbp.drop()


def test_expected_bits_lie_between_the_candidates_and_are_differentiable():
    dbp = Dbp("fc", (3, 6), 10)
    with torch.no_grad():
        dbp.logit.fill_(0.0)
    bits = dbp.expected_bits
    bits.backward()
    assert bits.item() == pytest.approx(4.5)
    assert dbp.logit.grad.item() == pytest.approx(3 * 0.25)


def test_beta_never_rises_above_its_start():
    dbp = Dbp("fc", (3, 6), 10)
    with torch.no_grad():
        dbp.logit.add_(5)
    dbp.bound()
    assert dbp.beta.item() == pytest.approx(START_BETA)


def test_a_single_candidate_and_a_settled_layer_are_deterministic():
    fixed = Dbp("fc", (5,), 10)
    assert fixed.deterministic
    assert fixed.expected_bits.item() == 5
    dbp = Dbp("fc", (2, 4, 8), 10)
    dbp.settle(4)
    assert dbp.deterministic
    assert (dbp.bits, dbp.expected_bits.item()) == (4, 4.0)
    with pytest.raises(ValueError, match="3 bits are no candidate of 'fc'"):
        dbp.settle(3)


@given(st.floats(0.01, 0.99), st.floats(0, 1), st.floats(0, 1))
def test_expected_error_is_the_mean_over_draws(beta, high, low):
    shares, errors = (torch.tensor(x).double() for x in ([beta, 1 - beta], [high, low]))
    assert expected_error(shares, errors).item() == pytest.approx(beta * high + (1 - beta) * low)


def test_relative_error_is_free_of_scale_and_pulls_towards_the_levels():
    values = torch.tensor([0.2, 0.9, -0.4], requires_grad=True)
    levels = torch.tensor([0.0, 1.0, -0.5])
    error = relative_error(values, levels)
    assert error.item() == pytest.approx((0.04 + 0.01 + 0.01) / (0.04 + 0.81 + 0.16), rel=1e-5)
    scaled = relative_error(values * 8, levels * 8)
    assert scaled.item() == pytest.approx(error.item(), rel=1e-6)
    error.backward()
    moved = values.detach() - 0.01 * values.grad
    assert relative_error(moved, levels) < error
    assert relative_error(torch.zeros(3), torch.zeros(3)).item() == 0
