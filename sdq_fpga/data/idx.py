"""Reads a directory of IDX files, the format of the original MNIST.

An IDX file is a big-endian header (two zero bytes, the type of a value, the number of
dimensions, then each dimension as uint32) and the values, row-major; see "The MNIST database of
handwritten digits", LeCun, Cortes and Burges, section "File formats".
"""

import gzip
import math
import struct
import zlib
from io import BufferedIOBase
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sdq_fpga.data.dataset import Dataset, Images, Labels
from sdq_fpga.errors import UserError

__all__ = ["load_idx", "read_idx"]

_UINT8 = 0x08
_FIX = "replace it with a complete IDX file of MNIST's format"


def load_idx(directory: Path, classes: int) -> Dataset:
    """Loads images [N, 1, H, W] from MNIST's four files, each plain or with ``.gz``.

    Args:
        directory: where ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``,
            ``t10k-images-idx3-ubyte`` and ``t10k-labels-idx1-ubyte`` are.
        classes: labels must be below this.

    Raises:
        UserError: a file is missing, damaged, or does not fit the others, naming the file.
    """
    train_images, train_labels = _load_split(directory, "train", classes)
    test_images, test_labels = _load_split(directory, "t10k", classes)
    if train_images.shape[1:] != test_images.shape[1:]:
        raise UserError(
            f"training images in {directory} are {train_images.shape[2:]} pixels, but test "
            f"images are {test_images.shape[2:]}",
            "give files of one dataset",
        )
    return Dataset("idx", train_images, train_labels, test_images, test_labels)


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Reads one IDX file of unsigned bytes.

    Args:
        path: the file; it is gzip when its name ends in ``.gz``.
        dimensions: how many dimensions it must have.

    Raises:
        UserError: it can't be read, is damaged, or holds something else.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return _parse(path, file, dimensions)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} can't be read ({error})", _FIX) from error


def _parse(path: Path, file: BufferedIOBase, dimensions: int) -> NDArray[np.uint8]:
    header_size = 4 + 4 * dimensions
    header = file.read(header_size)
    magic = bytes((0, 0, _UINT8, dimensions))
    if header[:4] != magic:
        raise UserError(
            f"{path} starts with {header[:4].hex(' ') or 'nothing'} and not with the "
            f"{magic.hex(' ')} of {dimensions}-dimensional unsigned bytes",
            _FIX,
        )
    if len(header) < header_size:
        raise UserError(f"{path} ends within its header", _FIX)
    shape = struct.unpack(f">{dimensions}I", header[4:])
    size = math.prod(shape)
    if size == 0:
        raise UserError(f"{path} is empty (dimensions {list(shape)})", _FIX)
    # One byte more than the header promises: a longer file is a damaged one too.
    values = _read_at_most(file, size + 1)
    if len(values) != size:
        length = "more" if len(values) > size else f"{len(values)}"
        raise UserError(
            f"{path} should hold {size} values (dimensions {list(shape)}) but holds {length}", _FIX
        )
    return np.frombuffer(values, dtype=np.uint8).reshape(shape)


def _read_at_most(file: BufferedIOBase, size: int) -> bytearray:
    """Reads in pieces: a damaged header may promise far more than there is, or than fits."""
    values = bytearray()
    while len(values) < size and (piece := file.read(min(size - len(values), 1 << 20))):
        values += piece
    return values


def _load_split(directory: Path, prefix: str, classes: int) -> tuple[Images, Labels]:
    images_path = _find(directory, f"{prefix}-images-idx3-ubyte")
    labels_path = _find(directory, f"{prefix}-labels-idx1-ubyte")
    images = read_idx(images_path, dimensions=3)
    labels = read_idx(labels_path, dimensions=1)
    if len(images) != len(labels):
        raise UserError(
            f"{images_path} has {len(images)} images, but {labels_path} has {len(labels)} labels",
            "give files of one dataset",
        )
    if labels.max() >= classes:
        index = int(np.argmax(labels >= classes))
        raise UserError(
            f"{labels_path} has label {labels[index]} at position {index}, outside 0 to "
            f"{classes - 1}",
            "give a dataset of that many classes",
        )
    return images[:, np.newaxis], labels.astype(np.int64)


def _find(directory: Path, name: str) -> Path:
    for path in (directory / name, directory / f"{name}.gz"):
        if path.is_file():
            return path
    raise UserError(
        f"{directory} has neither {name} nor {name}.gz",
        "give the directory of the four IDX files with --data DIR",
    )
