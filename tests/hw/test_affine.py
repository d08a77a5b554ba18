import numpy as np
import pytest
from finn.util.basic import getHWCustomOp
from hypothesis import given
from hypothesis import strategies as st
from qonnx.core.datatype import DataType

from sdq_fpga.errors import UserError
from tests.hw.farm import Case, Farm, _model, execute, farms, one_farm
from tests.hw.single import intervals, lint_case, operator

# ---- shared with the tests of requantization ------------------------------------------------


def limits(name):
    return int(DataType[name].min()), int(DataType[name].max())


def draw_values(rng, name, shape):
    low, high = limits(name)
    if name == "BIPOLAR":
        return 2 * rng.integers(0, 2, shape) - 1
    values = rng.integers(low, high + 1, shape)
    # The ends are where sums and products overflow.
    return np.where(rng.random(shape) < 0.2, rng.choice([low, high], shape), values)


def least_type(low, high):
    if low >= 0:
        return f"UINT{max(1, high.bit_length())}"
    return f"INT{1 + max((-low - 1).bit_length(), high.bit_length())}"


@st.composite
def types(draw, most=10):
    if draw(st.integers(0, 4)) == 0:
        return draw(st.sampled_from(["BIPOLAR", "TERNARY", "BINARY"]))
    return f"{draw(st.sampled_from(['INT', 'UINT']))}{draw(st.integers(2, most))}"


@st.composite
def constants(draw, name, channels, rng):
    """Values of a type: any, the same in all channels (as one or as many), or a power of two."""
    form = draw(st.sampled_from(["channels", "channels", "one", "equal", "power"]))
    values = draw_values(rng, name, (channels,))
    if form == "power":
        powers = [0, *(2**k for k in range(limits(name)[1].bit_length()))]
        values[:] = rng.choice([p for p in powers if name != "BIPOLAR" or p])
    if form in {"one", "equal"}:
        values[:] = values[0]
    return values[:1] if form == "one" else values


# ---- affine ---------------------------------------------------------------------------------


def affine(in_type, gain_type, offset_type, frames, gain, offset, pe, **more):
    """A case whose out_type, unless stated, is the least that holds all results."""
    x, g, o = np.array(limits(in_type))[:, None], gain[None], offset[None]
    ends = g * x + o
    attributes = {
        "shape": [1, *frames.shape[1:]], "in_type": in_type, "gain_type": gain_type,
        "offset_type": offset_type, "out_type": least_type(int(ends.min()), int(ends.max())),
        "PE": pe, **more,
    }  # fmt: skip
    return Case("SdqAffine_rtl", attributes, [frames], [gain * frames + offset], [gain, offset])


@st.composite
def cases(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    in_type, gain_type, offset_type = draw(types()), draw(types(6)), draw(types(12))
    pe = draw(st.integers(1, 4))
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 3)), pe * draw(st.integers(1, 4)))
    frames = draw_values(rng, in_type, (draw(st.integers(2, 4)), *shape))
    gain = draw(constants(gain_type, shape[-1], rng))
    offset = draw(constants(offset_type, shape[-1], rng))
    if draw(st.booleans()) and offset_type != "BIPOLAR":
        offset[:] = 0
    res = draw(st.sampled_from(["auto", "lut", "dsp"]))
    case = affine(in_type, gain_type, offset_type, frames, gain, offset, pe, resType=res)
    if draw(st.booleans()):
        case.attributes["out_type"] = f"INT{DataType[case.attributes['out_type']].bitwidth() + 2}"
    return case


def example(gain, offset, in_type="INT8", pe=2, **more):
    frames = draw_values(np.random.default_rng(3), in_type, (3, 2, 3, 6))
    types = in_type, more.pop("gain_type", "INT10"), more.pop("offset_type", "INT14")
    return affine(*types, frames, np.array(gain), np.array(offset), pe, **more)


ZERO, MANY, GAINS = [0], [9, -8000, 7, 0, 55, 1234], [3, -500, 17, 0, 511, 1]
EXAMPLES = {
    "wires": example([1], ZERO),
    "shift": example([8] * 6, ZERO),
    "shift and offset": example([1], [-77]),
    "shift and offsets": example([2], MANY),
    "gain": example([-7], ZERO),
    "gain and offset": example([100], [-3], "UINT8"),
    "gain in a slice": example([100], MANY, resType="dsp"),
    "no gain": example(ZERO, [5] * 6),
    "gains": example(GAINS, ZERO, pe=1),
    "gains in LUTs": example(GAINS, MANY, "TERNARY", resType="lut"),
    "all channels at once": example(GAINS, MANY, pe=6),
    "all channels at once in LUTs": example(GAINS, MANY, pe=6, resType="lut"),
    "bipolar": example(GAINS, MANY, "BIPOLAR"),
    "several slices": example(GAINS, MANY, "INT26"),
}


def generated(case, folder):
    model, node = _model(case, 0)
    op = getHWCustomOp(node)
    op.set_nodeattr("code_gen_dir_ipgen", str(folder))
    op.generate_hdl(model, "xc7z020clg400-1", 5.0)
    return op


def check_execute(drawn):
    for case in drawn:
        for found, expected in zip(execute(case), case.expected, strict=True):
            np.testing.assert_array_equal(found, expected.astype(np.float32))


