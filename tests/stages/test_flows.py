"""The second shipped flow, on IDX files made here."""

import gzip
import json

import numpy as np
from sklearn.datasets import load_digits


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
