"""Networks that a function of the user's makes."""

import sys

import pytest
import torch

from sdq_fpga.errors import UserError
from sdq_fpga.flow import NetworkSpec
from sdq_fpga.nets import make_net

MODULE = """
from torch import nn

def shapeless(width=3):
    return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 2))

def shaped():
    net = shapeless()
    net.input_shape = (4,)
    return net

def fails():
    raise RuntimeError("no weights")

def number():
    return 7

def double():
    return shaped().double()
"""


@pytest.fixture(autouse=True)
def _module(tmp_path, monkeypatch):
    (tmp_path / "their_nets.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("their_nets", None)
    sys.path[:] = [each for each in sys.path if each != str(tmp_path)]


def test_it_says_what_it_takes_or_is_told():
    assert make_net(NetworkSpec(kind="their_nets:shaped", input_shape=(5,))).input_shape == (4,)
    spec = NetworkSpec(kind="their_nets:shapeless", params={"width": 6}, input_shape=(4,))
    net = make_net(spec)
    assert net(torch.zeros(2, 4)).shape == (2, 2)
    assert net.structure.layers[0].shape.weights == 24


@pytest.mark.parametrize(
    ("name", "params", "words"),
    [
        ("shapeless", {}, "no input_shape"),
        ("shapeless", {"depth": 2}, "'depth'"),
        ("fails", {}, "failed .*no weights"),
        ("number", {}, "returns int"),
        ("double", {}, "'0.weight' of .* is of torch.float64"),
        ("missing", {}, "no function 'missing'"),
    ],
)
def test_what_does_not_fit_is_named(name, params, words):
    with pytest.raises(UserError, match=words):
        make_net(NetworkSpec(kind=f"their_nets:{name}", params=params))
