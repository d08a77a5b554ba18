"""DBP: its draws, its gradient, and its way down the candidates."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sdq_fpga.search.dbp import START_BETA, Dbp, draw_gate
from sdq_fpga.search.qer import expected_errors
from sdq_fpga.search.several import Levels, SquaredErrors, mixed_and_measured
from sdq_fpga.search.steering import Steering


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


def errors_of(values, quantized):
    """By torch's own gradients, the quantized values being constants."""
    away = torch.stack([(values - each.detach()).square().sum() for each in quantized])
    return SquaredErrors(away, values.square().sum())


@given(st.integers(0, 1000), st.lists(st.integers(1, 3), min_size=1, max_size=4))
def test_errors_and_their_gradients_are_those_of_the_definition(seed, options):
    generator = torch.Generator().manual_seed(seed)
    parts = [torch.rand(count, generator=generator) + 0.1 for count in options]
    probabilities = torch.cat([part / part.sum() for part in parts]).double().requires_grad_()
    leaves, errors, theirs, shares = [], [], 0.0, iter(probabilities)
    for number, count in enumerate(options):
        values = torch.randn(5 + number, 3, generator=generator, dtype=torch.float64)
        leaves.append(values.requires_grad_())
        levels = [Levels(2.0**-k, -(2.0**20), 2.0**20) for k in range(count)]
        errors.append(mixed_and_measured(values, levels, torch.ones(count).double() / count)[1])
        for k in range(count):
            quantized = (torch.round(values * 2**k) / 2**k).detach()
            noise = (values - quantized).square().sum() / values.square().sum()
            theirs = theirs + next(shares) * noise
    ours = expected_errors(errors, probabilities)
    torch.testing.assert_close(ours, theirs)
    inputs = [*leaves, probabilities]
    for one, other in zip(
        torch.autograd.grad(3 * ours, inputs), torch.autograd.grad(3 * theirs, inputs), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_relative_error_is_free_of_scale_and_pulls_towards_the_levels():
    def error(values, levels):
        return expected_errors([errors_of(values, levels[None])], torch.ones(1))

    values = torch.tensor([0.2, 0.9, -0.4], requires_grad=True)
    levels = torch.tensor([0.0, 1.0, -0.5])
    found = error(values, levels)
    assert found.item() == pytest.approx((0.04 + 0.01 + 0.01) / (0.04 + 0.81 + 0.16), rel=1e-5)
    assert error(values * 8, levels * 8).item() == pytest.approx(found.item(), rel=1e-6)
    found.backward()
    assert error(values.detach() - 0.01 * values.grad, levels) < found
    assert error(torch.zeros(3), torch.zeros(3)).item() == 0


def test_a_logit_that_is_no_number_does_not_pass_for_one():
    dbps = [Dbp("a", (2, 4), 1), Dbp("b", (2, 4), 1)]
    with torch.no_grad():
        dbps[1].logit.fill_(math.nan)
    assert math.isnan(dbps[1].chance)
    steering = Steering(1.0, 0.5, least_span=0.1, steps=10)
    assert math.isnan(steering.term(sum(Dbp.chances(dbps)))[0])


def test_draws_of_several_are_those_of_each_in_turn():
    dbps = [Dbp(name, (2, 4), 1) for name in "abc"]
    with torch.no_grad():
        for dbp, logit in zip(dbps, (-0.4, 0.1, 0.8), strict=True):
            dbp.logit.fill_(logit)
    dbps = [dbps[0], dbps[1], dbps[2], dbps[1]]
    found = []
    for draw in (Dbp.drawn, lambda each: [dbp.shares() for dbp in each]):
        torch.manual_seed(1)
        values = [draw(dbps) for _ in range(50)]
        loss = sum((k + 1) * each[0] for drawn in values for k, each in enumerate(drawn))
        gradients = torch.autograd.grad(loss, [dbp.logit for dbp in dbps[:3]])
        found.append((torch.stack([each for drawn in values for each in drawn]), gradients))
    (ours, our_gradients), (theirs, their_gradients) = found
    assert torch.equal(ours, theirs)
    assert 0 < ours[:, 0].mean() < 1
    torch.testing.assert_close(our_gradients, their_gradients)
