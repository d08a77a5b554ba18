"""Trainings of a build that are cut: they go on inside the stage, and end in the same bytes."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from terminal import TINY, changed, tree

from sdq_fpga.board import load_board
from sdq_fpga.data import load_dataset
from sdq_fpga.errors import StageError, UserError
from sdq_fpga.flow import load_flow
from sdq_fpga.nets import make_net
from sdq_fpga.progress import SilentProgress
from sdq_fpga.run import open_run
from sdq_fpga.stages.build import Build
from sdq_fpga.stages.settings import Settings
from sdq_fpga.train import load_net, train_float
from sdq_fpga.train.resume import CHECKPOINT

TRAINED = ("train", "search", "finetune")
STEPS = 22  # of an epoch


class CutError(Exception):
    """Cuts a build."""


def cut():
    raise CutError


class Cutting(SilentProgress):
    """Calls ``end`` at a step of one task."""

    def __init__(self, label, at=0, end=cut):
        self.label, self.at, self.end = label, at, end
        self.notes = []

    @contextmanager
    def task(self, label, total):
        left = [self.at]

        def advance(steps):
            left[0] -= steps
            if label == self.label and left[0] < 0:
                self.end()

        if label == self.label and self.at == 0:
            self.end()
        yield advance

    def note(self, text):
        self.notes.append(text)


def build(directory, progress, seed=0, **stages):
    """Builds the tiny flow, up to the first failure; ``stages`` are its entries to change."""
    flow = changed(load_flow(str(TINY)), **stages)
    settings = Settings(
        flow=flow, board=load_board("zcu104"), clock_mhz=100, seed=seed, target_bits=3.5
    )
    with open_run(directory) as run:
        Build(settings, run, None, progress, checkpoint_every_s=0).everything(None)


def kill(directory, label, at):
    """In a process of its own: see below."""
    build(directory, Cutting(label, at, lambda: os.kill(os.getpid(), signal.SIGKILL)))


KILL = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_training_goes_on
test_training_goes_on.kill(Path(sys.argv[2]), "train", 75)
"""


def trained(directory):
    return {name: data for name, data in tree(directory).items() if name.split("/")[0] in TRAINED}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    directory = tmp_path_factory.mktemp("undisturbed") / "run"
    with pytest.raises(CutError):
        build(directory, Cutting("export QONNX"))
    assert not (directory / ".unfinished").exists()
    return directory


