"""Foldings of plain nodes: cycles as the timing model shows them, and what FINN can generate."""

import random
from dataclasses import replace

import pytest
from finn.util.basic import getHWCustomOp
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from sdq_fpga import zoo
from sdq_fpga.board import DspGeneration, load_board
from sdq_fpga.cost.cycles import node_cycles
from sdq_fpga.cost.folding.choices import choices, divisors, lut_unit, parallel_axes
from sdq_fpga.cost.folding.network import apply_choice
from sdq_fpga.cost.node import HardwareGraph, HardwareNode
from sdq_fpga.cost.ports import input_ports, output_ports
from sdq_fpga.cost.resources import node_resources
from sdq_fpga.cost.streams import insert_streams
from sdq_fpga.cost.timing.schedule import Pipeline
from sdq_fpga.cost.window_cycles import can_generate
from sdq_fpga.errors import StageError
from sdq_fpga.lower.describe import describe
from sdq_fpga.lower.finn_session import finn_session
from sdq_fpga.lower.hardware import to_hardware
from sdq_fpga.ops import DOMAIN
from sdq_fpga.zoo.random_net import random_network
from tests.cost import nodes
from tests.lower.lowered import read

WINDOWS = "ConvolutionInputGenerator_rtl"
NETWORKS = {
    "cnv": lambda: zoo.cnv((2, 2), width=0.125),
    "mobilenet_v2": lambda: zoo.mobilenet_v2((4, 4), width=0.25, image_size=32, blocks=4),
    **{f"random_{seed}": lambda seed=seed: random_network(seed) for seed in range(10)},
}


def alone(node, frames=6):
    """Cycles between frames of a node with nothing around it."""
    pipeline = Pipeline(HardwareGraph((node,), node.inputs, node.outputs))
    return pipeline.time({}, frames=frames).interval


def at_random(node, rng):
    """The node with any parallelism that divides."""
    chosen = {name: rng.choice(divisors(whole)) for name, whole in parallel_axes(node).items()}
    return node.with_attributes(chosen)


@pytest.mark.parametrize("name", NETWORKS)
def test_cycles_of_every_node_are_those_of_the_timing_model(name):
    graph = describe(to_hardware(read(NETWORKS[name]()).network, DspGeneration.DSP48E2))
    rng = random.Random(1)
    folded = [at_random(node, rng) for node in graph.nodes]
    folded = [node for node in folded if node.op != WINDOWS or can_generate(node)]
    made = insert_streams(HardwareGraph(tuple(folded), graph.inputs, graph.outputs)).nodes
    for node in made:
        if node.op != "StreamingFIFO_rtl":
            assert node_cycles(node) == alone(node), node


@st.composite
def along(draw):
    """Size, kernel, stride and dilation along one axis."""
    kernel = draw(st.integers(1, 4))
    dilation = draw(st.integers(1, 3)) if kernel > 1 else 1
    span = (kernel - 1) * dilation + 1
    stride = draw(st.sampled_from([1, 1, 2, 3]))
    return draw(st.integers(span, span + 8)), kernel, stride, dilation


@st.composite
def generators(draw):
    one = (1, 1, 1, 1)
    kind = draw(st.sampled_from(["image", "image", "image", "row", "column"]))
    down = one if kind == "row" else draw(along())
    across = one if kind == "column" else draw(along())
    size, kernel, stride, dilation = zip(down, across, strict=True)
    out = [
        (n - ((k - 1) * d + 1)) // s + 1
        for n, k, s, d in zip(size, kernel, stride, dilation, strict=True)
    ]
    channels = draw(st.sampled_from([1, 2, 3, 4, 6, 8]))
    attributes = {
        "ConvKernelDim": kernel, "IFMChannels": channels, "IFMDim": size, "OFMDim": tuple(out),
        "SIMD": draw(st.sampled_from(divisors(channels))), "M": 1, "Stride": stride,
        "Dilation": dilation, "inputDataType": "UINT3", "outputDataType": "UINT3",
        "depthwise": draw(st.integers(0, 1)), "ram_style": "auto",
        "parallel_window": draw(st.integers(0, 1)), "is1D": 0,
    }  # fmt: skip
    return HardwareNode("w", WINDOWS, "", attributes, ("in",), ("out",))


def finn_generates(node):
    """What FINN's own code says of it, where it does not build another thing."""
    made = helper.make_node(WINDOWS, ["in"], ["out"], name="w", domain=DOMAIN, **node.attributes)
    inst = getHWCustomOp(made)
    try:
        if inst.select_impl_style() == "parallel":
            _, (_, width), _, kernel, _, dilation = inst.get_1d_conv_attrs_normalized()
            # Its line buffer can't be shorter than 2 pixels (swg_ram_buffer in swg_common.sv).
            if kernel[0] > 1 and width * dilation[0] - (kernel[1] - 1) * dilation[1] - 1 < 2:
                return False
            inst.prepare_codegen_parallel()
        else:
            inst.prepare_codegen_default()
    except (AssertionError, ValueError):
        return False
    return True