@one_farm
@given(farms(cases(), 12), st.integers(0, 2**31))
def test_examples_and_random_cases(tmp_path_factory, drawn, seed):
    farm = Farm([*EXAMPLES.values(), *drawn], tmp_path_factory.mktemp("farm"))
    farm.check(seed)
    assert intervals(farm) == [op.cycles() for op in farm.ops]
    check_execute(drawn)
    # x of 26 bits is too wide for the float32 that execute takes.
    check_execute(case for name, case in EXAMPLES.items() if name != "several slices")


@pytest.mark.parametrize("name", EXAMPLES)
def test_lint(tmp_path, monkeypatch, name):
    op = generated(EXAMPLES[name], tmp_path)
    parameters = op.parameters()
    monkeypatch.setattr("tests.hw.single.operator", lambda _: op)
    assert parameters["GAIN_DEPTH"] <= 1 or "GAIN" not in parameters
    lint_case(EXAMPLES[name], tmp_path)


@pytest.mark.parametrize(
    ("name", "gain_depth", "offset_depth", "dsps"),
    [
        ("wires", 0, 0, 0),
        ("shift", 0, 0, 0),
        ("shift and offsets", 0, 3, 0),
        ("gain", 1, 0, 2),
        ("gain in a slice", 1, 3, 2),
        ("no gain", 1, 1, 0),
        ("gains", 6, 0, 1),
        ("gains in LUTs", 3, 3, 0),
        ("all channels at once", 1, 1, 6),
        ("several slices", 3, 3, 4),
    ],
)
def test_nothing_is_built_for_trivial_constants(tmp_path, name, gain_depth, offset_depth, dsps):
    op = generated(EXAMPLES[name], tmp_path)
    assert op.parameters()["GAIN_DEPTH"] == gain_depth
    assert op.parameters()["OFFSET_DEPTH"] == offset_depth
    assert op.dsps("xc7z020clg400-1") == dsps
    assert len(list(tmp_path.glob("*.dat"))) == (gain_depth > 1) + (offset_depth > 1)
    assert op.luts() > 0


def test_types_and_forms_are_inferred():
    model, node = _model(EXAMPLES["shift"], 0)
    op = getHWCustomOp(node)
    assert op.dsps("xc7z020clg400-1") == 2  # nothing is known of the constants yet
    op.infer_node_datatype(model)
    assert op.dsps("xc7z020clg400-1") == 0
    assert op.luts() < 10
    assert model.get_tensor_datatype("const0") == DataType["INT10"]
    assert model.get_tensor_datatype("const1") == DataType["INT14"]
    assert model.get_tensor_datatype("out0") == op.get_output_datatype()


@pytest.mark.parametrize(
    ("gain", "products", "sums"),
    [
        ([8], 0, 0),
        ([-8], 0, 6),  # negated
        ([5], 6, 6),
        ([-3], 6, 6),  # 101: -4 and 1
        (GAINS, 4, 1 + 2 + 1 + 8),  # 11, 1000001100, 10001 and nine ones
        (ZERO, 0, 0),
    ],
)
def test_the_additions_of_products_are_counted(gain, products, sums):
    model, node = _model(example(gain, MANY), 0)
    op = getHWCustomOp(node)
    op.infer_node_datatype(model)
    assert op.get_nodeattr("gain_products") == products
    assert op.get_nodeattr("gain_sums") == sums
    ones = [f"{value % 2 ** op.sum_bits():b}".count("1") for value in MANY]
    assert op.get_nodeattr("offset_ones") == sum(ones)


@pytest.mark.parametrize(
    ("case", "match"),
    [
        (example([1], ZERO, pe=4), "PE=4"),
        (example([1], ZERO, in_type="INT8", out_type="INT7"), r"every result \(-128..127\)"),
        (example(GAINS, MANY, out_type="INT17"), "every result"),
        (example([1], ZERO, out_type="BIPOLAR"), "BIPOLAR has no 0"),
        (example([1], ZERO, out_type="FLOAT32"), "out_type FLOAT32 is not integer"),
        (example([1], ZERO, out_type="INT49"), "wider than 48"),
        (example([600], ZERO), "gain of 600..600 does not fit gain_type INT10"),
        (example([1], [-9000]), "offset of -9000..-9000 does not fit offset_type INT14"),
        (example([0], ZERO, gain_type="BIPOLAR"), "gain has a 0"),
        (example([1.5], ZERO), "gain is not integer"),
    ],
)
def test_refusals(tmp_path, case, match):
    with pytest.raises(UserError, match=match):
        generated(case, tmp_path)


def test_refuses_other_inputs(tmp_path):
    case = EXAMPLES["wires"]
    for values, match in (
        ([np.ones(1)], "missing"),
        ([np.ones(1)] * 3, "more inputs"),
        ([np.ones(2), np.zeros(1)], "gain has 2 values for 6 channels"),
    ):
        wrong = Case(case.op, case.attributes, case.inputs, case.expected, values)
        with pytest.raises(UserError, match=match):
            generated(wrong, tmp_path)
    model, node = _model(case, 0)
    model.graph.initializer.pop()
    with pytest.raises(UserError, match="offset is no initializer"):
        getHWCustomOp(node).memories(model)


def test_costs_of_a_plain_operator():
    assert operator(EXAMPLES["gains"]).dsps("xc7z020clg400-1") == 1
    assert operator(EXAMPLES["gains in LUTs"]).luts() > 2 * 2 * 10
