import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdq_fpga.errors import UserError
from tests.hw.farm import Case, Farm, execute, farms, one_farm
from tests.hw.single import intervals, lint_case, operator
from tests.hw.test_pool import RANGE, draw_values

FACTORS = [(2, 2), (2, 2), (1, 2), (2, 1), (1, 4), (3, 1), (3, 2), (2, 5)]


@st.composite
def cases(draw):
    pe, folds = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    height, width = draw(st.integers(1, 3)), draw(st.integers(1, 5))
    factors = draw(st.sampled_from(FACTORS))
    name = draw(st.sampled_from(sorted(RANGE)))
    frames = draw_values(draw, name, (draw(st.integers(2, 4)), height, width, pe * folds))
    rows = np.arange(height * factors[0]) // factors[0]
    columns = np.arange(width * factors[1]) // factors[1]
    expected = frames.take(rows, axis=1).take(columns, axis=2)
    attributes = {
        "shape": [1, height, width, pe * folds],
        "factor_h": factors[0],
        "factor_w": factors[1],
        "data_type": name,
        "PE": pe,
        "memory": draw(st.sampled_from(["auto", "distributed", "block"])),
    }
    return Case("SdqUpsample_rtl", attributes, [frames], [expected])


@one_farm
@given(farms(cases(), 20), st.integers(0, 2**31))
def test_frames(tmp_path_factory, drawn, seed):
    farm = Farm(drawn, tmp_path_factory.mktemp("farm"))
    farm.check(seed)
    assert intervals(farm) == [op.cycles() for op in farm.ops]
    for case in drawn:
        np.testing.assert_array_equal(execute(case)[0], case.expected[0])


@settings(max_examples=8, deadline=None)
@given(cases())
def test_lint(tmp_path_factory, drawn):
    lint_case(drawn, tmp_path_factory.mktemp("lint"))


def attributes(**changed):
    given = {"shape": [1, 3, 32, 64], "factor_h": 2, "factor_w": 3, "data_type": "INT4", "PE": 8}
    return Case("SdqUpsample_rtl", given | changed, [np.zeros(1)], [np.zeros(1)])


def test_what_fits_is_accepted():
    op = operator(attributes())
    op.check()
    assert op.luts() > 0
    assert op.get_exp_cycles() == 6 * 96 * 8
    assert op.get_normal_output_shape() == (1, 6, 96, 64)


def test_memory():
    # 256 words of 32 bits: 4 banks of 8 LUTs for 7 bits, and a LUT for each bit to choose a bank
    row = operator(attributes())
    assert row.parameters()["MEMORY"] == '"block"'
    assert row.bram_estimation("") == 1
    assert operator(attributes(memory="distributed")).luts() - row.luts() == 179
    position = operator(attributes(factor_h=1))  # 8 words: 4 LUTs for 6 bits
    assert position.parameters()["MEMORY"] == '"distributed"'
    assert position.luts() - operator(attributes(factor_h=1, memory="block")).luts() == 22
    assert operator(attributes(factor_h=1, PE=64, memory="block")).bram_estimation("") == 0


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"PE": 3}, "PE=3 does not divide 64"),
        ({"shape": [1, 6]}, r"shape=\[1, 6\] is no image"),
        ({"factor_h": 0}, "below 1"),
        ({"factor_w": -1}, "below 1"),
        ({"factor_h": 1, "factor_w": 1}, "both factors are 1"),
    ],
)
def test_refusals(changed, said):
    with pytest.raises(UserError, match=said):
        operator(attributes(**changed)).check()
