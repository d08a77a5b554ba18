"""Reads CIFAR-10 as it is distributed: its binary version, its Python version, or as image files.

The files are described at https://www.cs.toronto.edu/~kriz/cifar.html: a binary record is one byte
of label and 3072 of pixels, red, green, blue, row by row; the Python version is a pickled
dictionary of ``data`` (uint8 [10000, 3072]) and ``labels``.
"""

import io
import pickle  # only through _ArraysOnly, which makes nothing but arrays
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from sdq_fpga.data.dataset import Dataset, Images, Labels
from sdq_fpga.data.folder import load_folder
from sdq_fpga.errors import UserError

__all__ = ["load_cifar10"]

_SHAPE = (3, 32, 32)
_PIXELS = 3 * 32 * 32
_TRAIN = tuple(f"data_batch_{index}" for index in range(1, 6))
_TEST = "test_batch"
_FIX = "replace it with a complete file of CIFAR-10"


def load_cifar10(directory: Path, classes: int) -> Dataset:
    """Loads images [N, 3, 32, 32].

    Args:
        directory: holds ``data_batch_1.bin`` to ``data_batch_5.bin`` and ``test_batch.bin``, the
            same without ``.bin`` (the Python version), or the folders ``train`` and ``test`` with
            a folder of image files for each class.
        classes: labels must be below this.

    Raises:
        UserError: a file is missing or damaged, naming it.
    """
    if (directory / "train").is_dir():
        return load_folder(directory, _SHAPE, classes)
    for suffix, read in ((".bin", _read_binary), ("", _read_pickle)):
        if any((directory / f"{name}{suffix}").is_file() for name in (*_TRAIN, _TEST)):
            parts = [read(_existing(directory / f"{name}{suffix}")) for name in _TRAIN]
            test_images, test_labels = read(_existing(directory / f"{_TEST}{suffix}"))
            return Dataset(
                "cifar10",
                np.concatenate([images for images, _ in parts]),
                np.concatenate([labels for _, labels in parts]),
                test_images,
                test_labels,
            )
    raise UserError(
        f"{directory} has neither data_batch_1.bin nor data_batch_1 nor a folder train",
        "give the directory of CIFAR-10 with --data DIR",
    )


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise UserError(f"{path} is missing", "give the directory of all six files")
    return path


def _read_binary(path: Path) -> tuple[Images, Labels]:
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise UserError(f"{path} can't be read ({error})", _FIX) from error
    if not data.size or data.size % (_PIXELS + 1):
        raise UserError(f"{path} has {data.size} bytes, not a multiple of {_PIXELS + 1}", _FIX)
    records = data.reshape(-1, _PIXELS + 1)
    return records[:, 1:].reshape(-1, *_SHAPE), records[:, 0].astype(np.int64)


def _read_pickle(path: Path) -> tuple[Images, Labels]:
    try:
        # Python 2 wrote the files: its strings are bytes.
        found = _ArraysOnly(io.BytesIO(path.read_bytes()), encoding="bytes").load()
    except OSError as error:
        raise UserError(f"{path} can't be read ({error})", _FIX) from error
    except Exception as error:  # a damaged pickle may raise anything
        raise UserError(f"{path} is no pickle of arrays ({error})", _FIX) from error
    entries = found if isinstance(found, dict) else {}
    data, labels = (entries.get(name, entries.get(name.decode())) for name in (b"data", b"labels"))
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape[1:] != (_PIXELS,):
        raise UserError(f"{path} has no data of type uint8 [N, {_PIXELS}]", _FIX)
    if not isinstance(labels, list) or len(labels) != len(data):
        raise UserError(f"{path} has no list of as many labels as images", _FIX)
    if not all(isinstance(label, int) for label in labels):
        raise UserError(f"{path} has a label that is no integer", _FIX)
    return data.reshape(-1, *_SHAPE), np.array(labels, np.int64)


class _ArraysOnly(pickle.Unpickler):
    """Makes arrays of numbers, and refuses to import or call anything else."""

    def find_class(self, module: str, name: str) -> object:
        inside = module.replace("numpy.core", "numpy._core")
        if (inside, name) == ("numpy._core.multiarray", "_reconstruct"):
            return np.empty(0).__reduce__()[0]
        if (inside, name) == ("numpy._core.numeric", "_frombuffer"):
            return _frombuffer
        if (inside, name) in {("numpy", "ndarray"), ("numpy", "dtype")}:
            return getattr(np, name)
        if (module, name) == ("_codecs", "encode"):
            return _encode
        raise pickle.UnpicklingError(f"it wants {module}.{name}")


def _frombuffer(
    buffer: bytes, dtype: np.dtype[np.generic], shape: tuple[int, ...], order: Literal["C", "F"]
) -> npt.NDArray[np.generic]:
    """How pickles of protocol 5 hold arrays."""
    return np.frombuffer(buffer, dtype).reshape(shape, order=order)


def _encode(text: str, encoding: str) -> bytes:
    """How pickles of protocol 2 that Python 3 wrote hold bytes."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it wants the encoding {encoding}")
    return text.encode("latin1")
