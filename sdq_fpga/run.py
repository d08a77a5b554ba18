"""Run: a directory with everything that one build made, and its manifest.

A stage's outputs are in a directory of its own. The manifest records, for each stage, the hash of
all that went in (settings, code, the outputs of the stages before) and the hash of every file that
came out. A stage whose inputs are unchanged is not run again. A stage writes into a hidden
directory, which gets its name only when it is complete; so a build that was killed anywhere goes
on at the stage that was cut.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from pydantic import Field, ValidationError

from sdq_fpga.errors import SdqFpgaError, StageError, UserError
from sdq_fpga.plain import Plain

__all__ = [
    "MANIFEST",
    "Run",
    "RunDirectory",
    "StageRecord",
    "digest",
    "hash_tree",
    "open_run",
    "read_manifest",
    "take_lock",
    "write_atomically",
]

MANIFEST = "manifest.json"
"""The file in a run that has the hash of everything in it."""

_FORMAT = 1
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
_LEFTOVERS = (".*.tmp", ".scratch-*")  # what a build that was killed may leave
_ROOM_NEEDED = 1 << 20  # with less free than this, a failure is put down to the full disk


class StageRecord(Plain):
    """What the manifest says about one finished stage.

    Attributes:
        key: SHA-256 of everything that went in.
        outputs: SHA-256 of every file that came out, by its path inside the stage's directory.
        after: SHA-256 of all outputs of each stage that it read.
    """

    key: str = Field(pattern="^[0-9a-f]{64}$")
    outputs: dict[str, str]
    after: dict[str, str] = Field(default_factory=dict)


class Run(Plain):
    """What a run consists of, as in ``manifest.json``. No times: equal builds have equal bytes."""

    format: int = Field(default=_FORMAT, ge=_FORMAT, le=_FORMAT)
    stages: dict[str, StageRecord] = Field(default_factory=dict)

    def is_current(self, name: str) -> bool:
        """Whether a stage is finished, and no stage that it read was made anew since."""
        record = self.stages.get(name)
        return record is not None and all(
            each in self.stages and digest(self.stages[each].outputs) == read
            for each, read in record.after.items()
        )


def digest(data: object) -> str:
    """SHA-256 of JSON data, the same for equal data."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def write_atomically(path: Path, data: bytes) -> None:
    """Writes a file such that its name never shows half of it, whatever happens."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)  # of a full disk every block counts
        raise
    _sync_directory(path.parent)


class RunDirectory:
    """An open run directory, locked against other builds.

    Attributes:
        directory: where it is.
        ran: names of the stages that were really run, not taken from before.
    """

    def __init__(self, directory: Path, manifest: Run) -> None:
        self.directory = directory
        self.ran: list[str] = []
        self._manifest = manifest
        self._digests: dict[str, str] = {}
        self._pinned: frozenset[str] = frozenset()

    def pin(self, names: Iterable[str]) -> None:
        """Takes stages that are there as they are, whatever has gone into them."""
        self._pinned = frozenset(names)

    def stage(
        self,
        name: str,
        inputs: Mapping[str, Any],
        after: tuple[str, ...],
        make: Callable[[Path], None],
    ) -> Path:
        """Runs one stage, or takes its outputs from before if nothing that goes in has changed.

        Args:
            name: the stage; also the name of its directory.
            inputs: JSON data of everything that decides the outputs.
            after: stages whose outputs it reads.
            make: writes the outputs into the empty directory that it is given.

        Returns:
            The directory of the outputs.

        Raises:
            StageError: the disk is full, or files of this stage have changed since they were made.
        """
        read = {each: self._digests[each] for each in after}
        key = self.key(name, inputs, after)
        final = self.directory / name
        record = self._manifest.stages.get(name)
        same = record is not None and (record.key == key or name in self._pinned)
        if record is not None and same and final.exists():
            self._check_outputs(name, record)
        else:
            record = self._make(name, key, read, final, make)
            self.ran.append(name)
        self._digests[name] = digest(record.outputs)
        return final

    def key(self, name: str, inputs: Mapping[str, Any], after: tuple[str, ...]) -> str:
        """SHA-256 of everything that goes into a stage; those it reads have been taken or run."""
        read = {each: self._digests[each] for each in after}
        return digest({"stage": name, "inputs": inputs, "after": read})

    def require(self, name: str) -> None:
        """Makes sure that a stage is finished and its files are what it wrote.

        Further stages may then read them.

        Raises:
            UserError: it is not finished, or a stage that it read was made anew since.
            StageError: its files have changed.
        """
        if not self._manifest.is_current(name) or not (self.directory / name).exists():
            raise UserError(
                f"the build in {self.directory} has not finished its stage {name}",
                "let sdq-fpga build finish it",
            )
        record = self._manifest.stages[name]
        self._check_outputs(name, record)
        self._digests[name] = digest(record.outputs)

    def take_over(self, name: str, other: Path) -> None:
        """Copies a stage of another run, unless this one has it already.

        Whether it is what this run needs, ``stage`` finds by its key, and makes it anew if not.

        Args:
            name: the stage; one that reads no other stage, or will be pinned.
            other: directory of a run that nobody is writing.

        Raises:
            StageError: the disk is full, or the other run's manifest can't be read.
        """
        record = read_manifest(other).stages.get(name)
        if record is None or name in self._manifest.stages:
            return
        with _full_disk_explained(self.directory, name):
            hidden = self.directory / f".{name}.tmp"
            _remove(hidden)
            shutil.copytree(other / name, hidden)
            hash_tree(hidden, sync=True)
            _remove(self.directory / name)
            hidden.rename(self.directory / name)
            _sync_directory(self.directory)
            self._record(name, record)

    def save(self, manifest: Run) -> None:
        """Makes ``manifest`` the manifest of this run."""
        self._manifest = manifest
        self.write(MANIFEST, manifest.to_bytes())

    def write(self, name: str, data: bytes) -> Path:
        """Writes a file at the top of the run directory, atomically."""
        path = self.directory / name
        with _full_disk_explained(self.directory, name):
            write_atomically(path, data)
        return path

    def _make(
        self,
        name: str,
        key: str,
        read: dict[str, str],
        final: Path,
        make: Callable[[Path], None],
    ) -> StageRecord:
        with _full_disk_explained(self.directory, name):
            hidden = self.directory / f".{name}.tmp"
            _remove(hidden)
            hidden.mkdir()
            make(hidden)
            record = StageRecord(key=key, outputs=hash_tree(hidden, sync=True), after=read)
            # The order matters: a stage that the manifest knows is complete under its name.
            if name in self._manifest.stages:
                self._record(name, None)
            _remove(final)
            hidden.rename(final)
            _sync_directory(self.directory)
            self._record(name, record)
        return record

    def _record(self, name: str, record: StageRecord | None) -> None:
        stages = {key: value for key, value in self._manifest.stages.items() if key != name}
        if record is not None:
            stages[name] = record
        self.save(Run(stages=stages))

    def _check_outputs(self, name: str, record: StageRecord) -> None:
        final = self.directory / name
        found = hash_tree(final, sync=False) if final.is_dir() else {}
        for path in sorted(found.keys() | record.outputs.keys()):
            if found.get(path) != record.outputs.get(path):
                raise StageError(
                    f"run {self.directory} is corrupted: {name}/{path} is not what the stage wrote",
                    f"delete {final} to make it again",
                )


@contextlib.contextmanager
def open_run(directory: Path) -> Iterator[RunDirectory]:
    """Opens a run directory, made if need be, and locks it.

    Raises:
        UserError: another build is using it, or it is something else than a run directory.
        StageError: its manifest can't be read, or the disk is full.
    """
    directory = directory.resolve()
    with _full_disk_explained(directory, "the run directory"):
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError, PermissionError) as error:
            raise UserError(
                f"{directory} can't be a run directory ({error.strerror})",
                "give another directory with --run",
            ) from error
        strange = _strangers(directory)
        if strange:
            raise UserError(
                f"{directory} is not a run directory: it holds {strange}",
                "give an empty or a new directory with --run",
            )
        lock = (directory / ".lock").open("w")
    with lock:
        take_lock(lock, directory, "build", "--run")
        manifest = read_manifest(directory)
        for pattern in _LEFTOVERS:
            for leftover in directory.glob(pattern):
                _remove(leftover)
        run = RunDirectory(directory, manifest)
        run.save(manifest)  # from here on the directory is known as a run
        yield run


def take_lock(lock: TextIO, directory: Path, user: str, option: str) -> None:
    """Keeps other processes out of a directory until its lock file is closed.

    Args:
        lock: that file, open.
        directory: which it is of.
        user: what uses such a directory.
        option: that names it.

    Raises:
        UserError: another process has the lock.
    """
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UserError(
            f"another {user} is using {directory}", f"wait for it, or give another {option}"
        ) from error


def read_manifest(directory: Path) -> Run:
    """Reads the manifest of a run; an empty one where there is none yet.

    Raises:
        StageError: it is not a manifest.
    """
    path = directory / MANIFEST
    if not path.exists():
        return Run()
    try:
        return Run.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise StageError(
            f"run {directory} is corrupted: {path} is not a manifest",
            f"delete {directory} to build it again, or give another --run",
        ) from error


def _strangers(directory: Path) -> str | None:
    """Names a file in a directory that has no manifest, and so never was a run of ours."""
    if (directory / MANIFEST).exists():
        return None
    return next(
        (each.name for each in sorted(directory.iterdir()) if not each.name.startswith(".")), None
    )


def hash_tree(directory: Path, *, sync: bool) -> dict[str, str]:
    """SHA-256 of every file below a directory, by its path in it.

    Args:
        directory: which must exist.
        sync: whether each file is also written to the disk for good.
    """
    hashes = {}
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                hashes[path.relative_to(directory).as_posix()] = hashlib.file_digest(
                    file, "sha256"
                ).hexdigest()
                if sync:
                    os.fsync(file.fileno())
    return hashes


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _full_disk_explained(directory: Path, name: str) -> Iterator[None]:
    """Tells a full disk from other failures, however deep in whatever tool it was met."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if _is_full_disk(error, directory):
            raise StageError(
                f"the disk of {directory} is full, in {name}",
                "free some space, or give a directory elsewhere with --run; the same command "
                "then goes on where it stopped",
            ) from error
        if isinstance(error, OSError) and not isinstance(error, SdqFpgaError):
            raise StageError(
                f"{name} failed on a file ({error})", "see the file it names"
            ) from error
        raise


def _is_full_disk(error: BaseException, directory: Path) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _NO_SPACE:
            return True
        if os.strerror(errno.ENOSPC) in str(cause):  # of a compiler, say, that a stage ran
            return True
        cause = cause.__cause__ or cause.__context__
    try:
        return shutil.disk_usage(directory).free < _ROOM_NEEDED
    except OSError:
        return False
