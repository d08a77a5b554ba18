"""What a worker does: one training, or one task of a sweep."""

import time
from pathlib import Path

from sdq_fpga.cost.estimate import Estimate, estimate
from sdq_fpga.errors import SdqFpgaError
from sdq_fpga.progress import SilentProgress
from sdq_fpga.report.summary import Report, TrainingFigures
from sdq_fpga.run import open_run
from sdq_fpga.stages.build import Build
from sdq_fpga.stages.settings import Settings
from sdq_fpga.stages.untrained import hardware_of_flow
from sdq_fpga.sweep.plan import Task
from sdq_fpga.sweep.rows import Row, write_row
from sdq_fpga.sweep.spec import Until

__all__ = ["run_task", "run_training", "task_directory", "training_directory"]


def task_directory(out: Path, task: Task) -> Path:
    """The run directory of a task."""
    return out / "runs" / task.name


def training_directory(out: Path, name: str) -> Path:
    """The run directory of a training that several tasks begin with."""
    return out / "training" / name


def run_training(settings: Settings, directory: Path) -> None:
    """Trains the float network of a flow, unless that is done.

    Raises:
        SdqFpgaError: it can't be trained.
    """
    with open_run(directory) as run:
        Build(settings, run, None, SilentProgress()).train()


def run_task(task: Task, out: Path, cache: Path | None, trained: Path | None) -> Row:
    """Runs one task, and keeps its row.

    What is wrong with the task itself is an error in its row: to try again would not help.

    Args:
        task: what to do.
        out: directory of the sweep.
        cache: directory of compiled simulations.
        trained: run directory of its training; None to train here.
    """
    began = time.monotonic()
    try:
        figures = _figures(task, out, cache, trained)
    except SdqFpgaError as error:
        row = task.row.model_copy(update={"error": str(error)})
    else:
        seconds = {"seconds": time.monotonic() - began}
        row = task.row.model_copy(update=figures | seconds)
    write_row(out, row)
    return row


def _figures(
    task: Task, out: Path, cache: Path | None, trained: Path | None
) -> dict[str, float | None]:
    with open_run(task_directory(out, task)) as run:
        if trained is not None:
            run.take_over("train", trained)
        build = Build(task.settings, run, cache, SilentProgress())
        if task.until is Until.BUILD:
            return _of_report(build.everything(None))
        training = build.searched() if task.until is Until.SEARCH else build.finetune()
        policy = build.search()
    settings = task.settings
    foretold = estimate(
        hardware_of_flow(settings.flow, policy, settings.board),
        settings.board,
        settings.clock_mhz,
        settings.target_fps,
        settings.shares,
        settings.target_latency_us,
    )
    return _of_training(training) | _of_estimate(foretold)


def _of_training(figures: TrainingFigures | None) -> dict[str, float | None]:
    if figures is None:
        return {}
    return {
        "float_accuracy": figures.float_accuracy,
        "accuracy": figures.quantized_accuracy,
        "mean_weight_bits": figures.mean_weight_bits,
    }


def _of_estimate(found: Estimate) -> dict[str, float | None]:
    return {
        "frames_per_second": found.frames_per_second,
        "latency_us": found.latency / found.clock_mhz,
        **found.resources.model_dump(),
    }


def _of_report(report: Report) -> dict[str, float | None]:
    accelerator = report.accelerator
    return {
        **_of_training(report.training),
        "frames_per_second": accelerator.frames_per_second,
        "latency_us": accelerator.latency_us,
        "bit_exact": accelerator.simulation.verdict.bit_exact,
        **{row.name: row.used for row in accelerator.resources},
    }
