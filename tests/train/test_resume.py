"""Checkpoints of a training: it goes on in the same bits, and never in another training's."""

import errno
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

import sdq_fpga.train.resume
from sdq_fpga.data import Dataset
from sdq_fpga.errors import StageError, UserError
from sdq_fpga.flow import FinetuneSpec, TrainSpec
from sdq_fpga.progress import SilentProgress
from sdq_fpga.train import Checkpoints, Rig, finetune, fit, seeded
from sdq_fpga.train.resume import CHECKPOINT
from sdq_fpga.train.state import pack, unpack

PLAIN = TrainSpec(epochs=5, batch_size=8, learning_rate=0.05)
EVERYTHING = TrainSpec.model_validate(
    {
        "epochs": 5,
        "batch_size": 8,
        "learning_rate": 0.05,
        "optimizer": "sgd",
        "momentum": 0.9,
        "weight_decay": 1e-3,
        "warmup_epochs": 2,
        "label_smoothing": 0.1,
        "ema_decay": 0.9,
        "augment": {"padding": 1, "flip": True},
    }
)
CONSTANT = PLAIN.model_copy(update={"schedule": "constant", "optimizer": "adamw"})
STEPS = 5  # of an epoch of the 40 images below


class CutError(Exception):
    """Cuts a training."""


def data():
    labels = np.arange(40, dtype=np.int64) % 2
    images = np.random.default_rng(0).integers(0, 100, (40, 1, 4, 4)) + 120 * labels.reshape(
        40, 1, 1, 1
    )
    return Dataset("two", images.astype(np.uint8), labels, images.astype(np.uint8), labels)


def make_net(hidden=3):
    """Draws, in training, from the generator that all share."""
    with seeded(0):
        return nn.Sequential(
            nn.Flatten(),
            nn.Linear(16, hidden),
            nn.BatchNorm1d(hidden),
            nn.Dropout(0.2),
            nn.Linear(hidden, 2),
        )


def train(recipe, directory, *, cut_at=None, key="ours", net=None, cut=None, every_s=0.0):
    """Trains a network, with checkpoints; ``cut`` is called at a step, from 0 over this call."""
    net, calls = net or make_net(), []

    def loss(forward, images, labels):
        if len(calls) == cut_at:
            cut()
        calls.append(1)
        return functional.cross_entropy(forward(images), labels)

    rig = Rig(checkpoints=Checkpoints(directory, key, every_s))
    fit(
        net, data(), recipe=recipe, loss=loss, seed=3, label="train",
        progress=SilentProgress(), rig=rig,
    )  # fmt: skip
    return net, len(calls)


def interrupt():
    raise CutError


def same(one: nn.Module, two: nn.Module) -> bool:
    ours, theirs = one.state_dict(), two.state_dict()
    return all(torch.equal(value, theirs[key]) for key, value in ours.items())


@pytest.mark.parametrize("recipe", [PLAIN, EVERYTHING, CONSTANT])
@pytest.mark.parametrize("cuts", [(7,), (5,), (12, 3, 6), (0, 24)])
def test_a_training_that_is_cut_ends_in_the_same_bits(tmp_path, recipe, cuts):
    undisturbed, _ = train(recipe, tmp_path / "whole")
    done = 0
    for cut_at in cuts:
        with pytest.raises(CutError):
            train(recipe, tmp_path / "cut", cut_at=cut_at, cut=interrupt)
        done += cut_at // STEPS * STEPS
    net, steps = train(recipe, tmp_path / "cut")
    assert steps == 25 - done, "it did not go on where it was cut"
    assert same(net, undisturbed)
    assert not net.training


