"""Clusters: a scheduler of the user's, a Slurm whose commands stand in, and workers that end."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from sdq_fpga.errors import StageError
from sdq_fpga.sweep import cluster
from sdq_fpga.sweep.cluster import Slurm, existing, local, slurm
from sdq_fpga.sweep.jobs import Job, run_jobs

RETRIES = 1
PATIENCE_S = 120
LOCAL = ("--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0")

# Gives the script of a job to the shell at once, where Slurm would find a node for it first. Like
# Slurm, it keeps no file that may be deleted as soon as the job is taken. The number of the job is
# that of its group of processes.
SBATCH = """#!{python}
import pathlib, subprocess, sys
job = subprocess.Popen(
    ["/bin/sh", "-c", pathlib.Path(sys.argv[-1]).read_text()], stdout=open("{log}", "a"),
    stderr=subprocess.STDOUT, start_new_session=True,
)
print("Submitted batch job", job.pid)
"""
SCANCEL = """#!{python}
import os, signal, sys
os.killpg(int(sys.argv[-1]), signal.SIGTERM)
"""


@contextmanager
def started(*arguments):
    """A program of Dask's, ended with all that it has started."""
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def scheduler(tmp_path):
    """A scheduler with one worker; its address and process."""
    address = tmp_path / "scheduler.json"
    where = ("--scheduler-file", str(address))
    with started("distributed.cli.dask_scheduler", *LOCAL, "--port", "0", *where) as process:
        # A worker would not wait until the whole file is there.
        deadline = time.monotonic() + PATIENCE_S
        while not address.is_file() or not address.read_text().rstrip().endswith("}"):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        scratch = ("--local-directory", str(tmp_path / "scratch"))
        options = ("--nthreads", "1", "--nanny", "--no-dashboard", *scratch, *where)
        with started("distributed.cli.dask_worker", *LOCAL, *options):
            found = json.loads(address.read_text())["address"]
            with existing(found) as client:
                wait_for_nannies(client, 1)
            yield found, process


def wait_for_nannies(client, workers):
    """Waits for workers, and until those who watch over them have seen them begin.

    A worker that dies before that is not begun again.
    """

    def watching(dask_worker):
        return dask_worker.status.name == "running"

    client.wait_for_workers(workers, timeout=PATIENCE_S)
    deadline = time.monotonic() + PATIENCE_S
    while not all(client.run(watching, nanny=True).values()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def asked(client, *jobs):
    """Runs jobs; what each returned, or why it failed."""
    ended = {}
    run_jobs(
        client,
        jobs,
        lambda job, result, reason: ended.update({job.name: result if reason is None else reason}),
        RETRIES,
        lambda text: None,
        news_s=0.5,
    )
    return ended


# What follows is defined within functions, so that it is sent to workers whole: they can't import
# the tests.


def killed_once(file):
    def call():
        import os
        import signal

        if not file.is_file():
            file.write_text("")
            os.kill(os.getpid(), signal.SIGKILL)
        return "survived"

    return call


def waiting_for_nothing(file):
    def call():
        import time

        file.write_text("")
        time.sleep(600)

    return call


def test_jobs_run_on_the_workers_of_a_scheduler_that_runs_already(scheduler, tmp_path):
    address, _ = scheduler
    with existing(address) as client:
        jobs = Job("where", os.getpid), Job("killed", killed_once(tmp_path / "killed"))
        found = asked(client, *jobs)
    assert found["where"] not in {None, os.getpid()}
    assert found["killed"] == "survived"
    # The scheduler is the user's: it stays, and serves again.
    with existing(address) as client:
        assert asked(client, Job("again", os.getpid))["again"] != os.getpid()


def test_a_scheduler_that_dies_is_told_of(scheduler, tmp_path):
    address, process = scheduler
    begun = tmp_path / "begun"
    ended = []

    def note(job, result, reason):
        ended.append((job.name, result, reason))
        process.kill()

    with existing(address) as client, pytest.raises(StageError, match="scheduler was lost"):
        run_jobs(
            client,
            [Job("short", os.getpid), Job("long", waiting_for_nothing(begun))],
            note,
            RETRIES,
            lambda text: None,
        )
    assert [name for name, _, _ in ended] == ["short"]


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """Slurm's commands, which run jobs on this machine."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in (("sbatch", SBATCH), ("scancel", SCANCEL)):
        path = folder / name
        path.write_text(text.format(python=sys.executable, log=tmp_path / "jobs.log"))
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


SPEC = Slurm(memory="1GiB", jobs=2, interface="lo", python=sys.executable)


def test_jobs_run_in_jobs_of_slurm(commands, tmp_path):
    with slurm(SPEC, tmp_path / "logs", RETRIES) as client:
        wait_for_nannies(client, SPEC.jobs)
        found = asked(
            client,
            Job("where", os.getpid),
            Job("killed", killed_once(tmp_path / "killed")),
        )
    assert found["where"] not in {None, os.getpid()}
    assert found["killed"] == "survived"


def test_a_job_of_slurm_that_ends_is_replaced(commands, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "_KEEP_S", 0.1)
    monkeypatch.setattr(cluster, "_LOST_S", 0.1)
    one = SPEC.model_copy(update={"jobs": 1})
    with slurm(one, tmp_path / "logs", RETRIES) as client:
        for _ in range(2):
            wait_for_nannies(client, 1)
            job = asked(client, Job("before", os.getpgrp))["before"]
            os.killpg(job, signal.SIGKILL)
            assert asked(client, Job("after", os.getpgrp))["after"] not in {None, job}


def test_a_worker_of_this_machine_that_is_given_up_is_replaced(monkeypatch):
    monkeypatch.setattr(cluster, "_KEEP_S", 0.1)
    monkeypatch.setattr(cluster, "_LOST_S", 0.01)  # it takes longer to begin again
    with local(1, "500MiB", RETRIES) as client:
        [nanny] = client.cluster.workers.values()
        first = nanny.pid
        os.kill(first, signal.SIGKILL)
        while nanny.status.name != "closed":
            time.sleep(0.01)
        where = asked(client, Job("where", os.getpid))["where"]
    assert isinstance(where, int), where
    assert where not in {first, os.getpid()}


@pytest.mark.parametrize(
    ("sbatch", "said"),
    [("#!/bin/sh\necho 'invalid partition' >&2\nexit 1\n", "invalid partition"), (None, "sbatch")],
)
def test_a_slurm_that_does_not_take_jobs_is_told_of(commands, tmp_path, sbatch, said):
    (commands / "sbatch").unlink()
    if sbatch is not None:
        (commands / "sbatch").write_text(sbatch)
        (commands / "sbatch").chmod(0o755)
    with (
        pytest.raises(StageError, match=rf"did not take the jobs.*{said}"),
        slurm(SPEC, tmp_path / "logs", RETRIES),
    ):
        pytest.fail("there is no cluster")
