"""Dataset: images and labels as the accelerator sees them, 8-bit pixels."""

import hashlib
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdq_fpga.errors import UserError

__all__ = ["Dataset", "Images", "Labels", "check_fits"]

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Dataset:
    """Labelled images, split into those to train on and those to test on.

    Attributes:
        name: the kind of the dataset, for messages and reports.
        train_images: uint8 pixels [N, C, H, W].
        train_labels: int64 classes [N], from 0.
        test_images: uint8 pixels [M, C, H, W].
        test_labels: int64 classes [M].
    """

    name: str
    train_images: Images
    train_labels: Labels
    test_images: Images
    test_labels: Labels

    def fingerprint(self) -> str:
        """SHA-256 (hex) over the types, shapes and bytes of all arrays; the name has no part."""
        digest = hashlib.sha256()
        for array in (self.train_images, self.train_labels, self.test_images, self.test_labels):
            # The byte order is pinned, so that a fingerprint means the same on every machine.
            plain = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
            digest.update(f"{plain.dtype.str}{plain.shape}".encode())
            digest.update(plain.tobytes())
        return digest.hexdigest()


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
