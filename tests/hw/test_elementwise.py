import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qonnx.core.datatype import DataType

from sdq_fpga.errors import UserError
from tests.hw.farm import Case, Farm, execute, farms, one_farm
from tests.hw.single import intervals, lint_case, operator

TYPES = ["BIPOLAR", "TERNARY", "BINARY"]
REFERENCE = {
    "add": lambda left, right, a, b: a * left + b * right,
    "sub": lambda left, right, a, b: a * left - b * right,
    "mul": lambda left, right, a, b: left * right,
}


def limits(name):
    return int(DataType[name].min()), int(DataType[name].max())


def draw_values(rng, name, shape):
    low, high = limits(name)
    if name == "BIPOLAR":
        return 2 * rng.integers(0, 2, shape) - 1
    values = rng.integers(low, high + 1, shape)
    # The ends are where sums and products overflow.
    return np.where(rng.random(shape) < 0.2, rng.choice([low, high], shape), values)


def corners(operation, left_type, right_type, a=1, b=1):
    ends = [
        REFERENCE[operation](left, right, a, b)
        for left in limits(left_type)
        for right in limits(right_type)
    ]
    return min(ends), max(ends)


def least_type(low, high):
    if low >= 0:
        return f"UINT{max(1, high.bit_length())}"
    return f"INT{1 + max((-low - 1).bit_length(), high.bit_length())}"


@st.composite
def types(draw, most=12):
    kind = draw(st.sampled_from(["INT", "UINT", "INT", "UINT", "other"]))
    if kind == "other":
        return draw(st.sampled_from(TYPES))
    return f"{kind}{draw(st.integers(2, most))}"


@st.composite
def cases(draw):
    operation = draw(st.sampled_from(sorted(REFERENCE)))
    left, right = draw(types()), draw(types())
    powers = st.sampled_from([1, 2, 8])
    factors = st.integers(1, 13) if draw(st.booleans()) else powers
    a, b = (1, 1) if operation == "mul" else (draw(factors), draw(factors))
    out = least_type(*corners(operation, left, right, a, b))
    if operation == "mul" and left == right == "BIPOLAR" and draw(st.booleans()):
        out = draw(st.sampled_from(["BIPOLAR", "TERNARY"]))
    elif draw(st.booleans()):
        out = f"INT{DataType[out].bitwidth() + draw(st.integers(1, 3))}"
    pe = draw(st.integers(1, 4))
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 3)), pe * draw(st.integers(1, 3)))
    if draw(st.booleans()):
        shape = shape[2:]
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    count = draw(st.integers(2, 4))
    inputs = [draw_values(rng, name, (count, *shape)) for name in (left, right)]
    attributes = {
        "shape": [1, *shape],
        "left_type": left,
        "right_type": right,
        "out_type": out,
        "operation": operation,
        "left_factor": a,
        "right_factor": b,
        "PE": pe,
        "resType": draw(st.sampled_from(["auto", "lut", "dsp"])),
    }
    return Case("SdqElementwise_rtl", attributes, inputs, [REFERENCE[operation](*inputs, a, b)])


def case(operation, left, right, out, pe=2, shape=(3, 2, 4), **more):
    rng = np.random.default_rng(7)
    inputs = [draw_values(rng, name, (3, *shape)) for name in (left, right)]
    a, b = more.get("left_factor", 1), more.get("right_factor", 1)
    attributes = {
        "shape": [1, *shape],
        "left_type": left,
        "right_type": right,
        "out_type": out,
        "operation": operation,
        "PE": pe,
        **more,
    }
    return Case("SdqElementwise_rtl", attributes, inputs, [REFERENCE[operation](*inputs, a, b)])


