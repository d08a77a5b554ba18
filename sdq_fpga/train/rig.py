"""Rig: what a training runs on, where it is kept, and who is told of its curves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sdq_fpga.train.resume import Checkpoints

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["Curves", "Rig"]


class Curves(Protocol):
    """Takes figures of each epoch; nothing is learned from what it does with them."""

    def add(self, epoch: int, figures: Mapping[str, float]) -> None:
        """Takes figures by their names, at the end of an epoch, from 0."""
        ...


@dataclass(frozen=True)
class Rig:
    """What surrounds a training.

    Attributes:
        fabric: devices and processes, launched; None for one process on the CPU.
        checkpoints: where a training that is cut goes on; None to begin afresh.
        curves: takes the figures of each epoch; None if nobody wants them.
    """

    fabric: Fabric | None = None
    checkpoints: Checkpoints | None = None
    curves: Curves | None = None
