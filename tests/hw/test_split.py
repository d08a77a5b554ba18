import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdq_fpga.errors import UserError
from tests.hw.farm import Case, Farm, execute, farms, one_farm
from tests.hw.single import intervals, lint_case, operator

RANGE = {"BIPOLAR": (-1, 1), "BINARY": (0, 1), "TERNARY": (-1, 1), "UINT5": (0, 31)}
RANGE |= {"INT3": (-4, 3), "INT8": (-128, 127)}


@st.composite
def cases(draw):
    pe = draw(st.integers(1, 4))
    shape = draw(st.sampled_from([(), (1, 1), (3, 2), (1, 4), (2, 1)]))
    ranges = draw(st.integers(2, 5))
    channels = [pe * draw(st.integers(1, 4)) for _ in range(ranges)]
    keep = [draw(st.integers(0, 1)) for _ in range(ranges)]
    if not any(keep):
        keep = []  # the default: all of them
    name = draw(st.sampled_from(sorted(RANGE)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    low, high = RANGE[name]
    frames = rng.integers(low, high + 1, (draw(st.integers(2, 4)), *shape, sum(channels)))
    if name == "BIPOLAR":
        frames[frames == 0] = 1
    expected, begin = [], 0
    for number, count in enumerate(channels):
        if not keep or keep[number]:
            expected.append(frames[..., begin : begin + count])
        begin += count
    attributes = {
        "shape": [1, *shape],
        "channels": channels,
        "data_type": name,
        "PE": pe,
        **({"keep": keep} if keep else {}),
    }
    return Case("SdqSplit_rtl", attributes, [frames], expected)


@one_farm
@given(farms(cases(), 24), st.integers(0, 2**31))
def test_every_range_goes_to_its_output(tmp_path_factory, drawn, seed):
    farm = Farm(drawn, tmp_path_factory.mktemp("farm"))
    farm.check(seed)
    assert intervals(farm) == [op.cycles() for op in farm.ops]
    for one in drawn:
        for found, expected in zip(execute(one), one.expected, strict=True):
            np.testing.assert_array_equal(found, expected)


@settings(max_examples=5, deadline=None)
@given(cases())
def test_lint(tmp_path_factory, drawn):
    lint_case(drawn, tmp_path_factory.mktemp("lint"))


def attributes(**changed):
    given = {"shape": [1, 2, 2], "channels": [4, 8], "keep": [1, 0], "data_type": "INT4", "PE": 4}
    return Case("SdqSplit_rtl", given | changed, [np.zeros(1)], [np.zeros(1)])


def test_what_fits_is_accepted():
    op = operator(attributes())
    op.check()
    assert op.luts() > 0
    assert op.get_exp_cycles() == 2 * 2 * 3
    assert op.get_normal_output_shape() == (1, 2, 2, 4)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"channels": [4], "keep": [1]}, "fewer than two ranges"),
        ({"keep": [1, 0, 1]}, "3 entries of keep do not belong to 2 ranges"),
        ({"keep": [0, 0]}, "keeps no range"),
        ({"channels": [4, 0]}, "no channels"),
        ({"PE": 3}, "PE=3 does not divide 4"),
        ({"PE": 8}, "PE=8 does not divide 4"),
        ({"PE": 0}, "PE=0"),
    ],
)
def test_refusals(changed, said):
    with pytest.raises(UserError, match=said):
        operator(attributes(**changed)).check()
