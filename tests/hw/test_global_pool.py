import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdq_fpga.errors import UserError
from tests.hw.farm import Case, Farm, execute, farms, one_farm
from tests.hw.single import intervals, lint_case, operator
from tests.hw.test_pool import RANGE, draw_values, sum_type


@st.composite
def cases(draw):
    pe, folds = draw(st.integers(1, 3)), draw(st.sampled_from([1, 1, 2, 2, 3, 4, 5, 16]))
    height, width = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    name, operation = draw(st.sampled_from(sorted(RANGE))), draw(st.sampled_from(["max", "sum"]))
    low, high = RANGE[name]
    out = name
    if operation == "sum":
        out = sum_type(height * width * low, height * width * high)
        if draw(st.booleans()):
            out = "INT24"
    frames = draw_values(draw, name, (draw(st.integers(2, 4)), height, width, pe * folds))
    # By loops over the positions, not over axes.
    positions = [frames[:, row, column] for row in range(height) for column in range(width)]
    expected = positions[0].copy()
    for one in positions[1:]:
        expected = np.maximum(expected, one) if operation == "max" else expected + one
    attributes = {
        "shape": [1, height, width, pe * folds],
        "operation": operation,
        "in_type": name,
        "out_type": out,
        "PE": pe,
        "memory": draw(st.sampled_from(["auto", "distributed", "block"])),
    }
    return Case("SdqGlobalPool_rtl", attributes, [frames], [expected[:, None, None]])


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
    given = {"shape": [1, 7, 7, 512], "operation": "sum", "in_type": "UINT4", "out_type": "UINT10"}
    return Case("SdqGlobalPool_rtl", given | {"PE": 2} | changed, [np.zeros(1)], [np.zeros(1)])


def test_what_fits_is_accepted():
    op = operator(attributes())
    op.check()
    assert op.luts() > 0
    assert op.get_exp_cycles() == 49 * 256
    assert op.get_normal_output_shape() == (1, 1, 1, 512)


def test_memory():
    # 256 words of 20 bits: 4 banks of 8 LUTs for 7 bits, and a LUT for each bit to choose a bank
    small = operator(attributes())
    assert small.parameters()["MEMORY"] == '"distributed"'
    assert small.bram_estimation("") == 0
    assert small.luts() == 112 + 2 * 10 + 2 * 14 + 6
    large = operator(attributes(shape=[1, 7, 7, 2048], PE=1))
    assert large.parameters()["MEMORY"] == '"block"'
    assert large.bram_estimation("") == 2  # 2048 words of 10 bits
    assert operator(attributes(memory="block")).bram_estimation("") == 1
    assert operator(attributes(memory="block", PE=512)).bram_estimation("") == 0


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"PE": 3}, "PE=3 does not divide 512"),
        ({"shape": [1, 512]}, r"shape=\[1, 512\] is no image"),
        ({"shape": [2, 7, 7, 512]}, "is no image"),
        ({"shape": [1, 0, 7, 512]}, "is no image"),
        ({"out_type": "UINT9"}, r"sums of 49 values of UINT4 lie in 0\.\.735, beyond UINT9"),
        ({"operation": "max"}, "maximum of UINT4 can't be UINT10"),
        ({"out_type": "FLOAT32"}, "FLOAT32 is no integer type"),
    ],
)
def test_refusals(changed, said):
    with pytest.raises(UserError, match=said):
        operator(attributes(**changed)).check()
