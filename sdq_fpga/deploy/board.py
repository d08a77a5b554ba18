"""The board as the host sees it: its program, packages and jobs."""

import hashlib
import json
import shlex
from pathlib import PurePosixPath
from typing import Any

from sdq_fpga.deploy.board_program import board_program
from sdq_fpga.deploy.board_side.board import same_board
from sdq_fpga.deploy.bundle import Bundle
from sdq_fpga.deploy.transport import Transport, full_disk
from sdq_fpga.errors import StageError, UserError
from sdq_fpga.progress import Progress

__all__ = ["LOCK", "Board", "Damaged"]

LOCK = "/var/lock/sdq-fpga.lock"
"""One for all users of a board: there is one accelerator."""

_ROOT = ".sdq-fpga"
_REFUSED = 3
_HASH = (
    "import hashlib,os,sys;os.makedirs(sys.argv[2],exist_ok=True);p=sys.argv[1];"
    "print(hashlib.sha256(open(p,'rb').read()).hexdigest() if os.path.exists(p) else '')"
)


class Damaged(StageError):  # noqa: N818  # caught, and sent again
    """Something arrived on the board that is not what was sent; it may be sent again."""


class Board:
    """A board that can be reached.

    Args:
        transport: the way to it.
        python: the command that runs its Python, with pynq and finn-plus-driver.
        lock: the lock file of the accelerator there.
        who: who uses it, as others are told.

    Raises:
        StageError: it has no such Python.
    """

    def __init__(self, transport: Transport, python: str, lock: str, who: str) -> None:
        self.transport = transport
        self.who = who
        self._python = shlex.split(python)
        self._lock = lock
        self._program = self._send_program()

    def call(self, *arguments: str) -> dict[str, Any]:
        """Runs one command of the board's program; see ``board_side``.

        Raises:
            UserError: what was asked can't be.
            Damaged: something arrived that is not what was sent.
            StageError: the board can't do it, or is in use.
        """
        command = [*self._python, self._program, "--root", _ROOT, "--lock", self._lock, *arguments]
        done = self.transport.execute(command)
        try:
            answer: dict[str, Any] = json.loads(done.out.splitlines()[-1])
        except (ValueError, IndexError) as error:
            said = (done.err.strip().splitlines() or [f"exit code {done.code}"])[-1]
            raise StageError(
                f"the program on {self.transport.where} failed ({said})",
                "see whether --board-python names the Python that has pynq",
            ) from error
        if done.code == _REFUSED:
            raise self.error(answer)
        return answer

    def error(self, answer: dict[str, Any]) -> StageError | UserError:
        """The error that an answer of the board stands for."""
        what, fix = f"{self.transport.where}: {answer['error']}", str(answer["fix"])
        if answer["code"] == "full":
            return full_disk(self.transport.where)
        kinds: dict[str, type[UserError] | type[StageError]] = {
            "wrong": UserError,
            "damaged": Damaged,
        }
        return kinds.get(answer["code"], StageError)(what, fix)

    def install(self, bundle: Bundle, progress: Progress) -> None:
        """Brings a package to the board, unless it is there.

        Raises:
            UserError: the board is another, or of another kind.
            StageError: its disk is full, or what arrives is damaged.
        """
        known = self.call("identify")
        self._check(known, bundle)
        name = f"{bundle.digest[:16]}.{hashlib.sha256(self.who.encode()).hexdigest()[:8]}.part"
        stated = ("install", name, bundle.digest, str(len(bundle.data)))
        for last in (False, True):
            try:
                answer = self.call(*stated)
                if answer["installed"]:
                    return
                missing = len(bundle.data) - int(answer["have"])
                if missing > int(known["free"]):
                    raise full_disk(self.transport.where)
                with progress.task("copy to the board", missing) as advance:
                    self.transport.put(bundle.data, f"{_ROOT}/incoming/{name}", advance)
                if self.call(*stated)["installed"]:
                    return
            except Damaged:
                if last:
                    raise
        raise Damaged(f"the package does not get to {self.transport.where}", "try again")

    def put_job(self, name: str, files: dict[str, bytes]) -> None:
        """Sends the files of a job.

        Raises:
            StageError: the board's disk is full.
        """
        folder = f"{_ROOT}/jobs/{name}"
        self.make_folder(folder)
        for file, data in files.items():
            self.transport.put(data, f"{folder}/{file}", lambda _: None)

    def get_output(self, name: str, file: str, digest: str) -> bytes:
        """Fetches an output of a job.

        Raises:
            StageError: it is damaged twice.
        """
        for _ in range(2):
            data = self.transport.get(f"{_ROOT}/jobs/{name}/{PurePosixPath(file).name}")
            if hashlib.sha256(data).hexdigest() == digest:
                return data
        raise Damaged(f"{file} from {self.transport.where} is damaged", "try again")

    def make_folder(self, path: str) -> None:
        """Makes a folder, if need be."""
        self._hash_of(path, path)

    def _send_program(self) -> str:
        data = board_program()
        digest = hashlib.sha256(data).hexdigest()
        path = f"{_ROOT}/board-{digest[:16]}.pyz"
        for _ in range(2):
            found = self._hash_of(path, _ROOT)
            if found == digest:
                return path
            if found:  # a cut transfer is gone on with, but not a damaged one
                self.transport.put(b"", path, lambda _: None)
            self.transport.put(data, path, lambda _: None)
        if self._hash_of(path, _ROOT) != digest:
            raise Damaged(f"files that are sent to {self.transport.where} are damaged", "see why")
        return path

    def _hash_of(self, path: str, folder: str) -> str:
        """SHA-256 of a file there, or nothing; makes a folder as well."""
        code = _HASH if path != folder else _HASH.split("p=", maxsplit=1)[0]
        done = self.transport.execute([*self._python, "-c", code, path, folder])
        if done.code != 0:
            said = (done.err.strip().splitlines() or [f"exit code {done.code}"])[-1]
            raise StageError(
                f"{shlex.join(self._python)} does not run on {self.transport.where} ({said})",
                "give the command that runs Python there with --board-python",
            )
        return done.out.strip()

    def _check(self, known: dict[str, Any], bundle: Bundle) -> None:
        """Refuses the wrong board before anything is copied; its program checks it again."""
        wanted = bundle.description
        if known["board"] is not None and not same_board(wanted["board"], known["board"]):
            raise UserError(
                f"the build is for {wanted['board']}, and {self.transport.where} is "
                f"{known['board']}",
                f"build with --board {known['board'].lower()}, or give the host of another board",
            )
