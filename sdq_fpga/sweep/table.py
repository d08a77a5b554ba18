"""Prints the results of a sweep."""

from collections.abc import Sequence

from rich.table import Table

from sdq_fpga.sweep.plan import Task
from sdq_fpga.sweep.rows import Row

__all__ = ["results_table", "tasks_table"]


def results_table(rows: Sequence[Row]) -> Table:
    """One row a task."""
    methods = any(row.method is not None for row in rows)
    table = Table(title_justify="left", title=f"sweep, each up to its {rows[0].stage}")
    for heading in ("flow", "board", *(["method"] if methods else [])):
        table.add_column(heading, overflow="fold")
    for heading in ("seed", "target", "accuracy", "float", "bits", "frames/s", "latency us"):
        table.add_column(heading, justify="right")
    for heading in ("DSP", "LUT", "BRAM18", "bit-exact"):
        table.add_column(heading, justify="right")
    table.add_column("seconds", justify="right")
    for row in rows:
        table.add_row(
            row.flow,
            row.board,
            *([row.method or ""] if methods else []),
            str(row.seed),
            _target(row),
            *_figures(row),
        )
    return table


def _figures(row: Row) -> list[str]:
    if row.accuracy is None or row.error is not None:
        return ["not finished" if row.error is None else "failed"]
    return [
        f"{row.accuracy:.2%}",
        f"{row.float_accuracy:.2%}",
        f"{row.mean_weight_bits:.2f}",
        f"{row.frames_per_second:,.0f}",
        f"{row.latency_us:,.2f}",
        f"{row.dsp:,}",
        f"{row.lut:,}",
        f"{row.bram18:,}",
        "" if row.bit_exact is None else "yes" if row.bit_exact else "NO",
        f"{row.seconds:,.0f}",
    ]


def tasks_table(tasks: Sequence[Task], left: Sequence[Task]) -> Table:
    """The tasks of a sweep, and which are finished."""
    table = Table(title=f"{len(tasks)} tasks, {len(left)} left", title_justify="left")
    for heading in ("task", "seed", "method", "target", "stage", "finished"):
        table.add_column(heading, overflow="fold")
    for task in tasks:
        row = task.row
        finished = "no" if task in left else "yes"
        table.add_row(task.name, str(row.seed), row.method or "", _target(row), row.stage, finished)
    return table


def _target(row: Row) -> str:
    parts = []
    if row.target_bits is not None:
        parts.append(f"{row.target_bits:g} bits")
    if row.target_fps is not None:
        parts.append(f"{row.target_fps:,.0f} frames/s")
    if row.target_latency_us is not None:
        parts.append(f"{row.target_latency_us:g} us")
    if row.budget is not None:
        parts.append(row.budget)
    return ", ".join(parts)
