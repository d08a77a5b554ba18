"""One job on a board, from sending its inputs to bringing its outputs back."""

import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from sdq_fpga.deploy.board import Board, Damaged
from sdq_fpga.deploy.bundle import Bundle

__all__ = ["Job", "Outcome", "run_job"]

Event = Mapping[str, Any]


@dataclass(frozen=True)
class Job:
    """What is to be done.

    Attributes:
        mode: "frames" or "throughput".
        inputs: .npy files of integers, one for each input of the accelerator.
        batch: frames that go to the driver at once.
        sizes: batches of a throughput test.
        timeout_s: seconds without news after which the job is ended.
    """

    mode: str
    inputs: Sequence[bytes]
    batch: int = 1
    sizes: Sequence[int] = ()
    timeout_s: float = 600.0


@dataclass(frozen=True)
class Outcome:
    """What came out.

    Attributes:
        state: the board's words.
        outputs: integers [N, *shape of the stream], one for each output of the accelerator.
    """

    state: Mapping[str, Any]
    outputs: Sequence[npt.NDArray[np.int64]] = field(default=())


def run_job(board: Board, bundle: Bundle, job: Job, tell: Callable[[Event], None]) -> Outcome:
    """Runs a job on a package that is installed.

    The job goes on if the connection, or this process, ends; the same call then takes it up. When
    it is interrupted at the keyboard, the job is ended.

    Args:
        board: the board.
        bundle: the package.
        job: what to do.
        tell: given each event, as soon as it is known.

    Raises:
        StageError: somebody else is using the accelerator, the driver fails or times out.
    """
    files = {f"input-{number}.npy": data for number, data in enumerate(job.inputs)}
    stated = {
        "package": bundle.digest,
        "mode": job.mode,
        "batch": job.batch,
        "sizes": list(job.sizes),
        "timeout": job.timeout_s,
        "who": board.who,
        "inputs": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
    }
    text = json.dumps(stated, sort_keys=True).encode()
    name = hashlib.sha256(text).hexdigest()[:16]
    _start(board, name, {"job.json": text, **files})
    try:
        state = _follow(board, name, tell)
    except KeyboardInterrupt:
        board.call("cancel", name)
        raise
    if state["state"] == "failed":
        error = board.error(dict(state))
        board.call("forget", name)
        raise error
    outputs = [
        np.lib.format.read_array(io.BytesIO(board.get_output(name, file, digest)), False)
        for file, digest in sorted(state["outputs"].items(), key=_number)
    ]
    board.call("forget", name)
    return Outcome(state, outputs)


def _start(board: Board, name: str, files: dict[str, bytes]) -> None:
    try:
        board.put_job(name, files)
        board.call("start", name)
    except Damaged:
        board.put_job(name, files)
        board.call("start", name)


def _follow(board: Board, name: str, tell: Callable[[Event], None]) -> Mapping[str, Any]:
    offset = 0
    while True:
        news = board.call("poll", name, str(offset))
        offset = int(news["offset"])
        for event in news["events"]:
            tell(event)
        state: dict[str, Any] = news["state"]
        if state["state"] != "running":
            return state


def _number(item: tuple[str, str]) -> int:
    """The number in output-3.npy."""
    return int(item[0].removeprefix("output-").removesuffix(".npy"))
