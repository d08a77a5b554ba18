"""How commands and files get to the board: over SSH, or not at all where this is the board."""

import errno
import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sdq_fpga.errors import StageError

__all__ = ["FULL", "Finished", "Local", "Transport", "full_disk"]

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True)
class Finished:
    """A command that has ended."""

    code: int
    out: str
    err: str


class Transport(Protocol):
    """A way to the board. Paths are relative to the home directory there.

    Attributes:
        where: the board's address, for messages.
    """

    where: str

    def execute(self, command: Sequence[str]) -> Finished:
        """Runs a command in the home directory; it may be run twice if the connection is cut."""
        ...

    def put(self, data: bytes, path: str, sent: Callable[[int], None]) -> None:
        """Writes a file, from where an earlier, cut transfer has stopped.

        Args:
            data: its contents.
            path: where; its folder must exist.
            sent: told how many bytes more are there.
        """
        ...

    def get(self, path: str) -> bytes:
        """Reads a file."""
        ...

    def close(self) -> None:
        """Ends the connection."""
        ...


def full_disk(where: str) -> StageError:
    """The error of a full disk on the board."""
    return StageError(f"the disk of {where} is full", "free some space on the board, and try again")


class Local:
    """The board's own shell.

    Args:
        home: the directory that paths are relative to.
        environment: variables of commands; None for those of this process.
    """

    where = "this board"

    def __init__(self, home: Path, environment: dict[str, str] | None = None) -> None:
        self._home = home
        self._environment = environment

    def execute(self, command: Sequence[str]) -> Finished:
        """Runs a command.

        Raises:
            StageError: there is no such program.
        """
        try:
            done = subprocess.run(
                list(command),
                cwd=self._home,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
        except OSError as error:
            raise StageError(
                f"{command[0]} can't be run ({error.strerror})", "give another --board-python"
            ) from error
        return Finished(done.returncode, done.stdout, done.stderr)

    def put(self, data: bytes, path: str, sent: Callable[[int], None]) -> None:
        """Writes a file.

        Raises:
            StageError: the disk is full, or the file can't be written.
        """
        try:
            with (self._home / path).open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            if error.errno in FULL:
                raise full_disk(self.where) from error
            raise StageError(f"{path} can't be written ({error.strerror})", "see why") from error
        sent(len(data))

    def get(self, path: str) -> bytes:
        """Reads a file."""
        return (self._home / path).read_bytes()

    def close(self) -> None:
        """Does nothing."""
