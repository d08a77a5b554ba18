"""Other bits of a plain graph: those that lowering at these bits finds."""

import functools
import random
from collections import Counter
from pathlib import Path

import pytest

from sdq_fpga import zoo
from sdq_fpga.board import DspGeneration, load_board
from sdq_fpga.cost.bits import (
    activation_layers,
    bits_of_policy,
    changed_bits,
    weight_layers,
    with_bits,
)
from sdq_fpga.cost.node import bits_of
from sdq_fpga.cost.policies import same_bits
from sdq_fpga.cost.policies.variables import met
from sdq_fpga.cost.ports import input_ports, output_ports
from sdq_fpga.cost.rebit import WEIGHTED
from sdq_fpga.cost.resources import node_resources
from sdq_fpga.cost.streams import insert_streams
from sdq_fpga.cost.timing.nodes import actor_of
from sdq_fpga.errors import UserError
from sdq_fpga.flow import load_flow
from sdq_fpga.lower.describe import describe
from sdq_fpga.lower.hardware import to_hardware
from sdq_fpga.stages.untrained import hardware_of_flow, uniform_policy
from sdq_fpga.zoo import GraphBuilder
from sdq_fpga.zoo.random_net import random_network
from tests.lower.lowered import read

THRESHOLDS = "Thresholding_rtl"
NETWORKS = {
    "tfc": zoo.tfc,
    "cnv": functools.partial(zoo.cnv, width=0.125),
    "resnet8": zoo.resnet8,
    "mobilenet": functools.partial(
        zoo.mobilenet_v2, width=0.25, image_size=32, blocks=5, classes=20
    ),
    "yolo": functools.partial(zoo.yolo_tiny, width=0.125, image_size=64, outputs=21),
    "vgg10": functools.partial(zoo.vgg10, length=128, width=0.25),
}
# Of these, fewer bits leave no quantizer out, nor take another in.
CASES = [
    ("tfc", (4, 4), (2, 2)), ("tfc", (2, 2), (4, 4)), ("tfc", (4, 4), (1, 1)),
    ("tfc", (1, 2), (4, 4)), ("cnv", (4, 4), (2, 2)), ("cnv", (4, 4), (1, 2)),
    ("cnv", (4, 3), (3, 2)), ("resnet8", (4, 4), (3, 4)), ("resnet8", (4, 4), (2, 4)),
    ("mobilenet", (4, 4), (2, 4)), ("mobilenet", (4, 4), (3, 4)), ("yolo", (4, 4), (2, 4)),
    ("yolo", (4, 4), (3, 4)), ("vgg10", (4, 4), (2, 2)), ("vgg10", (2, 2), (4, 4)),
]  # fmt: skip


def hardware(proto):
    return describe(to_hardware(read(proto).network, DspGeneration.DSP48E2))


@functools.cache
def network(name, bits):
    return hardware(NETWORKS[name](bits))


def weight_bits(node):
    return node.bits("weightDataType" if node.op == "MVAU_rtl" else "weight_type")


def sums(node):
    return node.bits("outputDataType" if node.op == "MVAU_rtl" else "out_type")


def stated(graph, names=None):
    """Bits of weights and activations of a graph, by names of another with the same nodes."""
    pairs = list(zip((names or graph).nodes, graph.nodes, strict=True))
    weights = {a.layer: weight_bits(b) for a, b in pairs if b.op in WEIGHTED}
    return weights, {a.layer: b.bits("outputDataType") for a, b in pairs if b.op == THRESHOLDS}


def trimmed(name, node):
    """Attributes that depend on the values of weights, and not on bits alone."""
    found = {"distinct_bits"}
    if node.op in WEIGHTED:
        found |= {"outputDataType", "accDataType", "out_type"}
    if node.op == THRESHOLDS:  # of sums
        found |= {"inputDataType", "weightDataType"}
        if name in {"yolo", "tiny"}:  # levels that sums never come to
            found |= {"numSteps", "ActVal"}
    return found


