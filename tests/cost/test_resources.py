"""Resources of nodes: what never depends on a fit, what is fitted, and that bits cost."""

import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdq_fpga.board import DspGeneration, load_board
from sdq_fpga.cost.features import MEMORY, TERMS, parts_of
from sdq_fpga.cost.fitted import read_model
from sdq_fpga.cost.measured import read_measured
from sdq_fpga.cost.resources import family_of_dsp, node_resources
from sdq_fpga.errors import StageError
from tests.cost import nodes

FAMILIES = ("xcup", "xc7")
FOLDER = Path(__file__).parent / "measured"
LUT_ERROR, FF_ERROR = 0.10, 0.15
FEW = 8  # nodes of which a mean says little
RAM_EXACT = 0.99  # where Yosys finds LUTs and block RAM to cost the same, it may choose either
# Products in LUTs of 2 x 5 bits have three rows, those of 3 x 5 two (Tree.swapped).
FALLS_OF_PRODUCTS = 0.20
# The most of all foldings, shapes and bits that the test draws from is 5.9 %.
FALLS_OF_DSP_UNITS = 0.06
# The second, shallow memory of a deep FIFO is one block RAM of 32 bits, or LUTs of 40.
FALLS_OF_FIFOS = 0.25
STORED = [
    pytest.param(family, each, id=f"{family}-{each.origin}-{each.name}")
    for family in FAMILIES
    for each in read_measured(FOLDER / f"{family}.jsonl")
]
BOARD = load_board("zcu104")


@pytest.mark.parametrize(("family", "measured"), STORED)
def test_slices_and_memories_are_those_that_yosys_found(family, measured):
    found = node_resources(measured.node, family)
    total = measured.total
    assert (found.dsp, found.bram18, found.uram) == (total.dsp, total.bram18, total.uram)


def test_stored_figures_have_slices_and_every_kind_of_memory():
    totals = [each.values[1].total for each in STORED]
    for name in ("dsp", "bram18"):
        assert sum(getattr(total, name) > 0 for total in totals) >= 5, name


@pytest.mark.parametrize("family", FAMILIES)
def test_stored_figures_are_predicted(family):
    """On the whole; single nodes, and those whose constants decide, may be far off."""
    stored = [each.values[1] for each in STORED if each.values[0] == family]
    for name in ("lut", "ff"):
        errors = [
            abs(getattr(node_resources(each.node, family), name) - getattr(each.total, name))
            / getattr(each.total, name)
            for each in stored
        ]
        assert sum(errors) / len(errors) < 0.12, name


@pytest.mark.parametrize("family", FAMILIES)
def test_every_type_of_node_is_fitted(family):
    model = read_model(family)
    assert set(model.parts) == set(TERMS)
    assert model.schema_version == 1
    assert "Yosys" in model.tool
    for name, fit in model.parts.items():
        assert min(fit.lut.values()) >= 0, name
        assert min(fit.ff.values()) >= 0, name
        assert fit.nodes > 0, name
        assert fit.dsp_exact == 1, name
        assert fit.ram_exact > RAM_EXACT, name


def test_recorded_errors_are_within_the_targets():
    """Of nodes that the fit has not seen; of those that it has, where there are few others."""
    for name, fit in read_model("xcup").parts.items():
        few = fit.held_out < FEW
        lut, ff = (
            (fit.lut_error, fit.ff_error)
            if few
            else (fit.lut_error_held_out, fit.ff_error_held_out)
        )
        assert lut <= LUT_ERROR, name
        assert ff <= FF_ERROR, name


@pytest.mark.parametrize("family", FAMILIES)
def test_recorded_errors_are_those_of_the_docs(family):
    text = (Path(__file__).parents[2] / "docs" / "resources.md").read_text(encoding="utf-8")
    section = text.split("\n## Nodes\n")[1].split("\n## ")[0].replace("*", "")
    for name, fit in read_model(family).parts.items():
        row = (
            f"| {name} | {fit.nodes} | {fit.held_out} | {fit.lut_error:.1%} "
            f"| {fit.lut_error_held_out:.1%} | {fit.ff_error:.1%} | {fit.ff_error_held_out:.1%} |"
        )
        assert row in section


@pytest.mark.parametrize("family", FAMILIES)
def test_networks_are_predicted_by_a_fit_that_has_not_seen_them(family):
    totals = read_model(family).networks
    assert totals
    for name, each in totals.items():
        assert not each.fitted, name
        assert each.dsp[0] == each.dsp[1], name
        assert each.bram18[0] == pytest.approx(each.bram18[1], rel=0.05), name
        assert each.lut[0] == pytest.approx(each.lut[1], rel=LUT_ERROR), name
        assert each.ff[0] == pytest.approx(each.ff[1], rel=FF_ERROR), name


# ---- more bits never cost less --------------------------------------------------------------


def price(node, family):
    """The share of a board that a node takes, all resources together."""
    found, budget = node_resources(node, family), BOARD.budget
    return sum(
        getattr(found, name) / getattr(budget, name)
        for name in ("lut", "ff", "dsp", "bram18", "uram")
    )


def check_monotone(make, family, least=2, most=8, falls=0.05):
    """Bit by bit, a price may fall by a small share where the RTL itself comes out smaller."""
    prices = [price(make(bits), family) for bits in range(least, most + 1)]
    for bits, (less, more) in enumerate(itertools.pairwise(prices), least):
        assert more >= (1 - falls) * less, f"{bits + 1} bits cost less than {bits}: {prices}"
    assert prices[-1] > prices[0]


