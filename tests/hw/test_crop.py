import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdq_fpga.errors import UserError
from tests.hw.farm import Case, Farm, execute, farms, one_farm
from tests.hw.single import intervals, lint_case, operator
from tests.hw.test_pool import RANGE, draw_values


@st.composite
def cases(draw):
    pe, folds = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    some = st.sampled_from([0, 0, 1, 2])
    crops = [draw(some) for _ in range(4)]
    top, left, bottom, right = crops
    kept = [draw(st.integers(1, 4)) for _ in range(2)]
    height, width = top + kept[0] + bottom, left + kept[1] + right
    name = draw(st.sampled_from(sorted(RANGE)))
    frames = draw_values(draw, name, (draw(st.integers(2, 4)), height, width, pe * folds))
    rows = np.arange(top, top + kept[0])
    columns = np.arange(left, left + kept[1])
    expected = frames.take(rows, axis=1).take(columns, axis=2)
    shape = [1, height, width, pe * folds]
    attributes = {"shape": shape, "crops": crops, "data_type": name, "PE": pe}
    return Case("SdqCrop_rtl", attributes, [frames], [expected])


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
    given = {"shape": [1, 5, 6, 6], "crops": [1, 0, 2, 3], "data_type": "INT4", "PE": 2}
    return Case("SdqCrop_rtl", given | changed, [np.zeros(1)], [np.zeros(1)])


def test_what_fits_is_accepted():
    op = operator(attributes())
    op.check()
    assert op.luts() > 0
    assert op.get_exp_cycles() == 5 * 6 * 3
    assert op.get_normal_output_shape() == (1, 2, 3, 6)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"PE": 4}, "PE=4 does not divide 6"),
        ({"shape": [1, 6]}, r"shape=\[1, 6\] is no image"),
        ({"crops": [1, 1]}, "are not four numbers"),
        ({"crops": [1, 1, -1, 0]}, "are not four numbers"),
        ({"crops": [3, 0, 2, 0]}, "leave nothing of 5 rows"),
        ({"crops": [0, 3, 0, 3]}, "leave nothing of 5 rows and 6 columns"),
    ],
)
def test_refusals(changed, said):
    with pytest.raises(UserError, match=said):
        operator(attributes(**changed)).check()
