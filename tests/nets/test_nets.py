"""Networks: made by kind, with readable module paths, and clear refusals."""

import pytest
import torch
from torch import nn

from sdq_fpga.errors import UserError
from sdq_fpga.flow import NetworkSpec
from sdq_fpga.nets import make_net

CNN = {"in_channels": 1, "image_size": 8, "channels": [4, 6], "strides": [1, 2], "classes": 10}
MLP = {"inputs": 12, "hidden": [8, 6], "classes": 3}


def test_cnn_has_readable_paths_and_no_bias():
    net = make_net(NetworkSpec(kind="cnn", params=CNN))
    assert set(net.state_dict()) == {
        "block1.conv.weight",
        *(f"block1.norm.{name}" for name in nn.BatchNorm2d(1).state_dict()),
        "block2.conv.weight",
        *(f"block2.norm.{name}" for name in nn.BatchNorm2d(1).state_dict()),
        "classifier.weight",
    }
    assert isinstance(net.get_submodule("block2.act"), nn.ReLU)
    assert net.input_shape == (1, 8, 8)
    assert net(torch.zeros(2, 1, 8, 8)).shape == (2, 10)


@pytest.mark.parametrize(("size", "strides"), [(7, [2, 2]), (9, [3, 1]), (5, [1, 4]), (1, [2, 2])])
def test_cnn_knows_its_size_after_any_stride(size, strides):
    net = make_net(NetworkSpec(kind="cnn", params=CNN | {"image_size": size, "strides": strides}))
    assert net(torch.zeros(2, 1, size, size)).shape == (2, 10)


def test_mlp_flattens_images():
    net = make_net(NetworkSpec(kind="mlp", params=MLP))
    assert net.input_shape == (12,)
    assert isinstance(net.get_submodule("block2.linear"), nn.Linear)
    assert net(torch.zeros(5, 1, 3, 4)).shape == (5, 3)


@pytest.mark.parametrize(
    ("kind", "params", "words"),
    [
        ("transformer", {}, ["transformer", "cnn, cnv, mlp, mobilenet_v2, resnet, vgg1d, or"]),
        ("cnn", CNN | {"depth": 3}, ["depth", "in_channels, image_size, channels"]),
        ("mlp", {"inputs": 12, "classes": 3}, ["hidden", "inputs, hidden, classes"]),
        ("cnn", CNN | {"strides": [1]}, ["2 channels", "1 strides"]),
        ("cnn", CNN | {"channels": [4, 0]}, ["'channels'", "[4, 0]", "above 0"]),
        ("cnn", CNN | {"strides": [1, -2]}, ["'strides'"]),
        ("cnn", CNN | {"channels": 4}, ["channels 4", "lists"]),
        ("cnn", CNN | {"image_size": 8.0}, ["'image_size'", "8.0"]),
        ("mlp", MLP | {"hidden": []}, ["'hidden'"]),
        ("mlp", MLP | {"hidden": 8}, ["hidden 8", "list"]),
        ("mlp", MLP | {"classes": True}, ["'classes'", "True"]),
        ("mlp", MLP | {"inputs": "12"}, ["'inputs'"]),
    ],
)
def test_wrong_spec_is_named(kind, params, words):
    with pytest.raises(UserError) as caught:
        make_net(NetworkSpec(kind=kind, params=params))
    for word in words:
        assert word in str(caught.value)
