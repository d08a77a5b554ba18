"""Single exchanges of choices: designs that come within the budget, and cheaper ones."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdq_fpga.cost.folding.relaxed import Link, Part, Relaxed
from sdq_fpga.cost.folding.repair import cheapest_of, first_of, improved, repaired

RESOURCES = 2
LIMITS = np.ones(RESOURCES)


@st.composite
def networks(draw):
    """A chain of stages, with something between that depends on both sides' kinds."""
    shares = st.integers(0, 8).map(lambda each: each / 16)
    parts = []
    for _ in range(draw(st.integers(1, 4))):
        kinds = sorted(draw(st.lists(st.integers(0, 1), min_size=1, max_size=4)))
        kinds = np.array([each - kinds[0] for each in kinds])
        amounts = [[draw(shares) for _ in range(RESOURCES)] for _ in kinds]
        costs = [draw(shares) for _ in kinds]
        parts.append(Part(np.array(amounts), np.array(costs), kinds))
    links = []
    for stage in range(len(parts) - 1):
        shape = int(parts[stage].kinds[-1]) + 1, int(parts[stage + 1].kinds[-1]) + 1
        amounts = np.array([draw(shares) / 8 for _ in range(shape[0] * shape[1] * RESOURCES)])
        never = np.zeros(shape, bool)
        links.append((stage, stage + 1, Link(amounts.reshape(*shape, RESOURCES), never)))
    return Relaxed(parts, links)


def designs(relaxed):
    return itertools.product(*(range(len(part.kinds)) for part in relaxed.parts))


def differing(one, other):
    return sum(a != b for a, b in zip(one, other, strict=True))


@settings(max_examples=100, deadline=None)
@given(networks(), st.data())
def test_what_is_repaired_is_within_the_budget(relaxed, data):
    index = data.draw(st.sampled_from(list(designs(relaxed))))
    found = repaired(relaxed, index, LIMITS, np.ones(RESOURCES), 1.0)
    if (relaxed.totals(index)[0] <= LIMITS).all():
        assert found == index
    if found is not None:
        assert (relaxed.totals(found)[0] <= LIMITS + 1e-9).all()


@settings(max_examples=100, deadline=None)
@given(networks())
def test_no_exchange_makes_what_is_improved_cheaper(relaxed):
    within = [each for each in designs(relaxed) if (relaxed.totals(each)[0] <= LIMITS).all()]
    for index in within[:5]:
        found = improved(relaxed, index, LIMITS)
        amounts, cost = relaxed.totals(found)
        assert (amounts <= LIMITS + 1e-9).all()
        assert cost <= relaxed.totals(index)[1] + 1e-9
        for other in within:
            if differing(found, other) == 1:
                assert cost <= relaxed.totals(other)[1] + 1e-9


@settings(max_examples=100, deadline=None)
@given(networks(), st.data())
def test_one_start_after_another_leads_where_each_alone_does(relaxed, data):
    drawn = st.sampled_from(list(designs(relaxed)))
    starts = data.draw(st.lists(drawn, min_size=1, max_size=5))
    prices = np.array([1.0, 0.25])
    alone = [repaired(relaxed, each, LIMITS, prices, 0.0) for each in starts]
    found = first_of(relaxed, starts, LIMITS, prices)
    assert found == next((each for each in alone if each is not None), None)
    costs = [
        relaxed.totals(improved(relaxed, each, LIMITS))[1]
        for each in (repaired(relaxed, start, LIMITS, prices, 1.0) for start in starts)
        if each is not None
    ]
    best = cheapest_of(relaxed, starts, LIMITS, prices)
    assert (best is None) == (not costs)
    if costs:
        assert relaxed.totals(best)[1] == pytest.approx(min(costs))


def test_another_memory_of_one_of_equal_stages():
    """Prices alone change both: then one resource or the other is exceeded."""
    part = Part(np.array([[0.6, 0.1], [0.1, 0.6]]), np.zeros(2), np.zeros(2, np.int64))
    relaxed = Relaxed([part, part], [])
    found = repaired(relaxed, (0, 0), LIMITS, np.ones(RESOURCES), 0.0)
    assert sorted(found) == [0, 1]
    assert relaxed.totals(found)[0] == pytest.approx([0.7, 0.7])


def test_what_can_not_be_repaired():
    part = Part(np.array([[1.5, 0.0], [1.2, 0.0]]), np.zeros(2), np.zeros(2, np.int64))
    assert repaired(Relaxed([part], []), (0,), LIMITS, np.ones(RESOURCES), 1.0) is None
