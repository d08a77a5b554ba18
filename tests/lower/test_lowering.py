"""From a network to a hardware graph: what it makes, and what it refuses, node by node."""

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from sdq_fpga.board import load_board
from sdq_fpga.errors import StageError, UserError
from sdq_fpga.flow import NetworkSpec
from sdq_fpga.lower.brevitas_net import to_brevitas
from sdq_fpga.lower.export import write_qonnx
from sdq_fpga.lower.finn_session import finn_session
from sdq_fpga.lower.folding import fold
from sdq_fpga.lower.hardware import to_hardware
from sdq_fpga.lower.reference import qonnx_scores
from sdq_fpga.lower.settle import settle_thresholds
from sdq_fpga.lower.streamline import streamline
from sdq_fpga.nets import make_net
from sdq_fpga.nets.layers import quant_layers
from sdq_fpga.policy import LayerBits, Policy
from sdq_fpga.progress import SilentProgress
from sdq_fpga.rtl.generate import generate
from sdq_fpga.sim.verify import verify
from sdq_fpga.sim.verilator import lint

CNN = NetworkSpec(
    kind="cnn",
    params={
        "in_channels": 2,
        "image_size": 6,
        "channels": [4, 6],
        "strides": [1, 2],
        "classes": 3,
    },
)
MLP = NetworkSpec(kind="mlp", params={"inputs": 20, "hidden": [8, 6], "classes": 4})


def random_net(spec, seed, weight=None):
    """A network on the normalised grid with random weights and batch-norms that do something."""
    generator = torch.Generator().manual_seed(seed)
    net = make_net(spec)
    for name, tensor in net.state_dict().items():
        if tensor.is_floating_point():
            tensor.uniform_(-1, 1, generator=generator)
        if name.endswith("running_var"):
            tensor.abs_().add_(0.5)
        if name.endswith("norm.weight"):
            tensor.mul_(0.5)
        if weight is not None and tensor.ndim > 1:
            tensor.copy_(weight(tensor))
    return net.eval()


