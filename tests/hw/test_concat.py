import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qonnx.core.datatype import DataType

from sdq_fpga.errors import UserError
from tests.hw.farm import Case, Farm, execute, farms, one_farm
from tests.hw.single import intervals, lint_case, operator

# Each with all the types that go into it.
INTO = {
    "BIPOLAR": ["BIPOLAR"],
    "BINARY": ["BINARY"],
    "TERNARY": ["TERNARY", "BIPOLAR", "BINARY"],
    "INT2": ["INT2", "TERNARY", "BIPOLAR", "BINARY"],
    "UINT7": ["BINARY", "UINT2", "UINT7"],
    "INT7": ["INT2", "INT7", "UINT6", "BIPOLAR", "TERNARY", "BINARY"],
    "INT12": ["INT12", "INT11", "UINT11", "UINT1", "BIPOLAR"],
}


def values(rng, name, shape):
    if name == "BIPOLAR":
        return 2 * rng.integers(0, 2, shape) - 1
    return rng.integers(int(DataType[name].min()), int(DataType[name].max()) + 1, shape)


def case(rng, shape, channels, in_types, out_type, pe, frames):
    parts = [
        values(rng, name, (frames, *shape, count))
        for name, count in zip(in_types, channels, strict=True)
    ]
    whole = np.zeros((frames, *shape, sum(channels)), np.int64)
    begin = 0
    for part, count in zip(parts, channels, strict=True):
        whole[..., begin : begin + count] = part
        begin += count
    attributes = {
        "shape": [1, *shape],
        "channels": channels,
        "in_types": in_types,
        "out_type": out_type,
        "PE": pe,
    }
    return Case("SdqConcat_rtl", attributes, parts, [whole])


@st.composite
def cases(draw):
    pe = draw(st.integers(1, 4))
    shape = draw(st.sampled_from([(), (1, 1), (3, 2), (1, 4), (2, 1)]))
    inputs = draw(st.integers(2, 5))
    channels = [pe * draw(st.integers(1, 4)) for _ in range(inputs)]
    out_type = draw(st.sampled_from(sorted(INTO)))
    in_types = [draw(st.sampled_from(INTO[out_type])) for _ in range(inputs)]
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return case(rng, shape, channels, in_types, out_type, pe, draw(st.integers(2, 4)))


@one_farm
@given(farms(cases(), 20), st.integers(0, 2**31))
def test_channels_are_side_by_side(tmp_path_factory, drawn, seed):
    farm = Farm(drawn, tmp_path_factory.mktemp("farm"))
    farm.check(seed)
    assert intervals(farm) == [op.cycles() for op in farm.ops]
    for one in drawn:
        (found,) = execute(one)
        np.testing.assert_array_equal(found, one.expected[0])


@settings(max_examples=5, deadline=None)
@given(cases())
def test_lint(tmp_path_factory, drawn):
    lint_case(drawn, tmp_path_factory.mktemp("lint"))


def attributes(**changed):
    given = {
        "shape": [1, 2, 2],
        "channels": [4, 8],
        "in_types": ["INT4", "UINT3"],
        "out_type": "INT4",
        "PE": 4,
    }
    return Case("SdqConcat_rtl", given | changed, [np.zeros(1)] * 2, [np.zeros(1)])


def test_what_fits_is_accepted():
    op = operator(attributes())
    op.check()
    assert op.luts() > 0
    assert op.get_exp_cycles() == 2 * 2 * 3
    assert op.get_folded_input_shape(1) == (1, 2, 2, 2, 4)
    assert op.get_normal_output_shape() == (1, 2, 2, 12)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"channels": [4], "in_types": ["INT4"]}, "fewer than two inputs"),
        ({"in_types": ["INT4"]}, "1 in_types do not belong to 2 inputs"),
        ({"channels": [4, 0]}, "no channels"),
        ({"PE": 3}, "PE=3 does not divide 4"),
        ({"PE": 8}, "PE=8 does not divide 4"),
        ({"PE": 0}, "PE=0"),
        ({"in_types": ["INT4", "UINT4"]}, "does not hold every value of an input of UINT4"),
        ({"in_types": ["INT5", "UINT3"]}, "does not hold every value of an input of INT5"),
        ({"out_type": "UINT4"}, "does not hold every value of an input of INT4"),
        ({"out_type": "UINT4", "in_types": ["BIPOLAR", "UINT4"]}, "an input of BIPOLAR"),
        ({"out_type": "BIPOLAR", "in_types": ["BIPOLAR", "BINARY"]}, "an input of BINARY"),
        ({"out_type": "BIPOLAR", "in_types": ["BIPOLAR", "TERNARY"]}, "an input of TERNARY"),
        ({"out_type": "TERNARY", "in_types": ["INT2", "BINARY"]}, "an input of INT2"),
        ({"in_types": ["INT4", "FLOAT32"]}, "not integer"),
        ({"out_type": "FLOAT32"}, "not integer"),
    ],
)
def test_refusals(changed, said):
    with pytest.raises(UserError, match=said):
        operator(attributes(**changed)).check()
