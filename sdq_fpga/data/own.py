"""Datasets of the user's own: what a function of theirs returns."""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sdq_fpga.data.dataset import Dataset, dataset_of_arrays
from sdq_fpga.errors import UserError
from sdq_fpga.imports import own_function

__all__ = ["load_own"]

_FIX = (
    "return (train, test), each a tuple of arrays (images, labels) or a torch Dataset of "
    "(image, label)"
)


def load_own(name: str, directory: Path | None) -> Dataset:
    """Calls a function that makes datasets, with the directory if it takes an argument.

    Args:
        name: "package.module:function"; it returns (train, test), each (images, labels) as arrays
            or tensors, or anything with a length whose items are (image, label), such as a torch
            Dataset. Images are uint8, or floats from 0 to 1.
        directory: what ``--data`` gives.

    Raises:
        UserError: there is no such function, it fails, or it returns something else.
    """
    function = own_function(name)
    takes = len(inspect.signature(function).parameters) > 0
    if directory is not None and not takes:
        raise UserError(f"'{name}' takes no directory", "leave out --data")
    try:
        made = function(directory) if takes and directory is not None else function()
    except Exception as error:  # the user's code may raise anything
        raise UserError(
            f"'{name}' failed ({type(error).__name__}: {' '.join(str(error).split())})",
            "correct it",
        ) from error
    if isinstance(made, Dataset):
        return made
    if not isinstance(made, tuple) or len(made) != 2:
        raise UserError(f"'{name}' returns {type(made).__name__}", _FIX)
    return dataset_of_arrays(name, *_arrays(name, made[0]), *_arrays(name, made[1]))


def _arrays(
    name: str, split: Sequence[Any]
) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.generic]]:
    if not isinstance(split, tuple) and not hasattr(split, "__getitem__"):
        raise UserError(f"'{name}' returns {type(split).__name__} for a dataset", _FIX)
    try:
        if isinstance(split, tuple) and len(split) == 2:
            return _array(split[0]), _array(split[1])
        items = [split[index] for index in range(len(split))]
        images = np.stack([_array(image) for image, _ in items])
        return images, np.array([int(label) for _, label in items])
    except Exception as error:  # the user's code may raise anything
        raise UserError(
            f"'{name}' returns what has no images and labels ({type(error).__name__}: {error})",
            _FIX,
        ) from error


def _array(values: object) -> npt.NDArray[np.generic]:
    """An array, also of a tensor that gradients go through."""
    return np.asarray(values.detach() if hasattr(values, "detach") else values)