@pytest.mark.parametrize(("name", "reference", "bits"), CASES)
def test_what_lowering_finds(name, reference, bits):
    before, wanted = network(name, reference), network(name, bits)
    weights, activations = stated(wanted, before)
    found = with_bits(before, weights, activations)
    worst = with_bits(before, weights, activations, worst_case=True)
    errors, luts = Counter(), Counter()
    for ours, theirs, most in zip(found.nodes, wanted.nodes, worst.nodes, strict=True):
        assert ours.op == theirs.op
        assert set(ours.attributes) == set(theirs.attributes)
        loose = trimmed(name, theirs)
        for attribute, value in theirs.attributes.items():
            if attribute not in loose:
                assert ours.attributes[attribute] == value, (theirs.layer, attribute)
        mine, real = node_resources(ours, "xcup"), node_resources(theirs, "xcup")
        luts.update(mine=mine.lut, real=real.lut)
        if ours.op in WEIGHTED:
            errors[sums(ours) - sums(theirs)] += 1
            assert -1 <= sums(most) - sums(theirs) <= 4
            assert (mine.dsp, mine.bram18) == (real.dsp, real.bram18)
            assert mine.lut == pytest.approx(real.lut, rel=0.05)
        elif ours.op != THRESHOLDS:
            assert mine == real
    assert luts["mine"] == pytest.approx(luts["real"], rel=0.06 if name == "tfc" else 0.03)
    assert max(map(abs, errors)) <= 2
    assert errors[-1] + errors[0] + errors[1] >= 0.9 * errors.total()


@pytest.mark.parametrize(
    ("name", "bits"), [*((name, (4, 4)) for name in NETWORKS), ("cnv", (1, 2)), ("vgg10", (2, 2))]
)
def test_the_bits_that_there_are_change_nothing(name, bits):
    graph = network(name, bits)
    assert with_bits(graph, {}, {}) == graph
    assert with_bits(graph, *stated(graph)) == graph


def drawn(graph, seed, least=1):
    """Bits of some layers."""
    rng = random.Random(seed)
    layers = weight_layers(graph), activation_layers(graph)
    return [
        {layer: rng.randint(least, 8) for layer in each if rng.random() < 0.6} for each in layers
    ]


@pytest.mark.parametrize("seed", range(16))
def test_streams_of_random_networks_stay_consistent(seed):
    graph = hardware(random_network(seed))
    for choice in range(6):
        try:
            found = with_bits(graph, *drawn(graph, choice))
        except UserError as error:
            assert "one scale" in error.what or "multiplied" in error.what
            continue
        made = {}
        for node in found.nodes:
            for name, port in zip(node.inputs, input_ports(node), strict=True):
                have = made.get(name, port.datatype)
                same = {"BIPOLAR": "UINT1"}.get(have, have) if node.op == THRESHOLDS else have
                assert port.datatype == same, (node.layer, name)
            made |= {
                name: port.datatype
                for name, port in zip(node.outputs, output_ports(node), strict=True)
            }
            assert node_resources(node, "xcup").lut >= 0
            assert actor_of(node).steps > 0


@pytest.mark.parametrize("name", ["cnv", "resnet8", "yolo", "vgg10"])
@pytest.mark.parametrize("seed", range(3))
def test_converters_and_fifos_follow(name, seed):
    """Bits of a graph with converters are those of a graph that gets them afterwards."""
    graph = network(name, (4, 4))
    rng = random.Random(seed)
    # Beats of any sizes, so that there are converters.
    nodes = tuple(
        node.with_attributes({"PE": rng.choice([1, 2])})
        if node.op in {"MVAU_rtl", THRESHOLDS} and output_ports(node)[0].shape[-1] % 2 == 0
        else node
        for node in graph.nodes
    )
    graph = graph.__class__(nodes, graph.inputs, graph.outputs)
    weights, activations = drawn(graph, seed, least=2)
    if name == "yolo":
        activations = dict.fromkeys(activation_layers(graph), 3 + seed)
    assert with_bits(insert_streams(graph), weights, activations) == insert_streams(
        with_bits(graph, weights, activations)
    )


