"""Networks with branches, from a torch module to an accelerator."""

import numpy as np
import pytest
import torch
from lowered import verified
from test_lowering import check_bit_exact, exported, policy_of
from torch import nn

from sdq_fpga.board import load_board
from sdq_fpga.flow import NetworkSpec
from sdq_fpga.lower.brevitas_net import to_brevitas
from sdq_fpga.lower.reference import qonnx_outputs
from sdq_fpga.nets import as_network, make_net
from sdq_fpga.progress import SilentProgress


def randomized(net, seed):
    """Random weights and statistics on the normalised grid, small enough not to saturate."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in net.state_dict().items():
        if value.is_floating_point():
            value.uniform_(-0.5, 0.5, generator=generator)
        if name.endswith("running_var"):
            value.abs_().add_(0.5)
    return net.eval()


KINDS = {
    "resnet": {
        "in_channels": 3,
        "image_size": 8,
        "channels": [4, 6],
        "blocks": [1, 1],
        "classes": 5,
    },
    "mobilenet_v2": {
        "in_channels": 2,
        "image_size": 6,
        "stem": 4,
        "stem_stride": 1,
        "residuals": [[1, 4, 2, 1]],
        "head": 6,
        "classes": 3,
    },
    "vgg1d": {"in_channels": 2, "length": 8, "channels": [4, 5], "hidden": [6], "classes": 3},
}


@pytest.mark.parametrize(("kind", "bits"), [("resnet", 8), ("mobilenet_v2", 3), ("vgg1d", 4)])
def test_what_is_read_is_what_brevitas_computes(tmp_path, kind, bits):
    net = randomized(make_net(NetworkSpec(kind=kind, params=KINDS[kind])), 1)
    policy = policy_of(net, (4,), (bits,))
    model = exported(net, policy, net.input_shape, tmp_path)
    frames = np.random.default_rng(0).integers(0, 256, (3, *net.input_shape), dtype=np.uint8)
    (source,) = model.host.inputs
    (found,) = qonnx_outputs(model.qonnx, {source.name: frames}, SilentProgress()).values()
    with torch.no_grad():
        expected = to_brevitas(net, policy).eval()(torch.from_numpy(frames) / 256)
    assert np.array_equal(found, expected.numpy())
    assert np.ptp(found) > 0


def test_a_residual_network_with_biases_is_bit_exact(tmp_path, cache):
    class Own(nn.Module):
        input_shape = (2, 4, 4)

        def __init__(self):
            super().__init__()
            self.first = nn.Conv2d(2, 4, 3, padding=1)
            self.second = nn.Conv2d(4, 4, 3, padding=1)
            self.last = nn.Linear(4, 3)

        def forward(self, x):
            x = torch.relu(self.first(x))
            x = torch.relu(self.second(x) + x)
            return self.last(x.mean((2, 3)))

    net = randomized(as_network(Own()), 0)
    model = exported(net, policy_of(net, (3,), (3,)), net.input_shape, tmp_path)
    check_bit_exact(verified(model, tmp_path, cache, load_board("zcu104"), 50_000))
