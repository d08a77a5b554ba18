"""quant_layers of chains: what it finds, in which order, and what it refuses."""

import math
from collections import OrderedDict

import pytest
import torch
from torch import nn

from sdq_fpga.errors import UserError
from sdq_fpga.flow import NetworkSpec, load_flow
from sdq_fpga.nets import class_count, frame_shape, make_net, quant_layers
from sdq_fpga.nets.layers import QuantLayer
from sdq_fpga.policy import LayerShape


class Chain(nn.Sequential):
    """A chain of named modules for frames of one shape."""

    def __init__(self, shape, **modules):
        super().__init__(OrderedDict(modules))
        self.input_shape = shape


def head(**tail):
    """A fitting first block for 6 values, and what follows it."""
    return Chain(
        (6,), fc=nn.Linear(6, 4, bias=False), norm=nn.BatchNorm1d(4), act=nn.ReLU(), **tail
    )


def last():
    return nn.Linear(4, 3, bias=False)


def test_cnn_layers_with_what_follows_them():
    params = {"in_channels": 2, "image_size": 5, "channels": [3], "strides": [2], "classes": 7}
    net = make_net(NetworkSpec(kind="cnn", params=params))
    assert quant_layers(net) == (
        QuantLayer(
            name="block1.conv",
            shape=LayerShape(name="block1.conv", weights=3 * 2 * 9, macs=3 * 2 * 9 * 3 * 3),
            weight="block1.conv",
            norm="block1.norm",
            activation="block1.act",
            sources=(),
        ),
        QuantLayer(
            name="classifier",
            shape=LayerShape(name="classifier", weights=3 * 9 * 7, macs=3 * 9 * 7),
            weight="classifier",
            norm=None,
            activation=None,
            sources=("block1.act",),
        ),
    )
    assert class_count(net) == 7


@pytest.mark.parametrize("flow", ["digits-cnn", "mnist-mlp"])
def test_layers_of_shipped_flows(flow):
    net = make_net(load_flow(flow).network)
    layers = quant_layers(net)
    assert len(layers) == 4
    assert [layer.activation is None for layer in layers] == [False, False, False, True]
    for layer in layers:
        weight = net.get_submodule(layer.weight).weight
        assert layer.shape.weights == weight.numel()


def test_macs_are_those_of_a_direct_count():
    net = Chain((1, 7, 6), conv=nn.Conv2d(1, 2, (3, 2), stride=(2, 1), padding=(1, 0), bias=False))
    (layer,) = quant_layers(net)
    rows = [row for row in range(-1, 8 - 2, 2) if row + 3 <= 7 + 1]
    columns = [column for column in range(6) if column + 2 <= 6]
    assert layer.shape.macs == 2 * len(rows) * len(columns) * (3 * 2)


def test_order_is_that_of_the_data_not_of_declaration():
    class Backwards(nn.Module):
        input_shape = (6,)

        def __init__(self):
            super().__init__()
            self.third = nn.Linear(5, 2, bias=False)
            self.second = nn.Sequential(nn.Linear(4, 5, bias=False), nn.BatchNorm1d(5), nn.ReLU())
            self.first = nn.Sequential(nn.Linear(6, 4, bias=False), nn.BatchNorm1d(4), nn.ReLU())

        def forward(self, frames):
            return self.third(self.second(self.first(frames)))

    assert [layer.name for layer in quant_layers(Backwards())] == ["first.0", "second.0", "third"]


def test_network_is_left_as_it_was():
    net = make_net(load_flow("digits-cnn").network)
    net.train()
    net.block2.norm.eval()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    quant_layers(net)
    assert net.training
    assert not net.block2.norm.training
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    assert not any(module._forward_hooks for module in net.modules())


