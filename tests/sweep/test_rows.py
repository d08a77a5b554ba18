"""The results of a sweep: rows, the table, the frontier."""

import json

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdq_fpga.sweep.rows import (
    RESULTS,
    Row,
    draw_frontier,
    frontier,
    read_row,
    row_file,
    write_results,
    write_row,
)

PLANNED = Row(
    task="digits-zcu104-1",
    key="k",
    flow="digits-cnn",
    board="zcu104",
    seed=3,
    clock_mhz=185.0,
    target_bits=None,
    target_fps=1e5,
    target_latency_us=None,
    budget="dsp=40%",
    method=None,
    stage="build",
)
DONE = PLANNED.model_copy(
    update={"accuracy": 0.97, "frames_per_second": 1.1e5, "lut": 900, "bit_exact": True}
)


def test_a_row_is_kept_for_as_long_as_its_key_is_the_same(tmp_path):
    assert read_row(tmp_path, PLANNED.task, "k") is None
    write_row(tmp_path, DONE)
    assert read_row(tmp_path, DONE.task, "k") == DONE
    assert read_row(tmp_path, DONE.task, "of other code") is None


def test_a_failed_or_damaged_row_is_not_taken(tmp_path):
    write_row(tmp_path, PLANNED.model_copy(update={"error": "out of memory"}))
    assert read_row(tmp_path, PLANNED.task, "k") is None
    row_file(tmp_path, PLANNED.task).write_bytes(DONE.to_bytes()[:50])
    assert read_row(tmp_path, PLANNED.task, "k") is None


@pytest.mark.parametrize("rows", [[PLANNED], [PLANNED, DONE], [DONE]])
def test_the_table_has_every_row_in_the_same_types(tmp_path, rows):
    write_results(tmp_path, rows)
    table = pq.read_table(tmp_path / RESULTS)
    assert table.to_pylist() == [json.loads(row.to_bytes()) for row in rows]
    types = dict(zip(table.schema.names, map(str, table.schema.types), strict=True))
    assert types["accuracy"] == types["target_bits"] == "double"
    assert types["lut"] == types["seed"] == "int64"
    assert (types["bit_exact"], types["error"]) == ("bool", "string")


points = st.lists(
    st.tuples(st.sampled_from([1.0, 2.0, 3.0, 4.0]), st.sampled_from([0.1, 0.5, 0.9]))
)


@given(points)
def test_the_frontier_is_what_nothing_beats(these):
    def beaten(point):
        return any(
            other != point and other[0] >= point[0] and other[1] >= point[1] for other in these
        )

    assert frontier(these) == sorted({point for point in these if not beaten(point)})


@pytest.mark.parametrize("rows", [[PLANNED], [PLANNED, DONE]])
def test_the_plot_is_drawn(tmp_path, rows):
    draw_frontier(tmp_path / "frontier.png", rows)
    assert (tmp_path / "frontier.png").read_bytes().startswith(b"\x89PNG")