EXAMPLES = [
    case("add", "INT8", "UINT4", "INT9"),
    case("add", "BIPOLAR", "INT8", "INT9", left_factor=4),
    case("sub", "UINT4", "UINT4", "INT5", right_factor=1, pe=4),
    case("sub", "INT5", "BINARY", "INT9", left_factor=11, right_factor=6),
    case("add", "BIPOLAR", "BIPOLAR", "INT3"),
    case("mul", "INT8", "UINT8", "INT17", pe=1),
    case("mul", "INT3", "TERNARY", "INT5"),
    case("mul", "BIPOLAR", "UINT5", "INT6"),
    case("mul", "INT5", "BIPOLAR", "INT6"),
    case("mul", "BIPOLAR", "BIPOLAR", "BIPOLAR", shape=(4,), pe=4),
    case("mul", "BIPOLAR", "BIPOLAR", "INT2"),
    case("mul", "INT4", "INT4", "INT8", resType="dsp"),
    case("mul", "INT12", "INT12", "INT24", resType="lut", pe=1),
]
# Beyond one slice; too wide for a float32, so execute is not asked.
WIDE = [case("mul", "INT24", "INT20", "INT44"), case("mul", "UINT26", "INT8", "INT40")]


def check_execute(drawn):
    for one in drawn:
        for found, expected in zip(execute(one), one.expected, strict=True):
            np.testing.assert_array_equal(found, expected)


@one_farm
@given(farms(cases(), 16), st.integers(0, 2**31))
def test_examples_and_random_cases(tmp_path_factory, drawn, seed):
    farm = Farm([*EXAMPLES, *WIDE, *drawn], tmp_path_factory.mktemp("farm"))
    farm.check(seed)
    assert intervals(farm) == [op.cycles() for op in farm.ops]
    check_execute([*EXAMPLES, *drawn])


@pytest.mark.parametrize("one", [*EXAMPLES, *WIDE], ids=lambda one: str(one.attributes["out_type"]))
def test_lint(tmp_path, one):
    lint_case(one, tmp_path)


@pytest.mark.parametrize(
    ("one", "match"),
    [
        (case("add", "INT8", "INT8", "INT8"), r"every result \(-256..254\)"),
        (case("add", "INT8", "INT8", "INT9", left_factor=2), "every result"),
        (case("sub", "UINT4", "UINT4", "UINT4"), r"every result \(-15..15\)"),
        (case("mul", "INT4", "INT4", "INT7"), r"every result \(-56..64\)"),
        (case("mul", "BIPOLAR", "TERNARY", "BIPOLAR"), "every result"),
        (case("add", "BIPOLAR", "BIPOLAR", "BIPOLAR"), "every result"),
        (case("mul", "INT4", "INT4", "INT8", left_factor=2), "left_factor=2 has no use"),
        (case("add", "INT4", "INT4", "INT8", right_factor=0), "right_factor=0"),
        (case("add", "INT4", "INT4", "INT8", pe=3), "PE=3"),
        (case("add", "INT4", "INT4", "FLOAT32"), "out_type FLOAT32 is not integer"),
        (case("add", "INT4", "FIXED<8,4>", "INT8"), r"right_type FIXED<8,4> is not integer"),
        (case("mul", "INT30", "INT30", "INT60"), "wider than 48"),
    ],
)  # fmt: skip
def test_refusals(one, match):
    with pytest.raises(UserError, match=match):
        operator(one).check()


def test_costs():
    wide = operator(case("mul", "INT24", "INT20", "INT44"))
    assert wide.dsps("xc7z020clg400-1") == wide.dsps("xczu7ev-ffvc1156-2-e") == 4
    assert wide.dsps("xcvc1902-vsva2197-2MP-e-S") == 2
    assert operator(case("mul", "INT8", "UINT8", "INT17", pe=4)).dsps("xc7z020clg400-1") == 4
    small = operator(case("mul", "INT3", "INT3", "INT6"))
    assert small.dsps("xc7z020clg400-1") == 0
    assert small.luts() == 2 * 9 + 4
    assert operator(case("add", "INT8", "INT8", "INT9")).luts() == 2 * 9 + 4
