"""Reads folders of image files: one folder for each class, as ImageNet is kept."""

from pathlib import Path

import numpy as np
from PIL import Image

from sdq_fpga.data.dataset import Dataset, Images, Labels
from sdq_fpga.errors import UserError

__all__ = ["load_folder"]

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".pgm", ".webp"})
_TESTS = ("val", "test")
# The shorter side is scaled to this multiple of the frame, then the middle is cut out: 256 pixels
# for 224, as for ImageNet (Krizhevsky, Sutskever and Hinton, NeurIPS 2012, section 2).
_MARGIN = 256 / 224
_MODES = {1: "L", 3: "RGB"}
_DEEP = "IF"  # of which Pillow would keep what is from 0 to 255, and make the rest white
_MOST_BYTES = 16 << 30


def load_folder(directory: Path, frame: tuple[int, ...], classes: int) -> Dataset:
    """Loads images of ``train/CLASS/*`` and ``val/CLASS/*`` (or ``test/CLASS/*``).

    Classes are numbered in the order of their folders' names in ``train``. An image of the frame's
    size stays as it is; others are scaled and cut.

    Args:
        directory: of the two folders.
        frame: (C, H, W) of the network, with C of 1 (grey) or 3.
        classes: the most folders that there may be.

    Returns:
        Images [N, C, H, W].

    Raises:
        UserError: a folder is missing or empty, an image can't be read, or they need more memory
            than 16 GiB.
    """
    if len(frame) != 3 or frame[0] not in _MODES:
        raise UserError(
            f"the network takes frames of shape {list(frame)}, but image files have 1 or 3 "
            "channels, a height and a width",
            "use a network for images",
        )
    train = directory / "train"
    test = next((directory / name for name in _TESTS if (directory / name).is_dir()), None)
    if not train.is_dir() or test is None:
        raise UserError(
            f"{directory} lacks {'train' if not train.is_dir() else 'val or test'}",
            "give the directory of the folders train and val (or test) with --data DIR",
        )
    names = sorted(path.name for path in train.iterdir() if path.is_dir())
    if not names:
        raise UserError(f"{train} has no folders", "put the images of each class into one")
    if len(names) > classes:
        raise UserError(
            f"{train} has {len(names)} folders, but the network has {classes} classes",
            "correct the network's classes in the flow, or use another dataset",
        )
    for path in test.iterdir():
        if path.is_dir() and path.name not in names:
            raise UserError(f"{path} has no counterpart in {train}", "name the classes alike")
    return Dataset("image-folder", *_load(train, names, frame), *_load(test, names, frame))


def _load(split: Path, names: list[str], frame: tuple[int, ...]) -> tuple[Images, Labels]:
    files: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(names):
        folder = split / name
        found = sorted(folder.glob("*")) if folder.is_dir() else []
        images = [path for path in found if path.suffix.lower() in _SUFFIXES]
        if not images:
            raise UserError(f"class folder {folder} has no images", "add some, or remove the class")
        files += images
        labels += [label] * len(images)
    size = len(files) * int(np.prod(frame))
    if size > _MOST_BYTES:
        raise UserError(
            f"{len(files)} images of {split} need {size / 2**30:.0f} GiB of memory",
            "use a part of them, or dataset kind numpy, whose .npy files stay on the disk",
        )
    loaded = np.empty((len(files), *frame), np.uint8)
    for index, path in enumerate(files):
        loaded[index] = _read(path, frame)
    return loaded, np.array(labels, np.int64)


def _read(path: Path, frame: tuple[int, ...]) -> Images:
    channels, height, width = frame
    try:
        with Image.open(path) as image:
            if image.mode[0] in _DEEP:
                raise UserError(
                    f"image {path} has pixels of more than 8 bits (mode {image.mode})",
                    "save it with 8 bits for each channel",
                )
            pixels = _fitted(image.convert(_MODES[channels]), width, height)
    except UserError:
        raise
    except Exception as error:  # a damaged file may raise anything
        raise UserError(f"image {path} can't be read ({error})", "replace or remove it") from error
    array = np.asarray(pixels, np.uint8).reshape(height, width, channels)
    return np.ascontiguousarray(array.transpose(2, 0, 1))


def _fitted(image: Image.Image, width: int, height: int) -> Image.Image:
    if image.size == (width, height):
        return image
    scale = _MARGIN * max(width / image.width, height / image.height)
    size = (max(width, round(image.width * scale)), max(height, round(image.height * scale)))
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return image.resize(size, Image.Resampling.BILINEAR).crop(
        (left, top, left + width, top + height)
    )