def test_killed_and_cut_in_every_training_it_ends_in_the_same_bytes(undisturbed, tmp_path):
    directory = tmp_path / "run"
    killed = subprocess.run(
        [sys.executable, "-c", KILL, str(Path(__file__).parent), str(directory)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    for stage, at, after in (("search", 50, 3), ("finetune", 30, 2), ("export QONNX", 0, 1)):
        progress = Cutting(stage, at)
        with pytest.raises(CutError):
            build(directory, progress)
        before = TRAINED[{"search": 0, "finetune": 1, "export QONNX": 2}[stage]]
        (note,) = progress.notes
        assert note.startswith(f"{before}: goes on after epoch {after} of "), note
    assert trained(directory) == trained(undisturbed)
    assert not (directory / ".unfinished").exists()


def test_curves_and_checkpoints_change_nothing(undisturbed):
    flow = load_flow(str(TINY))
    dataset = load_dataset(flow.dataset, None)
    net = make_net(flow.network)
    load_net(net, undisturbed / "train" / "net.safetensors")
    plain = train_float(flow, dataset, 0, SilentProgress()).state_dict()
    assert all(torch.equal(value, plain[key]) for key, value in net.state_dict().items())


def curves(directory, stage):
    (log,) = (directory / "tensorboard").glob(f"{stage}-*")
    events = EventAccumulator(str(log))
    events.Reload()
    return {
        tag: [(each.step, each.value) for each in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


def test_curves_are_those_of_tensorboard(undisturbed):
    flow = load_flow(str(TINY))
    for stage in TRAINED:
        found = curves(undisturbed, stage)
        assert {"loss", "accuracy", "learning rate"} <= found.keys()
        epochs = getattr(flow, stage).epochs
        for points in found.values():
            assert [step for step, _ in points] == list(range(epochs))
        assert 0.3 < found["accuracy"][-1][1] <= 1
    found = curves(undisturbed, "train")
    assert found["loss"][-1][1] < found["loss"][0][1]
    found = curves(undisturbed, "search")
    assert found["weight bits/block2.conv"][0][1] >= found["weight bits/block2.conv"][-1][1] >= 2
    assert found["expected weight bits"][-1][1] <= 3.5


def test_another_training_is_named_and_kept_until_the_stage_is_finished(tmp_path):
    directory = tmp_path / "run"

    def cut_in(label, at, seed):
        progress = Cutting(label, at)
        with pytest.raises(CutError):
            build(directory, progress, seed)
        return progress.notes

    assert cut_in("train", 2 * STEPS + 5, seed=0) == []
    (first,) = (directory / ".unfinished" / "train").glob(f"*/{CHECKPOINT}")
    (note,) = cut_in("train", STEPS + 5, seed=1)
    assert str(first.parent) in note
    assert "other settings" in note
    assert first.exists()
    other, goes_on = cut_in("train", 5, seed=0)
    assert str(first.parent) not in other
    assert goes_on == "train: goes on after epoch 2 of 6"
    assert len(list((directory / ".unfinished" / "train").iterdir())) == 2
    cut_in("search", 5, seed=0)
    assert not (directory / ".unfinished" / "train").exists()
    assert len(list((directory / "tensorboard").glob("train-*"))) == 2


DATA = """
import numpy as np

def split(count, classes, side):
    images = np.zeros((count, 1, side, side), np.uint8)
    return images, np.arange(count) % classes

def of_another_shape():
    return split(100, 10, 9), split(100, 10, 9)

def without_the_last_class():
    return split(100, 9, 8), split(100, 9, 8)
"""


def test_what_is_wrong_is_named_and_nothing_is_lost(tmp_path, monkeypatch):
    """A training under way is left as it is by builds that can't be, and goes on after them."""
    (tmp_path / "odd_images.py").write_text(DATA)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    directory = tmp_path / "run"
    with pytest.raises(CutError):
        build(directory, Cutting("train", STEPS + 5))
    (checkpoint,) = (directory / ".unfinished" / "train").glob(f"*/{CHECKPOINT}")
    before = checkpoint.read_bytes()
    for dataset, words in (
        ("of_another_shape", r"training images .* \[1, 9, 9\], but the network takes \[1, 8, 8\]"),
        ("without_the_last_class", r"class 9 of the network's 10 has no training image"),
    ):
        with pytest.raises(UserError, match=words):
            build(directory, SilentProgress(), dataset={"kind": f"odd_images:{dataset}"})
        assert checkpoint.read_bytes() == before
    with pytest.raises(StageError, match=r"the loss of stage 'train' became .* in epoch 1"):
        build(directory, SilentProgress(), train={"learning_rate": 1e30})
    assert checkpoint.read_bytes() == before
    with pytest.raises(UserError, match=r"target of 3.5 mean weight bits is out of reach"):
        build(directory, SilentProgress(), search={"weight_bits": (2,), "target_bits": 3.5})
    with pytest.raises(StageError, match=r"the loss of stage 'search' became .* in epoch"):
        build(directory, SilentProgress(), search={"learning_rate": 1e30})
    assert not checkpoint.exists()
    trained_before = (directory / "train" / "net.safetensors").read_bytes()
    progress = Cutting("search", 5)
    with pytest.raises(CutError):
        build(directory, progress)
    assert (directory / "train" / "net.safetensors").read_bytes() == trained_before
