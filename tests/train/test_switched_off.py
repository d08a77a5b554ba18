"""A weight of 0 in the loss of finetuning switches its part off."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from sdq_fpga.data import Dataset
from sdq_fpga.flow import FinetuneSpec
from sdq_fpga.progress import SilentProgress
from sdq_fpga.train import distill, finetune


class _Wrong(nn.Module):
    """A teacher that is always wrong, with scores as wide as those of ``right``."""

    def __init__(self, right):
        super().__init__()
        self.right = right

    def forward(self, images):
        return -self.right(images)


def trained(kd_weight, teacher_of, monkeypatch):
    rng = np.random.default_rng(0)
    labels = np.arange(64, dtype=np.int64) % 4
    images = rng.integers(0, 120, (64, 1, 2, 2)).astype(np.uint8)
    images.reshape(64, 4)[np.arange(64), labels] += 120
    torch.manual_seed(0)
    student = nn.Sequential(nn.Flatten(), nn.Linear(4, 4))
    teacher = teacher_of(copy.deepcopy(student))
    monkeypatch.setattr(distill, "network_bins", None)
    spec = FinetuneSpec(epochs=2, batch_size=16, learning_rate=0.02, kd_weight=kd_weight)
    data = Dataset("blobs", images, labels, images, labels)
    finetune(student, teacher, spec, data, 0, SilentProgress())
    return student[1].weight.detach()


def test_without_its_weight_the_teacher_has_no_say(monkeypatch):
    right, wrong = (trained(0.0, teacher, monkeypatch) for teacher in (nn.Sequential, _Wrong))
    assert torch.equal(right, wrong)
    right, wrong = (trained(0.5, teacher, monkeypatch) for teacher in (nn.Sequential, _Wrong))
    assert not torch.equal(right, wrong)


def test_without_its_weight_nobody_computes_bins(monkeypatch):
    trained(0.5, nn.Sequential, monkeypatch)
    monkeypatch.undo()
    spec = FinetuneSpec(epochs=1, batch_size=4, learning_rate=0.02, ebr_weight=0.1)
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 4))
    zeros, labels = np.zeros((8, 1, 2, 2), np.uint8), np.zeros(8, np.int64)
    data = Dataset("zeros", zeros, labels, zeros, labels)
    with pytest.raises(ValueError, match="no weights on grids"):
        finetune(net, copy.deepcopy(net), spec, data, 0, SilentProgress())
