"""CIFAR-10: binary, Python and image files give the same images; damage is named."""

import pickle

import numpy as np
import pytest
from PIL import Image

from sdq_fpga.data import load_dataset
from sdq_fpga.errors import UserError
from sdq_fpga.flow import DatasetSpec

SPEC = DatasetSpec(kind="cifar10")
FILES = [*(f"data_batch_{index}" for index in range(1, 6)), "test_batch"]
FRAME = (3, 32, 32)


def records(count=2):
    rng = np.random.default_rng(0)
    return {
        name: (
            rng.integers(0, 256, (count, 3072), dtype=np.uint8),
            [int(label) for label in rng.integers(0, 10, count)],
        )
        for name in FILES
    }


def write_binary(directory, found):
    for name, (data, labels) in found.items():
        rows = np.concatenate([np.array(labels, np.uint8)[:, None], data], axis=1)
        (directory / f"{name}.bin").write_bytes(rows.tobytes())


def write_pickles(directory, found, protocol=2):
    for name, (data, labels) in found.items():
        content = {b"batch_label": b"x", b"labels": labels, b"data": data}
        (directory / name).write_bytes(pickle.dumps(content, protocol=protocol))


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_both_versions_are_the_same(tmp_path, protocol):
    found = records()
    for folder in ("binary", "python"):
        (tmp_path / folder).mkdir()
    write_binary(tmp_path / "binary", found)
    write_pickles(tmp_path / "python", found, protocol)
    binary, python = (load_dataset(SPEC, tmp_path / each) for each in ("binary", "python"))
    assert binary.fingerprint() == python.fingerprint()
    assert binary.train_images.shape == (10, 3, 32, 32)
    data, labels = found["data_batch_1"]
    # Red, green, blue, each row by row.
    assert binary.train_images[1, 2, 5, 7] == data[1, 2 * 1024 + 5 * 32 + 7]
    assert list(binary.train_labels[:2]) == labels
    assert list(binary.test_labels) == found["test_batch"][1]


def test_image_files(tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            (tmp_path / split / name).mkdir(parents=True)
            Image.fromarray(pixels).save(tmp_path / split / name / "0.png")
    data = load_dataset(SPEC, tmp_path, FRAME)
    assert list(data.train_labels) == [0, 1]
    assert np.array_equal(data.test_images[1], pixels.transpose(2, 0, 1))


class Shell:
    def __reduce__(self):
        return print, ("executed",)


def test_a_pickle_that_calls_something_is_refused(tmp_path, capsys):
    write_pickles(tmp_path, records())
    (tmp_path / "data_batch_3").write_bytes(pickle.dumps({b"data": Shell()}, protocol=2))
    with pytest.raises(UserError, match=r"data_batch_3 .*print"):
        load_dataset(SPEC, tmp_path)
    assert "executed" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("data_batch_2", b"", "data_batch_2 is no pickle"),
        ("data_batch_2", pickle.dumps([1]), "data_batch_2 has no data"),
        ("data_batch_2", pickle.dumps({"data": np.zeros((2, 3072))}), "no data of type uint8"),
        (
            "test_batch",
            pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": [1]}),
            "as many labels",
        ),
        (
            "test_batch",
            pickle.dumps({"data": np.zeros((1, 3072), np.uint8), "labels": ["cat"]}),
            "no integer",
        ),
    ],
)
def test_damaged_pickles_are_named(tmp_path, name, content, words):
    write_pickles(tmp_path, records())
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=words):
        load_dataset(SPEC, tmp_path)


def test_missing_and_damaged_files_are_named(tmp_path):
    with pytest.raises(UserError, match=r"neither data_batch_1\.bin nor"):
        load_dataset(SPEC, tmp_path)
    write_binary(tmp_path, records())
    (tmp_path / "data_batch_4.bin").write_bytes(b"x" * 3074)
    with pytest.raises(UserError, match=r"data_batch_4\.bin has 3074 bytes"):
        load_dataset(SPEC, tmp_path)
    (tmp_path / "data_batch_4.bin").unlink()
    with pytest.raises(UserError, match=r"data_batch_4\.bin is missing"):
        load_dataset(SPEC, tmp_path)
