"""The model that is written directly computes the network, and becomes the exporter's hardware."""

import numpy as np
import pytest
import torch
from torch import nn

from sdq_fpga.board import DspGeneration
from sdq_fpga.flow import NetworkSpec
from sdq_fpga.lower.brevitas_net import to_brevitas
from sdq_fpga.lower.describe import describe
from sdq_fpga.lower.direct import direct_qonnx
from sdq_fpga.lower.export import write_qonnx
from sdq_fpga.lower.finn_session import finn_session
from sdq_fpga.lower.hardware import to_hardware
from sdq_fpga.lower.read.model import load_qonnx, read_qonnx
from sdq_fpga.lower.reference import qonnx_outputs
from sdq_fpga.nets import as_network, make_net
from sdq_fpga.nets.layers import quant_layers
from sdq_fpga.policy import LayerBits, Policy
from sdq_fpga.progress import SilentProgress

RESNET = NetworkSpec(
    kind="resnet",
    params={
        "in_channels": 3,
        "image_size": 16,
        "channels": [4, 8],
        "blocks": [1, 1],
        "classes": 3,
        "bottleneck": True,
        "large": True,
    },
)


class Joined(nn.Module):
    """Has what the shipped networks lack: cat, average pools, a bias, groups, dilation, ReLU6."""

    input_shape = (2, 8, 8)

    def __init__(self):
        super().__init__()
        self.left = nn.Conv2d(2, 4, 3, padding=1)
        self.right = nn.Conv2d(2, 4, (1, 3), padding=(0, 2), dilation=(1, 2))
        self.act = nn.ReLU6()
        self.deep = nn.Conv2d(8, 8, 3, stride=(2, 1), padding=(1, 0), groups=8, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.average = nn.AvgPool2d(2)
        self.most = nn.MaxPool2d((1, 3), stride=1, padding=(0, 1))
        self.last = nn.Linear(8 * 2 * 3, 5)

    def forward(self, x):
        x = torch.cat([self.act(self.left(x)), self.act(self.right(x))], 1)
        x = self.most(self.average(self.norm(self.deep(x)).relu()))
        return self.last(x.flatten(1))


class Line(nn.Module):
    """A network of sequences."""

    input_shape = (3, 12)

    def __init__(self):
        super().__init__()
        self.first = nn.Conv1d(3, 4, 3, stride=2)
        self.pool = nn.AvgPool1d(2)
        self.second = nn.Conv1d(4, 6, 1)
        self.last = nn.Linear(6, 2, bias=False)

    def forward(self, x):
        x = self.pool(self.first(x).relu())
        return self.last(self.second(x).mean(2))


def drawn(net):
    """Random weights on the grid, and batch norms that do something."""
    generator = torch.Generator().manual_seed(1)
    for name, tensor in net.state_dict().items():
        if tensor.is_floating_point():
            tensor.uniform_(-1, 1, generator=generator)
        if name.endswith("running_var"):
            tensor.abs_().add_(0.5)
    return net.eval()


def policy_of(net):
    """Bits that differ; the activations of branches have to be alike."""
    layers = quant_layers(net)
    return Policy(
        network="random",
        layers=tuple(
            LayerBits(
                shape=layer.shape,
                weight_bits=2 + index % 4,
                activation_bits=None if layer.activation is None else 3,
            )
            for index, layer in enumerate(layers)
        ),
    )


@pytest.mark.parametrize(
    "make",
    [lambda: make_net(RESNET), lambda: as_network(Joined()), lambda: as_network(Line())],
    ids=["bottlenecks", "joined", "line"],
)
def test_it_computes_what_the_network_does(make):
    net = drawn(make())
    policy = policy_of(net)
    model, names = direct_qonnx(net, policy)
    frames = np.random.default_rng(2).integers(0, 256, (3, *net.input_shape))
    (found,) = qonnx_outputs(model, {"global_in": frames}, SilentProgress()).values()
    with torch.no_grad():
        quantized = to_brevitas(net, policy).eval()
        wanted = quantized(torch.tensor(frames, dtype=torch.float32) / 256)
    assert np.ptp(found) > 0
    np.testing.assert_allclose(found, wanted.numpy().reshape(found.shape), rtol=1e-5, atol=1e-5)
    nodes = [node.name for node in model.graph.node]
    assert len(set(nodes)) == len(nodes)
    assert set(names) <= set(nodes)
    assert set(names.values()) <= set(dict(net.named_modules()))


def test_the_hardware_is_that_of_the_exported_model(tmp_path):
    net = drawn(make_net(RESNET))
    policy = policy_of(net)
    model, names = direct_qonnx(net, policy)
    path = tmp_path / "model.onnx"
    exported_names = write_qonnx(to_brevitas(net, policy), net.input_shape, path)
    with finn_session(tmp_path, tmp_path / "finn.log"):
        ours, exported = (
            describe(to_hardware(read_qonnx(each)[0], DspGeneration.DSP48E2))
            for each in (model, load_qonnx(path))
        )
    assert ours == exported
    layers = {node.layer for node in ours.nodes}
    assert {each: names.get(each) for each in layers} == {
        each: exported_names.get(each) for each in layers
    }
