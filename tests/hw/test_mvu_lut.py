import numpy as np
import pytest
from finn.util.basic import getHWCustomOp
from hypothesis import given
from hypothesis import strategies as st

from sdq_fpga.cost.tree import queue_places
from sdq_fpga.errors import StageError, UserError
from sdq_fpga.ops.mac import MacOperator
from tests.hw.farm import Case, Farm, _model, execute, farms, one_farm
from tests.hw.macs import INPUTS, WEIGHTS, BurstFarm, fits_float32, limits, tightest, values
from tests.hw.single import intervals, lint_case, operator


def mvu(rng, x_kind, w_kind, shape, mw, mh, pe, simd, frames, external=False, **more):
    x = values(rng, x_kind, (frames, *shape, mw))
    attributes = {
        "shape": [1, *shape],
        "MW": mw,
        "MH": mh,
        "PE": pe,
        "SIMD": simd,
        "in_type": x_kind,
        "weight_type": w_kind,
        **more,
    }
    if not external:
        weights = values(rng, w_kind, (mw, mh))
        attributes.setdefault("out_type", tightest(x_kind, weights))
        return Case("SdqMvuLut_rtl", attributes, [x], [x @ weights], [weights])
    weights = values(rng, w_kind, (frames, *shape, mw, mh))
    low, high = limits(w_kind)
    worst = np.concatenate([np.full((mw, 1), low), np.full((mw, 1), high)], axis=1)
    attributes |= {"mem_mode": "external", "out_type": tightest(x_kind, worst)}
    beats = [
        weights[..., f * simd + s, n * pe + p]
        for n in range(mh // pe)
        for f in range(mw // simd)
        for p in range(pe)
        for s in range(simd)
    ]
    stream = np.stack(beats, axis=-1).reshape(frames, -1)
    expected = np.einsum("...i,...io->...o", x, weights)
    return Case("SdqMvuLut_rtl", attributes, [x, stream], [expected])


@st.composite
def cases(draw):
    x_kind = draw(st.sampled_from(INPUTS) | st.sampled_from(["BIPOLAR", "TERNARY"]))
    w_kind = draw(st.sampled_from(WEIGHTS) | st.sampled_from(["BIPOLAR", "TERNARY", "INT2"]))
    pe, simd = draw(st.integers(1, 4)), draw(st.integers(1, 13))
    return mvu(
        np.random.default_rng(draw(st.integers(0, 2**32))),
        x_kind,
        w_kind,
        shape=draw(st.sampled_from([(), (3,), (2, 2), (1, 3)])),
        mw=simd * draw(st.integers(1, 5)),
        mh=pe * draw(st.integers(1, 4)),
        pe=pe,
        simd=simd,
        frames=draw(st.integers(2, 4)),
        external=draw(st.sampled_from([False, False, True])),
        adder_step=draw(st.sampled_from([1, 1, 1, 2, 3])),
        ram_style=draw(st.sampled_from(["auto", "distributed", "block"])),
    )


@one_farm
@given(farms(cases(), 24), st.integers(0, 2**31))
def test_products(tmp_path_factory, drawn, seed):
    for case in filter(fits_float32, drawn):
        for found, expected in zip(execute(case), case.expected, strict=True):
            np.testing.assert_array_equal(found, expected)
    farm = BurstFarm(drawn, tmp_path_factory.mktemp("farm"))
    farm.check(seed)
    farm.run(stall=0.9, seed=seed)
    farm.run_with_bursts(seed=seed)
    farm.run_with_bursts(seed=seed, reset=67)


SMALL = ["BIPOLAR", "TERNARY", "INT2", "INT3", "INT4"]
FOLDS = [
    (8, 4, 4, 8),
    (8, 4, 2, 8),
    (8, 4, 1, 8),
    (8, 4, 4, 4),
    (8, 4, 4, 2),
    (8, 4, 4, 1),
    (8, 4, 2, 4),
    (8, 4, 1, 1),
    (40, 6, 3, 1),
    (66, 6, 3, 2),
    (64, 6, 2, 2),
    (3, 5, 1, 1),
]


def all_values(kind):
    low, high = limits(kind)
    return np.array([-1, 1]) if kind == "BIPOLAR" else np.arange(low, high + 1)


def pair(x_kind, w_kind):
    """All pairs of inputs with all weights."""
    xs, ws = all_values(x_kind), all_values(w_kind)
    x = np.stack(np.meshgrid(xs, xs), axis=-1).reshape(1, -1, 2)
    weights = np.stack([ws, ws[::-1]])
    attributes = {
        "shape": [1, x.shape[1]],
        "MW": 2,
        "MH": len(ws),
        "PE": len(ws),
        "SIMD": 2,
        "in_type": x_kind,
        "weight_type": w_kind,
        "out_type": "INT9",
        "mem_mode": "external",
    }
    stream = np.tile(weights.T.reshape(-1), x.shape[1])[None]
    return Case("SdqMvuLut_rtl", attributes, [x, stream], [x @ weights])


def test_every_pair_of_values(tmp_path):
    inputs = [*SMALL, "UINT1", "UINT2", "UINT3", "UINT4"]
    drawn = [pair(x_kind, w_kind) for x_kind in inputs for w_kind in SMALL]
    Farm(drawn, tmp_path).run(seed=1)


def test_a_vector_takes_a_cycle_for_each_word_of_weights(tmp_path):
    rng = np.random.default_rng(1)
    kinds = [("UINT8", "INT8"), ("INT2", "TERNARY"), ("UINT4", "INT4"), ("BIPOLAR", "BIPOLAR")]
    drawn = [
        mvu(rng, *kinds[number % 4], (3,), *folds, 3, external=number % 3 > 0)
        for number, folds in enumerate(FOLDS)
    ]
    farm = Farm(drawn, tmp_path)
    assert list(intervals(farm)) == [op.cycles() for op in farm.ops]
    assert [op.cycles() for op in farm.ops] == [
        3 * (mw // simd) * (mh // pe) for mw, mh, pe, simd in FOLDS
    ]


def test_an_overflow_ends_the_simulation(tmp_path, monkeypatch):
    """By an assertion, where the operator's own check is circumvented."""
    attributes = {
        "shape": [1],
        "MW": 2,
        "MH": 1,
        "in_type": "UINT2",
        "weight_type": "INT3",
        "out_type": "INT4",
    }
    x, weights = np.array([[1, 1], [3, 3], [3, 2]]), np.array([[-2], [3]])
    case = Case("SdqMvuLut_rtl", attributes, [x[:2]], [x[:2] @ weights], [weights])
    with pytest.raises(UserError, match=r"sums of -6 to 9 do not fit out_type INT4"):
        Farm([case], tmp_path)
    monkeypatch.setattr(MacOperator, "_check_sums", lambda *_: None)
    farm = Farm([case], tmp_path)
    farm.run()
    case.inputs[0][1] = [0, 3]
    with pytest.raises(StageError, match=r"after 1 frames .*mac_lut.sv"):
        farm.run()


class WritableFarm(Farm):
    """One case, with the port through which its weights can be written."""

    def _top(self):
        out = ["AWREADY", "WREADY", "BVALID", "ARREADY", "RVALID"]
        flags = ["AWVALID", "WVALID", "BREADY"]
        bits = self.ops[0].weight_stream(_model(self.cases[0], 0)[0]).address_bits
        ports = [f"output logic s_axilite_{name}" for name in out]
        ports += [f"input logic s_axilite_{name}" for name in flags]
        ports += [
            f"input logic [{width - 1}:0] s_axilite_{name}"
            for name, width in (("AWADDR", bits), ("WDATA", 32), ("WSTRB", 4))
        ]
        ports += ["output logic [1:0] s_axilite_BRESP"]
        names = [*out, *flags, "AWADDR", "WDATA", "WSTRB", "BRESP"]
        zeros = ["AWPROT", "ARPROT", "ARVALID", "ARADDR", "RREADY"]
        pins = [f".s_axilite_{name}" for name in (*names, "RDATA()", "RRESP()")]
        pins += [f".s_axilite_{name}('0)" for name in zeros]
        head, tail = super()._top().split(");\n", 1)
        body = tail.replace(".ap_clk(ap_clk)", ", ".join([".ap_clk(ap_clk)", *pins]), 1)
        return f"{head}, {', '.join(ports)});\n{body}"


def test_weights_can_be_written(tmp_path):
    rng = np.random.default_rng(7)
    case = mvu(
        rng, "UINT4", "INT4", (2,), 12, 4, 2, 6, 3, out_type="INT12", runtime_writeable_weights=1
    )
    farm = WritableFarm([case], tmp_path)
    farm.run()
    weights = rng.integers(-8, 8, (12, 4))
    case.expected[0][:] = case.inputs[0] @ weights
    other = Case(case.op, case.attributes, case.inputs, case.expected, [weights])
    stream = farm.ops[0].weight_stream(_model(other, 0)[0])
    assert stream.width == 48
    writes = [
        (address * 4, value)
        for index, word in enumerate(stream.words)
        for address, value in ((2 * index, word & 0xFFFFFFFF), (2 * index + 1, word >> 32))
    ]
    # The memory has already sent its first words: the reset takes them back.
    farm.run(writes=writes, reset=5)


PAIRS = [
    ("UINT4", "INT4"),
    ("BIPOLAR", "BIPOLAR"),
    ("UINT1", "INT3"),
    ("TERNARY", "INT4"),
    ("INT8", "INT8"),
    ("UINT2", "TERNARY"),
    ("UINT6", "INT5"),
    ("BIPOLAR", "TERNARY"),
    ("UINT4", "BIPOLAR"),
    ("INT3", "INT8"),
]


@pytest.mark.parametrize(("x_kind", "w_kind"), PAIRS)
def test_lint(tmp_path, x_kind, w_kind):
    for fold in ((3, 7), (1, 1), (6, 14), (6, 1)):
        case = mvu(np.random.default_rng(2), x_kind, w_kind, (2,), 14, 6, *fold, 1, external=True)
        lint_case(case, tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"MW": 0}, "MW must be 1 or more"),
        ({"SIMD": 3}, "SIMD=3 does not divide 4 channels"),
        ({"PE": 4}, "PE=4 does not divide 6 channels"),
        ({"in_type": "FLOAT32"}, "in_type FLOAT32 is no integer type of up to 16 bits"),
        ({"in_type": "INT17"}, "in_type INT17 is no integer type of up to 16 bits"),
        ({"weight_type": "INT17"}, "weight_type INT17 is no integer type of up to 16 bits"),
        ({"weight_type": "UINT2"}, "weight_type UINT2 has no sign"),
        ({"out_type": "BIPOLAR"}, "out_type BIPOLAR is no integer type"),
        ({"out_type": "FLOAT32"}, "out_type FLOAT32 is no integer type"),
        ({"adder_step": 0}, "adder_step must be 1 or more"),
        ({"mem_mode": "external", "runtime_writeable_weights": 1}, "needs a memory"),
        ({"ram_style": "ultra"}, "ultra has no initial contents"),
        ({"mem_mode": "external", "out_type": "INT9"}, "sums of -480 to 420 do not fit"),
        ({"runtime_writeable_weights": 1, "out_type": "INT9"}, "sums of -480 to 420 do not fit"),
    ],
)
def test_refusals(change, message):
    case = mvu(np.random.default_rng(3), "UINT4", "INT4", (), 4, 6, 2, 2, 1, out_type="INT12")
    operator(case).check()
    case.attributes.update(change)
    with pytest.raises(UserError, match=message):
        operator(case).check()


