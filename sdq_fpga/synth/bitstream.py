"""The bitstream, where Vivado is installed: FINN's Zynq shell around the folded graph.

FINN and Vivado work in a process of their own, which gets their environment. Its logs are followed
while they grow. A process that failed or was killed leaves its work, and the same build goes on
from there.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sdq_fpga.board import Board
from sdq_fpga.errors import StageError
from sdq_fpga.progress import Progress
from sdq_fpga.run import digest, write_atomically
from sdq_fpga.synth.vivado import SHELLS, Vivado
from sdq_fpga.synth.vivado_failures import Failure, last_error, recognise
from sdq_fpga.synth.vivado_log import LogFollower
from sdq_fpga.synth.vivado_reports import read_achieved
from sdq_fpga.synth.zynq_job import PROJECT, ZynqJob

__all__ = ["ACHIEVED", "BitstreamJob", "make_bitstream"]

ACHIEVED = "achieved.json"
"""What a bitstream's directory says of it."""

_POLL_S = 2.0
_KEY = "key"
_RUN = f"vivado_zynq_proj_*/{PROJECT}.runs/impl_1"


@dataclass(frozen=True)
class BitstreamJob:
    """What a bitstream is made of.

    Attributes:
        graph: file of the folded hardware graph.
        board: which must have a shell (see ``vivado.why_no_bitstream``).
        clock_mhz: clock of the accelerator.
        vivado: an installation that lacks nothing.
        code: hash of this package; work of other code is not taken over.
    """

    graph: Path
    board: Board
    clock_mhz: float
    vivado: Vivado
    code: str

    def key(self) -> str:
        """SHA-256 of everything that decides what the work on the way is."""
        return digest(
            {
                "graph": hashlib.sha256(self.graph.read_bytes()).hexdigest(),
                "board": self.board.name,
                "clock_mhz": self.clock_mhz,
                "vivado": str(self.vivado.directory),
                "dependencies": str(self.vivado.dependencies),
                "code": self.code,
            }
        )


def make_bitstream(job: BitstreamJob, work: Path, out: Path, progress: Progress) -> None:
    """Synthesises, places and routes; takes from ten minutes to hours.

    Args:
        job: what to make it of.
        work: directory that keeps the work on the way; removed at the end, kept by a failure.
        out: gets accelerator.bit, accelerator.hwh and achieved.json.
        progress: told of each step, its time, the slack and the resources, as they appear.

    Raises:
        StageError: it failed, or the clock is not reached; says why where that is known.
    """
    with _locked(work) as lock:
        if _open_work(work, job.key()):
            progress.note(f"Vivado goes on where it stopped, in {work}")
        else:
            progress.note("Vivado builds the bitstream; this takes from ten minutes to hours")
        follower = LogFollower(work)
        code = _run(job, work, out, lock, lambda: _tell(follower, progress))
    if code != 0:
        raise _failed(follower.text(), code, work)
    (run,) = work.glob(_RUN)
    figures = read_achieved(run, 1e3 / job.clock_mhz)
    timing = figures.timing
    if timing.slack_ns < 0:
        raise StageError(
            f"the design does not reach {job.clock_mhz:g} MHz: its worst path is "
            f"{-timing.slack_ns:.3f} ns too long",
            f"give --clock-mhz {int(timing.fastest_mhz)} or less; the paths are in the timing "
            f"report in {run}",
        )
    (out / ACHIEVED).write_bytes(figures.to_bytes())
    shutil.rmtree(work)


@contextlib.contextmanager
def _locked(work: Path) -> Iterator[int]:
    """Locks the work; the process that works on it gets the descriptor, and so holds the lock too.

    A build that is killed does not end it: it goes on to its end, with nobody watching.
    """
    with work.with_name(f".{work.name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StageError(
                f"Vivado is still at work in {work}, for a build that was killed",
                "wait until it has ended, or end it; the same command then goes on from there",
            ) from error
        yield file.fileno()


def _open_work(work: Path, key: str) -> bool:
    """Makes the directory of the work; true if there is work to take over."""
    file = work / _KEY
    if file.is_file() and file.read_text(encoding="utf-8") == key:
        return True
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    write_atomically(file, key.encode())
    return False


def _run(job: BitstreamJob, work: Path, out: Path, lock: int, poll: Callable[[], None]) -> int:
    """Runs FINN and Vivado to their end, calling ``poll`` now and then; the exit code."""
    environment = dict(os.environ)
    path = f"{job.vivado.directory / 'bin'}{os.pathsep}{environment.get('PATH', '')}"
    environment |= {"PATH": path, "XILINX_VIVADO": str(job.vivado.directory)}
    stated = work / "job.json"
    data = ZynqJob(
        graph=str(job.graph),
        platform=SHELLS[job.board.name],
        clock_mhz=job.clock_mhz,
        dependencies=str(job.vivado.dependencies),
        work=str(work),
        out=str(out),
    )
    stated.write_bytes(data.to_bytes())
    command = [sys.executable, "-m", "sdq_fpga.synth.zynq_worker", str(stated)]
    with (work / "worker.log").open("ab") as log:
        # In a session of its own, so that all of Vivado's processes can be ended with it.
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=work,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=(lock,),
        )
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    return process.wait(_POLL_S)
                poll()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait()
            poll()


def _tell(follower: LogFollower, progress: Progress) -> None:
    for line in follower.news():
        progress.note(line)


def _failed(text: str, code: int, work: Path) -> StageError:
    known = recognise(text, code)
    if known is None:
        said = last_error(text)
        if said is None:
            lines = [line for line in text.splitlines() if line.strip()]
            said = lines[-1].strip() if lines else "it said nothing"
        known = Failure(said, "correct it, or report it")
    return StageError(
        f"Vivado did not make the bitstream: {known.what}", f"{known.fix}; its logs are in {work}"
    )
