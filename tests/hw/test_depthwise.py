import numpy as np
import pytest
from finn.util.basic import getHWCustomOp
from hypothesis import given
from hypothesis import strategies as st

from sdq_fpga.errors import UserError
from tests.hw.farm import Case, Farm, _model, execute, farms, one_farm
from tests.hw.macs import INPUTS, WEIGHTS, BurstFarm, fits_float32, limits, tightest, values
from tests.hw.single import intervals, lint_case, operator


def in_stream_order(windows, pe):
    """(..., taps, C) to a stream of groups of ``pe`` channels, with all taps each."""
    *front, taps, channels = windows.shape
    groups = windows.reshape(*front, taps, channels // pe, pe)
    return np.moveaxis(groups, -2, -3).reshape(*front, taps * channels)


def depthwise(rng, x_kind, w_kind, shape, taps, pe, simd, frames, external=False, **more):
    """A case, and its windows as the tensor that the operator's own ``compute`` gets."""
    height, width, channels = shape
    x = values(rng, x_kind, (frames, height, width, taps, channels))
    stream = in_stream_order(x, pe)
    attributes = {
        "shape": [1, *shape],
        "taps": taps,
        "PE": pe,
        "SIMD": simd,
        "in_type": x_kind,
        "weight_type": w_kind,
        **more,
    }
    tensor = x.reshape(frames, height, width, -1)
    if not external:
        weights = values(rng, w_kind, (taps, channels))
        attributes["out_type"] = tightest(x_kind, weights)
        expected = np.einsum("nhwkc,kc->nhwc", x, weights)
        return Case("SdqDepthwise_rtl", attributes, [stream], [expected], [weights]), [tensor]
    weights = values(rng, w_kind, (frames, height, width, taps, channels))
    low, high = limits(w_kind)
    worst = np.concatenate([np.full((taps, 1), low), np.full((taps, 1), high)], axis=1)
    attributes |= {"mem_mode": "external", "out_type": tightest(x_kind, worst)}
    weight_stream = in_stream_order(weights, pe).reshape(frames, -1)
    expected = np.einsum("nhwkc,nhwkc->nhwc", x, weights)
    case = Case("SdqDepthwise_rtl", attributes, [stream, weight_stream], [expected])
    return case, [tensor, weight_stream]


@st.composite
def cases(draw):
    x_kind = draw(st.sampled_from(INPUTS) | st.sampled_from(["BIPOLAR", "TERNARY"]))
    w_kind = draw(st.sampled_from(WEIGHTS) | st.sampled_from(["BIPOLAR", "TERNARY", "INT2"]))
    taps, simd = draw(st.sampled_from([(9, 1), (9, 1), (9, 3), (9, 9), (4, 2), (1, 1), (25, 5)]))
    pe = draw(st.integers(1, 4))
    return depthwise(
        np.random.default_rng(draw(st.integers(0, 2**32))),
        x_kind,
        w_kind,
        shape=(draw(st.integers(1, 2)), draw(st.integers(1, 3)), pe * draw(st.integers(1, 3))),
        taps=taps,
        pe=pe,
        simd=simd,
        frames=draw(st.integers(2, 4)),
        external=draw(st.sampled_from([False, False, True])),
        resType=draw(st.sampled_from(["lut", "dsp"])),
        adder_step=draw(st.sampled_from([1, 1, 2])),
    )


@one_farm
@given(farms(cases(), 24), st.integers(0, 2**31))
def test_sums(tmp_path_factory, drawn, seed):
    for case, tensors in drawn:
        own = Case(case.op, case.attributes, tensors, case.expected, case.constants)
        if fits_float32(case):
            np.testing.assert_array_equal(execute(own)[0], case.expected[0])
    farm = BurstFarm([case for case, _ in drawn], tmp_path_factory.mktemp("farm"))
    farm.check(seed)
    farm.run(stall=0.9, seed=seed)
    farm.run_with_bursts(seed=seed)
    farm.run_with_bursts(seed=seed, reset=67)


def test_a_beat_takes_a_cycle(tmp_path):
    rng = np.random.default_rng(1)
    folds = [(9, 1, 2), (9, 3, 4), (9, 9, 2), (2, 1, 1), (4, 1, 2), (8, 2, 2), (1, 1, 4)]
    drawn = [
        depthwise(rng, "UINT4", "INT4", (2, 3, 8), taps, pe, simd, 3, external, resType=kind)[0]
        for taps, simd, pe in folds
        for kind, external in (("lut", False), ("dsp", True))
    ]
    farm = Farm(drawn, tmp_path)
    farm.run(seed=2)
    assert list(intervals(farm)) == [op.cycles() for op in farm.ops]
    for op, (taps, simd, pe) in zip(farm.ops, np.repeat(folds, 2, axis=0), strict=True):
        assert op.cycles() == 2 * 3 * (8 // pe) * (taps // simd)
        slices = pe * simd if op.get_nodeattr("resType") == "dsp" else 0
        assert op.dsps("xczu7ev-ffvc1156-2-e") == slices


@pytest.mark.parametrize("kind", ["lut", "dsp"])
@pytest.mark.parametrize(
    ("x_kind", "w_kind"),
    [("UINT4", "INT4"), ("BIPOLAR", "BIPOLAR"), ("INT8", "TERNARY"), ("UINT8", "INT8")],
)
def test_lint(tmp_path, x_kind, w_kind, kind):
    for simd, pe in ((1, 1), (3, 2), (9, 4)):
        case, _ = depthwise(
            np.random.default_rng(2), x_kind, w_kind, (2, 2, 4), 9, pe, simd, 1, True, resType=kind
        )
        lint_case(case, tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"taps": 0}, "taps must be 1 or more"),
        ({"SIMD": 2}, "SIMD=2 does not divide 9 taps"),
        ({"SIMD": 0}, "SIMD=0 does not divide 9 taps"),
        ({"PE": 3}, "PE=3 does not divide 4 channels"),
        ({"in_type": "INT17"}, "in_type INT17 is no integer type of up to 16 bits"),
        ({"weight_type": "UINT2"}, "weight_type UINT2 has no sign"),
        ({"out_type": "TERNARY"}, "out_type TERNARY is no integer type"),
        ({"runtime_writeable_weights": 1, "out_type": "INT11"}, "sums of -1080 to 945 do not fit"),
    ],
)
def test_refusals(change, message):
    case, _ = depthwise(np.random.default_rng(3), "UINT4", "INT4", (2, 2, 4), 9, 2, 1, 1)
    operator(case).check()
    case.attributes.update(change)
    with pytest.raises(UserError, match=message):
        operator(case).check()


def test_refusal_of_sums_that_do_not_fit():
    case, _ = depthwise(np.random.default_rng(3), "UINT4", "INT4", (2, 2, 4), 9, 2, 1, 1)
    case.constants[0][:] = 7
    case.attributes["out_type"] = "UINT10"
    model, node = _model(case, 0)
    assert getHWCustomOp(node).weight_stream(model) is not None
    node.attribute[[a.name for a in node.attribute].index("out_type")].s = b"UINT9"
    with pytest.raises(UserError, match="sums of 0 to 945 do not fit out_type UINT9"):
        getHWCustomOp(node).weight_stream(model)
