"""Many searches and builds."""

import json
import os
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sdq_fpga.cli.options import DIRECTORY, FILE, cache_option, debug_option, json_option
from sdq_fpga.cli.output import loading, stdout
from sdq_fpga.errors import UserError
from sdq_fpga.sweep.spec import SweepSpec

if TYPE_CHECKING:
    from distributed import Client

    from sdq_fpga.sweep.cluster import Slurm

__all__ = ["sweep"]

_INTERRUPTED = 130  # as shells have it: 128 + SIGINT


@click.command()
@debug_option
@click.argument("file", metavar="FILE", type=FILE)
@click.option(
    "--out", type=DIRECTORY, required=True, help="Directory of runs, results and plot; goes on."
)
@click.option(
    "--workers", type=click.IntRange(1), help="Worker processes on this machine [its cores]."
)
@click.option("--memory", help="What each of them may have, such as 4GiB [an equal share of all].")
@click.option("--scheduler", metavar="ADDRESS", help="A Dask scheduler that runs already.")
@click.option("--slurm", "slurm_file", type=FILE, help="YAML: what workers ask of Slurm.")
@click.option(
    "--retries",
    type=click.IntRange(0),
    default=2,
    show_default=True,
    help="How often a task is tried again that lost its worker, or met what nobody foresaw.",
)
@click.option("--dry-run", is_flag=True, help="Show the tasks, and the script of a Slurm job.")
@cache_option
@json_option
def sweep(
    file: Path,
    out: Path,
    workers: int | None,
    memory: str | None,
    scheduler: str | None,
    slurm_file: Path | None,
    retries: int,
    dry_run: bool,
    cache: Path,
    as_json: bool,
) -> None:
    """Run many searches or builds: flows, boards, seeds, targets, methods.

    Results are in DIR/results.parquet and DIR/frontier.png, a row for each task as it comes. The
    same command again does what is left.

    \b
    Examples:
      sdq-fpga sweep sweep.yaml --out sweeps/digits --workers 4 --memory 4GiB
      sdq-fpga sweep sweep.yaml --out /shared/digits --scheduler tcp://10.0.0.5:8786
      sdq-fpga sweep sweep.yaml --out /shared/digits --slurm slurm.yaml --dry-run
    """
    if scheduler is not None and slurm_file is not None:
        raise UserError("--scheduler and --slurm both say where to run", "leave one of them out")
    if (scheduler or slurm_file) and (workers or memory):
        raise UserError(
            "--workers and --memory are for workers on this machine",
            "leave them out, or --scheduler and --slurm",
        )
    spec = SweepSpec.from_yaml(file)
    progress = loading(cache)
    from sdq_fpga.sweep.cluster import Slurm, job_script  # noqa: PLC0415
    from sdq_fpga.sweep.drive import Sweep, locked  # noqa: PLC0415
    from sdq_fpga.sweep.plan import plan  # noqa: PLC0415
    from sdq_fpga.sweep.table import results_table, tasks_table  # noqa: PLC0415

    slurm = None if slurm_file is None else Slurm.from_yaml(slurm_file)
    out = out.resolve()
    tasks = plan(spec)
    if dry_run:
        stdout().print(tasks_table(tasks, Sweep(tasks, out).left))
        if slurm is not None:
            click.echo(job_script(slurm), nl=False)
        return
    interrupted = False
    with locked(out):
        found = Sweep(tasks, out)
        if len(found.left) < len(tasks):
            progress.note(f"{len(tasks) - len(found.left)} of {len(tasks)} tasks are finished")
        if found.left:
            most = min(workers or os.cpu_count() or 1, len(found.left))
            try:
                with _cluster(scheduler, slurm, out, most, memory, retries) as client:
                    found.run(client, cache, retries, progress)
            except KeyboardInterrupt:
                interrupted = True
                found.look_again()
        found.write()
    if as_json:
        click.echo(json.dumps([row.model_dump(mode="json") for row in found.rows], indent=1))
    else:
        stdout().print(results_table(found.rows))
    if interrupted:
        progress.note(
            f"interrupted with {len(found.left)} of {len(tasks)} tasks left; the same command goes "
            "on with them"
        )
        sys.exit(_INTERRUPTED)
    if found.left:
        sys.exit(1)


def _cluster(
    scheduler: str | None,
    slurm: "Slurm | None",
    out: Path,
    workers: int,
    memory: str | None,
    retries: int,
) -> "AbstractContextManager[Client]":
    from sdq_fpga.sweep import cluster  # noqa: PLC0415

    if scheduler is not None:
        return cluster.existing(scheduler)
    if slurm is not None:
        return cluster.slurm(slurm, out / "slurm", retries)
    return cluster.local(workers, memory or "auto", retries)
