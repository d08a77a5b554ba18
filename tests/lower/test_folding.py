"""Folding: every unit divides its work, more budget is never slower, what is missing is named."""

import math
import re

import numpy as np
import pytest
from finn.util.basic import getHWCustomOp
from hypothesis import given
from hypothesis import strategies as st
from lowered import CLOCK_MHZ, folded, read
from qonnx.util.basic import get_by_name

from sdq_fpga.board import ShellTakes, load_board
from sdq_fpga.cost.folding import USABLE_SHARE, usable
from sdq_fpga.cost.folding.choices import choices, divisors, parallel_axes
from sdq_fpga.cost.streams import LEAST_DEPTH
from sdq_fpga.errors import UserError
from sdq_fpga.lower.describe import describe, describe_node
from sdq_fpga.lower.finn_session import finn_session
from sdq_fpga.lower.hardware import to_hardware
from sdq_fpga.lower.streams import set_depths
from sdq_fpga.zoo import GraphBuilder
from sdq_fpga.zoo.random_net import random_network

ZCU104 = load_board("zcu104")
FPS = CLOCK_MHZ * 1e6


def with_budget(**budget: int):
    changed = ZCU104.budget.model_copy(update=budget)
    return ZCU104.model_copy(
        update={"name": "small", "budget": changed, "shell_takes": ShellTakes()}
    )


def branching():
    """A network with a depthwise convolution, a sum and two kinds of matrix-vector units."""
    build = GraphBuilder(1)
    x = build.conv(build.scaled_input((3, 8, 8)), 8, 3, pad=1)
    x = build.quant_relu(build.batch_norm(x), 4)
    y = build.conv(x, 8, 3, pad=1, groups=8)
    y = build.quant_relu(build.batch_norm(y), 4)
    x = build.quant_identity(build.add(x, y), 4)
    x = build.quant_identity(build.max_pool(x, 2), 2)
    build.output(build.linear(build.flatten(x), 10, weight_bits=8))
    return read(build.finish())


@pytest.fixture(scope="module")
def model():
    return branching()


def interval(model, tmp_path, board, fps=None):
    return folded(model, tmp_path, board, fps)[1].interval


@given(st.integers(1, 5000))
def test_divisors(number):
    assert divisors(number) == [each for each in range(1, number + 1) if number % each == 0]


def check_edges(graph):
    """Every stream has one writer and one reader, which agree about its beats."""
    makers = {name: (node, k) for node in graph.graph.node for k, name in enumerate(node.output)}
    assert sum(len(node.output) for node in graph.graph.node) == len(makers)
    outside = {each.name for each in [*graph.graph.input, *graph.graph.output]}
    read_once: list[str] = []
    for node in graph.graph.node:
        for index, name in enumerate(node.input):
            if graph.get_initializer(name) is not None:
                continue
            read_once.append(name)
            if name in makers:
                maker, port = makers[name]
                made = getHWCustomOp(maker).get_folded_output_shape(port)
                taken = getHWCustomOp(node).get_folded_input_shape(index)
                assert made[-1] == taken[-1], (maker.name, node.name)
                assert np.prod(made) == np.prod(taken), (maker.name, node.name)
    assert len(set(read_once)) == len(read_once)
    assert set(makers) - outside == set(read_once) - outside


@pytest.mark.parametrize("seed", [2, 8, 11])
@pytest.mark.parametrize("fps", [1000, 100_000, None])
def test_a_folded_random_network_fits_together(seed, fps, tmp_path):
    graph, folding = folded(read(random_network(seed)), tmp_path, ZCU104, fps)
    for node in graph.graph.node:
        inst = getHWCustomOp(node)
        if node.op_type not in {"StreamingFIFO_rtl", "StreamingDataWidthConverter_rtl"}:
            for name, whole in parallel_axes(describe_node(graph, node)).items():
                assert whole % inst.get_nodeattr(name) == 0, node.name
    check_edges(graph)
    assert folding.interval == max(node.cycles for node in folding.nodes)
    assert folding.bottleneck in {node.name for node in folding.nodes}
    assert not folding.resources.over(usable(ZCU104, {}))
    if fps is not None:
        assert folding.interval <= CLOCK_MHZ * 1e6 / fps
    fifos = graph.get_nodes_by_op_type("StreamingFIFO_rtl")
    assert {getHWCustomOp(node).get_nodeattr("depth") for node in fifos} == {LEAST_DEPTH}


