"""Checkpoints of a training that is under way: it goes on there if it is cut."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from sdq_fpga.errors import StageError, UserError
from sdq_fpga.run import write_atomically
from sdq_fpga.train.state import pack, unpack

__all__ = ["CHECKPOINT", "Checkpoints"]

CHECKPOINT = "state.safetensors"


class Checkpoints:
    """The newest checkpoint of one training.

    Args:
        directory: of the file; made when it is needed.
        key: of everything that decides the training (network, data, settings, code): a checkpoint
            of another is refused.
        every_s: seconds that lie at least between two checkpoints.
        at_end: whether the end of the training is kept as well, as others follow.
    """

    def __init__(self, directory: Path, key: str, every_s: float, *, at_end: bool = False) -> None:
        self.path = directory / CHECKPOINT
        self._key = key
        self._every_s = every_s
        self._at_end = at_end
        self._last = time.monotonic()

    @property
    def fix(self) -> str:
        """What to do about a checkpoint that is of no use."""
        return f"delete {self.path}, and the training begins afresh"

    def due(self, *, ended: bool) -> bool:
        """Whether it is time for the next.

        Args:
            ended: whether the training has come to its end.
        """
        return (ended and self._at_end) or time.monotonic() - self._last >= self._every_s

    def save(self, state: Mapping[str, Any]) -> None:
        """Replaces the checkpoint; its name never shows half of one.

        Args:
            state: nested mappings, lists and tuples of tensors and plain values.

        Raises:
            OSError: the disk is full, say; the checkpoint of before is still there.
        """
        tensors: dict[str, torch.Tensor] = {}
        packed = pack(state, tensors, "state")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path, save(tensors, {"key": self._key, "state": json.dumps(packed)}))
        self._last = time.monotonic()

    def load(self) -> dict[str, Any] | None:
        """What was saved last; None if nothing was.

        Raises:
            UserError: the checkpoint is of another training.
            StageError: it is damaged.
        """
        if not self.path.exists():
            return None
        fix = self.fix
        try:
            with safe_open(self.path, framework="pt") as file:
                described = file.metadata() or {}
                if described.get("key") != self._key:
                    raise UserError(
                        f"checkpoint {self.path} is of another network, other data, settings or "
                        f"code: its key is {described.get('key', 'missing')}, not {self._key}",
                        fix,
                    )
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            state = unpack(json.loads(described["state"]), tensors)
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            raise StageError(f"checkpoint {self.path} is damaged ({error})", fix) from error
        return cast(dict[str, Any], state)
