"""Converters and FIFOs of plain graphs: those of the FINN graph, and between what FINN says."""

import copy
import random

import numpy as np
import pytest
from finn.util.basic import getHWCustomOp

from sdq_fpga import zoo
from sdq_fpga.board import DspGeneration
from sdq_fpga.cost.folding.choices import divisors, parallel_axes
from sdq_fpga.cost.node import HardwareGraph
from sdq_fpga.cost.ports import Port, input_ports, output_ports
from sdq_fpga.cost.streams import CONVERTER, FIFO, divides, insert_streams
from sdq_fpga.cost.timing.nodes import actor_of
from sdq_fpga.errors import StageError
from sdq_fpga.lower import streams
from sdq_fpga.lower.describe import describe, describe_node
from sdq_fpga.lower.hardware import to_hardware
from sdq_fpga.zoo.random_net import random_network
from tests.cost import nodes
from tests.lower.lowered import read

NETWORKS = {
    "tfc": lambda: zoo.tfc((1, 1)),
    "cnv": lambda: zoo.cnv((2, 2), width=0.125),
    "resnet8": lambda: zoo.resnet8((4, 4)),
    "mobilenet_v2": lambda: zoo.mobilenet_v2((4, 4), width=0.25, image_size=32, blocks=6),
    "yolo": lambda: zoo.yolo_tiny((4, 4), width=0.125, image_size=64, outputs=21),
    "vgg10": lambda: zoo.vgg10(None, seed=4, length=128, width=0.125),
    **{f"random_{seed}": lambda seed=seed: random_network(seed) for seed in range(12)},
}
FOLDINGS = range(3)


@pytest.fixture(scope="module", params=NETWORKS)
def hardware(request):
    network = read(NETWORKS[request.param]()).network
    return to_hardware(network, DspGeneration.DSP48E2)


def widths(converter):
    return converter.integer("inWidth"), converter.integer("outWidth")


def folded(model, seed):
    """A copy with any parallelism of each node, which need not make sense together."""
    model, rng = copy.deepcopy(model), random.Random(seed)
    for node in model.graph.node:
        inst = getHWCustomOp(node)
        for name, number in parallel_axes(describe_node(model, node)).items():
            inst.set_nodeattr(name, rng.choice(divisors(number)))
        if "parallel_window" in inst.get_nodeattr_types():
            inst.set_nodeattr("parallel_window", rng.randrange(2))
        if "taps" in inst.get_nodeattr_types():
            inst.set_nodeattr("SIMD", rng.choice(divisors(inst.get_nodeattr("taps"))))
    return model


@pytest.mark.parametrize("seed", FOLDINGS)
def test_plain_graphs_get_what_finn_graphs_get(hardware, seed):
    model = folded(hardware, seed)
    plain = insert_streams(describe(model))
    assert plain == describe(streams.insert_streams(model))


@pytest.mark.parametrize("seed", FOLDINGS)
def test_streams_are_those_that_finn_says(hardware, seed):
    model = streams.insert_streams(folded(hardware, seed))
    for node, plain in zip(model.graph.node, describe(model).nodes, strict=True):
        inst = getHWCustomOp(node)
        said = [
            Port(inst.get_input_datatype(k).name, *shapes(inst.get_folded_input_shape(k)))
            for k in range(len(plain.inputs))
        ]
        told = [
            Port(inst.get_output_datatype(k).name, *shapes(inst.get_folded_output_shape(k)))
            for k in range(len(plain.outputs))
        ]
        if plain.op == CONVERTER:  # FINN may fold both sides by the shape of one
            said, told = map(flat, said), map(flat, told)
            assert tuple(said) == tuple(map(flat, input_ports(plain)))
            assert tuple(told) == tuple(map(flat, output_ports(plain)))
            continue
        assert tuple(said) == input_ports(plain)
        assert tuple(told) == output_ports(plain)


def shapes(finn):
    *outer, beats, elements = map(int, finn)
    return (*outer, beats * elements), elements


def flat(port):
    return port.datatype, int(np.prod(port.shape)), port.elements


@pytest.mark.parametrize("seed", FOLDINGS)
def test_every_edge_has_a_fifo_between_equal_beats(hardware, seed):
    graph = insert_streams(describe(folded(hardware, seed)))
    made = {
        name: (node, port)
        for node in graph.nodes
        for name, port in zip(node.outputs, output_ports(node), strict=True)
    }
    taken = {
        name: (node, port)
        for node in graph.nodes
        for name, port in zip(node.inputs, input_ports(node), strict=True)
    }
    assert set(made) - set(taken) == set(graph.outputs)
    assert set(taken) - set(made) == set(graph.inputs)
    for name in {*made} & {*taken}:
        (maker, have), (reader, wanted) = made[name], taken[name]
        assert (have.elements, have.beats, have.bits) == (
            wanted.elements, wanted.beats, wanted.bits,
        )  # fmt: skip
        assert {maker.op, reader.op} & {CONVERTER, FIFO}
    for name in graph.outputs:
        assert made[name][0].op == FIFO
    ops = [node.op for node in graph.nodes]
    assert ops.count(FIFO) == len(graph.outputs) + sum(
        len(node.inputs) for node in graph.nodes if node.op not in (FIFO, CONVERTER)
    ) + sum(not divides(*widths(node)) for node in graph.nodes if node.op == CONVERTER)
    for node in graph.nodes:
        if node.op == CONVERTER:
            before, after = made[node.inputs[0]][0].op, taken[node.outputs[0]][0].op
            into, out = widths(node)
            assert (before == FIFO) == (into > out or not divides(into, out))
            assert (after == FIFO) == (into < out or not divides(into, out))


@pytest.mark.parametrize("seed", FOLDINGS)
def test_the_timing_model_counts_as_many_beats(hardware, seed):
    for node in describe(folded(hardware, seed)).nodes:
        actor = actor_of(node)
        assert [each.beats for each in actor.inputs] == [each.beats for each in input_ports(node)]
        assert [each.beats for each in actor.outputs] == [each.beats for each in output_ports(node)]


def test_an_unknown_node_is_named():
    graph = HardwareGraph((nodes.node("Other_rtl"),), ("in0",), ("out0",))
    with pytest.raises(StageError, match=r"streams of Other_rtl \('Other_rtl_0'\)"):
        insert_streams(graph)