@pytest.fixture(scope="module")
def _finn(tmp_path_factory):
    directory = tmp_path_factory.mktemp("finn")
    with finn_session(directory, directory / "log"):
        yield


@pytest.mark.usefixtures("_finn")
@settings(max_examples=400, deadline=None)
@given(generators())
def test_windows_that_finn_can_generate_with_their_cycles(node):
    can = can_generate(node)
    assert can == finn_generates(node)
    if can:
        assert node_cycles(node) == alone(node)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 5))
def test_cycles_of_converters(into, out, periods):
    values = into * out * periods
    node = nodes.node(
        "StreamingDataWidthConverter_rtl", inShape=(1, values), outShape=(1, values),
        inWidth=into * 3, outWidth=out * 3, dataType="UINT3",
    )  # fmt: skip
    assert node_cycles(node) == pytest.approx(alone(node), abs=1)


def test_an_operator_that_nobody_knows():
    with pytest.raises(StageError, match="cycles of Strange_rtl 'Strange_rtl_0'"):
        node_cycles(nodes.node("Strange_rtl"))


@pytest.mark.parametrize("board", ["zcu104", "pynq-z2"])
def test_choices_of_a_matrix_vector_unit(board):
    found = list(choices(nodes.matrix(2, 2, 18, 8, 1, 1), load_board(board)))
    keys = {(each.op, *each.attributes.values()) for each in found}
    # Of two units and two memories; a word that holds all weights needs no memory.
    assert len(keys) == len(found) == 2 * (2 * len(divisors(18)) * len(divisors(8)) - 1)
    for each in found:
        parallel = each.attributes["PE"] * each.attributes["SIMD"]
        assert ("ram_style" in each.attributes) == (parallel < 18 * 8)
        assert each.cycles == 64 * 18 * 8 // parallel
        assert (each.resources.dsp > 0) == (each.op == "MVAU_rtl")


def test_products_of_wide_operands_are_for_dsp_slices_alone():
    for bits, units in (((8, 2), 2), ((2, 8), 2), ((5, 5), 1), ((9, 2), 1)):
        found = choices(nodes.matrix(*bits, 18, 8, 1, 1), load_board("zcu104"))
        assert len({each.op for each in found}) == units


def test_products_beyond_the_part_are_no_choice():
    board = load_board("zcu104")
    small = board.model_copy(
        update={"budget": board.budget.model_copy(update={"lut": 20, "dsp": 1})}
    )
    found = list(choices(nodes.matrix(2, 2, 18, 8, 1, 1), small))
    assert {each.attributes["PE"] * each.attributes["SIMD"] for each in found} == {
        a * b for a in divisors(18) for b in divisors(8) if a * b <= 29
    }


TYPES = st.sampled_from(["UINT1", "UINT2", "INT3", "UINT4", "UINT8", "BIPOLAR", "INT8"])
WEIGHTS = st.sampled_from(["BIPOLAR", "TERNARY", "INT2", "INT3", "INT4", "INT8"])


@st.composite
def matrices(draw):
    """Matrix-vector units of any bits, with their memory in any way."""
    columns, rows = draw(st.sampled_from([1, 2, 9, 18, 40])), draw(st.sampled_from([1, 3, 8, 24]))
    slices = draw(st.booleans())
    if slices:
        bits, weight = draw(st.integers(2, 8)), draw(st.integers(2, 8))
        node = nodes.matrix(bits, weight, columns, rows, 1, 1)
    else:
        node = lut_unit(nodes.matrix(4, 4, columns, rows, 1, 1)).with_attributes(
            {"in_type": draw(TYPES), "weight_type": draw(WEIGHTS)}
        )
    external = draw(st.sampled_from([False, False, True]))
    inside = "internal_decoupled" if slices else "internal"
    return replace(node, narrow=draw(st.booleans())).with_attributes(
        {
            "mem_mode": "external" if external else inside,
            "runtime_writeable_weights": int(draw(st.booleans()) and not external),
            "ram_style": draw(st.sampled_from(["auto", "auto", "block", "distributed"])),
        }
    )


@settings(max_examples=60, deadline=None)
@given(matrices(), st.sampled_from(["zcu104", "pynq-z2"]), st.booleans())
def test_foldings_of_a_matrix_at_once_are_those_of_each_alone(node, board, versal):
    board = load_board(board)
    if versal:
        board = board.model_copy(update={"dsp": DspGeneration.DSP58})
    found = choices(node, board)
    assert len(found.cycles) >= len(divisors(node.integer("MW"))) * len(
        divisors(node.integer("MH"))
    )
    for index, choice in enumerate(found):
        alone = apply_choice(node, choice)
        assert choice.cycles == node_cycles(alone)
        assert choice.resources == node_resources(alone, board.dsp)
        assert found.taken[index].tolist() == [port.elements for port in input_ports(alone)]
        assert found.given[index].tolist() == [port.elements for port in output_ports(alone)]
