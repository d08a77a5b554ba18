"""Folders of image files: their size, their classes, and what is wrong with them."""

import numpy as np
import pytest
from PIL import Image

from sdq_fpga.data import load_dataset
from sdq_fpga.errors import UserError
from sdq_fpga.flow import DatasetSpec

SPEC = DatasetSpec(kind="image-folder")
FRAME = (3, 16, 16)


def write_folders(directory, size=(20, 30), classes=("n01", "n02", "n03"), test="val"):
    rng = np.random.default_rng(0)
    for split in ("train", test):
        for name in classes:
            (directory / split / name).mkdir(parents=True)
            for index in range(2):
                pixels = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
                path = directory / split / name / f"{index}.JPEG"
                Image.fromarray(pixels).save(path, "jpeg")


@pytest.mark.parametrize(("size", "test"), [((20, 30), "val"), ((50, 17), "test"), ((3, 3), "val")])
def test_images_of_any_size_become_frames(tmp_path, size, test):
    write_folders(tmp_path, size, test=test)
    (tmp_path / "train" / "n01" / "notes.txt").write_text("no image")
    data = load_dataset(SPEC, tmp_path, FRAME, 1000)
    assert data.train_images.shape == data.test_images.shape == (6, *FRAME)
    assert data.train_images.dtype == np.uint8
    assert list(data.train_labels) == [0, 0, 1, 1, 2, 2]
    assert len({image.tobytes() for image in data.train_images}) == 6


def test_the_middle_is_kept_and_proportions_too(tmp_path):
    """A wide image with a white square in its middle."""
    pixels = np.zeros((64, 128, 3), np.uint8)
    pixels[20:44, 52:76] = 255
    for split in ("train", "val"):
        (tmp_path / split / "a").mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / split / "a" / "0.png")
    image = load_dataset(SPEC, tmp_path, (1, 56, 56)).train_images[0, 0]
    assert np.array_equal(image, image[::-1, ::-1])
    rows, columns = (image > 127).sum(axis=0).max(), (image > 127).sum(axis=1).max()
    assert rows == columns == 24


def test_an_image_of_the_right_size_stays_as_it_is(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16), dtype=np.uint8)
    for split in ("train", "val"):
        (tmp_path / split / "a").mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / split / "a" / "0.png")
    data = load_dataset(SPEC, tmp_path, (1, 16, 16))
    assert np.array_equal(data.train_images[0, 0], pixels)


def damage(directory, what):
    if what == "empty class":
        for path in (directory / "train" / "n02").iterdir():
            path.unlink()
    elif what == "class without test":
        (directory / "val" / "n02").rename(directory / "gone")
    elif what == "other class":
        (directory / "val" / "n09").mkdir()
    elif what == "no val":
        (directory / "val").rename(directory / "gone")
    elif what == "no image":
        (directory / "train" / "n03" / "0.JPEG").write_bytes(b"hello")
    elif what == "cut image":
        path = directory / "train" / "n03" / "0.JPEG"
        path.write_bytes(path.read_bytes()[:200])
    elif what == "broken chunk":
        path = directory / "train" / "n03" / "0.png"
        rng = np.random.default_rng(0)
        Image.fromarray(rng.integers(0, 256, (16, 16), dtype=np.uint8)).save(path)
        content = bytearray(path.read_bytes())
        begin = content.index(b"IDAT")
        content[begin - 4 : begin] = (20).to_bytes(4)  # too short: what follows is no chunk
        path.write_bytes(content)
    elif what == "16 bits":
        pixels = np.full((16, 16), 40000, np.uint16)
        Image.fromarray(pixels).save(directory / "train" / "n03" / "0.png")


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("empty class", r"class folder .*n02 has no images"),
        ("class without test", r"class folder .*val.n02 has no images"),
        ("other class", r"n09 has no counterpart"),
        ("no val", r"lacks val or test"),
        ("no image", r"n03.0.JPEG can't be read"),
        ("cut image", r"n03.0.JPEG can't be read"),
        ("broken chunk", r"n03.0.png can't be read"),
        ("16 bits", r"n03.0.png has pixels of more than 8 bits"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, what, words):
    write_folders(tmp_path)
    damage(tmp_path, what)
    with pytest.raises(UserError, match=words):
        load_dataset(SPEC, tmp_path, FRAME, 1000)


def test_more_classes_than_scores_and_frames_that_are_no_images(tmp_path):
    write_folders(tmp_path)
    with pytest.raises(UserError, match="3 folders, but the network has 2 classes"):
        load_dataset(SPEC, tmp_path, FRAME, 2)
    with pytest.raises(UserError, match=r"\[490\]"):
        load_dataset(SPEC, tmp_path, (490,), 2)
    with pytest.raises(UserError, match="lacks train"):
        load_dataset(SPEC, tmp_path / "none", FRAME, 2)
