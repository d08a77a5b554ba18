"""The integer program of bits, against trying every choice."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdq_fpga.search.choice import Choice
from sdq_fpga.search.limit import spent
from sdq_fpga.search.mean_bits import MeanBits
from sdq_fpga.search.program import Taken, cheapest_choice


def taken_by(taken, places):
    return sum(table.amounts[tuple(places[c] for c in table.choices)] for table in taken)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.floats(0.05, 1.0))
def test_it_is_the_best_of_all_choices(seed, share):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 5, rng.integers(1, 5))
    costs = [rng.random(size) * 10.0 ** rng.integers(-6, 6) for size in sizes]
    taken = [Taken((), rng.random(2))]
    for _ in range(rng.integers(1, 6)):
        scope = rng.choice(len(sizes), min(len(sizes), rng.integers(1, 4)), replace=False)
        taken.append(Taken(tuple(map(int, sorted(scope))), rng.random((*sizes[sorted(scope)], 2))))
    everything = list(product(*map(range, sizes)))
    amounts = np.array([taken_by(taken, each) for each in everything])
    limits = np.quantile(amounts, share, axis=0) + 1e-4
    found = cheapest_choice([list(each) for each in costs], taken, list(limits))
    kept = (amounts <= limits).all(axis=1)
    inside = [places for places, within in zip(everything, kept, strict=True) if within]
    if not inside:
        assert found is None
        return

    def cost(places):
        return sum(own[place] for own, place in zip(costs, places, strict=True))

    assert found is not None
    assert (taken_by(taken, found) <= limits * (1 + 1e-5)).all()
    best = min(map(cost, inside))
    assert cost(found) <= best + 1e-6 * max(map(np.max, costs))


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.integers(1, 10**7), min_size=1, max_size=5), st.floats(2, 8), st.integers(0, 10**6)
)
def test_mean_bits_are_within_and_spent(sizes, goal, seed):
    rng = np.random.default_rng(seed)
    limit = MeanBits("weight", [Choice("x", (2, 3, 4, 6, 8), size) for size in sizes], goal)
    costs = [sorted(rng.random(5), reverse=True) for _ in sizes]
    bits = spent(limit, limit.cheapest(costs), costs)
    assert limit.allows(bits)
    for index, own in enumerate(bits):
        if own < 8:
            higher = {2: 3, 3: 4, 4: 6, 6: 8}[own]
            assert not limit.allows([*bits[:index], higher, *bits[index + 1 :]])


def test_nothing_within_the_limits_is_none():
    assert cheapest_choice([[1.0, 0.0]], [Taken((0,), np.array([[2.0], [3.0]]))], [1.0]) is None


def test_of_what_there_is_none_nothing_is_taken():
    taken = [Taken((0,), np.array([[1.0, 0.0], [1.0, 2.0]]))]
    assert cheapest_choice([[1.0, 0.0]], taken, [5.0, 0.0]) == (0,)


@pytest.mark.parametrize("tries", [0, 1, 2])
def test_no_more_bits_are_tried_than_may_be(tries):
    limit = MeanBits("weight", [Choice("x", (2, 4, 8), 10), Choice("y", (2, 4, 8), 10)], 8.0)
    limit.most_tries = tries
    bits = spent(limit, (2, 2), [[0, -1, -2], [0, -5, -9]])
    assert bits == ((2, 2), (2, 4), (2, 8))[tries]
