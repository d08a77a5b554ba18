import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdq_fpga.errors import UserError
from tests.hw.farm import Case, Farm, farms, one_farm
from tests.hw.single import intervals, lint_case
from tests.hw.test_affine import (
    check_execute,
    constants,
    draw_values,
    generated,
    least_type,
    limits,
    types,
)


def reference(frames, gain, offset, gain_neg, attributes):
    """In doubles, exact as no sum has more than 48 bits, and the divisor is a power of two."""
    gains = gain if gain_neg is None else np.where(frames < 0, gain_neg, gain)
    scaled = (gains * frames + offset).astype(np.float64) / 2.0 ** attributes["shift"]
    rounded = np.rint(scaled) if attributes["rounding"] == "half_even" else np.floor(scaled)
    return np.clip(rounded, attributes["low"], attributes["high"]).astype(np.int64)


def requant(kinds, frames, gain, offset, gain_neg=None, **more):
    in_type, gain_type, offset_type = kinds
    attributes = {
        "shape": [1, *frames.shape[1:]], "in_type": in_type, "gain_type": gain_type,
        "offset_type": offset_type, "rounding": "half_even", **more,
    }  # fmt: skip
    expected = reference(frames, gain, offset, gain_neg, attributes)
    given_constants = [gain, offset] + ([] if gain_neg is None else [gain_neg])
    return Case("SdqRequant_rtl", attributes, [frames], [expected], given_constants)


@st.composite
def cases(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    in_type = draw(types(16))
    # Initializers are float32: constants beyond 24 bits would not be exact.
    gain_type = f"{draw(st.sampled_from(['INT', 'UINT']))}{draw(st.integers(2, 12))}"
    offset_type = f"INT{draw(st.integers(2, 24))}"
    pe = draw(st.integers(1, 4))
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 3)), pe * draw(st.integers(1, 4)))
    frames = draw_values(rng, in_type, (draw(st.integers(2, 4)), *shape))
    gain, offset = (draw(constants(name, shape[-1], rng)) for name in (gain_type, offset_type))
    if draw(st.booleans()):
        offset = offset * 0
    gain_neg = None
    if limits(in_type)[0] < 0 and draw(st.booleans()):
        gain_neg = draw(constants(gain_type, shape[-1], rng))
    # A quotient from around one bit to nearly all of them, and bounds inside it, on it, or beyond.
    bits = sum(int(np.abs(values).max()).bit_length() for values in (frames, gain))
    shift = draw(st.integers(0, bits + 1))
    plain = reference(
        frames, gain, offset, gain_neg,
        {"shift": shift, "rounding": "floor", "low": -(2**60), "high": 2**60},
    )  # fmt: skip
    span = sorted([int(plain.min()) - 2, int(plain.max()) + 2])
    low, high = sorted(draw(st.lists(st.integers(*span), min_size=2, max_size=2)))
    out = least_type(low, high)
    if draw(st.booleans()):
        low, high = limits(out)
    return requant(
        (in_type, gain_type, offset_type), frames, gain, offset, gain_neg, PE=pe, shift=shift,
        rounding=draw(st.sampled_from(["half_even", "half_even", "floor"])), low=low, high=high,
        out_type=out, resType=draw(st.sampled_from(["auto", "lut", "dsp"])),
    )  # fmt: skip


def example(gain, offset, gain_neg=None, kinds=("INT16", "INT12", "INT20"), **more):
    frames = draw_values(np.random.default_rng(3), kinds[0], (3, 2, 3, 6))
    defaults = {"PE": 2, "shift": 9, "out_type": "INT12", "low": -2048, "high": 2047}
    gain_neg = None if gain_neg is None else np.array(gain_neg)
    return requant(kinds, frames, np.array(gain), np.array(offset), gain_neg, **(defaults | more))


