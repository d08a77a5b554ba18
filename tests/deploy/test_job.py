"""Jobs on an emulated board: the driver runs unchanged; whatever goes wrong is told."""

import fcntl
import threading
import time
import venv

import numpy as np
import pytest
from echo import CRASH, ECHO, HANG, bitstream, bundle, frames, installed, job
from proxy import CutLine

from sdq_fpga.deploy.board import Board
from sdq_fpga.deploy.job import Job, run_job
from sdq_fpga.deploy.ssh import Ssh
from sdq_fpga.errors import StageError, UserError
from sdq_fpga.progress import SilentProgress

QUIET = SilentProgress()


def jobs(disk) -> list:
    return list((disk / "home" / ".sdq-fpga" / "jobs").glob("*"))


def test_frames_go_through_the_driver_and_come_back(connect, disk):
    packed, events = bundle(), []
    with connect() as board:
        board.install(packed, QUIET)
        outcome = run_job(board, packed, job(5), events.append)
        (values,) = outcome.outputs
        assert np.array_equal(values.reshape(5, 6), frames(5))
        assert [event["frames"] for event in events if "of" in event] == [2, 4, 5]
        assert outcome.state["cycles"]["latency"] == 8
        assert outcome.state["watts"] is None
        assert not jobs(disk), "a job that was fetched is forgotten"
        sizes = run_job(board, packed, Job("throughput", (), sizes=[1, 4]), events.append)
        assert [row["batch"] for row in sizes.state["rows"]] == [1, 4]
        assert sizes.state["rows"][1]["cycles"]["interval"] == 10


def test_a_run_that_is_cut_goes_on_and_is_run_once(emulated, connect, tmp_path):
    gate = tmp_path / "gate"
    packed = bundle(ECHO.format(gate=str(gate)))
    with connect() as board:
        board.install(packed, QUIET)
    with CutLine(emulated.login, [], tmp_path) as line, connect(login=line.login) as board:
        starts, cut = [], threading.Event()
        call = board.call

        def counted(*arguments: str) -> dict:
            starts.extend(each for each in arguments if each == "start")
            return call(*arguments)

        def tell(event: dict) -> None:
            if "loading" in event:
                line.cut()
                cut.set()
                gate.touch()

        board.call = counted
        (values,) = run_job(board, packed, job(6), tell).outputs
    assert cut.is_set()
    assert starts == ["start"]
    assert np.array_equal(values.reshape(6, 6), frames(6))


def test_a_host_that_dies_takes_its_run_up_again(connect, disk, tmp_path):
    gate = tmp_path / "gate"
    packed = bundle(ECHO.format(gate=str(gate)))
    with connect() as board:
        board.install(packed, QUIET)

        def die(_: dict) -> None:
            raise RuntimeError("the host is gone")

        with pytest.raises(RuntimeError):
            run_job(board, packed, job(8), die)
    (folder,) = jobs(disk)
    first = (folder / "pid.json").read_text()
    with connect() as board:
        call = board.call
        pids = []

        def watched(*arguments: str) -> dict:
            answer = call(*arguments)
            if arguments[0] == "start":
                pids.append((folder / "pid.json").read_text())
                gate.touch()
            return answer

        board.call = watched
        (values,) = run_job(board, packed, job(8), lambda _: None).outputs
    assert pids == [first], "it was not started again"
    assert np.array_equal(values.reshape(8, 6), frames(8))


def test_two_users_at_once_and_who_holds_the_board(connect, tmp_path):
    gate = tmp_path / "gate"
    packed = bundle(ECHO.format(gate=str(gate)))
    began = threading.Event()
    results = []

    def ada() -> None:
        with connect("ada@lab") as board:
            board.install(packed, QUIET)
            results.append(run_job(board, packed, job(6), lambda _: began.set()))

    thread = threading.Thread(target=ada)
    thread.start()
    try:
        assert began.wait(120)
        with connect("grace@desk") as board:
            board.install(packed, QUIET)
            with pytest.raises(StageError, match="in use by ada@lab since 2"):
                run_job(board, packed, job(3), lambda _: None)
    finally:
        gate.touch()
        thread.join()
    assert len(results) == 1
    with connect("grace@desk") as board:
        assert run_job(board, packed, job(1), lambda _: None).state["frames"] == 1


