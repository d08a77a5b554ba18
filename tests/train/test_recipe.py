"""Learning rate, optimizer, average and augmentation, each against its formula."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn
from torch.nn import functional

from sdq_fpga.data import Dataset
from sdq_fpga.errors import UserError
from sdq_fpga.flow import Augment, Recipe
from sdq_fpga.progress import SilentProgress
from sdq_fpga.train import classification_loss, fit
from sdq_fpga.train.augment import augmented, draw_changes
from sdq_fpga.train.average import Average
from sdq_fpga.train.recipe import make_optimizer, make_schedule


def recipe(**stated):
    return Recipe.model_validate({"epochs": 10, "batch_size": 2, "learning_rate": 0.5} | stated)


@settings(deadline=None)
@given(
    st.integers(1, 6), st.integers(1, 4), st.integers(0, 5), st.sampled_from(["cosine", "constant"])
)
def test_the_learning_rate_rises_and_falls(epochs, steps, warmup, schedule):
    warmup = min(warmup, epochs - 1)
    stated = recipe(epochs=epochs, warmup_epochs=warmup, schedule=schedule)
    optimizer = make_optimizer(stated, [nn.Parameter(torch.zeros(1))])
    moved = make_schedule(stated, optimizer, steps)
    rising, total = warmup * steps, epochs * steps
    for step in range(total):
        rate = optimizer.param_groups[0]["lr"]
        if step < rising:
            expected = 0.5 * (1 + (rising - 1) * step / rising) / rising
        elif schedule == "constant":
            expected = 0.5
        else:
            expected = 0.25 * (1 + math.cos(math.pi * (step - rising) / (total - rising)))
        assert rate == pytest.approx(expected, abs=1e-9), step
        optimizer.step()
        moved.step()


@pytest.mark.parametrize(
    ("stated", "kind", "group"),
    [
        ({}, torch.optim.Adam, {"weight_decay": 0.0}),
        ({"weight_decay": 0.1}, torch.optim.Adam, {"weight_decay": 0.1}),
        ({"optimizer": "adamw", "weight_decay": 0.1}, torch.optim.AdamW, {"weight_decay": 0.1}),
        ({"optimizer": "sgd", "momentum": 0.9}, torch.optim.SGD, {"momentum": 0.9}),
    ],
)
def test_the_optimizer_is_the_one_stated(stated, kind, group):
    made = make_optimizer(recipe(**stated), [nn.Parameter(torch.zeros(1))])
    assert type(made) is kind
    assert (made.param_groups[0] | group | {"lr": 0.5}) == made.param_groups[0]


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ({"momentum": 0.9}, "momentum 0.9 is of sgd, not of adam"),
        ({"warmup_epochs": 10}, "10 warmup_epochs must be fewer than the 10 epochs"),
        ({"ema_decay": 1.0}, "ema_decay"),
        ({"label_smoothing": 1.0}, "label_smoothing"),
        ({"optimizer": "rmsprop"}, "optimizer"),
        ({"augment": {"padding": -1}}, "padding"),
    ],
)
def test_what_makes_no_sense_is_refused(stated, words):
    with pytest.raises(ValidationError, match=words):
        recipe(**stated)


def test_label_smoothing_is_the_formula():
    scores = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels = torch.tensor([0, 3, 1, 1, 2, 0])
    target = 0.9 * functional.one_hot(labels, 4) + 0.1 / 4
    expected = -(target * torch.log_softmax(scores, 1)).sum(1).mean()
    found = classification_loss(recipe(label_smoothing=0.1), scores, labels)
    assert found.item() == pytest.approx(expected.item())


def test_the_average_is_the_formula_and_takes_whole_numbers_as_they_are():
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    average = Average(net, 0.75)
    expected = net[0].weight.detach().clone()
    for step in range(4):
        with torch.no_grad():
            net[0].weight.add_(step + 1.0)
        net(torch.rand(4, 2))
        average.update()
        expected = 0.75 * expected + 0.25 * net[0].weight.detach()
    now = net[0].weight.detach().clone()
    average.swap()
    torch.testing.assert_close(net[0].weight.detach(), expected)
    assert net[1].num_batches_tracked.item() == 4
    average.swap()
    assert torch.equal(net[0].weight, now)


def reference(image, top, left, mirrored, padding):
    padded = np.pad(image, ((0, 0), (padding, padding), (padding, padding)))
    _, height, width = image.shape
    crop = padded[:, top : top + height, left : left + width]
    return crop[:, :, ::-1] if mirrored else crop


@settings(deadline=None)
@given(
    st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(1, 6), st.integers(1, 6)),
    st.integers(0, 4),
    st.booleans(),
    st.integers(0, 99),
)
def test_each_image_is_a_crop_or_its_mirror_image(shape, padding, flip, seed):
    images = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    augment = Augment(padding=padding, flip=flip)
    changes = draw_changes(augment, shape[0], torch.Generator().manual_seed(seed))
    found = augmented(torch.from_numpy(images), changes, padding)
    assert found.dtype == torch.uint8
    for index, (top, left, mirrored) in enumerate(
        zip(*map(torch.Tensor.tolist, changes), strict=True)
    ):
        assert 0 <= top <= 2 * padding
        assert 0 <= left <= 2 * padding
        assert flip or not mirrored
        expected = reference(images[index], top, left, mirrored, padding)
        np.testing.assert_array_equal(found[index].numpy(), expected)


def test_all_crops_and_mirror_images_are_drawn():
    drawn = draw_changes(Augment(padding=1, flip=True), 500, torch.Generator().manual_seed(0))
    assert len(set(zip(*map(torch.Tensor.tolist, drawn), strict=True))) == 3 * 3 * 2


def trained(stated, images, seen):
    labels = np.zeros(len(images), np.int64)
    net = nn.Sequential(nn.Flatten(), nn.Linear(images[0].size, 2))

    def loss(forward, batch, labels):
        seen.append(batch.clone())
        return functional.cross_entropy(forward(batch), labels)

    fit(
        net,
        Dataset("any", images, labels, images, labels),
        recipe=stated,
        loss=loss,
        seed=0,
        label="train",
        progress=SilentProgress(),
    )
    return net


def test_training_sees_changed_images_only_if_it_is_asked_for():
    image = np.arange(1, 10, dtype=np.uint8).reshape(1, 3, 3)
    images = np.stack([image] * 8)
    seen: list[torch.Tensor] = []
    trained(recipe(epochs=2), images, seen)
    assert all(torch.equal(each * 256, torch.from_numpy(images[:2]).float()) for each in seen)
    seen.clear()
    trained(recipe(epochs=2, augment={"padding": 1, "flip": True}), images, seen)
    assert len({tuple(each.flatten().tolist()) for batch in seen for each in batch}) > 5


def test_frames_that_are_no_images_can_not_be_augmented():
    with pytest.raises(UserError, match=r"frames have shape \[5\]"):
        trained(recipe(augment={"flip": True}), np.zeros((4, 5), np.uint8), [])


def test_training_ends_with_the_average():
    images = np.random.default_rng(0).integers(0, 256, (8, 1, 2, 2), dtype=np.uint8)
    nets = []
    for decay in (0.0, 0.99):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            nets.append(trained(recipe(ema_decay=decay), images, []))
    torch.manual_seed(0)
    start = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))[1].weight
    moved, averaged = ((net[1].weight - start).norm().item() for net in nets)
    assert 0 < averaged < 0.6 * moved
