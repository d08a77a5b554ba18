"""Runs jobs on the workers of a Dask cluster, and survives what happens to workers.

A worker that dies loses its job; Dask gives it to another one, as often as the cluster allows. What
raises is tried again, too. A job is handed out only when there is a worker to take it: a job that
waits on a worker that dies would be blamed along with the one that killed it.
"""

import contextlib
import math
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from dask.utils import format_bytes
from distributed import Client, Future, wait
from distributed.comm import get_address_host
from distributed.scheduler import KilledWorker, WorkerState

from sdq_fpga.errors import SdqFpgaError, StageError
from sdq_fpga.sweep.interrupt import kept_interrupts

__all__ = ["Job", "run_jobs"]

_LOOK_S = 1.0  # how often somebody looks for workers that have come meanwhile
_NEWS_S = 10.0  # for what a nanny says of its worker to get here, which may be after its end
_ALONE_S = 10.0  # workers that are being started come within
_MEMORY_TOPIC = "worker-restart-memory"  # distributed/worker_memory.py, NannyMemoryManager


@dataclass(frozen=True)
class Job:
    """One piece of work.

    Attributes:
        name: a name of its own.
        call: what a worker calls; it and what it returns are pickled.
        after: name of a job that must have ended well before.
    """

    name: str
    call: Callable[[], object]
    after: str | None = None


@dataclass
class _Memory:
    """Workers that were ended for their memory: by host and process, the bytes that they had.

    Not by address: after a restart, a nanny may for some time still call its worker by the old one.
    """

    patience: float
    ended: dict[tuple[str, int], int] = field(default_factory=dict)

    def note(self, event: tuple[float, object]) -> None:
        _, message = event
        if isinstance(message, dict) and {"worker", "pid"} <= message.keys():
            host = get_address_host(str(message["worker"]))
            self.ended[host, int(message["pid"])] = int(message.get("rss", 0))

    def of(self, worker: WorkerState) -> int | None:
        """Bytes that a dead worker was ended for; None if that was not why."""
        process = get_address_host(worker.address), worker.pid
        deadline = time.monotonic() + self.patience
        while process not in self.ended and time.monotonic() < deadline:
            time.sleep(0.05)
        return self.ended.get(process)


class _Company:
    """Says when there has been no worker for a while, once each time."""

    def __init__(self, client: Client, tell: Callable[[str], None], patience: float) -> None:
        self._client, self._tell, self._patience = client, tell, patience
        self._deadline = time.monotonic() + patience

    def threads(self) -> int:
        """Threads of all workers that take jobs.

        Raises:
            StageError: the scheduler was lost.
        """
        threads = _threads(self._client)
        now = time.monotonic()
        if threads:
            self._deadline = now + self._patience
        elif now > self._deadline:
            self._deadline = math.inf
            self._tell(
                f"there is no worker at {self._client.scheduler.address}, and nothing is done "
                "until one comes: look at Slurm's queue, or start one with dask worker and this "
                "address"
            )
        return threads


def run_jobs(
    client: Client,
    jobs: Sequence[Job],
    ended: Callable[[Job, object, str | None], None],
    retries: int,
    tell: Callable[[str], None],
    *,
    news_s: float = _NEWS_S,
    alone_s: float = _ALONE_S,
) -> None:
    """Runs all jobs, as many at a time as there are threads of workers.

    Args:
        client: of the cluster.
        jobs: in the order in which they are handed out.
        ended: called after each with what it returned, and why it failed; one of them is None.
        retries: how often a job that raises is tried again.
        tell: called with one sentence when no worker is there; they are waited for.
        news_s: seconds to wait, where workers were killed, for the news that it was for their
            memory.
        alone_s: seconds without a worker after which it is told.

    Raises:
        StageError: the scheduler was lost.
        KeyboardInterrupt: between two looks at the jobs, where one has come.
    """
    company = _Company(client, tell, alone_s)
    memory = _Memory(news_s)
    client.subscribe_topic(_MEMORY_TOPIC, memory.note)
    waiting, running = list(jobs), dict[Future, Job]()
    failed: dict[str, str] = {}
    open_names = {job.name for job in jobs}
    token = uuid.uuid4().hex[:8]  # a scheduler may still know the jobs of an earlier call
    with kept_interrupts() as look:
        try:
            while waiting or running:
                look()
                free = max(1, company.threads()) - len(running)
                for job in [each for each in waiting if each.after not in open_names]:
                    if job.after in failed:
                        waiting.remove(job)
                        open_names.discard(job.name)
                        failed[job.name] = failed[job.after]
                        ended(job, None, failed[job.after])
                    elif free > 0:
                        free -= 1
                        waiting.remove(job)
                        future = client.submit(job.call, key=f"{job.name}-{token}", retries=retries)
                        running[future] = job
                if not running:
                    continue
                with contextlib.suppress(TimeoutError):
                    wait(list(running), timeout=_LOOK_S, return_when="FIRST_COMPLETED")
                for future in [each for each in running if each.done()]:
                    job = running.pop(future)
                    open_names.discard(job.name)
                    reason = _failure(future, memory)
                    if reason is not None:
                        failed[job.name] = reason
                    ended(job, future.result() if reason is None else None, reason)
        finally:
            client.unsubscribe_topic(_MEMORY_TOPIC)
            # Of a sweep that was broken off, nothing is to go on behind the user's back.
            with contextlib.suppress(Exception):
                client.cancel(list(running))


def _threads(client: Client) -> int:
    # Not of workers that have registered and take nothing yet, or are paused: what is handed out
    # for their threads would wait behind another job, and be blamed along with it.
    try:
        return sum(client.sync(client.scheduler.ncores_running).values())
    except OSError as error:  # also where a connection was closed or timed out
        raise _lost(f"as it no longer answers ({' '.join(str(error).split())})") from error


def _lost(why: str) -> StageError:
    return StageError(
        f"the scheduler was lost, {why}", "give the same command again: what is finished is kept"
    )


def _failure(future: Future, memory: _Memory) -> str | None:
    """Why a job that is done has failed; None if it has not."""
    if future.status == "finished":
        return None
    if future.status != "error":
        raise _lost(f"or has dropped a task ({future.status})")
    error = future.exception()
    if not isinstance(error, KilledWorker):
        return str(error) if isinstance(error, SdqFpgaError) else _said(error)
    worker = error.last_worker
    times = error.allowed_failures + 1
    if (taken := memory.of(worker)) is not None:
        return (
            f"out of memory: {times} workers were ended for it, the last with "
            f"{format_bytes(taken)}; give workers more with --memory, or fewer of "
            "them with --workers."
        )
    return (
        f"its worker was killed {times} times, the last at {worker.address}; look whether the "
        "machine ran out of memory."
    )


def _said(error: BaseException | None) -> str:
    if isinstance(error, MemoryError):
        return f"out of memory ({' '.join(str(error).split())})."
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
