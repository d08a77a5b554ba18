import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdq_fpga.errors import UserError
from tests.hw.farm import Case, Farm, execute, farms, one_farm
from tests.hw.single import intervals, lint_case, operator

RANGE = {"BIPOLAR": (-1, 1), "BINARY": (0, 1), "TERNARY": (-1, 1), "UINT3": (0, 7)}
RANGE |= {"INT2": (-2, 1), "INT5": (-16, 15), "UINT8": (0, 255), "INT9": (-256, 255)}


def sum_type(low, high):
    if low >= 0:
        return f"UINT{max(1, high.bit_length())}"
    return f"INT{max((-low - 1).bit_length(), high.bit_length()) + 1}"


def draw_values(draw, name, shape):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    low, high = RANGE[name]
    if draw(st.booleans()):  # the ends of the range, where sums are largest
        return rng.choice([low, high], shape)
    values = rng.integers(low, high + 1, shape)
    return np.where(values == 0, 1, values) if name == "BIPOLAR" else values


@st.composite
def cases(draw):
    pe, folds = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    simd, beats = draw(st.sampled_from([1, 1, 2, 3, 4, 5, 7, 9])), draw(st.integers(1, 5))
    taps, channels = simd * beats, pe * folds
    outer = draw(st.sampled_from([(1, 1), (2, 2), (1, 3), (3, 1)]))
    name, operation = draw(st.sampled_from(sorted(RANGE))), draw(st.sampled_from(["max", "sum"]))
    low, high = RANGE[name]
    out = name
    if operation == "sum":
        out = sum_type(taps * low, taps * high)
        if draw(st.booleans()):
            out = "INT24"
    windows = draw_values(draw, name, (draw(st.integers(2, 4)), *outer, taps, folds, pe))
    # By loops over the taps, not over an axis.
    expected = windows[..., 0, :, :].copy()
    for tap in range(1, taps):
        one = windows[..., tap, :, :]
        expected = np.maximum(expected, one) if operation == "max" else expected + one
    count = len(windows)
    attributes = {
        "shape": [1, *outer, channels],
        "taps": taps,
        "operation": operation,
        "in_type": name,
        "out_type": out,
        "PE": pe,
        "SIMD": simd,
    }
    tensor = windows.reshape(count, *outer, taps * channels)
    stream = windows.swapaxes(-3, -2).reshape(tensor.shape)
    outputs = [expected.reshape(count, *outer, channels)]
    return (
        Case("SdqPool_rtl", attributes, [stream], outputs),
        Case("SdqPool_rtl", attributes, [tensor], outputs),
    )


@one_farm
@given(farms(cases(), 16), st.integers(0, 2**31))
def test_windows(tmp_path_factory, drawn, seed):
    farm = Farm([stream for stream, _ in drawn], tmp_path_factory.mktemp("farm"))
    farm.check(seed)
    assert intervals(farm) == [op.cycles() for op in farm.ops]
    for _, case in drawn:
        np.testing.assert_array_equal(execute(case)[0], case.expected[0])


@settings(max_examples=8, deadline=None)
@given(cases())
def test_lint(tmp_path_factory, drawn):
    lint_case(drawn[0], tmp_path_factory.mktemp("lint"))


def attributes(**changed):
    given = {"shape": [1, 2, 2, 6], "taps": 9, "operation": "sum", "PE": 2, "SIMD": 3}
    given |= {"in_type": "INT4", "out_type": "INT8"}
    return Case("SdqPool_rtl", given | changed, [np.zeros(1)], [np.zeros(1)])


def test_what_fits_is_accepted():
    op = operator(attributes())
    op.check()
    assert op.luts() > 0
    assert op.get_exp_cycles() == 2 * 2 * 3 * 3
    assert op.get_normal_input_shape() == (1, 2, 2, 54)
    assert op.get_folded_input_shape() == (1, 2, 2, 9, 6)
    assert op.get_normal_output_shape() == (1, 2, 2, 6)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"PE": 4}, "PE=4 does not divide 6"),
        ({"PE": 0}, "PE=0"),
        ({"SIMD": 2}, "SIMD=2 does not divide 9 taps"),
        ({"SIMD": 0}, "SIMD=0"),
        ({"taps": 0}, "taps=0"),
        ({"out_type": "INT7"}, r"-72\.\.63, beyond INT7"),
        ({"out_type": "UINT8"}, "beyond UINT8"),
        ({"taps": 3, "in_type": "UINT4", "out_type": "UINT5"}, r"0\.\.45, beyond UINT5"),
        ({"taps": 3, "in_type": "BIPOLAR", "out_type": "INT2"}, r"-3\.\.3, beyond INT2"),
        ({"taps": 1, "SIMD": 1, "in_type": "BIPOLAR", "out_type": "BIPOLAR"}, "beyond BIPOLAR"),
        ({"operation": "max"}, "maximum of INT4 can't be INT8"),
        ({"in_type": "FLOAT32"}, "FLOAT32 is no integer type"),
    ],
)
def test_refusals(changed, said):
    with pytest.raises(UserError, match=said):
        operator(attributes(**changed)).check()