def test_more_bits_never_make_sums_shorter():
    graph = network("resnet8", (4, 4))

    def accumulators(weights, activations):
        made = with_bits(
            graph,
            dict.fromkeys(weight_layers(graph), weights),
            dict.fromkeys(activation_layers(graph), activations),
        )
        return [sums(node) for node in made.nodes if node.op in WEIGHTED]

    for other in (2, 4, 8):
        for bits in range(2, 8):
            for fewer, more in (
                (accumulators(bits, other), accumulators(bits + 1, other)),
                (accumulators(other, bits), accumulators(other, bits + 1)),
            ):
                assert all(a <= b <= a + 2 for a, b in zip(fewer, more, strict=True))


@pytest.mark.parametrize("bits", [2, 3, 6])
def test_policies_of_flows(bits):
    flow = load_flow(str(Path(__file__).parents[1] / "stages/tiny.yaml"))
    board = load_board("zcu104")
    before, wanted = (
        hardware_of_flow(flow, uniform_policy(flow, each), board) for each in (4, bits)
    )
    policy = uniform_policy(flow, bits)
    found = with_bits(before, *bits_of_policy(before, policy))
    for ours, theirs in zip(found.nodes, wanted.nodes, strict=True):
        assert ours.op == theirs.op
        for attribute, value in theirs.attributes.items():
            if attribute not in trimmed("tiny", theirs):
                assert ours.attributes[attribute] == value, (theirs.layer, attribute)
        if ours.op in WEIGHTED:
            assert abs(sums(ours) - sums(theirs)) <= 1
    short = policy.model_copy(update={"layers": policy.layers[:1]})
    with pytest.raises(UserError, match="the policy has 1 layers and the network 3"):
        bits_of_policy(before, short)


def test_one_number_for_a_layer_and_its_activation():
    graph = network("resnet8", (4, 4))
    layers, quantizers = weight_layers(graph), activation_layers(graph)
    first, last = layers[0], layers[-1]
    behind = quantizers[0]  # of the first convolution
    assert changed_bits(graph, {first: 3}) == ({first: 3}, {first: 3})
    assert changed_bits(graph, {last: 3}) == ({last: 3}, {})
    assert changed_bits(graph, {behind: 3}) == ({}, {behind: 3})
    for changes in ({first: 3, behind: 5}, {behind: 5, first: 3}):
        assert changed_bits(graph, changes) == ({first: 3}, {behind: 5})
    one, two = (
        with_bits(graph, *changed_bits(graph, each)) for each in ({first: 3}, {first: 3, behind: 3})
    )
    assert one == two
    with pytest.raises(UserError, match=rf"no layer 'Conv_99' has weights .* name one of {first}"):
        changed_bits(graph, {"Conv_99": 3})


@pytest.mark.parametrize("name", NETWORKS)
def test_the_same_bits_for_all(name):
    graph = network(name, (4, 4))
    for bits in (1, 3, 8):
        found = with_bits(graph, *same_bits(graph, bits))
        assert {weight_bits(node) for node in found.nodes if node.op in WEIGHTED} == {bits}
        activations = stated(found)[1]
        assert all(1 <= each <= 8 for each in activations.values())
        met_bits = {layer for group in met(graph) for layer in group}
        assert all(own == bits for layer, own in activations.items() if layer not in met_bits)


# ---- sums and concatenations ------------------------------------------------------------------


