"""Shipped flows, on data made here."""

import gzip
import json

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from terminal import changed

from sdq_fpga.board import load_board
from sdq_fpga.flow import load_flow
from sdq_fpga.policy import Policy
from sdq_fpga.progress import SilentProgress
from sdq_fpga.run import open_run
from sdq_fpga.stages.build import Build
from sdq_fpga.stages.settings import Settings


def write_idx(path, array):
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    with gzip.open(path, "wb") as file:
        file.write(header + array.astype(np.uint8).tobytes())


def write_dataset(directory):
    """scikit-learn's digits, enlarged to MNIST's 28x28, under MNIST's file names."""
    digits = load_digits()
    images = np.kron(digits.images * 15, np.ones((3, 3)))  # 24x24
    images = np.pad(images, ((0, 0), (2, 2), (2, 2)))
    for prefix, part in (("train", slice(0, 1400)), ("t10k", slice(1400, None))):
        write_idx(directory / f"{prefix}-images-idx3-ubyte.gz", images[part])
        write_idx(directory / f"{prefix}-labels-idx1-ubyte.gz", digits.target[part])


def test_mnist_mlp_is_bit_exact(terminal):
    data = terminal.root / "idx"
    data.mkdir()
    write_dataset(data)
    done = terminal.call(
        "build", "--board", "pynq-z2", "--flow", "mnist-mlp", "--data", str(data),
        "--target-bits", "3", "--target-fps", "100000", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert report["name"] == "mnist-mlp"
    assert report["training"]["float_accuracy"] > 0.5
    simulation = report["accelerator"]["simulation"]
    assert simulation["verdict"]["images"] >= 100
    assert simulation["verdict"]["differing"] == 0
    assert simulation["rtl_accuracy"] == simulation["quantized_accuracy"]
    assert (terminal.root / "work" / "runs" / "mnist-mlp-pynq-z2" / "report.json").is_file()


def write_folder(directory):
    """ImageNet's layout: two classes of noise that differ in brightness."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 4), ("val", 2)):
        for brightest, name in ((120, "n01440764"), (256, "n01443537")):
            (directory / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, brightest, (240, 300, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(directory / split / name / f"{name}_{number}.JPEG")


@pytest.mark.parametrize("name", ["imagenet-resnet18", "imagenet-mobilenetv2"])
def test_an_imagenet_flow_is_trained_searched_and_finetuned(tmp_path, name):
    write_folder(tmp_path / "images")
    flow = load_flow(name)
    flow = changed(
        flow,
        network={"params": flow.network.params | {"classes": 2}},
        train={"epochs": 1, "batch_size": 4, "warmup_epochs": 0},
        search={"epochs": 2, "batch_size": 4},
        finetune={"epochs": 1, "batch_size": 4},
    )
    settings = Settings(
        flow=flow, data=str(tmp_path / "images"), board=load_board("zcu104"), clock_mhz=100,
        seed=0, target_bits=3.0,
    )  # fmt: skip
    with open_run(tmp_path / "run") as run:
        figures = Build(settings, run, None, SilentProgress(), checkpoint_every_s=3600).finetune()
    policy = Policy.from_file(tmp_path / "run" / "search" / "policy.json")
    assert policy.network == name
    assert figures.mean_weight_bits == policy.mean_weight_bits
    assert 0.97 * 3.0 <= policy.mean_weight_bits <= 3.0
    assert len({bits.weight_bits for bits in policy.layers}) > 1
    for metrics in ("train", "finetune"):
        accuracy = json.loads((tmp_path / "run" / metrics / "metrics.json").read_text())["accuracy"]
        assert accuracy in (0, 0.25, 0.5, 0.75, 1)
