"""From a network that was trained to an accelerator, and the files between."""

import numpy as np
import pytest
import torch
from lowered import generated, verified

from sdq_fpga.board import DspGeneration, load_board
from sdq_fpga.errors import StageError, UserError
from sdq_fpga.flow import NetworkSpec
from sdq_fpga.lower.brevitas_net import to_brevitas
from sdq_fpga.lower.export import write_qonnx
from sdq_fpga.lower.finn_session import finn_session
from sdq_fpga.lower.hardware import to_hardware
from sdq_fpga.lower.read.model import load_qonnx, read_qonnx
from sdq_fpga.lower.reference import qonnx_outputs
from sdq_fpga.lower.settle import settle_thresholds
from sdq_fpga.nets import make_net
from sdq_fpga.nets.layers import quant_layers
from sdq_fpga.policy import LayerBits, Policy
from sdq_fpga.progress import SilentProgress
from sdq_fpga.sim.verify import Model
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


def exported(net, policy, shape, directory):
    """The network as the reader gets it."""
    settle_thresholds(net, policy)
    write_qonnx(to_brevitas(net, policy), shape, directory / "model.onnx")
    qonnx = load_qonnx(directory / "model.onnx")
    return Model(qonnx, *read_qonnx(qonnx))


def check_bit_exact(comparison):
    assert comparison.figures.verdict.bit_exact
    (outputs,) = comparison.outputs.values()
    assert np.ptp(outputs) > 0


@pytest.mark.parametrize(
    ("board", "weight_bits", "activation_bits", "fps"),
    [
        ("zcu104", (2, 5, 8), (4, 2), 40_000),
        ("pynq-z2", (8, 3, 2), (2, 8), 20_000),
        ("zcu104", (4, 4, 4), (3, 3), 3_000),
    ],
)
def test_random_cnn_with_several_channels_is_bit_exact(
    tmp_path, cache, board, weight_bits, activation_bits, fps
):
    net = random_net(CNN, seed=sum(weight_bits))
    model = exported(net, policy_of(net, weight_bits, activation_bits), (2, 6, 6), tmp_path)
    check_bit_exact(verified(model, tmp_path, cache, load_board(board), fps))


def test_random_mlp_is_bit_exact(tmp_path, cache):
    net = random_net(MLP, seed=5)
    model = exported(net, policy_of(net, (3, 4, 2), (2, 3)), (20,), tmp_path)
    check_bit_exact(verified(model, tmp_path, cache, load_board("pynq-z2"), 200_000))


@pytest.mark.parametrize("weight", [torch.abs, lambda w: -torch.abs(w)], ids=["none", "all"])
def test_layer_whose_weights_are_of_one_sign_is_bit_exact(tmp_path, cache, weight):
    """The smallest type of weights without a negative one would be unsigned: no RTL knows it."""
    net = random_net(MLP, seed=6, weight=weight)
    model = exported(net, policy_of(net, (4, 3, 2), (3, 4)), (20,), tmp_path)
    comparison = verified(model, tmp_path, cache, load_board("zcu104"), 200_000)
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
    model = exported(net, policy_of(net, (3, 4, 2), (2, 3)), (2, 6, 6), tmp_path)
    design, _ = generated(model, tmp_path, load_board("zcu104"), 100_000)
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
        network, _ = read_qonnx(load_qonnx(tmp_path / "m.onnx"))
        with finn_session(tmp_path, tmp_path / "log"):
            graph = to_hardware(network, DspGeneration.DSP48E2)
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
    model = load_qonnx(tmp_path / "m.onnx")
    (found,) = qonnx_outputs(model, {model.graph.input[0].name: images}, SilentProgress()).values()
    np.testing.assert_array_equal(found, expected)


def test_all_zero_weights_are_refused(tmp_path):
    net = random_net(CNN, seed=3, weight=lambda w: w * 1e-6)
    write_qonnx(to_brevitas(net, policy_of(net, (2,), (2,))), (2, 6, 6), tmp_path / "m.onnx")
    with pytest.raises(UserError, match=r"Conv 'Conv_0': all its weights are zero"):
        read_qonnx(load_qonnx(tmp_path / "m.onnx"))


def test_policy_without_activation_bits_is_refused():
    net = random_net(CNN, seed=3)
    policy = policy_of(net, (4,), (None,))
    with pytest.raises(UserError, match=r"'block1\.conv' has a ReLU"):
        to_brevitas(net, policy)
