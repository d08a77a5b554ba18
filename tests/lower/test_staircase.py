"""Thresholds by bisection, against looking at every code."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sdq_fpga.lower.read.staircase import bisect_thresholds, refine

LOW, HIGH = -40, 60
CODES = np.arange(LOW, HIGH + 1)
BITS = st.integers(0, 2**31 - 1)


def drawn(seed: int, channels: int, most: int) -> np.ndarray:
    """A non-decreasing staircase for each channel, [C, codes], with jumps and flat parts."""
    rng = np.random.default_rng(seed)
    steps = rng.integers(0, most + 1, (channels, len(CODES))) * (rng.random(len(CODES)) < 0.3)
    return np.cumsum(steps, axis=1).astype(np.float64) + rng.integers(-5, 5, (channels, 1))


def at(table: np.ndarray):
    return lambda codes: np.take_along_axis(table, codes - LOW, axis=1)


def least(table: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """The least code that reaches each level; one beyond the greatest if none does."""
    return np.array(
        [
            [next((c for c, value in zip(CODES, row, strict=True) if value >= level), HIGH + 1)
             for level in levels]
            for row in table
        ]
    )  # fmt: skip


@given(BITS, st.integers(1, 4), st.integers(1, 4), st.integers(1, 40))
@settings(max_examples=80, deadline=None)
def test_bisection_finds_the_least_code_of_every_level(seed, channels, most, count):
    table = drawn(seed, channels, most)
    levels = np.arange(-10, -10 + count)
    found = bisect_thresholds(at(table), levels, LOW, HIGH, channels)
    np.testing.assert_array_equal(found, least(table, levels))
    assert np.all(np.diff(found, axis=1) >= 0)


@given(BITS, st.integers(1, 4), st.integers(1, 3))
@settings(max_examples=80, deadline=None)
def test_refinement_follows_a_staircase_that_is_up_to_two_codes_off(seed, channels, most):
    """Thresholds of one staircase become those of the other, which the first one is near."""
    rng = np.random.default_rng(seed + 1)
    table = drawn(seed, channels, most)
    levels = np.arange(-10, 30)
    wanted = least(table, levels)
    shifted = np.clip(wanted + rng.integers(-2, 3, wanted.shape), LOW, HIGH + 1)
    np.testing.assert_array_equal(refine(shifted, at(table), levels, LOW, HIGH), wanted)


@given(BITS, st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_refinement_leaves_right_thresholds_alone(seed, most):
    table = drawn(seed, 3, most)
    levels = np.arange(-10, 40)
    right = least(table, levels)
    np.testing.assert_array_equal(refine(right, at(table), levels, LOW, HIGH), right)
