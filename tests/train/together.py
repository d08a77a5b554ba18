"""Trains in several processes, for test_devices.py: together.py DIRECTORY PROCESSES."""

import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from sdq_fpga.data import Dataset
from sdq_fpga.flow import Flow, TrainSpec, load_flow
from sdq_fpga.progress import SilentProgress
from sdq_fpga.search import search
from sdq_fpga.train import Devices, Rig, fit, make_fabric, train_float

FRAMES, BATCH = 32, 16
# As one batch norm sees only its part of a batch, this network has none.
RECIPE = TrainSpec.model_validate(
    {
        "epochs": 2,
        "batch_size": BATCH,
        "learning_rate": 0.1,
        "optimizer": "sgd",
        "momentum": 0.9,
        "augment": {"padding": 1, "flip": True},
    }
)


def images(shape: tuple[int, ...], classes: int) -> Dataset:
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (FRAMES, *shape), dtype=np.uint8)
    labels = np.arange(FRAMES, dtype=np.int64) % classes
    return Dataset("random", pixels, labels, pixels, labels)


def tiny() -> Flow:
    flow = load_flow(str(Path(__file__).parents[1] / "stages" / "tiny.yaml"))
    few = {"epochs": 2, "batch_size": BATCH}
    return flow.model_copy(
        update={
            "train": flow.train.model_copy(update=few),
            "search": flow.search.model_copy(update=few),
        }
    )


def main(directory: Path, processes: int) -> None:
    fabric = make_fabric(Devices(devices=processes))
    fabric.launch()
    rig = Rig(fabric)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(64, 3))
    fit(
        net,
        images((2, 6, 6), 3),
        recipe=RECIPE,
        loss=lambda forward, x, y: nn.functional.cross_entropy(forward(x), y),
        seed=1,
        label="train",
        progress=SilentProgress(),
        rig=rig,
    )
    flow, data = tiny(), images((1, 8, 8), 10)
    found = search(
        flow,
        train_float(flow, data, 0, SilentProgress(), rig),
        data,
        3.5,
        0,
        SilentProgress(),
        rig,
    )
    bits = [
        [record.expected_weight_bits, record.expected_activation_bits, record.loss]
        for record in found.history
    ]
    everybodys = fabric.all_gather(torch.tensor(bits, dtype=torch.float64))
    if fabric.global_rank == 0:
        state = {name: value.contiguous() for name, value in net.state_dict().items()}
        save_file(state | {"bits": everybodys.contiguous()}, directory / f"{processes}.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