def test_every_choice_of_a_node_is_distinct_and_faster_ones_cost_no_cycles(model, tmp_path):
    with finn_session(tmp_path, tmp_path / "log"):
        graph = to_hardware(model.network, ZCU104.dsp)
        for node in describe(graph).nodes:
            found = list(choices(node, ZCU104))
            keys = [(each.op, tuple(sorted(each.attributes.items()))) for each in found]
            assert len(set(keys)) == len(keys)
            assert min(each.cycles for each in found) >= 1


def test_more_budget_is_never_slower(model, tmp_path):
    dsps = [4, 16, 64, 256, 1024]
    found = [interval(model, tmp_path, with_budget(dsp=dsp, lut=2_400 + 40 * dsp)) for dsp in dsps]
    assert found == sorted(found, reverse=True)
    assert found[0] > found[-1]


def test_a_target_is_reached_with_no_more_than_is_needed(model, tmp_path):
    slow = folded(model, tmp_path, ZCU104, FPS / 20_000)[1]
    fast = folded(model, tmp_path, ZCU104, FPS / 650)[1]
    assert slow.interval <= 20_000
    assert fast.interval <= 650
    assert slow.resources.lut < fast.resources.lut


def test_a_target_that_no_folding_reaches(model, tmp_path):
    with pytest.raises(
        UserError, match="no folding reaches 50,000,000 frames/s at 100 MHz"
    ) as caught:
        folded(model, tmp_path, ZCU104, 5e7)
    said = re.search(r"'(\w+)' takes (\d+) cycles .* ask for at most (\d+)", str(caught.value))
    assert said
    assert int(said[3]) == int(CLOCK_MHZ * 1e6 / int(said[2]))
    folded(model, tmp_path, ZCU104.model_copy(update={"name": "x"}), float(said[3]))


def test_a_target_that_the_budget_does_not_allow(model, tmp_path):
    slow, fast = (
        folded(model, tmp_path, ZCU104, FPS / cycles)[1].resources for cycles in (10**6, 650)
    )
    between = int((slow.lut + fast.lut) / 2 / USABLE_SHARE)
    board = with_budget(lut=between, dsp=math.ceil((slow.dsp + 1) / USABLE_SHARE))
    with pytest.raises(UserError, match=r"do not fit small: too little .* usable\)") as caught:
        folded(model, tmp_path, board, FPS / 650)
    rate = int(re.search(r"ask for at most (\d+)", str(caught.value))[1])
    assert interval(model, tmp_path, board, rate) <= CLOCK_MHZ * 1e6 / rate


def test_a_board_that_is_too_small_even_fully_folded(model, tmp_path):
    with pytest.raises(UserError, match=r"does not fit small even fully folded: .*lut \("):
        folded(model, tmp_path, with_budget(lut=500), None)


def test_depths_and_what_fifos_are_made_of(model, tmp_path):
    graph, _ = folded(model, tmp_path, ZCU104, FPS / 5000)
    names = [node.name for node in graph.get_nodes_by_op_type("StreamingFIFO_rtl")]
    for board, style in ((ZCU104, "auto"), (load_board("pynq-z2"), "block")):
        set_depths(graph, {names[0]: 1000, names[1]: 40}, board)
        for name, depth, kind in (
            (names[0], 1000, style),
            (names[1], 40, "auto"),
            (names[2], LEAST_DEPTH, "auto"),
        ):
            node = next(each for each in graph.graph.node if each.name == name)
            assert get_by_name(node.attribute, "depth").i == depth
            assert get_by_name(node.attribute, "ram_style").s.decode() == kind
