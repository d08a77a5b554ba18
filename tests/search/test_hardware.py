"""The differentiable cost of policies: expectations of the tables, and their gradients."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sdq_fpga.cost.folding.program import RESOURCES
from sdq_fpga.cost.policies import PolicyTables, TableGroup, Variable
from sdq_fpga.search.choice import Choice
from sdq_fpga.search.dbp import Dbp
from sdq_fpga.search.hardware import HardwareCost
from sdq_fpga.search.methods.fractional import Fraction
from sdq_fpga.search.methods.relaxation import Mixture
from sdq_fpga.search.spread import Spread

PRICES = {"lut": 0.5, "dsp": 20.0}
VARIABLES = tuple(
    Variable(name, weights=True, layers={name: 0}, bits=bits, now=bits[0])
    for name, bits in (("a", range(2, 5)), ("b", range(2, 6)), ("c", range(3, 5)))
)


def some_tables(seed):
    """Of three variables with 3, 4 and 2 bits to choose: one of all, one of two of them."""
    rng = np.random.default_rng(seed)
    groups = [
        TableGroup(np.array([[0, 1, 2]]), rng.uniform(0, 9, (1, 4, 4, 4, len(RESOURCES)))),
        TableGroup(np.array([[1, 2], [0, 2]]), rng.uniform(0, 9, (2, 4, 4, len(RESOURCES)))),
    ]
    return PolicyTables(VARIABLES, groups)


def cost(seed=0):
    return HardwareCost(some_tables(seed), PRICES, torch.float64)


def every_policy():
    return list(itertools.product(*(each.bits for each in VARIABLES)))


def test_policies_of_whole_bits_are_those_of_the_tables():
    policies = every_policy()
    found = cost().probabilities(torch.tensor(policies, dtype=torch.float64))
    np.testing.assert_allclose(
        cost().resources(found).numpy(), some_tables(0).resources(policies), rtol=1e-12
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 99), st.data())
def test_the_expectation_is_that_over_all_policies(seed, data):
    shares = []
    for each in VARIABLES:
        drawn = [data.draw(st.floats(0.01, 1)) for _ in each.bits]
        shares.append([one / sum(drawn) for one in drawn])
    padded = torch.tensor([[*each, *[0.0] * (4 - len(each))] for each in shares])
    tables, expected = some_tables(seed), np.zeros(len(RESOURCES))
    for policy in every_policy():
        chance = np.prod(
            [
                own[bits - variable.bits[0]]
                for own, bits, variable in zip(shares, policy, VARIABLES, strict=True)
            ]
        )
        expected += chance * tables.resources([policy])[0]
    found = HardwareCost(tables, PRICES)
    np.testing.assert_allclose(found.resources(padded).numpy(), expected, rtol=1e-5)
    priced = 0.5 * expected[RESOURCES.index("lut")] + 20 * expected[RESOURCES.index("dsp")]
    assert found.priced(padded).item() == pytest.approx(priced, rel=1e-5)


def test_expected_bits_between_two_share_them():
    shares = cost().probabilities(torch.tensor([2.25, 5.0, 3.5], dtype=torch.float64))
    assert shares.tolist() == [[0.75, 0.25, 0, 0], [0, 0, 0, 1], [0.5, 0.5, 0, 0]]


def test_bits_beyond_a_variable_are_its_last():
    beyond = torch.tensor([1.0, 9.0, 9.0], dtype=torch.float64, requires_grad=True)
    found = cost().probabilities(beyond)
    assert found.argmax(-1).tolist() == [0, 3, 1]
    cost().priced(found).backward()
    assert beyond.grad.tolist() == [0, 0, 0]


def test_gradients_are_those_of_differences():
    bits = torch.tensor([2.3, 3.6, 3.1], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: cost().priced(cost().probabilities(x)), bits)
    assert torch.autograd.gradcheck(lambda x: cost().resources(cost().probabilities(x)), bits)


def test_the_gradient_of_beta_is_the_difference_of_two_policies():
    found = HardwareCost(some_tables(0), PRICES)
    spread = Spread(((4, 2), (5,), (4, 3)), (0, 1, 2), (0, 0, 0), found)
    _, gradient = spread.priced.at(np.array([0.2, 0.8, 1.0, 1.0, 0.0]))
    prices = np.array([PRICES.get(name, 0.0) for name in RESOURCES])
    upper, dropped = some_tables(0).resources([[4, 5, 4], [2, 5, 4]]) @ prices
    assert gradient[0] - gradient[1] == pytest.approx(upper - dropped, rel=1e-4)
    assert spread.means.tolist() == [[4, 2, 0, 0, 0], [0, 0, 5, 0, 0], [0, 0, 0, 4, 3]]


def test_variables_of_one_choice_with_bits_of_their_own():
    found = HardwareCost(some_tables(0), PRICES)
    spread = Spread(((4, 3), (3,)), (0, 0, 1), (-1, 0, 1), found)
    one = found.probabilities(torch.tensor([2.75, 3.75, 4.0]))
    value, _ = spread.priced.at(np.array([0.75, 0.25, 1.0]))
    assert value == pytest.approx(found.priced(one).item(), rel=1e-6)


@given(st.integers(0, 1000))
def test_the_polynomial_of_shares_is_the_expected_worth(seed):
    """Of choices with different numbers of options, and its gradient that of torch."""
    found = HardwareCost(some_tables(seed), PRICES, torch.float64)
    options, owners, shifts = ((4, 3, 2), (3,), (5, 2)), (0, 2, 1), (0, 0, 1)
    spread = Spread(options, owners, shifts, found)
    generator = torch.Generator().manual_seed(seed)
    at = torch.rand(6, generator=generator, dtype=torch.float64).requires_grad_()
    of_variable = []
    for owner, shift in zip(owners, shifts, strict=True):
        first = sum(map(len, options[:owner]))
        rows = found.probabilities(
            torch.tensor(options[owner], dtype=torch.float64)[:, None].expand(-1, 3) + shift
        )[:, len(of_variable)]
        of_variable.append(at[first : first + len(options[owner])] @ rows)
    priced = found.priced(torch.stack(of_variable))
    value, gradient = spread.priced.at(at.detach().numpy())
    assert value == pytest.approx(priced.item(), rel=1e-9)
    (expected,) = torch.autograd.grad(priced, at)
    np.testing.assert_allclose(gradient, expected.numpy(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("make", [Choice, Dbp, Mixture, Fraction])
def test_probabilities_of_several_choices_are_those_of_each(make):
    choices = [make(f"c{k}", each, 1) for k, each in enumerate([(2, 3, 4), (5,), (2, 8), (3, 4)])]
    choices[3].settle(3)
    apart = torch.cat([each.probabilities() for each in choices])
    torch.testing.assert_close(make.together(choices), apart)
    assert make.chances(choices) == pytest.approx(apart.tolist(), rel=1e-6)
    settled = [make("one", (4,), 1)]
    assert make.together(settled).tolist() == [1]


@pytest.mark.parametrize("make", [Dbp, Mixture, Fraction])
def test_a_push_is_the_gradient_of_the_probabilities_and_adds_to_what_is_there(make):
    choices = [make(f"c{k}", each, 1) for k, each in enumerate([(2, 3, 4), (5,), (2, 8), (3, 4)])]
    choices[3].settle(3)
    slopes = torch.arange(1.0, 1 + len(make.chances(choices)))
    logits = [choices[0].logit, choices[2].logit]
    expected = torch.autograd.grad(make.together(choices) @ slopes, logits)
    for times in (1, 2):
        make.push(choices, make.chances(choices), slopes.tolist())
        for logit, own in zip(logits, expected, strict=True):
            torch.testing.assert_close(logit.grad, times * own)
    assert choices[3].logit.grad is None
    make.push(choices[3:], [1.0], [1.0])  # nothing to be moved


def test_many_at_once():
    many = torch.rand(5, 2, 3, dtype=torch.float64) * 3 + 2
    found = cost().resources(cost().probabilities(many))
    assert found.shape == (5, 2, len(RESOURCES))
    one = cost().resources(cost().probabilities(many[3, 1]))
    torch.testing.assert_close(found[3, 1], one)
    worth = cost().priced(cost().probabilities(many))
    torch.testing.assert_close(worth[3, 1], cost().priced(cost().probabilities(many[3, 1])))
    assert cost().variables == ("a", "b", "c")
