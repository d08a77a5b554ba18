"""Foretelling what other bits would do: of flows by their modules, of models by their nodes."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from sdq_fpga import zoo
from sdq_fpga.board import load_board
from sdq_fpga.cost.bits import activation_layers, weight_layers
from sdq_fpga.cost.rebit import WEIGHTED
from sdq_fpga.errors import UserError
from sdq_fpga.flow import load_flow
from sdq_fpga.nets import make_net
from sdq_fpga.progress import SilentProgress
from sdq_fpga.report.estimate import print_sweep
from sdq_fpga.stages.foretell import Foretelling, foretell, sweep
from sdq_fpga.stages.untrained import hardware_of_flow, uniform_policy

TINY = str(Path(__file__).with_name("tiny.yaml"))
QUIET = SilentProgress()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "net.onnx"
    path.write_bytes(zoo.resnet8((4, 4), width=0.25, image_size=16).SerializeToString())
    return path


def asked(model=None, fps=2_000, bits=None, **shares):
    return Foretelling(
        board=load_board("pynq-z2"),
        clock_mhz=100.0,
        target_fps=fps,
        flow=load_flow(TINY),
        bits=bits,
        model=model,
        shares=shares,
    )


def layers(estimate):
    return {each.layer: each for each in estimate.layers}


def weight_bits(estimate):
    return {each.layer: each.weight_bits for each in estimate.layers if each.weight_bits}


def test_layers_of_a_flow_are_called_as_what_if_takes_them():
    found = foretell(asked(bits=4), ["block1.act=2", "classifier=3"], QUIET)
    before, then = layers(found.as_it_is), layers(found.what_if)
    assert {"block1.conv", "block1.act", "block2.conv", "block2.act", "classifier"} == set(before)
    assert set(then) == set(before)
    assert weight_bits(found.what_if) == weight_bits(found.as_it_is) | {"classifier": 3}
    assert before["block2.conv"].activation_bits == 4
    assert then["block2.conv"].activation_bits == 2
    assert then["classifier"].activation_bits == 4


def test_layers_of_branches_are_those_of_the_modules():
    """Of a network whose nodes may be exported in another order than its modules are called."""
    flow = load_flow(TINY)
    params = {"in_channels": 1, "image_size": 8, "channels": [4, 6], "blocks": [1, 1]}
    network = flow.network.model_copy(update={"kind": "resnet", "params": {**params, "classes": 3}})
    flow = flow.model_copy(update={"network": network})
    policy = uniform_policy(flow, 4)
    graph = hardware_of_flow(flow, policy, load_board("zcu104"))
    products = {
        node.layer: node.integer("MW") * node.integer("MH")
        for node in graph.nodes
        if node.op in WEIGHTED
    }
    assert products == {each.shape.name: each.shape.weights for each in policy.layers}
    paths = {each.path for each in make_net(flow.network).structure.quantizers}
    assert set(activation_layers(graph)) <= paths
    assert set(weight_layers(graph)) == {each.shape.name for each in policy.layers}


def test_an_activation_that_is_named_has_its_own_bits():
    found = foretell(asked(bits=4), ["block1.act=5", "block1.conv=2"], QUIET).what_if
    assert weight_bits(found)["block1.conv"] == 2
    assert layers(found)["block2.conv"].activation_bits == 5


def test_other_bits_of_a_model(model):
    found = foretell(asked(model), ["Conv_1=2", "Conv_4=1"], QUIET)
    assert list(layers(found.as_it_is)) == list(layers(found.what_if))
    changed = weight_bits(found.as_it_is) | {"Conv_1": 2, "Conv_4": 1}
    assert weight_bits(found.what_if) == changed
    assert found.what_if.resources.lut < found.as_it_is.resources.lut
    assert found.changes == {"Conv_1": 2, "Conv_4": 1}


def test_a_layer_that_a_model_lacks(model):
    with pytest.raises(UserError, match=r"no layer 'block1.conv' .*name one of Conv_0, "):
        foretell(asked(model), ["block1.conv=2"], QUIET)


def test_bits_beside_a_model(model):
    with pytest.raises(UserError, match=r"a model has bits of its own; leave out --model, or"):
        foretell(asked(model, bits=3), [], QUIET)


def test_a_sweep_of_a_model(model):
    found = sweep(asked(model), "bits=2..4", QUIET)
    assert found.network == "net"
    assert not found.reasons
    luts = [each.resources.lut for each in found.by_bits.values()]
    assert luts == sorted(luts)
    for bits, each in found.by_bits.items():
        assert set(weight_bits(each).values()) == {bits}


def test_bits_of_which_there_is_no_design(model):
    few = {"lut": 0.12, "dsp": 0.0}
    found = sweep(asked(model, 200, **few), "bits=2..8", QUIET)
    assert found.by_bits[2] is not None
    assert found.by_bits[8] is None
    assert set(found.reasons) == {bits for bits, each in found.by_bits.items() if each is None}
    console = Console(file=io.StringIO(), width=200)
    print_sweep(found, console)
    printed = console.file.getvalue()
    assert f"8 bits: {found.reasons[8]}" in printed
    assert "2 bits: " not in printed
