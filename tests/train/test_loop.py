"""The training loop: what it learns, what it depends on, and how it fails."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from sdq_fpga.data import Dataset
from sdq_fpga.errors import StageError
from sdq_fpga.flow import TrainSpec
from sdq_fpga.progress import SilentProgress
from sdq_fpga.train import fit, seeded, steps_per_epoch


def two_classes(frames=40):
    """Dark images are class 0, bright ones class 1."""
    labels = np.arange(frames, dtype=np.int64) % 2
    images = (
        np.random.default_rng(0).integers(0, 100, (frames, 1, 2, 2))
        + 120 * labels[:, None, None, None]
    )
    images = images.astype(np.uint8)
    return Dataset("two", images, labels, images, labels)


def make_net():
    with seeded(0):
        return nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))


def train(net, dataset, *, seed=0, epochs=2, batch_size=8, lr=0.1, progress=None, **callbacks):
    fit(
        net,
        dataset,
        recipe=TrainSpec(epochs=epochs, batch_size=batch_size, learning_rate=lr),
        loss=callbacks.pop("loss", lambda net, x, y: functional.cross_entropy(net(x), y)),
        seed=seed,
        label="train",
        progress=progress or SilentProgress(),
        **callbacks,
    )


def test_it_learns():
    net, data, losses = make_net(), two_classes(), []
    train(net, data, epochs=10, after_epoch=lambda epoch, loss: losses.append((epoch, loss)) or {})
    assert [epoch for epoch, _ in losses] == list(range(10))
    assert losses[-1][1] < 0.1 < losses[0][1]
    assert not net.training


def test_it_depends_on_the_seed_alone():
    def weights(seed, disturb):
        net = make_net()
        torch.manual_seed(disturb)
        train(net, two_classes(), seed=seed)
        return torch.cat([value.flatten() for value in net.state_dict().values()])

    assert torch.equal(weights(1, 5), weights(1, 6))
    assert not torch.equal(weights(1, 5), weights(2, 5))


def test_global_state_is_left_alone():
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    threads = torch.get_num_threads()
    train(make_net(), two_classes())
    assert torch.equal(torch.rand(4), expected)
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.get_num_threads() == threads


def test_seeded_restores_after_a_failure():
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    with pytest.raises(ZeroDivisionError), seeded(1):
        assert torch.are_deterministic_algorithms_enabled()
        torch.rand(1)
        raise ZeroDivisionError
    assert torch.equal(torch.rand(4), expected)
    assert not torch.are_deterministic_algorithms_enabled()


def test_every_frame_comes_once_an_epoch_in_new_order_and_as_pixels_by_256():
    net, data, seen = make_net(), two_classes(), []

    def loss(net, images, labels):
        assert images.dtype == torch.float32
        assert torch.equal((images[:, 0, 0, 0] > 110 / 256).long(), labels)
        seen.append(images)
        return functional.cross_entropy(net(images), labels)

    train(net, data, loss=loss)
    first, second = torch.cat(seen[:5]), torch.cat(seen[5:])
    assert not torch.equal(first, second)
    for epoch in (first, second):
        rows = sorted((epoch * 256).to(torch.uint8).flatten(1).tolist())
        assert rows == sorted(data.train_images.reshape(40, 4).tolist())


@pytest.mark.parametrize(
    ("frames", "batch_size", "steps"), [(40, 8, 5), (41, 8, 5), (47, 8, 5), (5, 8, 1), (8, 8, 1)]
)
def test_only_whole_batches(frames, batch_size, steps):
    sizes, net, data = [], make_net(), two_classes(frames)

    def loss(net, images, labels):
        sizes.append(len(images))
        return functional.cross_entropy(net(images), labels)

    train(net, data, epochs=1, batch_size=batch_size, loss=loss)
    assert steps_per_epoch(frames, batch_size) == steps
    assert sizes == [min(frames, batch_size)] * steps


def test_progress_hears_of_every_step():
    class Listener(SilentProgress):
        def __init__(self):
            self.opened, self.steps = [], 0

        @contextmanager
        def task(self, label, total):
            self.opened.append((label, total))

            def advance(steps):
                self.steps += steps

            yield advance

    listener = Listener()
    train(make_net(), two_classes(), progress=listener)
    assert listener.opened == [("train", 10)]
    assert listener.steps == 10


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_names_stage_and_epoch(value):
    net, calls = make_net(), []

    def loss(net, images, labels):
        calls.append(1)
        factor = value if len(calls) == 7 else 1.0
        return functional.cross_entropy(net(images), labels) * factor

    with pytest.raises(StageError, match=r"'train' became (nan|inf) in epoch 2.*learning rate"):
        train(net, two_classes(), loss=loss)
