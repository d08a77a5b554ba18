"""Where the tasks of a sweep run: on this machine, under a scheduler of the user's, or in Slurm."""

import asyncio
import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar

import dask
from distributed import Client, LocalCluster, SpecCluster, Worker, WorkerPlugin
from pydantic import Field

from sdq_fpga.errors import StageError, UserError
from sdq_fpga.plain import Plain

if TYPE_CHECKING:
    from dask_jobqueue import SLURMCluster

__all__ = ["Slurm", "existing", "job_script", "local", "slurm"]

_CONNECT_S = 30
_KEEP_S = 10  # between two looks for workers that have ended
# Dask ends what has had no worker for so long, by default 15 s. On a busy machine, or with Python
# on a shared disk, a worker may take that to begin again, and would be lost with its next task.
_LOST_S = 180


class Slurm(Plain):
    """How workers are asked of Slurm, as in a YAML file; each job is one worker of one thread.

    Attributes:
        queue: the partition.
        account: who pays.
        walltime: of a job, such as "04:00:00".
        cores: of a job.
        memory: of a job, such as "8GiB"; a worker that has more is ended.
        jobs: how many are asked for at a time.
        directives: further lines for sbatch, such as "--gres=gpu:1".
        prologue: lines of shell before the worker starts, such as "module load python".
        interface: of the network, where workers reach the scheduler; None for the default.
        python: the interpreter of the workers; None for this one.
        local_directory: for workers' own files; None for the working directory.
    """

    noun: ClassVar[str] = "description of a Slurm cluster"

    queue: str | None = None
    account: str | None = None
    walltime: str = Field(default="01:00:00", pattern=r"^(\d+-)?\d+:\d\d(:\d\d)?$")
    cores: int = Field(default=1, gt=0)
    memory: str = Field(pattern=r"^\d+(\.\d+)?\s*[kMGT]i?B$")
    jobs: int = Field(default=1, gt=0)
    directives: tuple[str, ...] = ()
    prologue: tuple[str, ...] = ()
    interface: str | None = None
    python: str | None = None
    local_directory: str | None = None

    def options(self) -> dict[str, Any]:
        """Arguments of dask-jobqueue's cluster, and of one of its jobs."""
        return {
            "queue": self.queue,
            "account": self.account,
            "walltime": self.walltime,
            "cores": 1,  # threads of the worker
            "job_cpu": self.cores,
            "processes": 1,
            "memory": self.memory,
            "job_extra_directives": list(self.directives),
            "job_script_prologue": list(self.prologue),
            "interface": self.interface,
            "python": self.python,
            "local_directory": self.local_directory,
        }


def job_script(spec: Slurm) -> str:
    """The script that would be given to sbatch for each job; nothing is started.

    The scheduler's address is known only once it runs; here it is "tcp://SCHEDULER".
    """
    from dask_jobqueue.slurm import SLURMJob  # noqa: PLC0415  # it reads its settings on import

    job = SLURMJob(scheduler="tcp://SCHEDULER", name="sdq-fpga", **spec.options())
    return str(job.job_script())


@contextmanager
def local(workers: int, memory: str, retries: int) -> Iterator[Client]:
    """Worker processes on this machine, each of one thread, reached by the loopback interface.

    Args:
        workers: how many.
        memory: that each may have, such as "4GiB"; "auto" for an equal share.
        retries: how often a task may lose its worker before it is given up.

    Raises:
        UserError: memory is no amount.
    """
    with _settings(retries), TemporaryDirectory(prefix="sdq-fpga-sweep-") as scratch:
        try:
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                memory_limit=memory,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                worker_dashboard_address="127.0.0.1:0",
                local_directory=scratch,
                silence_logs=logging.CRITICAL,
                env={"PYTHONWARNINGS": "ignore"},  # of torch and Brevitas, about their own insides
            )
        except ValueError as error:
            raise UserError(
                f"workers can't have {memory} of memory ({error})", "write such as --memory 4GiB"
            ) from error
        with cluster, Client(cluster) as client, _kept(cluster):
            client.register_plugin(_Deaf())
            yield client