def policy_of(net, weight_bits, activation_bits):
    layers = quant_layers(net)
    return Policy(
        network="random",
        layers=tuple(
            LayerBits(
                shape=layer.shape,
                weight_bits=weight_bits[index % len(weight_bits)],
                activation_bits=None
                if layer.activation is None
                else activation_bits[index % len(activation_bits)],
            )
            for index, layer in enumerate(layers)
        ),
    )


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Holds the part that all compiled simulations share."""
    return tmp_path_factory.mktemp("cache")


def generated(net, policy, shape, tmp_path, board, fps):
    """Lowers a network and generates its RTL in tmp_path/rtl."""
    settle_thresholds(net, policy)
    write_qonnx(to_brevitas(net, policy), shape, tmp_path / "model.onnx")
    for name in ("work", "rtl", "sim"):
        (tmp_path / name).mkdir()
    with finn_session(tmp_path / "work", tmp_path / "log"):
        graph, host = to_hardware(
            streamline(ModelWrapper(str(tmp_path / "model.onnx"))), board.part
        )
        graph, folding = fold(graph, board, 100.0, fps, SilentProgress())
    design = generate(
        graph, board.part, 100.0, tmp_path / "work", tmp_path / "rtl", tmp_path / "log"
    )
    return design, host, folding


def verified(net, policy, shape, tmp_path, cache, board, fps):
    """Lowers, generates and simulates a network; returns the comparison with QONNX."""
    design, host, folding = generated(net, policy, shape, tmp_path, board, fps)
    images = np.random.default_rng(0).integers(0, 256, (12, *shape), dtype=np.uint8)
    return verify(
        design,
        tmp_path / "rtl",
        tmp_path / "model.onnx",
        host,
        images,
        np.zeros(len(images), np.int64),
        stall=0.4,
        seed=1,
        estimated_interval=folding.interval,
        scratch=tmp_path / "sim",
        cache=cache,
        progress=SilentProgress(),
    )


@pytest.mark.parametrize(
    ("board", "weight_bits", "activation_bits", "fps"),
    [
        ("zcu104", (2, 5, 8), (4, 2), 200_000),
        ("pynq-z2", (8, 3, 2), (2, 8), 50_000),
        ("zcu104", (4, 4, 4), (3, 3), 20_000),
    ],
)
def test_random_cnn_with_several_channels_is_bit_exact(
    tmp_path, cache, board, weight_bits, activation_bits, fps
):
    net = random_net(CNN, seed=sum(weight_bits))
    comparison = verified(
        net,
        policy_of(net, weight_bits, activation_bits),
        (2, 6, 6),
        tmp_path,
        cache,
        load_board(board),
        fps,
    )
    assert comparison.figures.verdict.bit_exact
    assert np.ptp(comparison.outputs) > 0


def test_random_mlp_is_bit_exact(tmp_path, cache):
    net = random_net(MLP, seed=5)
    policy = policy_of(net, (3, 4, 2), (2, 3))
    comparison = verified(net, policy, (20,), tmp_path, cache, load_board("pynq-z2"), 1_000_000)
    assert comparison.figures.verdict.bit_exact
    assert np.ptp(comparison.outputs) > 0


@pytest.mark.parametrize("weight", [torch.abs, lambda w: -torch.abs(w)], ids=["none", "all"])
def test_layer_whose_weights_are_of_one_sign_is_bit_exact(tmp_path, cache, weight):
    """FINN makes weights without a negative one unsigned, which its RTL does not know."""
    net = random_net(MLP, seed=6, weight=weight)
    policy = policy_of(net, (4, 3, 2), (3, 4))
    comparison = verified(net, policy, (20,), tmp_path, cache, load_board("zcu104"), 1_000_000)
    assert comparison.figures.verdict.bit_exact


def lint_of_top(design, rtl):
    """What Verilator, with every warning on, says about the module that we wrote."""
    try:
        lint([rtl / name for name in design.sources], design.top)
    except StageError as error:
        return [fault for fault in str(error).split("; ") if f"{design.top}.sv" in fault]
    return []


def test_stitched_top_is_lint_clean(tmp_path):
    net = random_net(CNN, seed=4)
    policy = policy_of(net, (3, 4, 2), (2, 3))
    design, _, _ = generated(net, policy, (2, 6, 6), tmp_path, load_board("zcu104"), 100_000)
    assert lint_of_top(design, tmp_path / "rtl") == []
    # and the check can fail
    top = tmp_path / "rtl" / f"{design.top}.sv"
    top.write_text(top.read_text().replace("= s_axis_tdata;", "= {s_axis_tdata, 1'b0};"))
    assert any("WIDTH" in fault for fault in lint_of_top(design, tmp_path / "rtl"))


def test_export_is_the_same_bytes_and_says_nothing_of_this_machine(tmp_path):
    net = random_net(CNN, seed=1)
    quantized = to_brevitas(net, policy_of(net, (3, 4, 5), (3, 2)))
    for name in ("a.onnx", "b.onnx"):
        write_qonnx(quantized, (2, 6, 6), tmp_path / name)
    text = (tmp_path / "a.onnx").read_bytes()
    assert text == (tmp_path / "b.onnx").read_bytes()
    assert b"site-packages" not in text
    assert str(tmp_path).encode() not in text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.onnx", "b.onnx"]


def test_hardware_graph_is_the_same_every_time(tmp_path):
    net = random_net(CNN, seed=1)
    write_qonnx(to_brevitas(net, policy_of(net, (3,), (2,))), (2, 6, 6), tmp_path / "m.onnx")
    texts = []
    for _ in range(2):
        with finn_session(tmp_path, tmp_path / "log"):
            graph, _ = to_hardware(
                streamline(ModelWrapper(str(tmp_path / "m.onnx"))), "xczu7ev-ffvc1156-2-e"
            )
        texts.append(graph.model.SerializeToString(deterministic=True))
    assert texts[0] == texts[1]


def test_qonnx_equals_brevitas_to_the_last_bit(tmp_path):
    net = random_net(CNN, seed=2)
    policy = policy_of(net, (3, 4, 5), (3, 2))
    settle_thresholds(net, policy)
    quantized = to_brevitas(net, policy).eval()
    write_qonnx(quantized, (2, 6, 6), tmp_path / "m.onnx")
    images = np.random.default_rng(1).integers(0, 256, (20, 2, 6, 6), dtype=np.uint8)
    with torch.no_grad():
        expected = quantized(torch.from_numpy(images).float() / 256).numpy()
    np.testing.assert_array_equal(
        qonnx_scores(tmp_path / "m.onnx", images, SilentProgress()), expected
    )


def test_all_zero_weights_are_refused(tmp_path):
    net = random_net(CNN, seed=3, weight=lambda w: w * 1e-6)
    write_qonnx(to_brevitas(net, policy_of(net, (2,), (2,))), (2, 6, 6), tmp_path / "m.onnx")
    with (
        finn_session(tmp_path, tmp_path / "log"),
        pytest.raises(UserError, match=r"all weights of MVAU_0 are zero"),
    ):
        to_hardware(streamline(ModelWrapper(str(tmp_path / "m.onnx"))), "xczu7ev-ffvc1156-2-e")


def test_policy_without_activation_bits_is_refused():
    net = random_net(CNN, seed=3)
    policy = policy_of(net, (4,), (None,))
    with pytest.raises(UserError, match=r"'block1\.conv' has a ReLU"):
        to_brevitas(net, policy)


def graph_of(*nodes, shape=(1, 8), weights=None):
    """A model of ready-made nodes between "x" and "y"."""
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
    )
    opset = [helper.make_opsetid("", 13), helper.make_opsetid("qonnx.custom_op.general", 1)]
    model = ModelWrapper(helper.make_model(graph, opset_imports=opset))
    for name, value in (weights or {}).items():
        model.set_initializer(name, value)
    model.set_tensor_datatype("x", DataType["UINT8"])
    return model


def test_unsupported_operator_is_named_before_anything_else(tmp_path):
    model = graph_of(helper.make_node("Softmax", ["x"], ["y"], name="attention"))
    with (
        finn_session(tmp_path, tmp_path / "log"),
        pytest.raises(UserError, match=r"attention \(Softmax\)"),
    ):
        streamline(model)


def test_float_operations_left_inside_are_named(tmp_path):
    """A matrix product with weights that nobody has quantized."""
    model = graph_of(
        helper.make_node("MatMul", ["x", "w"], ["h"], name="dense"),
        helper.make_node("Relu", ["h"], ["y"], name="relu"),
        weights={"w": np.random.default_rng(0).normal(size=(8, 8)).astype(np.float32)},
    )
    with (
        finn_session(tmp_path, tmp_path / "log"),
        pytest.raises(UserError, match=r"floating point in .*Relu"),
    ):
        streamline(model)
