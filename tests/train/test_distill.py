"""Distillation: the loss against its formula, and what finetuning does."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from sdq_fpga.data import Dataset
from sdq_fpga.flow import FinetuneSpec
from sdq_fpga.progress import SilentProgress
from sdq_fpga.train import accuracy, distillation_loss, finetune

SPEC = FinetuneSpec(epochs=12, batch_size=16, learning_rate=0.02)


def logits(seed, rows=5, classes=4):
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(rows, classes, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_loss_is_the_formula(temperature, weight):
    student, teacher, labels = logits(0), logits(1), torch.tensor([0, 3, 1, 1, 2])
    p = torch.softmax(teacher / temperature, 1)
    q = torch.softmax(student / temperature, 1)
    soft = (p * (p / q).log()).sum(1).mean() * temperature**2
    hard = -torch.softmax(student, 1)[range(5), labels].log().mean()
    loss = distillation_loss(student, teacher, labels, temperature, weight)
    assert loss.item() == pytest.approx((weight * soft + (1 - weight) * hard).item())


def test_loss_is_zero_for_a_perfect_student_and_grows_with_distance():
    teacher, labels = logits(1), torch.zeros(5, dtype=torch.int64)
    near, far = (
        distillation_loss(teacher + by * logits(0), teacher, labels, 4.0, 1.0).item()
        for by in (0.1, 1.0)
    )
    assert distillation_loss(teacher, teacher, labels, 4.0, 1.0).item() == pytest.approx(0)
    assert 0 < near < far


def test_gradient_pulls_the_student_towards_the_teacher():
    student, teacher = logits(0).requires_grad_(), logits(1)
    distillation_loss(student, teacher, torch.zeros(5, dtype=torch.int64), 2.0, 1.0).backward()
    # d/dz of T^2 KL is T (q - p), averaged over the batch.
    p, q = torch.softmax(teacher / 2, 1), torch.softmax(student / 2, 1)
    torch.testing.assert_close(student.grad, 2 * (q - p).detach() / 5)


def blobs(frames=160):
    """Four classes, each bright in one corner."""
    rng = np.random.default_rng(0)
    labels = np.arange(frames, dtype=np.int64) % 4
    images = rng.integers(0, 120, (frames, 1, 2, 2))
    images.reshape(frames, 4)[np.arange(frames), labels] += 120
    return Dataset("blobs", images.astype(np.uint8), labels, images.astype(np.uint8), labels)


class Corners(nn.Module):
    """A perfect teacher, with scores far wider than its student can reach."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(60.0))

    def forward(self, images):
        return self.gain * (images.flatten(1) - 0.4)


class Narrow(nn.Module):
    """A student whose scores are within a hundredth."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(4, 4, bias=False)

    def forward(self, images):
        return 0.01 * torch.tanh(self.linear(images.flatten(1)))


def test_finetune_teaches_a_student_of_any_scale_and_leaves_the_teacher():
    data, teacher, student = blobs(), Corners(), Narrow()
    teacher.train()
    assert accuracy(student, data.test_images, data.test_labels) < 0.8
    finetune(student, teacher, SPEC, data, 0, SilentProgress())
    assert accuracy(student, data.test_images, data.test_labels) > 0.95
    assert not student.training
    assert not teacher.training
    assert teacher.gain.item() == 60.0
    assert teacher.gain.grad is None


def test_finetune_depends_on_the_seed_alone():
    def weights(seed, disturb):
        student = Narrow()
        torch.manual_seed(disturb)
        finetune(student, Corners(), SPEC, blobs(), seed, SilentProgress())
        return student.linear.weight.detach()

    assert torch.equal(weights(0, 1), weights(0, 2))
    assert not torch.equal(weights(0, 1), weights(1, 1))


def test_kd_weight_zero_is_plain_cross_entropy():
    student, labels = logits(0), torch.tensor([0, 3, 1, 1, 2])
    loss = distillation_loss(student, logits(1), labels, 4.0, 0.0)
    torch.testing.assert_close(loss, functional.cross_entropy(student, labels))
