"""Processes that train together do what one process does with their batches joined."""

import os
import subprocess
import sys

import pytest
import together
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from sdq_fpga.errors import UserError
from sdq_fpga.train import Devices, make_fabric
from sdq_fpga.train.devices import check_share

# Each process takes the mean over its half of the batch, and the mean of the two means is summed in
# another order than the mean over the whole: float32 rounds differently, by 2^-24 of the terms,
# over four steps of a gradient that is near 1.
TOLERANCE = 2e-6


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Weights of the same training in one process and in two, connected by gloo."""
    directory = tmp_path_factory.mktemp("together")
    together.main(directory, 1)
    subprocess.run(
        [sys.executable, together.__file__, directory, "2"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
        timeout=600,
    )
    return [load_file(directory / f"{processes}.safetensors") for processes in (1, 2)]


def test_two_processes_train_as_one_with_both_halves_of_the_batch(trained):
    one, two = trained
    torch.manual_seed(0)
    start = torch.nn.Conv2d(2, 4, 3).weight.detach()
    assert (one["0.weight"] - start).abs().max() > 0.01
    for name in one.keys() - {"bits"}:
        torch.testing.assert_close(two[name], one[name], rtol=0, atol=TOLERANCE, msg=name)


def test_two_processes_search_in_step(trained):
    """Their batches differ, but not the betas, which the mean of their gradients moves."""
    bits = trained[1]["bits"]
    assert bits.shape == (2, 2, 3)
    assert torch.equal(bits[0], bits[1])


@pytest.mark.parametrize(("batch", "processes"), [(64, 3), (2, 2), (6, 4)])
def test_a_batch_that_can_not_be_shared(batch, processes):
    with pytest.raises(UserError, match=f"batch of {batch} .* {processes} processes"):
        check_share(batch, processes)


@pytest.mark.parametrize(("batch", "processes"), [(7, 1), (64, 4), (4, 2)])
def test_a_batch_that_can(batch, processes):
    check_share(batch, processes)


def test_more_gpus_than_there_are():
    with pytest.raises(UserError, match=r"77 GPUs.*finds \d+ here.*--accelerator cpu"):
        make_fabric(Devices(accelerator="cuda", devices=77))


def test_bfloat16_trains():
    fabric = make_fabric(Devices(precision="bf16-mixed"))
    net = torch.nn.Linear(4, 2)
    forward = fabric.setup_module(net)
    scores = forward(torch.full((1, 4), 1 / 3))
    assert scores.dtype == torch.float32
    assert not torch.equal(scores, net(torch.full((1, 4), 1 / 3)))


def test_no_such_device():
    with pytest.raises(ValidationError, match="accelerator"):
        Devices.model_validate({"accelerator": "tpu"})
