"""Images that are held back: some of every class, none of the test set."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdq_fpga.data.dataset import Dataset
from sdq_fpga.data.split import HELD_OUT, hold_out
from sdq_fpga.errors import UserError


def dataset(labels):
    """Every image has its place as its only pixel."""
    images = np.arange(len(labels), dtype=np.uint8)[:, np.newaxis]
    return Dataset(
        "toy", images, np.array(labels, dtype=np.int64), images[:1], np.zeros(1, dtype=np.int64)
    )


classes = st.lists(st.integers(2, 20), min_size=1, max_size=5)


@given(classes, st.randoms(use_true_random=False))
def test_every_image_is_on_one_side_and_every_class_on_both(counts, random):
    labels = [each for each, count in enumerate(counts) for _ in range(count)]
    random.shuffle(labels)
    whole = dataset(labels)
    split = hold_out(whole)
    ours, held = split.train_images[:, 0].tolist(), split.validation_images[:, 0].tolist()
    assert sorted(ours + held) == list(range(len(labels)))
    assert ours == sorted(ours)
    assert split.train_labels.tolist() == [labels[place] for place in ours]
    assert split.validation_labels.tolist() == [labels[place] for place in held]
    for each, count in enumerate(counts):
        share = np.count_nonzero(split.validation_labels == each)
        assert share == max(1, round(HELD_OUT * count)) < count
    np.testing.assert_array_equal(split.test_images, whole.test_images)


def test_it_is_always_the_same_and_another_dataset():
    whole = dataset([0, 1] * 20)
    assert hold_out(whole).fingerprint() == hold_out(whole).fingerprint()
    assert hold_out(whole).fingerprint() != whole.fingerprint()


def test_what_is_held_back_is_part_of_the_fingerprint():
    split = hold_out(dataset([0, 1] * 20))
    other = hold_out(dataset([0, 1] * 20))
    other.validation_images[0] += 1
    assert other.fingerprint() != split.fingerprint()


def test_a_class_of_one_image_is_named():
    with pytest.raises(UserError, match="class 1 of dataset 'toy' has a single training image"):
        hold_out(dataset([0, 0, 1]))
