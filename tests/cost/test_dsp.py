"""DSP slices of a matrix-vector unit: known figures, and the packing derived anew."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdq_fpga.board import DspGeneration
from sdq_fpga.cost.dsp import lanes, mvu_dsps

DSP48E1, DSP48E2, DSP58 = DspGeneration.DSP48E1, DspGeneration.DSP48E2, DspGeneration.DSP58

GENERATIONS = st.sampled_from(DspGeneration)
WEIGHT_BITS = st.integers(2, 8)
ACTIVATION_BITS = st.integers(2, 9)
SIZES = st.integers(1, 64)


def lanes_that_fit(
    generation: DspGeneration, weight_bits: int, activation_bits: int, *, narrow: bool
) -> int:
    """The most weights that fit beside each other into the multiplier's wide input.

    They are one number, sum(w_i << (i * spacing)). It fits if it is in the range of the signed
    input for the least and the greatest weights. Products of neighbours must not overlap by more
    than a carry, for which the spacing is a bit short of a whole product.
    """
    input_bits = {DSP48E1: 25, DSP48E2: 27, DSP58: 27}[generation]
    greatest = 2 ** (weight_bits - 1) - 1
    least = -greatest if narrow else -greatest - 1
    spacing = weight_bits + activation_bits - 1
    count = 0
    while True:
        ones = sum(1 << (index * spacing) for index in range(count + 1))
        fits = -(2 ** (input_bits - 1)) <= least * ones <= greatest * ones < 2 ** (input_bits - 1)
        if not fits:
            return count
        count += 1


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize(
    ("generation", "bits", "expected"),
    [
        (DSP48E2, 2, 9),
        (DSP48E2, 3, 5),
        (DSP48E2, 4, 4),
        (DSP48E2, 8, 2),
        (DSP48E1, 2, 8),
        (DSP48E1, 8, 2),
        (DSP58, 2, 9),
        (DSP58, 4, 4),
        (DSP58, 8, 2),
    ],
)
def test_known_lanes(generation, bits, expected, narrow):
    assert lanes(generation, bits, bits, narrow=narrow) == expected


@pytest.mark.parametrize(
    ("generation", "weight_bits", "activation_bits", "narrow", "wide"),
    [
        (DSP48E2, 2, 4, 6, 5),
        (DSP48E2, 3, 2, 7, 6),
        (DSP48E2, 3, 4, 5, 4),
        (DSP48E2, 5, 7, 3, 2),
        (DSP48E1, 3, 9, 3, 2),
        (DSP48E1, 4, 4, 4, 3),
    ],
)
def test_a_narrow_range_of_weights_may_give_a_lane_more(
    generation, weight_bits, activation_bits, narrow, wide
):
    assert lanes(generation, weight_bits, activation_bits, narrow=True) == narrow
    assert lanes(generation, weight_bits, activation_bits, narrow=False) == wide


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize(("generation", "bits"), [(DSP48E1, 25), (DSP48E2, 27), (DSP58, 27)])
def test_a_weight_as_wide_as_the_input_has_it_for_itself(generation, bits, narrow):
    assert lanes(generation, bits, 2, narrow=narrow) == 1


@settings(deadline=None)
@given(
    generation=GENERATIONS,
    weight_bits=st.integers(2, 25),
    activation_bits=st.integers(2, 17),
    narrow=st.booleans(),
)
def test_lanes_are_as_many_as_fit(generation, weight_bits, activation_bits, narrow):
    args = (generation, weight_bits, activation_bits)
    assert lanes(*args, narrow=narrow) == lanes_that_fit(*args, narrow=narrow)


@settings(deadline=None)
@given(
    generation=GENERATIONS,
    weight_bits=WEIGHT_BITS,
    activation_bits=ACTIVATION_BITS,
    narrow=st.booleans(),
)
def test_more_bits_never_give_more_lanes(generation, weight_bits, activation_bits, narrow):
    here = lanes(generation, weight_bits, activation_bits, narrow=narrow)
    assert lanes(generation, weight_bits + 1, activation_bits, narrow=narrow) <= here
    assert lanes(generation, weight_bits, activation_bits + 1, narrow=narrow) <= here
    assert lanes(generation, weight_bits, activation_bits, narrow=True) >= here >= 1


def slices(per_slice: int, pe: int, simd: int) -> int:
    """Counts them: a slice is shared by neighbouring rows of one column of the array."""
    return len({(row // per_slice, column) for row in range(pe) for column in range(simd)})


@settings(deadline=None)
@given(
    generation=st.sampled_from([DSP48E1, DSP48E2]),
    weight_bits=WEIGHT_BITS,
    activation_bits=ACTIVATION_BITS,
    pe=SIZES,
    simd=SIZES,
    narrow=st.booleans(),
)
def test_rows_share_slices(generation, weight_bits, activation_bits, pe, simd, narrow):
    args = (generation, weight_bits, activation_bits)
    per_slice = lanes_that_fit(*args, narrow=narrow)
    assert mvu_dsps(*args, pe, simd, narrow=narrow) == slices(per_slice, pe, simd)


@settings(deadline=None)
@given(
    weight_bits=WEIGHT_BITS,
    activation_bits=ACTIVATION_BITS,
    pe=SIZES,
    simd=SIZES,
    narrow=st.booleans(),
)
def test_a_dsp58_sums_three_columns_where_it_has_at_most_three_lanes(
    weight_bits, activation_bits, pe, simd, narrow
):
    args = (DSP58, weight_bits, activation_bits)
    per_slice = lanes_that_fit(*args, narrow=narrow)
    expected = slices(per_slice, pe, simd) if per_slice > 3 else slices(3, simd, pe)
    assert mvu_dsps(*args, pe, simd, narrow=narrow) == expected


@pytest.mark.parametrize(
    ("generation", "weight_bits", "activation_bits", "pe", "simd", "expected"),
    [
        (DSP48E2, 4, 4, 4, 9, 9),
        (DSP48E2, 4, 4, 5, 9, 18),
        (DSP48E2, 2, 2, 9, 16, 16),
        (DSP48E2, 8, 8, 1, 16, 16),
        (DSP48E2, 8, 8, 16, 16, 128),
        (DSP48E1, 2, 2, 9, 16, 32),
        (DSP58, 4, 4, 4, 9, 9),
        (DSP58, 8, 8, 1, 16, 6),
        (DSP58, 8, 8, 16, 3, 16),
        (DSP58, 8, 9, 1, 3, 1),
        (DSP58, 8, 10, 1, 3, 3),  # too wide for the INT8 mode
        (DSP58, 9, 8, 1, 3, 3),
    ],
)
def test_known_slices(generation, weight_bits, activation_bits, pe, simd, expected):
    found = mvu_dsps(generation, weight_bits, activation_bits, pe, simd, narrow=True)
    assert found == expected


@settings(deadline=None)
@given(
    generation=st.sampled_from([DSP48E1, DSP48E2]),
    weight_bits=WEIGHT_BITS,
    activation_bits=ACTIVATION_BITS,
    pe=SIZES,
    simd=SIZES,
    narrow=st.booleans(),
)
def test_more_bits_never_need_fewer_slices(
    generation, weight_bits, activation_bits, pe, simd, narrow
):
    """Not so on a DSP58, whose INT8 mode needs more than four bits to be chosen."""
    here = mvu_dsps(generation, weight_bits, activation_bits, pe, simd, narrow=narrow)
    more_w = mvu_dsps(generation, weight_bits + 1, activation_bits, pe, simd, narrow=narrow)
    more_a = mvu_dsps(generation, weight_bits, activation_bits + 1, pe, simd, narrow=narrow)
    assert min(more_w, more_a) >= here


@settings(deadline=None)
@given(
    generation=GENERATIONS,
    weight_bits=WEIGHT_BITS,
    activation_bits=ACTIVATION_BITS,
    pe=SIZES,
    simd=SIZES,
    narrow=st.booleans(),
)
def test_a_larger_unit_never_needs_fewer_slices(
    generation, weight_bits, activation_bits, pe, simd, narrow
):
    def dsps(pe: int, simd: int) -> int:
        return mvu_dsps(generation, weight_bits, activation_bits, pe, simd, narrow=narrow)

    assert dsps(pe, simd) <= min(dsps(pe + 1, simd), dsps(pe, simd + 1))
    assert dsps(2 * pe, simd) <= 2 * dsps(pe, simd)
