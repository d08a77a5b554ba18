"""TensorBoard logs of a training. They have times in them, and so are no part of what is hashed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

__all__ = ["TensorBoardCurves", "tensorboard_curves"]


class TensorBoardCurves:
    """Writes the figures of each epoch into an event file.

    Args:
        directory: of the training's event files; made with the first epoch.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._writer: SummaryWriter | None = None

    def add(self, epoch: int, figures: Mapping[str, float]) -> None:
        """Adds an epoch, from 0. After a training was cut, it hides what came later before."""
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415  # takes a while

            self._writer = SummaryWriter(str(self._directory), purge_step=epoch)
        for name, value in figures.items():
            self._writer.add_scalar(name, value, epoch)
        self._writer.flush()

    def close(self) -> None:
        """Ends the event file, if there is one."""
        if self._writer is not None:
            self._writer.close()


@contextmanager
def tensorboard_curves(directory: Path) -> Iterator[TensorBoardCurves]:
    """Curves in a directory, ended in any case."""
    curves = TensorBoardCurves(directory)
    try:
        yield curves
    finally:
        curves.close()
