"""What a worker does, and the command around it; nothing is searched here."""

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from sdq_fpga.cli import main
from sdq_fpga.stages.steps import TRAINING
from sdq_fpga.sweep.drive import Sweep, locked
from sdq_fpga.sweep.plan import plan
from sdq_fpga.sweep.rows import row_file, write_row
from sdq_fpga.sweep.spec import SweepSpec
from sdq_fpga.sweep.work import run_task, run_training, task_directory, training_directory

TINY = Path(__file__).parent.parent / "stages" / "tiny.yaml"


@pytest.fixture
def short(tmp_path):
    """The tiny flow with one epoch of training, as a file."""
    flow = yaml.safe_load(TINY.read_text())
    flow["train"]["epochs"] = 1
    path = tmp_path / "short.yaml"
    path.write_text(yaml.safe_dump(flow))
    return path


@pytest.fixture
def sweep_file(tmp_path, short):
    stated = {"flows": [str(short)], "boards": ["pynq-z2"], "targets": [{"fps": 1e9}, {"bits": 3}]}
    path = tmp_path / "sweep.yaml"
    path.write_text(yaml.safe_dump(stated | {"stage": "search"}))
    return path


def test_what_is_wrong_with_a_task_is_in_its_row(tmp_path, sweep_file):
    task, _ = plan(SweepSpec.from_yaml(sweep_file))
    row = run_task(task, tmp_path, None, None)
    assert "1,000,000,000 frames/s are out of reach on pynq-z2" in row.error
    assert row.accuracy is None
    assert json.loads(row_file(tmp_path, task.name).read_bytes())["error"] == row.error
    assert Sweep([task], tmp_path).left == [task], "it is tried again by the next call"


def test_a_training_is_taken_over(tmp_path, sweep_file, monkeypatch):
    _, task = plan(SweepSpec.from_yaml(sweep_file))
    trained = training_directory(tmp_path, task.training)
    run_training(task.settings, trained)
    with monkeypatch.context() as patched:
        patched.setitem(TRAINING, "train", _trained_again)
        row = run_task(task, tmp_path, None, trained)
    assert row.error is None
    assert row.mean_weight_bits <= 3
    for name in ("net.safetensors", "metrics.json"):
        taken = task_directory(tmp_path, task) / "train" / name
        assert taken.read_bytes() == (trained / "train" / name).read_bytes()


def _trained_again(*_):
    raise AssertionError("it was trained again")


def test_two_sweeps_do_not_share_a_directory(tmp_path, sweep_file):
    with locked(tmp_path / "found"):
        arguments = ["sweep", str(sweep_file), "--out", str(tmp_path / "found")]
        done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 2
    assert "another sweep is using" in done.output


def test_what_is_to_be_done_is_shown_before(tmp_path, sweep_file):
    out, slurm = tmp_path / "found", tmp_path / "slurm.yaml"
    slurm.write_text("memory: 3GiB\nqueue: long\n")
    arguments = ["sweep", str(sweep_file), "--out", str(out), "--dry-run"]
    done = CliRunner().invoke(main, [*arguments, "--slurm", str(slurm)])
    assert done.exit_code == 0, done.output
    assert "2 tasks, 2 left" in done.output
    assert "#SBATCH -p long" in done.output
    assert not out.exists()
    task = plan(SweepSpec.from_yaml(sweep_file))[1]
    write_row(out, task.row.model_copy(update={"seconds": 1.0}))
    assert "2 tasks, 1 left" in CliRunner().invoke(main, arguments).output


@pytest.mark.parametrize(
    "options", [("--workers", "2"), ("--memory", "1GiB"), ("--slurm", "slurm.yaml")]
)
def test_where_to_run_is_said_once(tmp_path, sweep_file, options):
    arguments = ["sweep", str(sweep_file), "--out", str(tmp_path), *options]
    done = CliRunner().invoke(main, [*arguments, "--scheduler", "tcp://127.0.0.1:9"])
    assert done.exit_code == 2
    assert "leave" in done.output
