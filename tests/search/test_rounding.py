"""Rounding to whole bits: against a search through all choices."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdq_fpga.search.rounding import round_bits

LAYERS = st.lists(
    st.tuples(st.sets(st.integers(2, 8), min_size=1, max_size=4), st.integers(1, 300)),
    min_size=1,
    max_size=5,
)


@given(LAYERS, st.floats(0, 1))
def test_it_is_the_best_choice_within_the_budget(layers, share):
    candidates = [sorted(options) for options, _ in layers]
    sizes = [size for _, size in layers]
    lowest = sum(size * options[0] for size, options in zip(sizes, candidates, strict=True))
    highest = sum(size * options[-1] for size, options in zip(sizes, candidates, strict=True))
    budget = int(lowest + share * (highest - lowest))

    def total(bits):
        return sum(size * b for size, b in zip(sizes, bits, strict=True))

    chosen = round_bits(candidates, sizes, budget)
    best = min(
        (sum(4.0**-b for b in bits), total(bits))
        for bits in itertools.product(*candidates)
        if total(bits) <= budget
    )
    assert total(chosen) <= budget
    assert (sum(4.0**-b for b in chosen), total(chosen)) == best
    for index, bits in enumerate(chosen):
        higher = [option for option in candidates[index] if option > bits]
        if higher:
            assert total(chosen) + sizes[index] * (higher[0] - bits) > budget


def test_a_budget_under_the_lowest_candidates_is_refused():
    with pytest.raises(ValueError, match="fits 19 bits"):
        round_bits([(2, 4), (2, 3)], [5, 5], 19)


def test_a_deep_network_is_rounded_exactly_and_soon():
    candidates, sizes = [(2, 3, 4, 6, 8)] * 40, [1000 + 37 * layer for layer in range(40)]
    bits = round_bits(candidates, sizes, 3 * sum(sizes))
    assert sum(size * b for size, b in zip(sizes, bits, strict=True)) <= 3 * sum(sizes)
    assert min(bits) >= 2