@pytest.mark.parametrize(
    ("script", "options", "says"),
    [
        (CRASH, {}, r"the driver crashed .*stuck: no transfer for 100000 cycles"),
        (HANG, {"timeout_s": 1.0}, "nothing came from the accelerator for 1 s"),
    ],
)
def test_a_driver_that_crashes_or_hangs(connect, disk, script, options, says):
    packed = bundle(script)
    with connect() as board:
        board.install(packed, QUIET)
        with pytest.raises(StageError, match=says) as caught:
            run_job(board, packed, job(1, **options), lambda _: None)
    assert not jobs(disk)
    log = disk / "home" / ".sdq-fpga" / "last-crash.txt"
    if script == CRASH:
        assert f"whole log is on the board, in {log}" in str(caught.value)
        assert "stuck" in log.read_text()
    else:
        assert not log.exists()
    with (disk / "accelerator.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # it is free as soon as what watched the job is gone


def test_a_disk_that_fills_up_while_it_runs(connect, disk, tmp_path):
    gate = tmp_path / "gate"
    packed = bundle(ECHO.format(gate=str(gate)))

    def fill(event: dict) -> None:
        if "loading" in event:
            (folder,) = jobs(disk)
            (folder / "output-0.npy").symlink_to("/dev/full")
            gate.touch()

    with connect() as board:
        board.install(packed, QUIET)
        with pytest.raises(StageError, match=r"disk of xilinx@127\.0\.0\.1 is full; free some"):
            run_job(board, packed, job(3), fill)
        assert not jobs(disk)
        assert run_job(board, packed, job(3), lambda _: None).state["frames"] == 3


def test_a_run_that_is_interrupted_frees_the_board(connect, disk):
    packed = bundle(HANG)
    with connect() as board:
        board.install(packed, QUIET)

        def interrupt(_: dict) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run_job(board, packed, job(1), interrupt)
        (folder,) = jobs(disk)
        until = time.monotonic() + 60
        while board.call("poll", folder.name, "0")["state"]["state"] == "running":
            assert time.monotonic() < until
        assert "cancelled" in (folder / "state.json").read_text()


@pytest.mark.parametrize(
    ("packed", "says"),
    [
        (lambda: bundle(board="zcu104"), "the build is for zcu104, and .* is Pynq-Z2"),
        (lambda: bundle(bit=bitstream(part="7z010clg400")), "the bitstream is for 7z010clg400"),
        (lambda: bundle(emulated=False, bit=bitstream(emulated=False)), "holds a bitstream"),
        (lambda: bundle(bit=bitstream(emulated=False)), "another kind"),
    ],
)
def test_what_is_for_another_board_is_refused_before_it_is_loaded(connect, disk, packed, says):
    with connect() as board, pytest.raises(UserError, match=says):
        board.install(packed(), QUIET)
    assert installed(disk) == []


def test_a_bitstream_that_rots_on_the_board_is_not_loaded(connect, disk):
    packed = bundle()
    with connect() as board:
        board.install(packed, QUIET)
        path = disk / "home" / ".sdq-fpga" / "packages" / packed.digest / "accelerator.bit"
        data = bytearray(path.read_bytes())
        data[-30] ^= 1
        path.write_bytes(data)
        with pytest.raises(StageError, match=r"accelerator\.bit is not what was packed"):
            run_job(board, packed, job(1), lambda _: None)
        board.install(packed, QUIET)
    assert path.read_bytes() != data, "it is mended"


def test_inputs_that_do_not_fit_are_refused_on_the_board_as_well(connect):
    packed = bundle()
    with connect() as board:
        board.install(packed, QUIET)
        for data in (b"", job(1).inputs[0][:-1], job(1).inputs[0] + b"x"):
            with pytest.raises(UserError, match=r"input-0\.npy"):
                run_job(board, packed, Job("frames", [data], timeout_s=120.0), lambda _: None)


def test_a_board_without_the_driver(emulated, tmp_path):
    venv.EnvBuilder(symlinks=True).create(tmp_path / "bare")
    ssh = Ssh(emulated.login)
    try:
        bare = str(tmp_path / "bare" / "bin" / "python")
        with pytest.raises(StageError, match="finn-plus-driver is not installed for"):
            Board(ssh, bare, emulated.lock, "ada@lab").install(bundle(), QUIET)
        with pytest.raises(StageError, match="does not run on"):
            Board(ssh, "python-9", emulated.lock, "ada@lab")
    finally:
        ssh.close()
