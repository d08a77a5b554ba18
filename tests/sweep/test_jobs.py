"""Jobs on a real cluster of worker processes, some of which are killed."""

import os
import signal
import time
from functools import partial

import pytest

from sdq_fpga.errors import StageError, UserError
from sdq_fpga.sweep.cluster import existing, local
from sdq_fpga.sweep.jobs import Job, run_jobs

RETRIES = 1


@pytest.fixture(scope="module")
def client():
    with local(2, "500MiB", RETRIES) as client:
        yield client


def untold(text):
    """A killed worker may leave none for a while, which is not what is tested."""


@pytest.fixture
def run(client):
    """Runs jobs; what each returned, or why it failed, in the order in which they ended."""

    def run(*jobs, **options):
        ended = {}

        def note(job, result, reason):
            assert job.name not in ended
            ended[job.name] = result if reason is None else reason

        run_jobs(client, jobs, note, RETRIES, untold, **options)
        return ended

    return run


# What follows is defined within functions, so that it is sent to workers whole: they can't import
# the tests.


def attempts(file):
    """A function that counts its calls in a file, whatever process they are in."""

    def count():
        with file.open("a") as counted:
            counted.write(".")
        return len(file.read_text())

    return count


def killing_itself(count, *, times):
    def call():
        if count() <= times:
            os.kill(os.getpid(), signal.SIGKILL)
        return "survived"

    return call


def saying(what):
    return lambda: what


def test_the_job_of_a_killed_worker_is_done_by_another(run, tmp_path):
    count = attempts(tmp_path / "count")
    others = [Job(f"other {n}", saying(n)) for n in range(6)]
    done = run(*others[:2], Job("killed", killing_itself(count, times=1)), *others[2:])
    assert done == {"killed": "survived"} | {f"other {n}": n for n in range(6)}
    assert (tmp_path / "count").read_text() == ".."


def test_a_job_that_kills_every_worker_is_given_up_alone(run, tmp_path):
    count = attempts(tmp_path / "count")
    others = [Job(f"other {n}", saying(n)) for n in range(6)]
    # No news will come, so there is no point in waiting for it.
    done = run(Job("killer", killing_itself(count, times=99)), *others, news_s=0.5)
    reason = done.pop("killer")
    assert "its worker was killed 2 times" in reason
    assert "out of memory; " not in reason
    assert done == {f"other {n}": n for n in range(6)}


def test_nothing_is_handed_out_for_a_worker_that_takes_nothing(run, client, tmp_path):
    """What waited behind the killer would be blamed for what it does, and its result lost."""

    def pause(worker, status):
        def change(dask_scheduler):
            dask_scheduler.handle_worker_status_change(status, worker, "test")

        client.run_on_scheduler(change)

    client.wait_for_workers(2)
    resting = next(iter(client.nthreads()))
    pause(resting, "paused")
    try:
        count, others = attempts(tmp_path / "count"), attempts(tmp_path / "others")
        done = run(Job("killer", killing_itself(count, times=99)), Job("other", others), news_s=0.5)
    finally:
        pause(resting, "running")
    assert "its worker was killed 2 times" in done.pop("killer")
    assert done == {"other": 1}
    assert (tmp_path / "others").read_text() == "."


def test_memory_is_named(run):
    def call():
        taken = bytearray(600 << 20)
        taken[:: 1 << 12] = b"x" * len(taken[:: 1 << 12])  # all pages
        time.sleep(600)  # until it is ended for it

    done = run(Job("hungry", call), Job("other", saying("fine")))
    assert done.pop("other") == "fine"
    assert done["hungry"].startswith("out of memory: 2 workers were ended for it, the last with")
    assert "--memory" in done["hungry"]


def test_an_error_of_memory_is_named(run):
    def call():
        raise MemoryError("7 GiB")

    assert run(Job("hungry", call)) == {"hungry": "out of memory (7 GiB)."}


def test_what_raises_is_tried_again(run, tmp_path):
    count = attempts(tmp_path / "count")

    def call():
        if count() == 1:
            raise OSError("the network is down")
        return "back"

    assert run(Job("flaky", call)) == {"flaky": "back"}


def test_what_comes_after_a_failure_fails_for_the_same_reason(run):
    def call():
        raise UserError("the loss is not finite", "lower the learning rate")

    done = run(
        Job("design", saying("never"), after="training"),
        Job("training", call),
        Job("other", saying("done")),
    )
    said = "the loss is not finite; lower the learning rate."
    assert done == {"training": said, "design": said, "other": "done"}


def test_a_job_waits_for_the_one_that_it_comes_after(run, tmp_path):
    def first(file):
        time.sleep(0.3)
        file.write_text("made")

    file = tmp_path / "made"
    done = run(
        Job("second", partial(type(file).read_text, file), after="first"),
        Job("first", partial(first, file)),
    )
    assert list(done) == ["first", "second"]
    assert done["second"] == "made"


def test_a_scheduler_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr("sdq_fpga.sweep.cluster._CONNECT_S", 1)
    with pytest.raises(StageError, match=r"no scheduler answers at tcp://127\.0\.0\.1:9"):
        existing("tcp://127.0.0.1:9").__enter__()


def test_no_address_is_refused():
    with pytest.raises(UserError, match="'nowhere://' is no address of a scheduler"):
        existing("nowhere://").__enter__()


def test_no_amount_of_memory_is_refused():
    with pytest.raises(UserError, match="write such as --memory 4GiB"):
        local(1, "plenty", 0).__enter__()


def test_without_a_worker_it_says_so_once_and_waits():
    ended, said = {}, []
    with local(0, "500MiB", 0) as client:

        def tell(text):
            said.append(text)
            time.sleep(1.0)  # long enough to be told again
            client.cluster.scale(1)

        def note(job, result, reason):
            ended[job.name] = result, reason

        run_jobs(client, [Job("one", saying(1))], note, 0, tell, alone_s=0.1)
        address = client.scheduler.address
    assert ended == {"one": (1, None)}
    assert len(said) == 1
    assert said[0].startswith(f"there is no worker at {address}, and nothing is done until")