def added():
    build = GraphBuilder(1)
    x = build.quant_relu(build.batch_norm(build.conv(build.scaled_input((3, 6, 6)), 4, 1)), 4)
    y = build.batch_norm(build.conv(x, 4, 1), center=0.0)
    y = build.quant_identity(y, 5, scale=x.scale)
    build.output(build.quant_relu(build.add(y, x), 4))
    return hardware(build.finish())


def the(graph, op):
    return next(node for node in graph.nodes if node.op == op)


def test_a_sum_multiplies_the_arm_that_has_lost_more_bits():
    graph = added()
    one, two, _ = activation_layers(graph)
    alike = the(with_bits(graph, {}, {one: 2, two: 3}), "SdqElementwise_rtl")
    assert [alike.text(name) for name in ("left_type", "right_type")] == ["INT3", "UINT2"]
    assert [alike.integer(name) for name in ("left_factor", "right_factor")] == [1, 1]
    fewer = the(with_bits(graph, {}, {one: 3}), "SdqElementwise_rtl")
    assert [fewer.integer(name) for name in ("left_factor", "right_factor")] == [1, 2]
    assert fewer.text("out_type") == "INT6"  # -16 to 15 + 2 * 7


def test_an_activation_is_also_named_by_what_it_quantizes():
    graph = added()
    first, *_ = weight_layers(graph)
    one, _, last = activation_layers(graph)
    assert with_bits(graph, {}, {first: 3}) == with_bits(graph, {}, {one: 3})
    add = the(graph, "SdqElementwise_rtl").layer
    assert with_bits(graph, {}, {add: 3}) == with_bits(graph, {}, {last: 3})
    with pytest.raises(UserError, match="stated twice, with 3 and 2 bits"):
        with_bits(graph, {}, {first: 3, one: 2})


def test_what_is_concatenated_keeps_one_scale():
    graph = network("yolo", (4, 4))
    makers = {name: node for node in graph.nodes for name in node.outputs}
    concat = the(graph, "SdqConcat_rtl")
    quantizer = next(makers[name] for name in concat.inputs if makers[name].op == THRESHOLDS)
    with pytest.raises(UserError, match=rf"'{concat.layer}' joins .*'{quantizer.layer}'") as caught:
        with_bits(graph, {}, {quantizer.layer: 3})
    assert caught.value.what.count("'Quant_") == 2
    all_alike = with_bits(graph, {}, dict.fromkeys(activation_layers(graph), 3))
    assert the(all_alike, "SdqConcat_rtl").text("out_type") == "INT3"


def test_one_bit_is_bipolar_where_there_is_a_sign():
    graph = network("tfc", (4, 4))
    layer, *_ = weight_layers(graph)
    made = with_bits(graph, {layer: 1}, {activation_layers(graph)[0]: 1})
    unit = made.nodes[1]
    assert (unit.op, unit.text("weight_type"), unit.text("in_type")) == (
        "SdqMvuLut_rtl", "BIPOLAR", "BIPOLAR",
    )  # fmt: skip
    relu = network("resnet8", (4, 4))
    made = with_bits(relu, {}, {activation_layers(relu)[0]: 1})
    assert the(made, THRESHOLDS).text("outputDataType") == "UINT1"
    assert bits_of(the(made, THRESHOLDS).text("outputDataType")) == 1


@pytest.mark.parametrize(
    ("weights", "activations", "what"),
    [
        ({"Conv_9": 4}, {}, "no layer 'Conv_9' has weights.*name one of Conv_0, Conv_1"),
        ({}, {"Quant_0": 4}, "no layer 'Quant_0' has an activation.*name one of Quant_"),
        ({"Conv_0": 9}, {}, "layer 'Conv_0' can't have weights of 9 bits; use 1 to 8 bits"),
        ({}, {"Conv_0": 0}, "layer 'Conv_0' can't have an activation of 0 bits"),
    ],
)
def test_what_can_not_be_is_named(weights, activations, what):
    with pytest.raises(UserError, match=what):
        with_bits(added(), weights, activations)
