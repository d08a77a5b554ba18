"""The peak of slices and LUTs together, against a search over all ways to share layers."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdq_fpga.cost.roofline import peak

AMOUNTS = st.floats(0.5, 100)


def shared(slices, luts, dsp, lut, split):
    """Cycles if of each layer that share is done in slices."""
    in_slices = sum(a * s for a, s in zip(split, slices, strict=True)) / dsp
    return max(in_slices, sum((1 - a) * t for a, t in zip(split, luts, strict=True)) / lut)


@given(st.lists(st.tuples(AMOUNTS, AMOUNTS), min_size=1, max_size=3), *[st.integers(1, 50)] * 2)
def test_no_way_to_share_layers_is_faster(layers, dsp, lut):
    slices, luts = map(list, zip(*layers, strict=True))
    found = peak(slices, luts, dsp, lut)
    ways = itertools.product([k / 12 for k in range(13)], repeat=len(layers))
    best = min(shared(slices, luts, dsp, lut, split) for split in ways)
    assert found <= best * (1 + 1e-9)
    # A step of the search is a twelfth of a layer.
    step = max(max(s / dsp, t / lut) for s, t in layers) / 12
    assert best <= found + len(layers) * step


def test_what_can_be_done_in_one_way_only():
    inf = math.inf
    assert peak([10.0, 10.0], [inf, 40.0], 10, 10) == pytest.approx(1 + (4 - 1) / 5)
    assert peak([10.0], [inf], 5, 100) == 2
    assert peak([inf], [30.0], 5, 10) == 3
    assert peak([10.0], [30.0], 0, 10) == 3
    assert peak([10.0], [30.0], 5, 0) == 2
    assert peak([inf], [inf], 5, 10) == inf
    assert peak([10.0], [inf], 0, 10) == inf
