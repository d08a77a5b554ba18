"""Prediction and accuracy."""

import numpy as np
import pytest
import torch
from torch import nn

from sdq_fpga.train import accuracy, predict, to_input


class Brightest(nn.Module):
    """Scores are the pixels themselves; dropout shows whether it is in evaluation mode."""

    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(0.9)

    def forward(self, images):
        return self.drop(images.flatten(1))


def test_predict_takes_the_first_highest_score_of_any_number_of_images():
    images = np.random.default_rng(0).integers(0, 256, (2345, 1, 2, 3), dtype=np.uint8)
    net = Brightest().train()
    classes = predict(net, images)
    assert np.array_equal(classes, images.reshape(2345, 6).argmax(axis=1))
    assert classes.dtype == np.int64
    assert net.training
    assert net.drop.training


def test_accuracy_is_the_share_of_hits():
    images = np.eye(4, dtype=np.uint8)[:, None, None]
    assert accuracy(Brightest().eval(), images, np.array([0, 1, 2, 0])) == pytest.approx(0.75)


def test_pixels_enter_by_256_exactly():
    pixels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_input(pixels) * 256, torch.arange(256, dtype=torch.float32))
    assert to_input(pixels).max() < 1


def test_input_has_plain_strides_whatever_numpy_leaves():
    images = np.zeros((5, 8, 8, 1), np.uint8).transpose(0, 3, 1, 2)
    assert torch.from_numpy(images).stride() == (64, 1, 8, 1)
    assert to_input(torch.from_numpy(images)).stride() == (64, 64, 8, 1)
