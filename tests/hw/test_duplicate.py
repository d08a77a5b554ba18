import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdq_fpga.errors import UserError
from tests.hw.farm import Case, Farm, execute, farms, one_farm
from tests.hw.single import intervals, lint_case, operator


@st.composite
def cases(draw):
    bits = draw(st.integers(1, 9))
    kind = draw(st.sampled_from(["UINT", "INT"] if bits > 1 else ["UINT"]))
    pe = draw(st.integers(1, 5))
    shape = (draw(st.integers(1, 4)), draw(st.integers(1, 4)), pe * draw(st.integers(1, 3)))
    copies = draw(st.integers(2, 5))
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if kind == "INT" else (0, 2**bits)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    frames = rng.integers(low, high, (draw(st.integers(2, 4)), *shape))
    attributes = {"shape": [1, *shape], "data_type": f"{kind}{bits}", "copies": copies, "PE": pe}
    return Case("SdqDuplicate_rtl", attributes, [frames], [frames] * copies)


@one_farm
@given(farms(cases(), 24), st.integers(0, 2**31))
def test_every_copy_gets_every_beat(tmp_path_factory, drawn, seed):
    farm = Farm(drawn, tmp_path_factory.mktemp("farm"))
    farm.check(seed)
    assert intervals(farm) == [op.cycles() for op in farm.ops]
    for case in drawn:
        for found, expected in zip(execute(case), case.expected, strict=True):
            np.testing.assert_array_equal(found, expected)


@settings(max_examples=5, deadline=None)
@given(cases())
def test_lint(tmp_path_factory, drawn):
    lint_case(drawn, tmp_path_factory.mktemp("lint"))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"copies": 1}, "copies must be 2 or more"),
        ({"PE": 4}, "PE=4 does not divide 6"),
        ({"PE": 0}, "PE=0"),
    ],
)
def test_refusals(changed, said):
    attributes = {"shape": [1, 2, 2, 6], "data_type": "INT4", "copies": 3, "PE": 2}
    case = Case("SdqDuplicate_rtl", attributes, [np.zeros(1)], [np.zeros(1)] * 3)
    operator(case).check()
    case.attributes.update(changed)
    with pytest.raises(UserError, match=said):
        operator(case).check()
