"""The results of a sweep: a row for each task, kept one by one, and as a table and a plot.

A worker writes the row of its task as soon as it has it; so whatever happens to the worker, to the
scheduler or to the command, what is finished stays.
"""

import io
import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from matplotlib.figure import Figure
from pydantic import ValidationError

from sdq_fpga.plain import Plain
from sdq_fpga.report.png import as_png
from sdq_fpga.run import write_atomically

__all__ = [
    "FRONTIER",
    "RESULTS",
    "Row",
    "draw_frontier",
    "frontier",
    "read_row",
    "row_file",
    "write_results",
    "write_row",
]

RESULTS = "results.parquet"
FRONTIER = "frontier.png"


class Row(Plain):
    """One task, and what came out.

    Attributes:
        task: its name, also that of its run directory.
        key: SHA-256 of all that decides it: what was stated, code, tools and data.
        board: name of the board.
        target_bits: mean weight bits that were asked for; None where the board's speed decides.
        budget: shares of the board, as they were stated.
        method: of search; None for the flow's.
        stage: how far the task went.
        error: why there are no figures; None where there are.
        float_accuracy: of the float network on all test images, from 0 to 1.
        accuracy: of the quantized network on them: as the search left it, finetuned, or built.
        frames_per_second: simulated in a build, foretold otherwise.
        latency_us: likewise.
        lut: foretold, as are the other resources.
        bit_exact: whether the RTL equals the model; None where nothing was built.
        seconds: that the task took on its worker, when it was really run.
    """

    task: str
    key: str
    flow: str
    board: str
    seed: int
    clock_mhz: float
    target_bits: float | None
    target_fps: float | None
    target_latency_us: float | None
    budget: str | None
    method: str | None
    stage: str
    error: str | None = None
    float_accuracy: float | None = None
    accuracy: float | None = None
    mean_weight_bits: float | None = None
    frames_per_second: float | None = None
    latency_us: float | None = None
    lut: int | None = None
    ff: int | None = None
    bram18: int | None = None
    uram: int | None = None
    dsp: int | None = None
    bit_exact: bool | None = None
    seconds: float | None = None


_TYPES = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
# Types are stated: of a column in which nothing is known yet, none could be guessed.
_SCHEMA = pa.schema(
    [
        (name, next(of for kind, of in _TYPES.items() if field.annotation in (kind, kind | None)))
        for name, field in Row.model_fields.items()
    ]
)


def row_file(out: Path, task: str) -> Path:
    """Where the row of a task is kept."""
    return out / "rows" / f"{task}.json"


def read_row(out: Path, task: str, key: str) -> Row | None:
    """The row of a finished task; None if it has none, failed, or is of something else by now."""
    try:
        row = Row.model_validate_json(row_file(out, task).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
    return row if row.key == key and row.error is None else None


def write_row(out: Path, row: Row) -> None:
    """Keeps a row."""
    path = row_file(out, row.task)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, row.to_bytes())


def write_results(out: Path, rows: Iterable[Row]) -> None:
    """Writes the table of all rows, atomically."""
    table = pa.Table.from_pylist([row.model_dump() for row in rows], schema=_SCHEMA)
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    write_atomically(out / RESULTS, buffer.getvalue())


def frontier(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Of points (frames/s, accuracy), those that no other beats in both; the slowest first."""
    best: list[tuple[float, float]] = []
    for speed, accuracy in sorted(points, reverse=True):
        if not best or accuracy > best[-1][1]:
            best.append((speed, accuracy))
    return best[::-1]


def draw_frontier(path: Path, rows: Sequence[Row]) -> None:
    """Draws accuracy against frames per second, with a frontier of each flow, board and method."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    known = [row for row in rows if row.accuracy is not None and row.frames_per_second is not None]
    known.sort(key=_series)
    for name, group in itertools.groupby(known, _series):
        points = [(row.frames_per_second or 0.0, row.accuracy or 0.0) for row in group]
        line = frontier(points)
        (drawn,) = axes.step(
            [speed for speed, _ in line],
            [100 * share for _, share in line],
            where="pre",
            label=name,
        )
        axes.scatter(
            [speed for speed, _ in points],
            [100 * share for _, share in points],
            color=drawn.get_color(),
            s=18,
        )
    if known:
        axes.set_xscale("log")
        axes.legend()
    axes.set_xlabel("frames/s")
    axes.set_ylabel("accuracy on the test images, %")
    axes.set_title(f"{len(known)} of {len(rows)} designs")
    axes.grid(alpha=0.3)
    write_atomically(path, as_png(figure))


def _series(row: Row) -> str:
    return " ".join(part for part in (row.flow, row.board, row.method) if part)
