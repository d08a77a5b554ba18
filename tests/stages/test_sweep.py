"""Sweeps through the command line, on workers of this machine."""

import json
import os
import signal
import subprocess
import time

import pyarrow.parquet as pq
import yaml
from terminal import TIMEOUT_S, TINY

SPEC = {
    "flows": [str(TINY)],
    "boards": ["pynq-z2"],
    # Enough of them that some are still to be done when the first is.
    "targets": [{"bits": bits} for bits in (3.5, 3.3, 3.1, 3)],
    "stage": "search",
}
COMMAND = ("sweep", "sweep.yaml", "--out", "found", "--workers", "1", "--json")


def test_what_is_finished_outlives_an_interrupt_and_is_not_done_again(terminal):
    (terminal.root / "work" / "sweep.yaml").write_text(yaml.safe_dump(SPEC))
    rows = terminal.root / "work" / "found" / "rows"
    process = subprocess.Popen(
        # Where tests run in the background, a shell has it ignore the interrupt.
        ["env", "--default-signal=INT", *terminal.arguments(*COMMAND)],
        cwd=terminal.root / "work",
        env=terminal.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + TIMEOUT_S
    while not list(rows.glob("*.json")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 130, err
    assert "the same command goes on" in err
    assert "Traceback" not in err
    interrupted = [row for row in json.loads(out) if row["accuracy"] is not None]
    assert 0 < len(interrupted) < len(SPEC["targets"])
    before = {path: path.stat().st_mtime_ns for path in rows.glob("*.json")}

    done = terminal.call(*COMMAND)
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert [row for row in found if row in interrupted] == interrupted
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(found) == len(SPEC["targets"])
    for row in found:
        assert row["mean_weight_bits"] <= row["target_bits"]
        assert row["frames_per_second"] > 0
        assert row["float_accuracy"] > 0.8
        assert row["accuracy"] > 0.3
        assert row["error"] is None
    assert pq.read_table(rows.parent / "results.parquet").to_pylist() == found
    assert (rows.parent / "frontier.png").read_bytes().startswith(b"\x89PNG")
    assert len(list((rows.parent / "training").iterdir())) == 1