FAMILY = st.sampled_from(FAMILIES)
FOLD = st.sampled_from([1, 2, 4, 8])


@settings(deadline=None)
@given(
    FAMILY,
    st.sampled_from([8, 27, 72, 144, 576]),
    st.sampled_from([8, 16, 64]),
    FOLD,
    st.booleans(),
    st.integers(2, 8),
    st.booleans(),
)
def test_a_matrix_costs_more_with_more_bits(family, rows, columns, pe, whole, other, weights):
    simd = rows if whole and rows * pe <= 144 else 1
    for lut in (False, True):

        def make(bits, lut=lut):
            a, w = (other, bits) if weights else (bits, other)
            return nodes.matrix(a, w, rows, columns, pe, simd, lut=lut)

        check_monotone(make, family, falls=FALLS_OF_PRODUCTS if lut else FALLS_OF_DSP_UNITS)


@settings(deadline=None)
@given(FAMILY, FOLD, st.sampled_from([1, 3, 9]), st.integers(2, 8), st.booleans())
def test_a_depthwise_unit_costs_more_with_more_bits(family, pe, simd, other, weights):
    for resource in ("lut", "dsp"):

        def make(bits, resource=resource):
            a, w = (other, bits) if weights else (bits, other)
            return nodes.depthwise(a, w, 16, pe, simd, resource)

        check_monotone(make, family, falls=FALLS_OF_PRODUCTS if resource == "lut" else 0.05)


@settings(deadline=None)
@given(FAMILY, st.sampled_from([8, 64, 512]), FOLD, st.integers(8, 16))
def test_thresholds_cost_more_with_more_bits(family, channels, pe, source):
    check_monotone(lambda bits: nodes.threshold(source, channels, pe, bits), family, 1)
    check_monotone(lambda bits: nodes.threshold(bits + 6, channels, pe, 4), family)


@settings(deadline=None)
@given(FAMILY, st.sampled_from([1, 4, 32]), st.booleans(), st.integers(6, 66))
def test_windows_cost_more_with_more_bits(family, channels, whole, size):
    simd = channels if whole else 1
    check_monotone(lambda bits: nodes.windows(bits, channels, simd, size, int(whole)), family, 1)


@settings(deadline=None)
@given(FAMILY, st.integers(1, 40), st.integers(2, 5000))
def test_a_fifo_costs_more_with_more_bits(family, elements, depth):
    style = "block" if family == "xc7" and depth > 33 else "auto"
    check_monotone(
        lambda bits: nodes.fifo(bits, elements, depth, style), family, 1, falls=FALLS_OF_FIFOS
    )


@settings(deadline=None)
@given(FAMILY, st.integers(1, 16), st.integers(1, 16))
def test_a_converter_costs_more_with_more_bits(family, into, out):
    check_monotone(lambda bits: nodes.converter(bits, into, out), family, 1)


@settings(deadline=None)
@given(FAMILY, st.sampled_from(nodes.OTHERS), FOLD)
def test_other_nodes_cost_more_with_more_bits(family, op, pe):
    check_monotone(lambda bits: nodes.elements(op, bits, pe), family)


# ---- the rest -------------------------------------------------------------------------------


def test_weights_from_outside_have_no_memory():
    inside = nodes.matrix(4, 4, 64, 64, 4, 8)
    outside = inside.with_attributes({"mem_mode": "external"})
    assert set(parts_of(inside, "xcup")) == {"MVAU_rtl", MEMORY}
    assert set(parts_of(outside, "xcup")) == {"MVAU_rtl"}
    assert node_resources(outside, "xcup").lut < node_resources(inside, "xcup").lut
    for make in (
        lambda: nodes.matrix(4, 4, 64, 64, 4, 8, lut=True),
        lambda: nodes.depthwise(4, 4, 16, 2, 3, "dsp"),
    ):
        with_memory = make()
        without = with_memory.with_attributes({"mem_mode": "external"})
        assert node_resources(without, "xcup").ff < node_resources(with_memory, "xcup").ff


def test_a_board_is_named_by_its_slices():
    node = nodes.matrix(8, 8, 64, 64, 4, 9)
    assert family_of_dsp(DspGeneration.DSP48E1) == "xc7"
    assert node_resources(node, DspGeneration.DSP48E1) == node_resources(node, "xc7")
    assert node_resources(node, DspGeneration.DSP48E2) == node_resources(node, "xcup")
    # In its INT8 mode a DSP58 sums three products of one row.
    assert node_resources(node, DspGeneration.DSP58).dsp == 4 * 3


def test_a_node_without_a_model_is_named():
    with pytest.raises(StageError, match=r"no resource model of Other_rtl \('Other_rtl_0'\)"):
        node_resources(nodes.node("Other_rtl"), "xcup")


def test_a_model_of_another_family_is_refused(tmp_path):
    path = tmp_path / "model.json"
    path.write_bytes(read_model("xcup").to_bytes())
    assert read_model("xcup", path) == read_model("xcup")
    with pytest.raises(StageError, match="is of xcup, not of xc7"):
        read_model("xc7", path)
    path.write_text("{")
    with pytest.raises(StageError, match="can't be read"):
        read_model("xcup", tmp_path / "none.json")
