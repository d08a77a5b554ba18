"""Datasets: readers of images and labels, chosen by the kind that a flow names."""

from collections.abc import Callable
from pathlib import Path

from sdq_fpga.data.arrays import load_arrays
from sdq_fpga.data.cifar import load_cifar10
from sdq_fpga.data.dataset import Dataset, check_classes, check_fits
from sdq_fpga.data.digits import load_digits
from sdq_fpga.data.folder import load_folder
from sdq_fpga.data.idx import load_idx
from sdq_fpga.data.own import load_own
from sdq_fpga.errors import UserError
from sdq_fpga.flow import DatasetSpec

__all__ = ["Dataset", "check_classes", "check_fits", "load_dataset"]

_READERS: dict[str, Callable[[Path, tuple[int, ...], int], Dataset]] = {
    "cifar10": lambda directory, _, classes: load_cifar10(directory, classes),
    "idx": lambda directory, _, classes: load_idx(directory, classes),
    "image-folder": load_folder,
    "numpy": lambda directory, _, __: load_arrays(directory),
}


def load_dataset(
    spec: DatasetSpec,
    directory: Path | None,
    frame: tuple[int, ...] = (),
    classes: int = 10,
) -> Dataset:
    """Loads the dataset of a flow.

    Args:
        spec: ``digits`` (shipped with scikit-learn), ``idx`` (MNIST's files), ``cifar10``,
            ``image-folder`` (as ImageNet's), ``numpy``, or "package.module:function" of the user's.
        directory: where the files are; ``digits`` needs none.
        frame: shape of the network's frames, which image files are brought to.
        classes: labels read from files must be below this.

    Raises:
        UserError: there is no such kind, it has no directory, or a file is damaged.
    """
    if ":" in spec.kind:
        return load_own(spec.kind, directory)
    if spec.kind == "digits":
        return load_digits()
    if spec.kind not in _READERS:
        raise UserError(
            f"unknown dataset kind '{spec.kind}'",
            f"use one of digits, {', '.join(_READERS)}, or package.module:function",
        )
    if directory is None:
        raise UserError(
            f"dataset '{spec.kind}' needs the directory of its files", "give it with --data DIR"
        )
    return _READERS[spec.kind](directory, frame, classes)
