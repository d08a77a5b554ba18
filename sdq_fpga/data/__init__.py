"""Datasets: readers of images and labels, chosen by the kind that a flow names."""

from pathlib import Path

from sdq_fpga.data.dataset import Dataset, check_fits
from sdq_fpga.data.digits import load_digits
from sdq_fpga.data.idx import load_idx
from sdq_fpga.errors import UserError
from sdq_fpga.flow import DatasetSpec

__all__ = ["Dataset", "check_fits", "load_dataset"]


def load_dataset(spec: DatasetSpec, directory: Path | None, classes: int = 10) -> Dataset:
    """Loads the dataset of a flow.

    Args:
        spec: ``digits`` (shipped with scikit-learn) or ``idx`` (MNIST's files).
        directory: where the files of ``idx`` are; ``digits`` needs none.
        classes: labels read from files must be below this.

    Raises:
        UserError: there is no such kind, ``idx`` has no directory, or a file is damaged.
    """
    if spec.kind == "digits":
        return load_digits()
    if spec.kind == "idx":
        if directory is None:
            raise UserError(
                "dataset 'idx' needs the directory of its files", "give it with --data DIR"
            )
        return load_idx(directory, classes)
    raise UserError(f"unknown dataset kind '{spec.kind}'", "use one of digits, idx")