GAINS, OFFSETS = [900, -2000, 17, 1, 2047, 64], [5, -400000, 0, 256, 77777, -1]
EXAMPLES = {
    "by channel": example(GAINS, OFFSETS),
    "by channel, down": example(GAINS, OFFSETS, rounding="floor", PE=1),
    "one scale": example([333], [0]),
    "one scale, three channels at once": example([333], [1000], PE=3),
    "leaky": example(GAINS, OFFSETS, [v // 8 for v in GAINS]),
    "leaky, one scale": example([1024], [0], [100]),
    "leaky by shifts": example([1024], [0], [128]),
    "ReLU": example([1], [0], [0], shift=3, out_type="UINT12", low=0, high=4095),
    "shift": example([1], [0], shift=4),
    "shift, down": example([1], [0], shift=5, rounding="floor", out_type="INT12"),
    "no shift": example([3], OFFSETS, shift=0, out_type="INT16", low=-30000, high=31000),
    "in LUTs": example(GAINS, OFFSETS, resType="lut"),
    "nothing left": example([1], [0], shift=30, kinds=("UINT4", "UINT2", "INT4"), low=0, high=1),
    "several slices": example(GAINS, OFFSETS, kinds=("INT26", "INT12", "INT20"), shift=20),
    "bipolar": example([1000], [24], kinds=("BIPOLAR", "INT12", "INT8"), shift=4),
    "halves": example([1], [0], kinds=("INT8", "INT2", "INT2"), shift=1, low=-17, high=16),
}  # fmt: skip


def every_x():
    """All x of 8 bits, bounds odd and even: where rounding to even meets clipping."""
    x = np.arange(-128, 128).reshape(1, 16, 16)
    return [
        requant(
            ("INT8", "INT4", "INT4"), np.stack([x, x]), np.array([gain]), np.array([offset]),
            shift=2, low=low, high=low + span, out_type="INT8", PE=1,
        )
        for gain, offset, low, span in (
            (1, 0, -6, 9), (1, 0, -5, 9), (3, 1, -6, 1), (-1, 2, -5, 1), (1, 0, 3, 0), (1, 0, 4, 0),
        )
    ]  # fmt: skip


@one_farm
@given(farms(cases(), 8), st.integers(0, 2**31))
def test_examples_and_random_cases(tmp_path_factory, drawn, seed):
    drawn = [*drawn, *every_x()]
    farm = Farm([*EXAMPLES.values(), *drawn], tmp_path_factory.mktemp("farm"))
    farm.check(seed)
    assert intervals(farm) == [op.cycles() for op in farm.ops]
    check_execute(drawn)
    # x of 26 bits is too wide for the float32 that execute takes.
    check_execute(case for name, case in EXAMPLES.items() if name != "several slices")


@pytest.mark.parametrize("name", EXAMPLES)
def test_lint(tmp_path, monkeypatch, name):
    op = generated(EXAMPLES[name], tmp_path)
    monkeypatch.setattr("tests.hw.single.operator", lambda _: op)
    lint_case(EXAMPLES[name], tmp_path)


@pytest.mark.parametrize(
    ("name", "gain_depth", "offset_depth", "dsps"),
    [
        ("by channel", 3, 3, 2),
        ("one scale", 1, 1, 2),
        ("one scale, three channels at once", 1, 1, 3),
        ("leaky", 3, 3, 2),
        ("leaky, one scale", 1, 1, 2),
        ("leaky by shifts", 1, 1, 0),
        ("ReLU", 1, 1, 0),
        ("shift", 0, 1, 0),
        ("shift, down", 0, 0, 0),
        ("in LUTs", 3, 3, 0),
        ("several slices", 3, 3, 4),
    ],
)
def test_only_what_the_constants_need_is_built(tmp_path, name, gain_depth, offset_depth, dsps):
    op = generated(EXAMPLES[name], tmp_path)
    assert op.parameters()["GAIN_DEPTH"] == gain_depth
    assert op.parameters()["OFFSET_DEPTH"] == offset_depth
    assert op.dsps("xc7z020clg400-1") == dsps
    assert op.luts() > 0


@pytest.mark.parametrize(
    ("case", "match"),
    [
        (example(GAINS, OFFSETS, PE=4), "PE=4"),
        (example(GAINS, OFFSETS, shift=0, low=5, high=4), "low=5 and high=4"),
        (example(GAINS, OFFSETS, high=2048), "within out_type INT12"),
        (example(GAINS, OFFSETS, low=-1, out_type="UINT12"), "within out_type UINT12"),
        (example(GAINS, OFFSETS, out_type="BIPOLAR"), "BIPOLAR has no 0"),
        (example(GAINS, OFFSETS, out_type="FLOAT32"), "FLOAT32 is not integer"),
        (example(GAINS, OFFSETS, shift=-1, rounding="floor"), "shift=-1"),
        (example(GAINS, OFFSETS, shift=48), "wider than 48"),
        (example(GAINS, OFFSETS, kinds=("INT32", "INT18", "INT20")), "sums of 50 bits"),
        (example([2048], OFFSETS), "gain of 2048..2048 does not fit gain_type INT12"),
        (example(GAINS, OFFSETS, [5000]), "gain_neg of 5000..5000 does not fit gain_type"),
        (example(GAINS, [2**19]), "does not fit offset_type INT20"),
        (example(GAINS, OFFSETS, [1], kinds=("UINT8", "INT12", "INT20")), "gain_neg has no use"),
    ],
)
def test_refusals(tmp_path, case, match):
    with pytest.raises(UserError, match=match):
        generated(case, tmp_path)


def test_refuses_another_input(tmp_path):
    case = EXAMPLES["leaky"]
    more = [*case.constants, np.ones(1)]
    with pytest.raises(UserError, match="more inputs"):
        generated(Case(case.op, case.attributes, case.inputs, case.expected, more), tmp_path)
