"""Jobs: one at a time, in a process of their own, which outlives the connection.

A job is a folder with job.json (what to do), input-*.npy, and later log.txt, events.jsonl (how far
it is), output-*.npy and state.json. The lock is held by the process that watches the job and by
the job itself, so it is free as soon as both are gone, however they ended.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from .install import file_hash
from .refused import Refused

__all__ = ["cancel", "forget", "job_folder", "poll", "start", "supervise", "write_json"]

_POLL_S = 0.1
_LONGEST_POLL_S = 1.0
_LAST_LINES = 3
_LAST_CRASH = "last-crash.txt"
_TRIES = 3


def start(root: Path, lock_path: Path, name: str, program: list[str]) -> dict[str, Any]:
    """Starts a job, unless it is running or done already.

    Args:
        root: the root of everything.
        lock_path: the lock file of the accelerator, one for all users of the board.
        name: the job.
        program: how this program is called, without a command.

    Returns:
        Its state.

    Raises:
        Refused: its files are not whole, or somebody else is using the accelerator.
    """
    folder = job_folder(root, name)
    state = _read(folder / "state.json")
    if state is not None and state["state"] in ("done", "failed"):
        return state
    lock = _open_lock(lock_path)
    try:
        if not _take(lock):
            holder = _holder(lock)
            if holder.get("job") == name:
                return {"state": "running"}
            raise Refused(
                f"the accelerator is in use by {holder.get('who', 'somebody')} since "
                f"{holder.get('since', 'a while')}",
                "try again when that run has ended",
                "held",
            )
        job = _read(folder / "job.json")
        if job is None:
            raise Refused(f"job {name} has no job.json", "copy it again", "damaged")
        for file, digest in job["inputs"].items():
            path = folder / file
            if not path.is_file() or file_hash(path) != digest:
                path.unlink() if path.exists() else None
                raise Refused(f"{file} was damaged on its way", "copy it again", "damaged")
        since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
        held = json.dumps({"job": name, "who": job["who"], "since": since}).encode()
        os.ftruncate(lock, 0)
        os.pwrite(lock, held, 0)
        for old in ("result.json", "refused.json", "cancelled", "events.jsonl"):
            (folder / old).unlink() if (folder / old).exists() else None
        write_json(folder / "state.json", {"state": "running"})
        with (folder / "log.txt").open("ab") as log:
            subprocess.Popen(
                [*program, "supervise", name, str(lock)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=[lock],
            )
    finally:
        os.close(lock)  # the lock stays with the process that was started
    return {"state": "running"}


def supervise(root: Path, name: str, lock: int, program: list[str]) -> dict[str, Any]:
    """Runs a job, ends it if it makes no progress, and writes down how it ended."""
    folder = job_folder(root, name)
    job = _read(folder / "job.json") or {}
    events = folder / "events.jsonl"
    with (folder / "log.txt").open("ab") as log:
        process = subprocess.Popen(
            [*program, "work", name],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=[lock],
        )
    write_json(folder / "pid.json", {"pid": process.pid})
    moved, size = time.monotonic(), 0
    stopped = None
    while process.poll() is None and stopped is None:
        time.sleep(_POLL_S)
        now = events.stat().st_size if events.is_file() else 0
        if now != size:
            moved, size = time.monotonic(), now
        if (folder / "cancelled").exists():
            stopped = "it was cancelled"
        elif time.monotonic() - moved > job["timeout"]:
            stopped = f"nothing came from the accelerator for {job['timeout']:g} s"
    if stopped is not None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        state = _failed(stopped, "see whether the board needs a restart, or give --timeout")
    elif process.returncode == 0:
        state = _read(folder / "result.json") or _failed("no result was written", "try again")
    else:
        crash = root / _LAST_CRASH  # kept when the host makes the board forget the job
        state = _read(folder / "refused.json") or _crashed(
            folder / "log.txt", process.returncode, crash
        )
    write_json(folder / "state.json", state)
    return state


def poll(root: Path, lock_path: Path, name: str, offset: int) -> dict[str, Any]:
    """Waits up to a second for news of a job.

    Args:
        root: the root of everything.
        lock_path: the lock file of the accelerator.
        name: the job.
        offset: bytes of its events that are known.

    Returns:
        Its state, the new events, and the new offset.
    """
    folder = job_folder(root, name)
    until = time.monotonic() + _LONGEST_POLL_S
    while True:
        # In this order: what a job writes at its end is not missed.
        gone = _is_free(lock_path)
        state = _read(folder / "state.json")
        if state is None:
            raise Refused(f"there is no job {name}", "start it", "damaged")
        if gone and state["state"] == "running":
            state = _failed("the run was killed on the board", "try again")
            write_json(folder / "state.json", state)
        events, end = _events(folder / "events.jsonl", offset)
        if events or state["state"] != "running" or time.monotonic() > until:
            return {"state": state, "events": events, "offset": end}
        time.sleep(_POLL_S)


def cancel(root: Path, name: str) -> dict[str, Any]:
    """Ends a job."""
    folder = job_folder(root, name)
    if folder.is_dir():
        (folder / "cancelled").touch()
    return {}


def forget(root: Path, name: str) -> dict[str, Any]:
    """Deletes a job that has ended."""
    shutil.rmtree(str(job_folder(root, name)), ignore_errors=True)
    return {}


def job_folder(root: Path, name: str) -> Path:
    """The folder of a job.

    Raises:
        Refused: it can't be the name of one.
    """
    if not re.fullmatch("[0-9a-f]{8,64}", name):
        raise Refused(f"{name!r} is not the name of a job", "report this", "wrong")
    return root / "jobs" / name


def write_json(path: Path, value: object) -> None:
    """Writes a file such that its name never shows half of it."""
    staged = path.with_name("." + path.name)
    staged.write_text(json.dumps(value), encoding="utf-8")
    staged.replace(path)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise Refused(f"{path.name} of the job is damaged", "copy it again", "damaged") from error
    return found


def _events(path: Path, offset: int) -> tuple[list[Any], int]:
    if not path.is_file():
        return [], offset
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read()
    whole = data[: data.rfind(b"\n") + 1]  # the last line may be half written
    return [json.loads(line) for line in whole.splitlines()], offset + len(whole)


def _failed(what: str, fix: str) -> dict[str, Any]:
    return {"state": "failed", "error": what, "fix": fix, "code": "failed"}


def _crashed(log: Path, code: int, kept: Path) -> dict[str, Any]:
    shutil.copyfile(str(log), str(kept))
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    said = " ".join(line.strip() for line in lines[-_LAST_LINES:] if line.strip())
    return _failed(
        f"the driver crashed with exit code {code} ({said or 'it said nothing'})",
        f"see what it says; the driver's whole log is on the board, in {kept}",
    )


def _open_lock(path: Path) -> int:
    # Without O_CREAT if it exists: in a sticky folder, Linux lets nobody create what is another's.
    try:
        return os.open(str(path), os.O_RDWR)
    except FileNotFoundError:
        lock = os.open(str(path), os.O_RDWR | os.O_CREAT, 0o666)
        os.fchmod(lock, 0o666)
        return lock


def _take(lock: int) -> bool:
    """Takes the lock; who looks whether it is free has it for a moment, too."""
    for _ in range(_TRIES):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_POLL_S)
        else:
            return True
    return False


def _is_free(path: Path) -> bool:
    lock = _open_lock(path)
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(lock)


def _holder(lock: int) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(os.pread(lock, 4096, 0))
    except ValueError:  # it is being written
        return {}
    return found
