"""Reads NumPy files: one .npz, or four .npy that stay on the disk until they are used."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from sdq_fpga.data.dataset import Dataset, dataset_of_arrays
from sdq_fpga.errors import UserError

__all__ = ["load_arrays"]

_NAMES = ("train_images", "train_labels", "test_images", "test_labels")
_FILE = "data.npz"


def load_arrays(directory: Path) -> Dataset:
    """Loads ``data.npz``, or ``train_images.npy`` and its like, which are mapped into memory.

    Images are uint8 [N, ...] in the shape of the network's frames, or floats from 0 to 1, which
    become 8-bit pixels; labels are whole numbers [N]. Objects (pickles) are not read.

    Args:
        directory: of the files.

    Raises:
        UserError: a file or an array is missing, damaged or of another kind, naming it.
    """
    if (directory / _FILE).is_file():
        arrays = _from_npz(directory / _FILE)
    else:
        arrays = [_from_npy(directory, name) for name in _NAMES]
    return dataset_of_arrays("numpy", *arrays)


def _from_npz(path: Path) -> list[npt.NDArray[np.generic]]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            for name in _NAMES:
                if name not in archive:
                    raise UserError(f"{path} has no array '{name}'", f"give it {', '.join(_NAMES)}")
            return [archive[name] for name in _NAMES]
    except UserError:
        raise
    except Exception as error:  # a damaged file may raise anything
        raise UserError(f"{path} can't be read ({error})", "save it with numpy.savez") from error


def _from_npy(directory: Path, name: str) -> npt.NDArray[np.generic]:
    path = directory / f"{name}.npy"
    if not path.is_file():
        raise UserError(
            f"{directory} has neither {_FILE} nor {path.name}",
            "give the directory of the NumPy files with --data DIR",
        )
    try:
        loaded: npt.NDArray[np.generic] = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # a damaged file may raise anything
        raise UserError(f"{path} can't be read ({error})", "save it with numpy.save") from error
    if not isinstance(loaded, np.ndarray):  # NumPy goes by the content, not by the name
        raise UserError(f"{path} is an archive of arrays", f"call it {_FILE}")
    return loaded