class _Deaf(WorkerPlugin):  # type: ignore[misc]  # Dask has no types
    """A worker that leaves Ctrl-C, which the terminal sends to it too, to the command."""

    def setup(self, worker: Worker) -> None:  # as Dask has it
        """Runs in the main thread of the worker's process."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def existing(address: str) -> Iterator[Client]:
    """The workers of a scheduler that runs already.

    Args:
        address: such as "tcp://192.168.1.5:8786".

    Raises:
        UserError: the address is none.
        StageError: nobody answers there.
    """
    try:
        client = Client(address, timeout=_CONNECT_S)
    except (OSError, TimeoutError) as error:
        raise StageError(
            f"no scheduler answers at {address} ({' '.join(str(error).split())})",
            "start one with dask scheduler, and workers with dask worker",
        ) from error
    except ValueError as error:
        raise UserError(
            f"'{address}' is no address of a scheduler", "write such as tcp://127.0.0.1:8786"
        ) from error
    with client:
        yield client


@contextmanager
def slurm(spec: Slurm, logs: Path, retries: int) -> Iterator[Client]:
    """Workers in jobs of Slurm, under a scheduler in this process.

    A job that ends, as when its time is over or its node fails, is replaced.

    Args:
        spec: what is asked of Slurm.
        logs: directory for the output of jobs.
        retries: how often a task may lose its worker before it is given up.

    Raises:
        StageError: Slurm is not installed, or refuses the job.
    """
    from dask_jobqueue import SLURMCluster  # noqa: PLC0415  # it reads its settings on import

    with _settings(retries):
        cluster = SLURMCluster(log_directory=str(logs), **spec.options())
        try:
            cluster.sync(_ask, cluster, spec.jobs)
        except (OSError, RuntimeError) as error:
            with suppress(AssertionError):  # Dask's, as it has workers that never started
                cluster.close()
            raise StageError(
                f"Slurm did not take the jobs ({' '.join(str(error).split())})",
                "look whether sbatch works on this machine; --dry-run shows the script of a job",
            ) from error
        with cluster, Client(cluster) as client, _kept(cluster):
            yield client


@contextmanager
def _kept(cluster: SpecCluster) -> Iterator[None]:
    """Starts another worker in place of each that has ended for good, such as a job by its time.

    Not of those that ended before they came: they would do so again and again.
    """
    loop, left = cluster.loop.asyncio_loop, asyncio.Event()
    keeping = asyncio.run_coroutine_threadsafe(_keep(cluster, left), loop)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(left.set)
        keeping.result()  # not in the middle of a start, which the cluster could not end


async def _keep(cluster: SpecCluster, left: asyncio.Event) -> None:
    while True:
        with suppress(TimeoutError):
            await asyncio.wait_for(left.wait(), _KEEP_S)
            return
        with suppress(OSError, RuntimeError):  # Slurm may be down for a while
            await cluster


async def _ask(cluster: "SLURMCluster", jobs: int) -> None:
    """Asks for jobs until they are with Slurm; a cluster by itself only logs a refusal."""
    cluster.scale(jobs=jobs)
    await cluster


@contextmanager
def _settings(retries: int) -> Iterator[None]:
    """Settings of schedulers and workers that are started within."""
    with dask.config.set(
        {
            "distributed.scheduler.allowed-failures": retries,
            "distributed.deploy.lost-worker-timeout": f"{_LOST_S}s",
            # A task may hold Python's lock for long, in a solver say: that is no dead worker.
            "distributed.scheduler.worker-ttl": "1 hour",
            # What a finished task leaves in a worker's memory must not keep it from the next one.
            "distributed.worker.memory.target": False,
            "distributed.worker.memory.spill": False,
            "distributed.worker.memory.pause": False,
        }
    ):
        yield
