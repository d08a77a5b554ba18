"""Checks a run against its manifest and its lock: every file there, unchanged, and no other.

The manifest has the hash of every file of every stage; the lock has them again, and that of the
report. One hash over all that the lock has is the signature of a build: equal builds have equal
ones. It shows damage and mistakes, not forgery: whoever changes a file can write new hashes too.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path

from sdq_fpga.errors import StageError, UserError
from sdq_fpga.plain import Plain
from sdq_fpga.run import MANIFEST, Run, digest, hash_tree, read_manifest

__all__ = ["LOCK", "TOP", "Fault", "Integrity", "Kind", "check_integrity"]

LOCK = "build.lock.json"
"""The file in a run that has the hash of everything that a build made."""

TOP = "."
"""What stands in it for the run directory itself, where stages have their names."""

# What a build, its trainings, a run on a board and Vivado leave at the top, beside the stages.
_OWN = frozenset(
    {
        MANIFEST, LOCK, "report.json", "report.html", "settings.json", "model.json", "finn.log",
        "board", "pareto.png", "tensorboard", "vivado",
    }
)  # fmt: skip


class Kind(StrEnum):
    """What is wrong with a file or a stage."""

    CHANGED = "changed"
    MISSING = "missing"
    EXTRA = "extra"
    STALE = "made from files that were made anew since"
    DISAGREES = "with another hash in the lock"


class Fault(Plain):
    """One thing that is wrong.

    Attributes:
        path: of the file or the stage, in the run directory.
    """

    path: str
    kind: Kind


class Integrity(Plain):
    """What a check found.

    Attributes:
        stages: that are in the manifest.
        files: that were hashed.
        signature: SHA-256 over all hashes of the lock; None before a build has ended.
        faults: in order of their paths.
    """

    stages: int
    files: int
    signature: str | None
    faults: tuple[Fault, ...]


def check_integrity(directory: Path) -> Integrity:
    """Checks every file of a run; changes nothing.

    Args:
        directory: the run directory.

    Raises:
        UserError: it is no run directory.
        StageError: its manifest or its lock can't be read.
    """
    if not (directory / MANIFEST).is_file():
        raise UserError(
            f"{directory} is not the directory of a build",
            "give one that sdq-fpga build has made, such as runs/digits-cnn-zcu104",
        )
    manifest = read_manifest(directory)
    found = {name: _files_of(directory / name) for name in manifest.stages}
    faults = list(_stage_faults(manifest, found))
    faults += _strangers(directory, manifest)
    locked = _locked(directory / LOCK)
    if locked is not None:
        faults += _lock_faults(directory, manifest, locked)
    return Integrity(
        stages=len(manifest.stages),
        files=sum(map(len, found.values())) + (locked is not None),
        signature=None if locked is None else digest(locked),
        faults=tuple(sorted(faults, key=lambda each: (each.path, each.kind))),
    )


def _files_of(stage: Path) -> dict[str, str]:
    return hash_tree(stage, sync=False) if stage.is_dir() else {}


def _stage_faults(manifest: Run, found: Mapping[str, Mapping[str, str]]) -> Iterator[Fault]:
    for name, record in manifest.stages.items():
        for path in record.outputs.keys() | found[name].keys():
            there, wanted = found[name].get(path), record.outputs.get(path)
            if there != wanted:
                kind = Kind.MISSING if there is None else Kind.CHANGED
                kind = Kind.EXTRA if wanted is None else kind
                yield Fault(path=f"{name}/{path}", kind=kind)
        if not manifest.is_current(name):
            yield Fault(path=name, kind=Kind.STALE)


def _strangers(directory: Path, manifest: Run) -> Iterator[Fault]:
    """What lies at the top and is nobody's; what is hidden is the user's own."""
    known = _OWN | manifest.stages.keys()
    for path in directory.iterdir():
        if path.name not in known and not path.name.startswith("."):
            yield Fault(path=path.name, kind=Kind.EXTRA)


def _locked(path: Path) -> dict[str, dict[str, str]] | None:
    """The hashes in a lock, by stage; None where there is none."""
    # Not BuildLock: its settings need torch, whose import takes longer than all of this.
    try:
        outputs = json.loads(path.read_bytes())["outputs"]
        return {
            str(stage): {str(name): str(value) for name, value in files.items()}
            for stage, files in outputs.items()
        }
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise StageError(
            f"{path} can't be read as the lock of a build", "let sdq-fpga build write it again"
        ) from error


def _lock_faults(
    directory: Path, manifest: Run, locked: Mapping[str, Mapping[str, str]]
) -> Iterator[Fault]:
    for stage, files in locked.items():
        for name, wanted in files.items():
            if stage == TOP:
                path = directory / name
                if not path.is_file():
                    yield Fault(path=name, kind=Kind.MISSING)
                elif hashlib.sha256(path.read_bytes()).hexdigest() != wanted:
                    yield Fault(path=name, kind=Kind.CHANGED)
                continue
            record = manifest.stages.get(stage)
            if record is None or record.outputs.get(name) != wanted:
                yield Fault(path=f"{stage}/{name}", kind=Kind.DISAGREES)
