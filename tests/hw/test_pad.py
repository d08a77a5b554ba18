import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdq_fpga.errors import UserError
from tests.hw.farm import Case, Farm, execute, farms, one_farm
from tests.hw.single import intervals, lint_case, operator
from tests.hw.test_pool import RANGE, draw_values

# (in, out, values to add)
TYPES = [
    ("BIPOLAR", "BIPOLAR", (-1, 1)),
    ("BIPOLAR", "INT2", (-2, -1, 0, 1)),
    ("BIPOLAR", "TERNARY", (-1, 0, 1)),
    ("BIPOLAR", "INT7", (-64, -1, 0, 63)),
    ("BINARY", "BINARY", (0, 1)),
    ("BINARY", "INT3", (-4, 3)),
    ("TERNARY", "TERNARY", (-1, 0, 1)),
    ("TERNARY", "INT6", (-32, 31)),
    ("UINT3", "UINT3", (0, 5, 7)),
    ("UINT3", "INT9", (-256, 0, 255)),
    ("UINT8", "UINT11", (0, 2047)),
    ("INT5", "INT5", (-16, 0, 15)),
    ("INT5", "INT9", (-256, 0, 100)),
    ("INT9", "INT9", (-256, 3)),
    ("INT2", "INT40", (-(2**24), 2**24 - 1)),  # beyond these, float32 tensors are not exact
]


def frame_by_loops(frame, pads, value):
    top, left, bottom, right = pads
    width = left + frame.shape[1] + right
    edge = [value] * frame.shape[2]
    rows = [[edge] * width] * top
    for row in frame.tolist():
        rows = [*rows, [edge] * left + row + [edge] * right]
    return np.array(rows + [[edge] * width] * bottom)


@st.composite
def cases(draw):
    pe, folds = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    height, width = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    name, out, values = draw(st.sampled_from(TYPES))
    value = draw(st.sampled_from(values))
    pads = draw(
        st.one_of(
            st.just([1, 1, 1, 1]),
            st.lists(st.integers(0, 3), min_size=4, max_size=4),
            st.lists(st.sampled_from([0, 0, 2]), min_size=4, max_size=4),
        )
    )
    frames = draw_values(draw, name, (draw(st.integers(2, 4)), height, width, pe * folds))
    expected = np.stack([frame_by_loops(frame, pads, value) for frame in frames])
    shape = [1, height, width, pe * folds]
    attributes = {"shape": shape, "pads": pads, "value": value, "PE": pe}
    attributes |= {"in_type": name, "out_type": out}
    return Case("SdqPad_rtl", attributes, [frames], [expected])


@one_farm
@given(farms(cases(), 20), st.integers(0, 2**31))
def test_frames(tmp_path_factory, drawn, seed):
    farm = Farm(drawn, tmp_path_factory.mktemp("farm"))
    farm.check(seed)
    assert intervals(farm) == [op.cycles() for op in farm.ops]
    for case in drawn:
        np.testing.assert_array_equal(execute(case)[0], case.expected[0])


def test_a_gap_between_rows_longer_than_any_other_run(tmp_path):
    """The counter of runs must hold it: the right of a row and the left of the next."""
    pads, frames = [0, 2, 0, 2], np.arange(1, 7).reshape(2, 3, 1, 1)
    expected = np.stack([frame_by_loops(frame, pads, 7) for frame in frames])
    given = {"shape": [1, 3, 1, 1], "pads": pads, "value": 7, "PE": 1}
    given |= {"in_type": "UINT3", "out_type": "UINT3"}
    Farm([Case("SdqPad_rtl", given, [frames], [expected])], tmp_path).check(1)


@settings(max_examples=8, deadline=None)
@given(cases())
def test_lint(tmp_path_factory, drawn):
    lint_case(drawn, tmp_path_factory.mktemp("lint"))


def attributes(**changed):
    given = {"shape": [1, 3, 4, 6], "pads": [0, 1, 2, 3], "value": -8, "PE": 2}
    given |= {"in_type": "INT4", "out_type": "INT4"}
    return Case("SdqPad_rtl", given | changed, [np.zeros(1)], [np.zeros(1)])


def test_what_fits_is_accepted():
    op = operator(attributes())
    op.check()
    assert op.luts() > 0
    assert op.get_exp_cycles() == 5 * 8 * 3
    assert op.get_normal_output_shape() == (1, 5, 8, 6)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"PE": 4}, "PE=4 does not divide 6"),
        ({"shape": [1, 6]}, r"shape=\[1, 6\] is no image"),
        ({"pads": [1, 1]}, "are not four numbers"),
        ({"pads": [1, 1, -1, 0]}, "are not four numbers"),
        ({"value": 8}, "INT4 has no value 8"),
        ({"in_type": "BIPOLAR", "out_type": "BIPOLAR", "value": 0}, "BIPOLAR has no value 0"),
        ({"in_type": "BIPOLAR", "out_type": "UINT2", "value": 0}, "can't hold every value"),
        ({"in_type": "BINARY", "out_type": "BIPOLAR", "value": 1}, "can't hold every value"),
        ({"in_type": "UINT4"}, "INT4 can't hold every value of UINT4"),
        ({"out_type": "TERNARY"}, "TERNARY can't hold every value"),
        ({"in_type": "FLOAT32"}, "FLOAT32 is no integer type"),
        ({"out_type": "INT48", "value": 2**40}, "more than 32 bits"),
    ],
)
def test_refusals(changed, said):
    with pytest.raises(UserError, match=said):
        operator(attributes(**changed)).check()


def test_every_type_is_tried():
    assert set(RANGE) == {name for name, _, _ in TYPES}
