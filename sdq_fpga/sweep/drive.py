"""Drives a sweep: hands its tasks to workers, and keeps what comes back."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from distributed import Client

from sdq_fpga.errors import UserError
from sdq_fpga.progress import Progress
from sdq_fpga.run import take_lock
from sdq_fpga.sweep.jobs import Job, run_jobs
from sdq_fpga.sweep.plan import Task
from sdq_fpga.sweep.rows import (
    FRONTIER,
    Row,
    draw_frontier,
    read_row,
    write_results,
    write_row,
)
from sdq_fpga.sweep.work import run_task, run_training, training_directory

__all__ = ["Sweep", "locked"]


class Sweep:
    """One sweep in one directory.

    Args:
        tasks: of the sweep.
        out: its directory, absolute; workers must reach it by the same path.

    Attributes:
        rows: of the tasks, in order; those that are not finished have no figures.
    """

    def __init__(self, tasks: Sequence[Task], out: Path) -> None:
        self._tasks = tuple(tasks)
        self._out = out
        self._rows = {
            task.name: read_row(out, task.name, task.row.key) or task.row for task in tasks
        }
        self._done = {name for name, row in self._rows.items() if row.seconds is not None}

    @property
    def rows(self) -> list[Row]:
        """A row for each task."""
        return [self._rows[task.name] for task in self._tasks]

    @property
    def left(self) -> list[Task]:
        """Tasks that are not finished; those that failed are among them."""
        return [task for task in self._tasks if task.name not in self._done]

    def run(self, client: Client, cache: Path | None, retries: int, progress: Progress) -> None:
        """Runs what is left.

        Args:
            client: of the workers.
            cache: directory of compiled simulations.
            retries: how often a task is tried again, whose failure is no fault of its own.
            progress: told after each task, why one failed, and where no worker is there.

        Raises:
            StageError: the scheduler was lost.
        """
        names = {task.name: task for task in self.left}
        self.write()
        with progress.task("sweep", len(names)) as advance:

            def ended(job: Job, result: object, reason: str | None) -> None:
                task = names.get(job.name)
                if task is None:  # a training
                    return
                row = result
                if not isinstance(row, Row):
                    row = task.row.model_copy(update={"error": reason})
                    write_row(self._out, row)
                self._rows[task.name] = row
                if row.error is None:
                    self._done.add(task.name)
                else:
                    progress.note(f"{task.name} failed: {row.error}")
                self.write()
                advance(1)

            run_jobs(client, self._jobs(cache), ended, retries, progress.note)

    def look_again(self) -> None:
        """Takes in rows of workers that were not heard of any more."""
        for task in self.left:
            if (row := read_row(self._out, task.name, task.row.key)) is not None:
                self._rows[task.name] = row
                self._done.add(task.name)

    def write(self) -> None:
        """Writes the table and the plot."""
        write_results(self._out, self.rows)
        draw_frontier(self._out / FRONTIER, self.rows)

    def _jobs(self, cache: Path | None) -> list[Job]:
        """Trainings that several tasks begin with, and the tasks."""
        shared = Counter(task.training for task in self._tasks)
        jobs: dict[str, Job] = {}
        for task in self.left:
            directory, training = None, None
            if shared[task.training] > 1:
                training = f"training-{task.training}"
                directory = training_directory(self._out, task.training)
                call = partial(run_training, task.settings, directory)
                jobs.setdefault(training, Job(training, call))
            work = partial(run_task, task, self._out, cache, directory)
            jobs[task.name] = Job(task.name, work, training)
        return list(jobs.values())


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Makes the directory of a sweep, and keeps other sweeps out of it.

    Raises:
        UserError: it can't be made, or another sweep is using it.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = (out / ".lock").open("w")
    except OSError as error:
        raise UserError(
            f"{out} can't be the directory of a sweep ({error.strerror})",
            "give another one with --out",
        ) from error
    with lock:
        take_lock(lock, out, "sweep", "--out")
        yield
