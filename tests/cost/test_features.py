"""What nodes are made of, where the RTL says it."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdq_fpga.cost.features import parts_of
from sdq_fpga.cost.features.parts import (
    comparison,
    comparison_with_constant,
    maximum,
    multiplexer,
    table_luts,
)
from sdq_fpga.cost.resources import node_resources
from tests.cost import nodes

FAMILY = st.sampled_from(["xcup", "xc7"])


def terms(node, family="xcup"):
    return parts_of(node, family)[node.op]


@pytest.mark.parametrize("count", [comparison, comparison_with_constant, maximum, table_luts])
def test_more_bits_or_words_take_more_luts(count):
    for less, more in itertools.pairwise(map(count, range(1, 100))):
        assert more >= less


def test_a_lut_has_six_inputs():
    """Three bits of two numbers, six of one beside a constant, or a choice of one among four."""
    assert [comparison(bits) for bits in (1, 3, 9, 12)] == [1, 1, 6, 8]
    assert [comparison_with_constant(bits) for bits in (1, 6, 18)] == [1, 1, 6]
    assert [multiplexer(inputs) for inputs in (1, 2, 4, 5, 16)] == [0, 1, 1, 2, 5]
    assert maximum(3) == 3


# ---- the greatest of several ----------------------------------------------------------------


def label_select(labels, pe, k=1, bits=8):
    return nodes.node("SdqLabelSelect_rtl", labels=labels, k=k, in_type=f"UINT{bits}", PE=pe)


@given(st.integers(2, 12), st.integers(1, 12))
def test_a_tree_of_choices_has_a_register_after_each(pe, bits):
    found = terms(label_select(10 * pe, pe, bits=bits))
    levels = [-(-pe // 2**level) for level in range(1, (pe - 1).bit_length() + 1)]
    assert found.lut["tree: comparisons"] == (pe - 1) * comparison(bits)
    assert found.ff["tree: bits"] == sum(levels) * bits


def test_the_lanes_of_neighbours_differ_in_a_bit():
    """Eight lanes: four nodes know one bit of theirs, two know two, the last knows all three."""
    assert terms(label_select(80, 8)).ff["tree: lanes"] == 4 * 1 + 2 * 2 + 1 * 3


def test_nothing_is_compared_with_what_came_before_if_nothing_did():
    assert terms(label_select(4, 4)).lut["cells: comparisons"] == 0
    assert terms(label_select(8, 4)).lut["cells: comparisons"] == comparison(8)


# ---- sums and products ----------------------------------------------------------------------


def summed(left, right, out, operation="add", factors=(1, 1)):
    return nodes.node(
        "SdqElementwise_rtl", 2, shape=(1, 4, 4, 8), left_type=left, right_type=right,
        out_type=out, operation=operation, left_factor=factors[0], right_factor=factors[1], PE=1,
        resType="auto",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("node", "luts"),
    [
        (summed("UINT4", "UINT4", "UINT5"), 4),  # the uppermost bit is the carry
        (summed("INT6", "INT6", "INT7"), 6),
        (summed("UINT7", "UINT4", "UINT8"), 4),  # nothing is added to the upper bits
        (summed("INT7", "UINT4", "INT8"), 4),
        (summed("UINT7", "INT4", "INT8"), 7),  # but a sign
        (summed("UINT4", "UINT4", "UINT7", factors=(4, 1)), 2),
        (summed("UINT4", "UINT4", "INT5", "sub"), 4),
        (summed("UINT4", "UINT7", "INT8", "sub"), 7),  # the inverse of the upper bits
    ],
)
def test_a_sum_takes_a_lut_where_both_numbers_have_a_bit(node, luts):
    assert terms(node).lut["sums"] == luts


def affine(resource="lut", form="scalar", pe=2, **constants):
    return nodes.node(
        "SdqAffine_rtl", shape=(1, 4, 4, 8), PE=pe, in_type="INT9", gain_type="INT8",
        offset_type="INT12", out_type="INT18", gain_form=form, offset_form="channels",
        gain_shift=0, resType=resource, **constants,
    )  # fmt: skip


@given(FAMILY, st.integers(0, 8), st.sampled_from([1, 2, 4, 8]))
def test_constants_that_are_shifts_take_no_slice(family, products, pe):
    every = affine("dsp", pe=pe, gain_products=8, gain_sums=16)
    none = affine("dsp", pe=pe, gain_products=0, gain_sums=0)
    some = affine("dsp", "channels", pe=8, gain_products=products, gain_sums=products)
    assert node_resources(every, family).dsp == pe
    assert node_resources(none, family).dsp == 0
    assert node_resources(some, family).dsp == products


@given(FAMILY, st.integers(0, 40))
def test_products_by_constants_cost_more_with_more_ones(family, sums):
    less, more = (affine(gain_products=8, gain_sums=each) for each in (sums, sums + 8))
    assert node_resources(less, family).lut <= node_resources(more, family).lut


@given(FAMILY, st.sampled_from(["channels", "scalar"]))
def test_constants_that_are_not_known_are_taken_for_random_ones(family, form):
    """Half of their bits are 1."""
    unknown = node_resources(affine(form=form), family).lut
    few, many = (
        node_resources(affine(form=form, gain_products=8, gain_sums=8 * sums), family).lut
        for sums in (1, 6)
    )
    assert few < unknown < many


def clipped(offset=12, shift=0, low=-16, high=15, **constants):
    """Products of 16 bits, by gains of each channel."""
    attributes = {
        "shape": (1, 4, 4, 8), "PE": 2, "in_type": "INT8", "gain_type": "INT8",
        "offset_type": f"INT{offset}", "out_type": "INT5", "gain_form": "channels",
        "offset_form": "channels", "gain_shift": 0, "resType": "lut", "shift": shift,
        "rounding": "floor", "low": low, "high": high,
    }  # fmt: skip
    return nodes.node("SdqRequant_rtl", **(attributes | constants))


def test_beyond_a_power_of_two_is_what_the_upper_bits_of_few_bits_say():
    """Of 9 bits and of 17, each with two bounds, for two elements."""
    few, many = (terms(clipped(shift=shift)).lut["comparisons"] for shift in (8, 0))
    assert few == 2 * 2 * comparison_with_constant(9 - 4)
    assert many == 2 * 2 * comparison_with_constant(17)


def test_a_comparison_with_any_number_looks_at_all_bits():
    found = terms(clipped(shift=8, low=-11, high=9)).lut["comparisons"]
    assert found == 2 * 2 * comparison_with_constant(9)


@pytest.mark.parametrize(
    ("offset", "constants", "bits"),
    [
        (12, {}, 17),
        (11, {"gain_form": "shift", "gain_shift": 2}, 12),
        (12, {"gain_form": "shifts"}, 12),  # all gains are 0
        (20, {"gain_form": "scalar"}, 21),
        # Offsets that are the same in all beats are known to synthesis, too.
        (20, {"gain_form": "scalar", "offset_form": "scalar"}, 16),
        (20, {"PE": 8}, 16),
        (20, {"PE": 8, "resType": "dsp"}, 21),
        (20, {"PE": 8, "gain_products": 0, "gain_sums": 8}, 8),
        (20, {"PE": 8, "gain_products": 0, "gain_sums": 8, "negative": 1}, 16),
    ],
)
def test_a_comparison_looks_at_the_bits_that_constants_leave_open(offset, constants, bits):
    node = clipped(offset, low=-11, high=9, **constants)
    found = terms(node).lut["comparisons"]
    assert found == 2 * node.integer("PE") * comparison_with_constant(bits)


def test_nothing_is_added_to_products_by_zero():
    assert terms(clipped(gain_form="shifts")).lut["sums"] == 0
    assert terms(clipped(gain_form="shift")).lut["sums"] > 0


def test_a_negated_shift_takes_less_than_a_product_of_as_many_sums():
    negated, product = (affine(gain_products=each, gain_sums=8) for each in (0, 8))
    assert node_resources(negated, "xcup").lut < node_resources(product, "xcup").lut


# ---- counters, memories and tables ----------------------------------------------------------


def test_turns_of_a_beat_are_not_counted():
    one, several = (nodes.node("SdqConcat_rtl", 2, channels=c, out_type="INT4", PE=4) for c in (
        (4, 4), (8, 4),
    ))  # fmt: skip
    assert terms(one).ff["counter"] == 0
    assert terms(several).ff["counter"] > 0


def test_a_frame_of_one_position_is_not_kept():
    one = nodes.elements("SdqGlobalPool_rtl", 4, 2).with_attributes({"shape": (1, 1, 1, 64)})
    assert terms(one).bram18 == 0
    assert node_resources(one, "xcup").lut < 5


def test_thresholds_that_follow_one_another_take_smaller_tables():
    """As many words, of one threshold in each of many channels or of several in fewer."""
    one = nodes.threshold(12, 256, 1, 1)
    several = nodes.threshold(12, 64, 1, 3)
    assert terms(one).lut["tables: channels"] > terms(several).lut["tables: channels"]
    assert terms(several).lut["tables"] > 0 == terms(one).lut["tables"]
    assert node_resources(one, "xcup").lut > node_resources(several, "xcup").lut