@pytest.mark.parametrize(
    ("net", "words"),
    [
        (head(sigmoid=nn.Sigmoid(), last=last()), ["'sigmoid'", "Sigmoid", "Flatten"]),
        (head(last=last(), soft=nn.Softmax(1)), ["'soft'", "Softmax", "bare Linear"]),
        (head(last=last(), norm2=nn.BatchNorm1d(3)), ["'norm2'", "after the last layer"]),
        (
            Chain(
                (6,),
                one=nn.Linear(6, 4, bias=False),
                norm=nn.BatchNorm1d(4),
                tanh=nn.Tanh(),
                two=last(),
            ),
            ["'tanh'", "Tanh", "not supported"],
        ),
        (
            Chain(
                (6,),
                one=nn.Linear(6, 4, bias=False),
                norm=nn.BatchNorm1d(4, affine=False),
                act=nn.ReLU(),
                two=last(),
            ),
            ["'norm'", "affine"],
        ),
        (
            Chain((4, 5, 5), conv=nn.Conv2d(4, 4, 3, padding="same", bias=False)),
            ["'conv'", "'same'", "in numbers"],
        ),
        (
            Chain((4, 5, 5), conv=nn.Conv2d(4, 4, 3), pool=nn.MaxPool2d(2, ceil_mode=True)),
            ["'pool'", "ceil_mode"],
        ),
        (
            Chain((4, 5, 5), conv=nn.Conv2d(4, 4, 3), pool=nn.AdaptiveAvgPool2d(2)),
            ["'pool'", "output size 2"],
        ),
        (
            Chain((6,), norm=nn.BatchNorm1d(6), last=nn.Linear(6, 3)),
            ["'norm'", "does not follow a convolution or Linear"],
        ),
        (Chain((2, 3), last=nn.Linear(3, 3)), ["'last'", "[2, 3]", "flatten them"]),
        (
            Chain(
                (4, 5, 5), conv=nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular", bias=False)
            ),
            ["'conv'", "circular"],
        ),
        (Chain((6,), flat=nn.Flatten()), ["no convolution or Linear"]),
        (Chain((6,), gelu=nn.GELU(), last=nn.Linear(6, 3, bias=False)), ["'gelu'", "GELU"]),
        (
            Chain((2, 3), flat=nn.Flatten(2), last=nn.Linear(3, 3, bias=False)),
            ["'flat'", "all but the batch"],
        ),
        (Chain((5,), last=nn.Linear(6, 3, bias=False)), ["frame of shape (5,)"]),
        (nn.Linear(6, 3, bias=False), ["input_shape"]),
    ],
)
def test_what_does_not_fit_is_named(net, words):
    with pytest.raises(UserError) as caught:
        # A bare Linear is a leaf to the tracer, so it is wrapped like any other network.
        quant_layers(net if isinstance(net, Chain) else nn.Sequential(net))
    for word in words:
        assert word in str(caught.value)


class Residual(nn.Module):
    input_shape = (4,)

    def __init__(self):
        super().__init__()
        self.last = nn.Linear(4, 4, bias=False)

    def forward(self, frames):
        return self.last(frames) + frames


class Twice(Residual):
    def forward(self, frames):
        return self.last(self.last(frames))


class Branching(Residual):
    def forward(self, frames):
        return self.last(frames) if frames.sum() > 0 else frames


class Functional(Residual):
    def forward(self, frames):
        return self.last(torch.tanh(frames))


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (Residual, "'add'.* after the last layer 'last'"),
        (Twice, "'last' is used twice"),
        (Branching, "can't be traced"),
        (Functional, "operation 'tanh' in the network's forward"),
    ],
)
def test_what_the_forward_must_not_do(kind, word):
    with pytest.raises(UserError, match=word):
        quant_layers(kind())


def test_frame_shape_of_shipped_networks():
    shapes = [
        frame_shape(make_net(load_flow(name).network)) for name in ("digits-cnn", "mnist-mlp")
    ]
    assert [math.prod(shape) for shape in shapes] == [64, 784]
