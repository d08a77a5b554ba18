"""IDX files: read whole, or refused by name."""

import gzip
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdq_fpga.data import load_dataset
from sdq_fpga.data.idx import read_idx
from sdq_fpga.errors import UserError
from sdq_fpga.flow import DatasetSpec

FILES = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
]
SPEC = DatasetSpec(kind="idx")


def idx(array):
    header = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(np.uint8).tobytes()


def arrays():
    rng = np.random.default_rng(1)
    return {
        FILES[0]: rng.integers(0, 256, (5, 3, 4)),
        FILES[1]: np.array([0, 9, 4, 4, 2]),
        FILES[2]: rng.integers(0, 256, (2, 3, 4)),
        FILES[3]: np.array([7, 1]),
    }


def write(directory, contents, zipped=()):
    for name, array in contents.items():
        data = array if isinstance(array, bytes) else idx(array)
        if name in zipped:
            (directory / f"{name}.gz").write_bytes(gzip.compress(data))
        else:
            (directory / name).write_bytes(data)


@pytest.mark.parametrize("zipped", [(), FILES, FILES[:1]])
def test_plain_and_gzip_files_read_alike(tmp_path, zipped):
    contents = arrays()
    write(tmp_path, contents, zipped)
    data = load_dataset(SPEC, tmp_path)
    assert np.array_equal(data.train_images, contents[FILES[0]][:, None])
    assert np.array_equal(data.train_labels, contents[FILES[1]])
    assert np.array_equal(data.test_images, contents[FILES[2]][:, None])
    assert np.array_equal(data.test_labels, contents[FILES[3]])
    assert data.train_images.dtype == np.uint8
    assert data.train_labels.dtype == np.int64


@pytest.mark.parametrize("name", FILES)
def test_missing_file_is_named(tmp_path, name):
    contents = arrays()
    del contents[name]
    write(tmp_path, contents)
    with pytest.raises(UserError, match=f"neither {name} nor {name}.gz"):
        load_dataset(SPEC, tmp_path)


GOOD = idx(np.arange(24).reshape(2, 3, 4))


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "nothing"),
        (GOOD[:3], "starts with 00 00 08 and"),
        (b"\x89PNG" + GOOD[4:], "89 50 4e 47"),
        (bytes((0, 0, 9, 3)) + GOOD[4:], "unsigned bytes"),
        (bytes((0, 0, 8, 1)) + GOOD[4:], "3-dimensional"),
        (GOOD[:10], "header"),
        (GOOD[:-1], "should hold 24 values .* holds 23"),
        (GOOD + b"\0", "holds more"),
        (bytes((0, 0, 8, 3)) + struct.pack(">3I", 0, 3, 4), "empty"),
        (bytes((0, 0, 8, 3)) + b"\xff" * 12 + GOOD[16:], "holds 24"),
    ],
)
def test_damaged_file_is_named(tmp_path, data, word):
    write(tmp_path, arrays() | {FILES[0]: data})
    with pytest.raises(UserError, match=word) as caught:
        load_dataset(SPEC, tmp_path)
    assert FILES[0] in str(caught.value)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: b"not gzip at all",
        lambda data: data[:-8] + bytes(8),
        lambda data: data[:12] + bytes(6) + data[18:],
    ],
)
def test_damaged_gzip_is_named(tmp_path, damage):
    write(tmp_path, arrays())
    (tmp_path / FILES[0]).unlink()
    path = tmp_path / f"{FILES[0]}.gz"
    path.write_bytes(damage(gzip.compress(idx(arrays()[FILES[0]]))))
    with pytest.raises(UserError) as caught:
        load_dataset(SPEC, tmp_path)
    assert str(path) in str(caught.value)


def test_files_that_do_not_belong_together(tmp_path):
    write(tmp_path, arrays() | {FILES[1]: np.array([1, 2, 3])})
    with pytest.raises(UserError, match=f"5 images.*{FILES[1]} has 3 labels"):
        load_dataset(SPEC, tmp_path)
    write(tmp_path, arrays() | {FILES[2]: np.zeros((2, 4, 4))})
    with pytest.raises(UserError, match=r"\(3, 4\) pixels.*\(4, 4\)"):
        load_dataset(SPEC, tmp_path)


def test_label_outside_the_classes_is_named(tmp_path):
    write(tmp_path, arrays() | {FILES[3]: np.array([7, 10])})
    with pytest.raises(UserError, match=f"{FILES[3]} has label 10 at position 1"):
        load_dataset(SPEC, tmp_path)
    assert load_dataset(SPEC, tmp_path, classes=11).test_labels[1] == 10


def test_unreadable_path_is_named(tmp_path):
    with pytest.raises(UserError, match="absent"):
        read_idx(tmp_path / "absent", 3)


@given(
    st.binary(max_size=24)
    | st.tuples(st.integers(0, 9), st.binary(max_size=9)).map(
        lambda parts: bytes((0, 0, 8, 1)) + struct.pack(">I", parts[0]) + parts[1]
    )
)
def test_whatever_the_bytes_the_reader_takes_all_or_refuses(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("idx") / "file"
    path.write_bytes(data)
    try:
        array = read_idx(path, 1)
    except UserError:
        return
    assert idx(array) == data
