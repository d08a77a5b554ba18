"""What the tests of the search share: digits, and a small network trained on them."""

import copy

import pytest
import torch

from sdq_fpga.data import load_dataset
from sdq_fpga.flow import NetworkSpec, TrainSpec, load_flow
from sdq_fpga.progress import SilentProgress
from sdq_fpga.train import train_float


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Tensors here are tiny: a second thread only takes a core from tests beside these."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def digits():
    return load_dataset(load_flow("digits-cnn").dataset, None)


@pytest.fixture(scope="session")
def flow():
    """The default flow on a smaller network, with short training and search."""
    full = load_flow("digits-cnn")
    params = {
        "in_channels": 1,
        "image_size": 8,
        "channels": [8, 12],
        "strides": [2, 2],
        "classes": 10,
    }
    return full.model_copy(
        update={
            "network": NetworkSpec(kind="cnn", params=params),
            "train": TrainSpec(epochs=6, batch_size=64, learning_rate=0.005),
            "search": full.search.model_copy(update={"epochs": 6, "dbp_learning_rate": 0.2}),
        }
    )


@pytest.fixture(scope="session")
def _trained(flow, digits):
    return train_float(flow, digits, 0, SilentProgress())


@pytest.fixture
def net(_trained):
    """A trained float network, fresh for every test."""
    return copy.deepcopy(_trained)
