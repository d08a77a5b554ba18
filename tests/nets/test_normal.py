"""The normal form: what any module becomes, and that it computes the same."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from sdq_fpga.errors import UserError
from sdq_fpga.flow import NetworkSpec
from sdq_fpga.nets import as_network, make_net, quant_layers, quantizers
from sdq_fpga.nets.network import MEAN_BITS, Network

RESNET = {"in_channels": 3, "image_size": 8, "channels": [4, 6], "blocks": [2, 1], "classes": 5}
KINDS = {
    "cnn": {"in_channels": 1, "image_size": 8, "channels": [4], "strides": [2], "classes": 5},
    "cnv": {"in_channels": 3, "image_size": 14, "groups": [[4], [5, 6]], "hidden": [7]},
    "mlp": {"inputs": 12, "hidden": [8], "classes": 5},
    "mobilenet_v2": {
        "in_channels": 3,
        "image_size": 8,
        "stem": 4,
        "stem_stride": 2,
        "residuals": [[1, 4, 1, 1], [3, 6, 2, 2]],
        "head": 9,
    },
    "resnet": RESNET,
    "vgg1d": {"in_channels": 2, "length": 16, "channels": [4, 5, 6], "hidden": [8]},
}


class Functional(nn.Module):
    """Written as people write networks: functions, reuse, biases, no batch norm in places."""

    input_shape = (2, 8, 8)

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(4)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1, groups=2)
        self.conv3 = nn.Conv2d(4, 6, 3, padding=2, dilation=2)
        self.relu = nn.ReLU(inplace=True)
        self.drop = nn.Dropout(0.5)
        self.unused = nn.Linear(3, 3)
        self.fc1 = nn.Linear(10, 8)
        self.fc2 = nn.Linear(8, 3)

    def forward(self, x):
        a = self.relu(self.bn1(self.conv1(x)))
        b = self.conv2(a)
        b += a
        b = self.relu(b)
        c = functional.max_pool2d(functional.relu6(self.conv3(b)), 2)
        joined = torch.cat([c, functional.avg_pool2d(b, 2)], 1)
        flat = joined.mean((2, 3)).view(x.size(0), -1)
        hidden = torch.relu(self.fc1(functional.dropout(flat, 0.5, self.training)))
        return self.fc2(self.drop(hidden))


def randomized(net):
    generator = torch.Generator().manual_seed(0)
    for name, value in net.state_dict().items():
        if value.is_floating_point():
            value.uniform_(-1, 1, generator=generator)
        if name.endswith("running_var"):
            value.abs_().add_(0.1)
    return net.eval()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_shipped_kinds_compute_what_their_modules_do(kind):
    params = KINDS[kind] | {"classes": 5}
    spec = NetworkSpec(kind=kind, params=params)
    torch.manual_seed(0)
    made = make_net(spec)
    assert isinstance(made, Network)
    from sdq_fpga.nets import _KINDS

    torch.manual_seed(0)
    plain = randomized(_KINDS[kind](**params))
    made.load_state_dict(plain.state_dict())
    frames = torch.rand(2, *made.input_shape)
    assert torch.equal(made.eval()(frames), plain(frames))
    assert [layer.name for layer in quant_layers(made)] == [
        name
        for name, module in plain.named_modules()
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear)
    ]


def test_functions_biases_and_missing_norms():
    net = randomized(Functional()).double()
    made = as_network(net)
    frames = torch.rand(3, 2, 8, 8, dtype=torch.double)
    # What is left is 1 / sqrt(1 + eps) of the batch norms that were put in.
    torch.testing.assert_close(made(frames), net(frames), rtol=1e-3, atol=1e-3)
    assert not any(name.startswith("unused") for name, _ in made.named_modules())
    names = ["conv1", "conv2", "conv3", "fc1", "fc2"]
    assert [layer.name for layer in quant_layers(made)] == names
    biased = [name for name in names if made.get_submodule(name).bias is not None]
    assert biased == ["fc2"]
    assert net.conv1.bias is not None
    groups = {each.path: each.group for each in quantizers(made)}
    assert set(groups.values()) == {"conv1", "fc1"}  # the sum and the cat join all the others
    fixed = [each for each in quantizers(made) if each.layer is None]
    assert [each.code_bits(None) for each in fixed] == [MEAN_BITS, MEAN_BITS]


def test_a_module_that_is_only_one_layer():
    net = nn.Linear(4, 3)
    made = as_network(net, (4,))
    frames = torch.rand(2, 4)
    assert torch.equal(made(frames), net(frames))


def test_quantizers_of_a_residual_network():
    net = make_net(NetworkSpec(kind="resnet", params=RESNET))
    found = {each.path: each for each in quantizers(net)}
    stem, arm = found["stem.act"], found["stage1.block1.second.norm_quant"]
    assert (stem.signed, arm.signed) == (False, True)
    assert stem.layer == arm.layer == arm.group == "stem.conv"
    assert found["stage1.block2.act"].group == "stem.conv"
    assert found["stage2.block1.act"].group == "stage2.block1.second.conv"
    assert found["average_mean"].layer is None
    layers = {layer.name: layer for layer in quant_layers(net)}
    assert layers["stage2.block1.shortcut.conv"].sources == ("stage1.block2.act",)
    # One scale on both arms, until a sign no longer fits.
    for bits in range(2, 8):
        assert stem.exponent(bits) == arm.exponent(bits) == bits
        assert (stem.code_bits(bits), arm.code_bits(bits)) == (bits, bits + 1)
    assert (stem.exponent(8), arm.exponent(8), arm.code_bits(8)) == (8, 7, 8)


def test_weights_of_depthwise_and_grouped_convolutions_are_counted():
    net = as_network(nn.Sequential(nn.Conv2d(4, 8, 3, groups=4), nn.Conv2d(8, 2, 1)), (4, 5, 5))
    first = quant_layers(net)[0].shape
    assert (first.weights, first.macs) == (8 * 9, 8 * 9 * 3 * 3)


class Wrong(nn.Module):
    input_shape = (4,)

    def __init__(self):
        super().__init__()
        self.block = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
        self.last = nn.Linear(4, 4)
        self.scale = nn.Parameter(torch.ones(4))


class Scales(Wrong):
    def forward(self, x):
        return self.last(self.block(x) * self.scale)


class AddsNumber(Wrong):
    def forward(self, x):
        return self.last(self.block(x) + 1)


class TwoInputs(Wrong):
    def forward(self, x, y):
        return self.last(x + y)


class TwoOutputs(Wrong):
    def forward(self, x):
        return self.last(x), x


class ScoresAgain(Wrong):
    def forward(self, x):
        return self.last(self.block(x)).sigmoid()


class Inner(nn.Module):
    def forward(self, x):
        return torch.erf(x)


class Nested(Wrong):
    def __init__(self):
        super().__init__()
        self.inner = Inner()

    def forward(self, x):
        return self.last(self.inner(self.block(x)))


class PoolsByShape(Wrong):
    def forward(self, x):
        x = self.block(x)
        return self.last(functional.avg_pool1d(x, x.size(1)))


class PoolsByAnother(Wrong):
    def forward(self, x):
        return self.last(functional.avg_pool1d(self.block(x), x.size(2)))


class SwapsAxes(Wrong):
    def forward(self, x):
        return self.last(self.block(x).view(x.size(1), -1))


class SharesWeight(Wrong):
    def __init__(self):
        super().__init__()
        self.last.weight = self.block[0].weight

    def forward(self, x):
        return self.last(self.block(x))


class WeightNorm(Wrong):
    def __init__(self):
        super().__init__()
        parametrizations.weight_norm(self.block[0])

    def forward(self, x):
        return self.last(self.block(x))


class Lazy(Wrong):
    def __init__(self):
        super().__init__()
        self.last = nn.LazyLinear(4)

    def forward(self, x):
        return self.last(self.block(x))


class Raises(Wrong):
    def forward(self, x):
        return self.last(self.blocks(x))


class Length(Wrong):
    def forward(self, x):
        return self.last(self.block(x)) if len(x) else x


class ReadsShape(Functional):
    """Functional, with its flattening written in another way."""

    way = 0

    def forward(self, x):
        x = self.conv3(self.conv1(x))
        n, c, h, w = x.shape
        if self.way == 0:
            return x.view(n, c * h * w)
        if self.way == 1:
            return torch.reshape(x, (x.size()[0], -1))
        if self.way == 2:
            return torch.reshape(x, shape=(x.size(dim=0), -1))
        return x.reshape([x.shape[0], -1])


class PoolsAll(nn.Module):
    """Average pools over all positions, as they were written before there were adaptive ones."""

    WAYS = (
        lambda x: functional.avg_pool2d(x, x.size()[3]),
        lambda x: functional.avg_pool2d(x, x.shape[-2]),
        lambda x: functional.avg_pool2d(x, (x.size(2), x.size(-1))),
        lambda x: functional.avg_pool2d(x, kernel_size=x.size()[2:]),
    )

    def __init__(self, way):
        super().__init__()
        self.conv = nn.Conv2d(2, 6, 3)
        self.last = nn.Linear(6, 3)
        self.way = way

    def forward(self, x):
        x = self.WAYS[self.way](functional.relu(self.conv(x)))
        return self.last(x.view(x.size(0), -1))


@pytest.mark.parametrize("way", range(len(PoolsAll.WAYS)))
def test_ways_to_pool_all_positions(way):
    net = randomized(PoolsAll(way))
    frames = torch.rand(3, 2, 8, 8)
    made = as_network(net, (2, 8, 8))
    torch.testing.assert_close(made(frames), net(frames), rtol=1e-3, atol=1e-3)


def test_a_square_window_pools_all_positions_of_squares_only():
    frames = torch.rand(3, 2, 8, 6)
    for way in (2, 3):
        net = randomized(PoolsAll(way))
        made = as_network(net, (2, 8, 6))
        torch.testing.assert_close(made(frames), net(frames), rtol=1e-3, atol=1e-3)
    for way in (0, 1):
        with pytest.raises(UserError, match=r"'avg_pool2d' in .* square window, on 6 x 4 values"):
            as_network(PoolsAll(way), (2, 8, 6))


@pytest.mark.parametrize("way", range(4))
def test_ways_to_flatten_all_but_the_batch(way):
    body = ReadsShape()
    body.way = way
    net = randomized(nn.Sequential(body, nn.Linear(384, 3)))
    frames = torch.rand(3, 2, 8, 8)
    made = as_network(net, (2, 8, 8))
    torch.testing.assert_close(made(frames), net(frames), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (PoolsByShape, ["'avg_pool1d'", "a window of the sizes of axes [1]"]),
        (PoolsByAnother, ["'avg_pool1d'", "'size', which forward computes"]),
        (SwapsAxes, ["'view'", "otherwise than by flattening"]),
        (SharesWeight, ["module 'last' shares a parameter with module 'block.0'"]),
        (WeightNorm, ["module 'block.0' (ParametrizedLinear) computes its weight"]),
        (Lazy, ["parameter 'last.weight'", "no shape yet"]),
        (Raises, ["can't be traced", "no attribute 'blocks'"]),
        (Length, ["can't be traced", "len"]),
        (Scales, ["'scale'"]),
        (AddsNumber, ["'add'", "something else than two values"]),
        (TwoInputs, ["takes two inputs"]),
        (TwoOutputs, ["does not return one tensor"]),
        (ScoresAgain, ["'sigmoid'"]),
        (Nested, ["'erf' in module 'inner' (Inner)"]),
    ],
)
def test_what_is_not_supported_is_named_with_its_place(kind, words):
    with pytest.raises(UserError) as caught:
        as_network(kind())
    for word in words:
        assert word in str(caught.value)