def test_a_finished_training_is_not_done_again(tmp_path):
    net, _ = train(EVERYTHING, tmp_path)
    again, steps = train(EVERYTHING, tmp_path)
    assert steps == 0
    assert same(net, again)


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import test_resume as here
kill = lambda: os.kill(os.getpid(), signal.SIGKILL)
here.train(here.EVERYTHING, Path(sys.argv[1]), cut_at=13, cut=kill)
"""


def test_a_training_that_is_killed_ends_in_the_same_bits(tmp_path):
    undisturbed, _ = train(EVERYTHING, tmp_path / "whole")
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "cut"), str(Path(__file__).parent)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    net, steps = train(EVERYTHING, tmp_path / "cut")
    assert steps == 15
    assert same(net, undisturbed)


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        with seeded(1):
            self.linear = nn.Linear(16, 2)

    def forward(self, images):
        return torch.tanh(self.linear(images.flatten(1)))


def test_finetuning_that_is_cut_ends_in_the_same_bits(tmp_path):
    spec = FinetuneSpec(epochs=4, batch_size=8, learning_rate=0.02)

    def tuned(directory, calls):
        student, teacher, made = Small(), make_net(), []

        def count(*_):
            made.append(1)
            if len(made) > calls:
                interrupt()

        teacher.register_forward_hook(count)
        rig = Rig(checkpoints=Checkpoints(directory, "ours", 0.0))
        finetune(student, teacher, spec, data(), 0, SilentProgress(), rig)
        return student, len(made)

    undisturbed, _ = tuned(tmp_path / "whole", 100)
    with pytest.raises(CutError):
        tuned(tmp_path / "cut", 14)
    student, made = tuned(tmp_path / "cut", 100)
    assert made == 1 + 2 * STEPS  # the first is to see how wide its scores spread
    assert same(student, undisturbed)


def test_a_checkpoint_is_written_when_it_is_time(tmp_path):
    train(PLAIN, tmp_path, every_s=3600)
    assert not (tmp_path / CHECKPOINT).exists()


def test_a_checkpoint_of_another_training_is_named_and_kept(tmp_path):
    train(PLAIN, tmp_path, key="theirs")
    before = (tmp_path / CHECKPOINT).read_bytes()
    with pytest.raises(UserError, match=rf"{CHECKPOINT} is of another.*theirs, not ours.*delete"):
        train(PLAIN, tmp_path)
    assert (tmp_path / CHECKPOINT).read_bytes() == before


def test_a_checkpoint_of_another_network_is_named(tmp_path):
    """Even if it has the right key, as a file that was copied by hand might."""
    train(PLAIN, tmp_path, net=make_net(hidden=4))
    with pytest.raises(UserError, match=r"'1.weight' in checkpoint .*\[4, 16\].*\[3, 16\]"):
        train(PLAIN, tmp_path)


@pytest.mark.parametrize("left", [0, 3, 100, -1])
def test_a_damaged_checkpoint_is_named(tmp_path, left):
    train(PLAIN, tmp_path)
    path = tmp_path / CHECKPOINT
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(StageError, match=rf"{CHECKPOINT} is damaged.*delete"):
        train(PLAIN, tmp_path)


def test_a_full_disk_leaves_the_checkpoint_of_before(tmp_path, monkeypatch):
    with pytest.raises(CutError):
        train(PLAIN, tmp_path, cut_at=7, cut=interrupt)
    before = (tmp_path / CHECKPOINT).read_bytes()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(sdq_fpga.train.resume, "write_atomically", full)
        with pytest.raises(OSError, match="No space"):
            train(PLAIN, tmp_path)
    assert (tmp_path / CHECKPOINT).read_bytes() == before
    assert same(train(PLAIN, tmp_path)[0], train(PLAIN, tmp_path / "whole")[0])


@pytest.mark.parametrize(
    ("step", "said"), [(7, "the loss of stage 'train' became nan"), (9, "'1.weight' of stage")]
)
def test_weights_that_are_not_finite_are_never_saved(tmp_path, step, said):
    """In the middle of an epoch the next loss shows it, after its last step the weights do."""
    with pytest.raises(CutError):
        train(PLAIN, tmp_path, cut_at=7, cut=interrupt)
    before = (tmp_path / CHECKPOINT).read_bytes()
    net, calls = make_net(), []

    def spoil(gradient):
        calls.append(1)
        return gradient * (math.inf if len(calls) - 1 == step - STEPS else 1)

    net[1].weight.register_hook(spoil)
    with pytest.raises(StageError, match=rf"{said}.*in epoch 2.*learning rate"):
        train(PLAIN, tmp_path, net=net)
    assert (tmp_path / CHECKPOINT).read_bytes() == before


plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
tensors = st.lists(st.floats(width=32, allow_nan=False), max_size=3).map(torch.tensor)
states = st.recursive(
    plain | tensors | st.sampled_from([torch.tensor(3), torch.tensor([True, False])]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.integers() | st.text(alphabet="abc.", max_size=3), inner, max_size=3)
    ),
)


def equal(one, two):
    if isinstance(one, torch.Tensor):
        return isinstance(two, torch.Tensor) and one.dtype == two.dtype and torch.equal(one, two)
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(equal(one[key], two[key]) for key in one)
    if isinstance(one, list | tuple):
        return (
            type(one) is type(two)
            and len(one) == len(two)
            and all(equal(a, b) for a, b in zip(one, two, strict=True))
        )
    return type(one) is type(two) and one == two


@given(st.dictionaries(st.text(max_size=3), states, max_size=3))
def test_a_state_comes_back_as_it_was(tmp_path_factory, state):
    checkpoints = Checkpoints(tmp_path_factory.mktemp("state"), "ours", 0.0)
    checkpoints.save(state)
    found = Checkpoints(checkpoints.path.parent, "ours", 0.0).load()
    assert equal(found, state)


def test_a_state_of_anything_else_is_refused():
    with pytest.raises(TypeError, match="state/a is a object"):
        pack({"a": object()}, {}, "state")
    with pytest.raises(KeyError):
        unpack({"tensor": "a"}, {})
