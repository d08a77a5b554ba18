"""Checkpoints: exact, and refused when they belong to another network."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from sdq_fpga.errors import UserError
from sdq_fpga.train import load_net, save_net


def make_net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4, bias=False), nn.BatchNorm1d(4), nn.Linear(4, 2))


def test_round_trip_is_exact(tmp_path):
    net, other = make_net(0), make_net(1)
    net(torch.rand(8, 3))
    save_net(net, tmp_path / "net.safetensors")
    load_net(other, tmp_path / "net.safetensors")
    assert all(
        torch.equal(value, net.state_dict()[key]) for key, value in other.state_dict().items()
    )
    assert [path.name for path in tmp_path.iterdir()] == ["net.safetensors"]


def test_equal_networks_give_equal_bytes(tmp_path):
    save_net(make_net(), tmp_path / "a")
    save_net(make_net(), tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda t: t.pop("1.bias"), "has no '1.bias'"),
        (lambda t: t.update({"9.extra": torch.zeros(1)}), "has '9.extra'"),
        (lambda t: t.update({"2.bias": torch.zeros(3)}), r"'2.bias'.*\[3\].*\[2\]"),
        (lambda t: t.update({"2.bias": torch.zeros(2).double()}), "'2.bias'.*float64.*float32"),
    ],
)
def test_checkpoint_of_another_network_is_refused_and_changes_nothing(tmp_path, change, word):
    path = tmp_path / "net.safetensors"
    save_net(make_net(1), path)
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    net = make_net(0)
    with pytest.raises(UserError, match=word):
        load_net(net, path)
    fresh = make_net(0).state_dict()
    assert all(torch.equal(value, fresh[key]) for key, value in net.state_dict().items())


def test_damaged_or_missing_file_is_named(tmp_path):
    path = tmp_path / "net.safetensors"
    with pytest.raises(UserError, match="can't be read"):
        load_net(make_net(), path)
    save_net(make_net(), path)
    for data in (path.read_bytes()[:-5], b"", b"\x80\x04pickle?"):
        path.write_bytes(data)
        with pytest.raises(UserError, match=f"{path.name} is damaged"):
            load_net(make_net(), path)