@pytest.mark.parametrize(
    ("weights", "kind", "message"),
    [
        (None, "INT4", "the weights are no initializer"),
        (np.zeros((6, 4)), "INT4", r"weights of shape \(6, 4\) instead of \(4, 6\)"),
        (np.full((4, 6), 0.5), "INT4", "a weight is not integer"),
        (np.full((4, 6), 8), "INT4", "weights of 8 to 8 are not all INT4"),
        (np.full((4, 6), -2), "TERNARY", "weights of -2 to -2 are not all TERNARY"),
        (np.zeros((4, 6)), "BIPOLAR", "weights of 0 to 0 are not all BIPOLAR"),
        (np.full((4, 6), 7), "INT4", "sums of 0 to 420 do not fit out_type INT9"),
    ],
)
def test_refusals_of_weights(weights, kind, message):
    attributes = {
        "shape": [1],
        "MW": 4,
        "MH": 6,
        "in_type": "UINT4",
        "weight_type": kind,
        "out_type": "INT9",
    }
    frames = np.zeros((1, 4), int)
    constants = [] if weights is None else [weights]
    model, node = _model(Case("SdqMvuLut_rtl", attributes, [frames], [frames], constants), 0)
    with pytest.raises(UserError, match=message):
        getHWCustomOp(node).weight_stream(model)


def test_queue_places():
    assert [queue_places(beats, 4) for beats in (1, 2, 3, 4, 5)] == [8, 4, 3, 2, 2]
