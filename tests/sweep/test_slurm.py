"""The script of a Slurm job; Slurm itself is not needed for it."""

import pytest

from sdq_fpga.errors import UserError
from sdq_fpga.sweep.cluster import Slurm, job_script

STATED = {
    "queue": "gpu",
    "account": "lab42",
    "walltime": "04:30:00",
    "cores": 4,
    "memory": "12GiB",
    "directives": ["--gres=gpu:1"],
    "prologue": ["module load python/3.11"],
    "interface": "ib0",
    "python": "/opt/venv/bin/python",
    "local_directory": "/scratch/dask",
}


def test_all_that_is_stated_is_asked_for():
    lines = job_script(Slurm.model_validate(STATED)).splitlines()
    assert lines[0].startswith("#!")
    asked = {line for line in lines if line.startswith("#SBATCH")}
    assert asked >= {
        "#SBATCH -p gpu",
        "#SBATCH -A lab42",
        "#SBATCH -t 04:30:00",
        "#SBATCH --cpus-per-task=4",
        "#SBATCH --mem=12G",
        "#SBATCH --gres=gpu:1",
    }
    prologue, worker = lines[-2:]
    assert prologue == "module load python/3.11"
    assert worker.startswith("/opt/venv/bin/python -m distributed.cli.dask_worker tcp://SCHEDULER")
    # One thread: what a worker runs changes settings of its whole process.
    for option in ("--nthreads 1", "--memory-limit 12.00GiB", "--nanny", "--interface ib0"):
        assert option in worker
    assert "--local-directory /scratch/dask" in worker


def test_the_least_that_can_be_stated():
    script = job_script(Slurm(memory="2GiB"))
    assert "#SBATCH --mem=2G\n" in script
    assert "#SBATCH -p" not in script
    assert "#SBATCH -A" not in script


@pytest.mark.parametrize(
    ("field", "value"),
    [("memory", "much"), ("walltime", "an hour"), ("jobs", 0), ("partition", "gpu")],
)
def test_what_slurm_would_not_take_is_refused(field, value):
    with pytest.raises(UserError, match=f"valid description of a Slurm cluster .{field}"):
        Slurm.from_data({"memory": "2GiB", field: value}, "slurm.yaml")
