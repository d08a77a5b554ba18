"""Dataset: images and labels as the accelerator sees them, 8-bit pixels."""

import hashlib
import math
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

from sdq_fpga.errors import UserError

__all__ = ["Dataset", "Images", "Labels", "check_classes", "check_fits", "dataset_of_arrays"]

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]

_FRAMES = 1024  # hashed at once
_WHITE = 255.0  # of an 8-bit pixel


@dataclass(frozen=True)
class Dataset:
    """Labelled images, split into those to train on and those to test on.

    Attributes:
        name: the kind of the dataset, for messages and reports.
        train_images: uint8 pixels [N, C, H, W], or values of other frames [N, ...].
        train_labels: int64 classes [N], from 0.
        test_images: uint8 pixels [M, C, H, W].
        test_labels: int64 classes [M].
        validation_images: images that are held back from training, to choose by; None where
            nobody asked.
        validation_labels: their classes.
    """

    name: str
    train_images: Images
    train_labels: Labels
    test_images: Images
    test_labels: Labels
    validation_images: Images | None = None
    validation_labels: Labels | None = None

    def fingerprint(self) -> str:
        """SHA-256 (hex) over the types, shapes and bytes of all arrays; the name has no part."""
        digest = hashlib.sha256()
        arrays: list[Images | Labels] = [
            self.train_images,
            self.train_labels,
            self.test_images,
            self.test_labels,
        ]
        if self.validation_images is not None and self.validation_labels is not None:
            arrays += [self.validation_images, self.validation_labels]
        for array in arrays:
            # The byte order is pinned, so that a fingerprint means the same on every machine.
            kind = array.dtype.newbyteorder("<")
            digest.update(f"{kind.str}{array.shape}".encode())
            # In pieces: an array that is mapped from a file may be larger than the memory.
            for start in range(0, len(array), _FRAMES):
                piece = np.ascontiguousarray(array[start : start + _FRAMES], dtype=kind)
                digest.update(piece.tobytes())
        return digest.hexdigest()


def dataset_of_arrays(
    name: str,
    train_images: npt.NDArray[np.generic],
    train_labels: npt.NDArray[np.generic],
    test_images: npt.NDArray[np.generic],
    test_labels: npt.NDArray[np.generic],
) -> Dataset:
    """Makes a dataset of whatever arrays a user has.

    Args:
        name: of the dataset, for messages.
        train_images: uint8 [N, ...], or floats from 0 to 1 [N, ...].
        train_labels: whole numbers [N].
        test_images: as for training.
        test_labels: as for training.

    Raises:
        UserError: naming the array that is not so.
    """
    made: list[tuple[Images, Labels]] = []
    for split, images, labels in (
        ("train", train_images, train_labels),
        ("test", test_images, test_labels),
    ):
        if images.ndim < 2 or not images.size:
            raise UserError(
                f"{split}_images of dataset '{name}' have shape {list(images.shape)}",
                "give [N, ...] with one frame or more",
            )
        if labels.shape != (len(images),) or not np.issubdtype(labels.dtype, np.integer):
            raise UserError(
                f"{split}_labels of dataset '{name}' are {labels.dtype} {list(labels.shape)} for "
                f"{len(images)} images",
                "give one whole number for each image",
            )
        pixels = _pixels(f"{split}_images of dataset '{name}'", images)
        made.append((pixels, labels.astype(np.int64)))
    train, test = made
    if train[0].shape[1:] != test[0].shape[1:]:
        raise UserError(
            f"training images of dataset '{name}' have shape {list(train[0].shape[1:])}, but "
            f"test images have {list(test[0].shape[1:])}",
            "give images of one shape",
        )
    return Dataset(name, *train, *test)


def _pixels(what: str, images: npt.NDArray[np.generic]) -> Images:
    if images.dtype == np.uint8:
        return cast(Images, images)
    if not np.issubdtype(images.dtype, np.floating):
        raise UserError(f"{what} are {images.dtype}", "give uint8, or floats from 0 to 1")
    reals = images.astype(np.float32)
    # Written so that NaN is refused too.
    if not (reals.min() >= 0 and reals.max() <= 1):
        raise UserError(
            f"{what} are from {reals.min():g} to {reals.max():g}", "give floats from 0 to 1"
        )
    pixels: Images = np.rint(reals * _WHITE).astype(np.uint8)
    return pixels


def check_fits(dataset: Dataset, input_shape: tuple[int, ...], classes: int) -> None:
    """Makes sure that a network can take a dataset.

    Args:
        dataset: the images and labels.
        input_shape: the network's frame, without the batch; a network of one dimension takes
            images of any shape with that many pixels, flattened.
        classes: number of scores of the network.

    Raises:
        UserError: images have another shape, or a label is not below ``classes``.
    """
    for split, images, labels in (
        ("training", dataset.train_images, dataset.train_labels),
        ("test", dataset.test_images, dataset.test_labels),
    ):
        shape = images.shape[1:]
        flat = len(input_shape) == 1 and math.prod(shape) == input_shape[0]
        if shape != input_shape and not flat:
            raise UserError(
                f"{split} images of dataset '{dataset.name}' have shape {list(shape)}, "
                f"but the network takes {list(input_shape)}",
                "correct the network's params in the flow, or use another dataset",
            )
        outside = np.flatnonzero((labels < 0) | (labels >= classes))
        if outside.size:
            raise UserError(
                f"{split} image {outside[0]} of dataset '{dataset.name}' has label "
                f"{labels[outside[0]]}, but the network has classes 0 to {classes - 1}",
                "correct the network's classes in the flow, or use another dataset",
            )


def check_classes(dataset: Dataset, classes: int) -> None:
    """Makes sure that a network can learn every class.

    Args:
        dataset: one that fits the network.
        classes: number of scores of the network.

    Raises:
        UserError: a class has no training image.
    """
    found = np.bincount(dataset.train_labels, minlength=classes)
    empty = np.flatnonzero(found == 0)
    if empty.size:
        more = f" (and {empty.size - 1} more)" if empty.size > 1 else ""
        raise UserError(
            f"class {empty[0]}{more} of the network's {classes} has no training image in dataset "
            f"'{dataset.name}'",
            "add some, or correct the network's classes in the flow",
        )
