"""Dataset: its fingerprint, whether it fits a network, and the digits of scikit-learn."""

from dataclasses import replace

import numpy as np
import pytest

from sdq_fpga.data import Dataset, check_classes, check_fits, load_dataset
from sdq_fpga.errors import UserError
from sdq_fpga.flow import DatasetSpec


def small(shape=(1, 4, 4), classes=3):
    rng = np.random.default_rng(0)
    return Dataset(
        name="small",
        train_images=rng.integers(0, 256, (6, *shape), dtype=np.uint8),
        train_labels=np.arange(6, dtype=np.int64) % classes,
        test_images=rng.integers(0, 256, (4, *shape), dtype=np.uint8),
        test_labels=np.arange(4, dtype=np.int64) % classes,
    )


def test_fingerprint_follows_every_byte_and_no_name():
    data = small()
    assert data.fingerprint() == replace(data, name="other").fingerprint()
    assert len(data.fingerprint()) == 64
    for field in ("train_images", "train_labels", "test_images", "test_labels"):
        changed = getattr(data, field).copy()
        changed.flat[-1] ^= 1
        assert replace(data, **{field: changed}).fingerprint() != data.fingerprint()


def test_fingerprint_follows_shape_and_split_but_not_memory_layout():
    data = small()
    flat = replace(data, train_images=data.train_images.reshape(6, 1, 2, 8))
    assert flat.fingerprint() != data.fingerprint()
    swapped = replace(
        data,
        train_images=data.test_images,
        train_labels=data.test_labels,
        test_images=data.train_images,
        test_labels=data.train_labels,
    )
    assert swapped.fingerprint() != data.fingerprint()
    strided = replace(data, train_images=np.asfortranarray(data.train_images))
    assert strided.fingerprint() == data.fingerprint()


def test_check_fits_takes_images_and_their_flattening():
    check_fits(small(), (1, 4, 4), 3)
    check_fits(small(), (16,), 5)


@pytest.mark.parametrize("shape", [(1, 4, 5), (15,), (4, 4), (2, 2, 4)])
def test_check_fits_names_both_shapes(shape):
    with pytest.raises(UserError) as caught:
        check_fits(small(), shape, 3)
    assert "[1, 4, 4]" in str(caught.value)
    assert str(list(shape)) in str(caught.value)


def test_check_fits_names_a_label_outside():
    data = small()
    data.test_labels[3] = 3
    with pytest.raises(UserError, match=r"test image 3 .* label 3.* classes 0 to 2"):
        check_fits(data, (1, 4, 4), 3)
    data.train_labels[1] = -1
    with pytest.raises(UserError, match=r"training image 1 .* label -1"):
        check_fits(data, (1, 4, 4), 3)


def test_a_class_without_images_is_named():
    check_classes(small(), 3)
    with pytest.raises(UserError, match=r"class 3 of the network's 4 has no training image"):
        check_classes(small(), 4)
    data = small()
    data.train_labels[data.train_labels == 1] = 2
    with pytest.raises(UserError, match=r"class 1 \(and 2 more\) .* 5 .* 'small'"):
        check_classes(data, 5)


def test_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    data = load_dataset(DatasetSpec(kind="digits"), None)
    assert data.train_images.shape == (1437, 1, 8, 8)
    assert data.test_images.shape == (360, 1, 8, 8)
    assert data.train_images.dtype == np.uint8
    assert data.train_labels.dtype == np.int64
    both = np.concatenate([data.train_images, data.test_images])
    assert both.max() == 240
    assert not (both % 15).any()
    original = (load_digits().images * 15).astype(np.uint8)
    assert sorted(image.tobytes() for image in both) == sorted(i.tobytes() for i in original)


def test_digits_split_is_stratified_and_always_the_same():
    data = load_dataset(DatasetSpec(kind="digits"), None)
    share = np.bincount(data.test_labels) / (
        np.bincount(data.test_labels) + np.bincount(data.train_labels)
    )
    assert np.all(np.abs(share - 0.2) < 0.01)
    np.random.seed(99)  # the split must not listen to the global generator
    assert load_dataset(DatasetSpec(kind="digits"), None).fingerprint() == data.fingerprint()


def test_unknown_kind_and_missing_directory():
    with pytest.raises(UserError, match=r"'cats'.*digits, cifar10, idx"):
        load_dataset(DatasetSpec(kind="cats"), None)
    with pytest.raises(UserError, match="--data DIR"):
        load_dataset(DatasetSpec(kind="idx"), None)
