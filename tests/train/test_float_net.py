"""Training of a float network: the default flow, cut short."""

import pytest
import torch

from sdq_fpga.data import load_dataset
from sdq_fpga.errors import StageError, UserError
from sdq_fpga.flow import load_flow
from sdq_fpga.progress import SilentProgress
from sdq_fpga.train import accuracy, train_float


def short(flow, epochs=4, **train):
    spec = flow.train.model_copy(update={"epochs": epochs} | train)
    return flow.model_copy(update={"train": spec})


@pytest.fixture(scope="module")
def digits():
    return load_dataset(load_flow("digits-cnn").dataset, None)


def test_a_few_epochs_learn_digits_and_the_same_seed_gives_the_same_bits(digits):
    flow = short(load_flow("digits-cnn"))
    net = train_float(flow, digits, 0, SilentProgress())
    assert accuracy(net, digits.test_images, digits.test_labels) > 0.93
    torch.manual_seed(77)
    again = train_float(flow, digits, 0, SilentProgress()).state_dict()
    assert all(torch.equal(value, again[key]) for key, value in net.state_dict().items())


def test_another_seed_gives_another_network(digits):
    flow = short(load_flow("digits-cnn"), epochs=1)
    one, two = (train_float(flow, digits, seed, SilentProgress()) for seed in (0, 1))
    assert not torch.equal(one.classifier.weight, two.classifier.weight)


def test_dataset_that_does_not_fit_is_refused(digits):
    with pytest.raises(UserError, match=r"\[1, 8, 8\].*\[784\]"):
        train_float(load_flow("mnist-mlp"), digits, 0, SilentProgress())


def test_divergence_names_the_stage(digits):
    flow = short(load_flow("digits-cnn"), learning_rate=1e30)
    with pytest.raises(StageError, match=r"'train' became .* in epoch"):
        train_float(flow, digits, 0, SilentProgress())
