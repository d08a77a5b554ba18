"""Holds training images back, to choose among designs by images that none was trained on."""

from dataclasses import replace

import numpy as np

from sdq_fpga.data.dataset import Dataset
from sdq_fpga.errors import UserError

__all__ = ["HELD_OUT", "hold_out"]

HELD_OUT = 0.2
"""Share of the training images of each class that is held back."""

_SEED = 0  # always the same: accuracies of two runs could not be compared otherwise


def hold_out(dataset: Dataset) -> Dataset:
    """The dataset with some of its training images for validation; test images have no part.

    Args:
        dataset: with two training images or more of each class that it has; the images are copied.

    Returns:
        The dataset with a fifth of the training images of each class, one at least, moved into
        ``validation``; the order of the others is kept.

    Raises:
        UserError: a class has a single training image.
    """
    random = np.random.default_rng(_SEED)
    labels = dataset.train_labels
    held = np.zeros(len(labels), dtype=bool)
    for each in np.unique(labels):
        places = np.flatnonzero(labels == each)
        if len(places) < 2:
            raise UserError(
                f"class {each} of dataset '{dataset.name}' has a single training image, and some "
                "of each class are needed to choose by",
                "give more images",
            )
        count = max(1, round(HELD_OUT * len(places)))
        held[random.choice(places, count, replace=False)] = True
    return replace(
        dataset,
        train_images=dataset.train_images[~held],
        train_labels=labels[~held],
        validation_images=dataset.train_images[held],
        validation_labels=labels[held],
    )
