"""NumPy files, and what functions of the user's return."""

import sys

import numpy as np
import pytest

from sdq_fpga.data import load_dataset
from sdq_fpga.errors import UserError
from sdq_fpga.flow import DatasetSpec

SPEC = DatasetSpec(kind="numpy")


def arrays():
    rng = np.random.default_rng(0)
    return {
        "train_images": rng.integers(0, 256, (6, 2, 5), dtype=np.uint8),
        "train_labels": rng.integers(0, 3, 6),
        "test_images": rng.integers(0, 256, (4, 2, 5), dtype=np.uint8),
        "test_labels": rng.integers(0, 3, 4).astype(np.uint8),
    }


def write(directory, found):
    for name, array in found.items():
        np.save(directory / f"{name}.npy", array)


def test_npz_and_npy_are_the_same(tmp_path):
    found = arrays()
    for folder in ("one", "four"):
        (tmp_path / folder).mkdir()
    np.savez(tmp_path / "one" / "data.npz", **found)
    write(tmp_path / "four", found)
    one, four = (load_dataset(SPEC, tmp_path / each) for each in ("one", "four"))
    assert one.fingerprint() == four.fingerprint()
    assert np.array_equal(one.train_images, found["train_images"])
    assert one.test_labels.dtype == np.int64
    assert isinstance(four.train_images, np.memmap)


def test_floats_become_pixels(tmp_path):
    found = arrays()
    write(tmp_path, found | {"train_images": found["train_images"] / 255})
    data = load_dataset(SPEC, tmp_path)
    assert np.array_equal(data.train_images, found["train_images"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"train_images": np.zeros((6, 2, 5), np.int16)}, "train_images .* int16"),
        ({"train_images": np.full((6, 2, 5), 1.5)}, "from 1.5 to 1.5"),
        ({"train_images": np.full((6, 2, 5), np.nan)}, "from nan"),
        ({"train_images": np.zeros((0, 2, 5), np.uint8)}, r"train_images .*\[0, 2, 5\]"),
        ({"train_images": np.zeros((6, 0, 5))}, r"train_images .*\[6, 0, 5\]"),
        ({"train_images": np.float64(0.5)}, r"train_images .*\[\]"),
        ({"test_images": np.zeros((4, 2, 6), np.uint8)}, r"\[2, 5\].* \[2, 6\]"),
        ({"test_labels": np.zeros(3, np.int64)}, "test_labels"),
        ({"test_labels": np.zeros(4)}, "test_labels .* float64"),
    ],
)
def test_wrong_arrays_are_named(tmp_path, change, words):
    write(tmp_path, arrays() | change)
    with pytest.raises(UserError, match=words):
        load_dataset(SPEC, tmp_path)


def test_missing_damaged_and_pickled_files_are_named(tmp_path):
    with pytest.raises(UserError, match=r"neither data\.npz nor train_images\.npy"):
        load_dataset(SPEC, tmp_path)
    write(tmp_path, arrays())
    np.save(tmp_path / "test_labels.npy", np.array([object()] * 4), allow_pickle=True)
    with pytest.raises(UserError, match=r"test_labels\.npy can't be read"):
        load_dataset(SPEC, tmp_path)
    (tmp_path / "data.npz").write_bytes(b"PK")
    with pytest.raises(UserError, match=r"data\.npz can't be read"):
        load_dataset(SPEC, tmp_path)
    np.savez(tmp_path / "data.npz", train_images=np.zeros(3))
    with pytest.raises(UserError, match="no array 'train_labels'"):
        load_dataset(SPEC, tmp_path)


@pytest.mark.parametrize("damage", ["deflate", "method", "encrypted", "one array"])
def test_damaged_archives_are_named(tmp_path, damage):
    path = tmp_path / "data.npz"
    np.savez_compressed(path, **arrays())
    content = bytearray(path.read_bytes())
    entry = content.index(b"PK\x01\x02")  # of the directory, which says flags and method
    if damage == "deflate":
        content[66:80] = bytes([255]) * 14  # behind header, name and sizes of the first
    elif damage == "method":
        content[entry + 10] = content[10 - 2] = 77
    elif damage == "encrypted":
        content[entry + 8] |= 1
    else:
        np.save(tmp_path / "one.npy", np.zeros(3))
        content = bytearray((tmp_path / "one.npy").read_bytes())
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"data\.npz can't be read"):
        load_dataset(SPEC, tmp_path)


def test_an_array_file_that_is_an_archive_or_cut_within_its_header_is_named(tmp_path):
    write(tmp_path, arrays())
    path = tmp_path / "train_images.npy"
    header = bytearray(path.read_bytes())
    header[header.index(b"}")] = ord(" ")
    path.write_bytes(header)
    with pytest.raises(UserError, match=r"train_images\.npy can't be read"):
        load_dataset(SPEC, tmp_path)
    with path.open("wb") as file:
        np.savez(file, **arrays())
    with pytest.raises(UserError, match=r"train_images\.npy is an archive"):
        load_dataset(SPEC, tmp_path)


MODULE = """
import torch
from torch.utils.data import TensorDataset

images = torch.linspace(0, 1, 24).reshape(6, 4)
labels = torch.arange(6) % 3

def tuples():
    return (images.numpy(), labels.numpy()), (images, labels)

def torch_datasets(directory=None):
    return TensorDataset(images, labels), TensorDataset(images, labels)

def nothing():
    return None

def numbers():
    return 3, 4

def gradients():
    return (images.clone().requires_grad_(), labels), (images, labels)

class Broken(TensorDataset):
    def __getitem__(self, index):
        raise RuntimeError("no such picture")

def broken():
    return Broken(images, labels), Broken(images, labels)

def fails():
    raise KeyError("no such file")
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "their_data.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    yield "their_data"
    sys.modules.pop("their_data", None)
    sys.path[:] = [each for each in sys.path if each != str(tmp_path)]


def test_functions_of_the_users(module):
    tuples, datasets, gradients = (
        load_dataset(DatasetSpec(kind=f"{module}:{name}"), None)
        for name in ("tuples", "torch_datasets", "gradients")
    )
    assert tuples.fingerprint() == datasets.fingerprint() == gradients.fingerprint()
    assert tuples.train_images.shape == (6, 4)
    assert tuples.train_images.max() == 255


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("their_data:nothing", "returns NoneType"),
        ("their_data:numbers", "returns int"),
        ("their_data:broken", "RuntimeError: no such picture"),
        ("their_data:fails", "failed .*no such file"),
        ("their_data:missing", "no function 'missing'"),
        ("not_there:f", "module 'not_there' .* can't be imported"),
    ],
)
def test_functions_that_do_not_fit_are_named(module, name, words):
    with pytest.raises(UserError, match=words):
        load_dataset(DatasetSpec(kind=name), None)
