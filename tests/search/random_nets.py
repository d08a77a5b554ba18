"""Small networks with random but plausible parameters, and frames for them."""

import torch

from sdq_fpga.flow import NetworkSpec
from sdq_fpga.nets import make_net
from sdq_fpga.train import seeded

PARAMS = {
    "cnn": {"in_channels": 2, "image_size": 6, "channels": [4, 5], "strides": [1, 2], "classes": 3},
    "mlp": {"inputs": 72, "hidden": [9, 7], "classes": 3},
    "resnet": {
        "in_channels": 2,
        "image_size": 6,
        "channels": [4, 5],
        "blocks": [1, 2],
        "classes": 3,
    },
    "mobilenet_v2": {
        "in_channels": 2,
        "image_size": 6,
        "stem": 4,
        "stem_stride": 1,
        "residuals": [[1, 4, 1, 1], [2, 5, 3, 2]],
        "head": 6,
        "classes": 3,
    },
    "cnv": {
        "in_channels": 2,
        "image_size": 6,
        "groups": [[4], [5]],
        "hidden": [6],
        "classes": 3,
        "padding": 1,
    },
}


def random_net(kind, seed):
    """A network with statistics and parameters of a trained one: nothing is 0 or 1."""
    with seeded(seed):
        net = make_net(NetworkSpec(kind=kind, params=PARAMS[kind]))
        for key, value in net.state_dict().items():
            if key.endswith(("norm.weight", "running_var")):
                value.uniform_(0.05, 3)
            elif key.endswith(("norm.bias", "running_mean")):
                value.uniform_(-1, 1)
    return net.eval()


def frames(count=16, seed=0):
    return torch.rand(count, 2, 6, 6, generator=torch.Generator().manual_seed(seed))
