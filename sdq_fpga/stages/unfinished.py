"""Stages that go on inside where they were cut, such as trainings.

What such a stage keeps is in a place of its own, beside the stages: the directory that a stage
writes into is dropped when it is cut. It is found again by the hash of everything that goes into
the stage, so it is never taken for that of other settings, data or code.
"""

import contextlib
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sdq_fpga.run import RunDirectory

__all__ = ["Unfinished", "long_stage"]

_PLACE = ".unfinished"


@dataclass(frozen=True)
class Unfinished:
    """What a stage keeps until it is finished.

    Attributes:
        directory: of what it keeps, which may not exist yet; it outlives a build that is killed.
        key: SHA-256 of everything that goes into the stage.
        others: what this stage has kept with other settings, data or code.
    """

    directory: Path
    key: str
    others: tuple[Path, ...]


def long_stage(
    run: RunDirectory,
    name: str,
    inputs: Mapping[str, Any],
    after: tuple[str, ...],
    make: Callable[[Path, Unfinished], None],
) -> Path:
    """Runs a stage as ``RunDirectory.stage`` does.

    Args:
        run: the open run directory.
        name: of the stage.
        inputs: as of any stage.
        after: as of any stage.
        make: writes the outputs into a directory, and is told what it has kept. What was kept with
            other inputs stays until the stage is finished.

    Returns:
        The directory of the outputs.
    """
    key = run.key(name, inputs, after)
    place = run.directory / _PLACE / name
    others = tuple(each for each in sorted(place.glob("*")) if each.name != key)
    unfinished = Unfinished(place / key, key, others)
    final = run.stage(name, inputs, after, lambda out: make(out, unfinished))
    shutil.rmtree(place if name in run.ran else place / key, ignore_errors=True)
    for each in (place, place.parent):
        with contextlib.suppress(OSError):  # it has something else in it, or does not exist
            each.rmdir()
    return final
