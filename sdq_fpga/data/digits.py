"""scikit-learn's handwritten digits: 1797 images of 8x8, shipped with scikit-learn itself."""

import numpy as np

from sdq_fpga.data.dataset import Dataset

__all__ = ["load_digits"]

# Grey levels are 0..16; times 15 they fill 0..240 and stay exact integers.
_PIXEL_STEP = 15
_SPLIT_SEED = 0


def load_digits() -> Dataset:
    """Loads images [N, 1, 8, 8] of ten digits, 1437 to train on and 360 to test on.

    The split is stratified and always the same: it must not change with the seed of a run, or
    accuracies of two runs could not be compared.
    """
    # scikit-learn takes as long to import as torch, and other datasets don't need it.
    from sklearn import datasets, model_selection  # noqa: PLC0415

    digits = datasets.load_digits()
    images = (digits.images * _PIXEL_STEP).astype(np.uint8)[:, np.newaxis]
    labels = digits.target.astype(np.int64)
    train_images, test_images, train_labels, test_labels = model_selection.train_test_split(
        images, labels, test_size=0.2, stratify=labels, random_state=_SPLIT_SEED
    )
    return Dataset("digits", train_images, train_labels, test_images, test_labels)
