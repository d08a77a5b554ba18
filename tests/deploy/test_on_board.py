"""A trained network on an emulated board: the command, over SSH, through the unmodified driver."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from echo import bitstream, installed

from sdq_fpga.cli import main
from sdq_fpga.data.digits import load_digits
from sdq_fpga.deploy.emulate import server
from sdq_fpga.lower.integer import execute_integer
from sdq_fpga.run import open_run

CHECKOUT = Path(__file__).parents[2]
TINY = CHECKOUT / "tests" / "stages" / "tiny.yaml"
IMAGE = Path(server.__file__).with_name("image")
IMAGES = 20


class Shell:
    """Calls the command, in this process: it imports torch only once."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder = folder
        self.cache = cache
        self.run = folder / "run"

    def __call__(self, *arguments: object) -> Result:
        return CliRunner().invoke(main, [*map(str, arguments), "--cache", str(self.cache)])


@pytest.fixture(scope="module")
def shell(tmp_path_factory, cache, board_python) -> Shell:
    """A small network that is built already."""
    environment = board_python.parents[1]
    cache.mkdir(exist_ok=True)
    (cache / environment.name).symlink_to(environment)
    shell = Shell(tmp_path_factory.mktemp("shell"), cache)
    done = shell(
        "build", "--board", "pynq-z2", "--flow", TINY, "--target-fps", 20000,
        "--images", IMAGES, "--run", shell.run,
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    return shell


def test_accuracy_over_ssh_is_the_simulated_and_the_quantized_one(shell):
    done = shell("run", shell.run, "--emulate", "--dataset", "--batch", 8, "--json")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    simulated = json.loads((shell.run / "report.json").read_text())["accelerator"]["simulation"]
    assert found["frames"] == IMAGES
    assert found["emulated"] is True
    assert found["match"]["differing"] == 0
    assert found["match"]["values"] == IMAGES * 10
    assert found["match"]["accuracy"] == simulated["rtl_accuracy"]
    assert found["match"]["accuracy"] == simulated["quantized_accuracy"]
    assert found["match"]["expected_accuracy"] == simulated["quantized_accuracy"]
    assert found["watts"] is None
    assert found["latency_s"] > 0
    assert found["frames_per_second"] > 0
    codes = np.load(shell.run / "board" / "codes-0.npy")
    (path,) = (shell.run / "simulate").glob("outputs-*.npy")
    assert np.array_equal(codes.reshape(IMAGES, -1), np.load(path).reshape(IMAGES, -1))


def test_an_answer_that_is_not_the_expected_one_is_told(shell, monkeypatch):
    def expected(network, inputs):
        found = execute_integer(network, inputs)
        (values,) = found.values()
        values.reshape(-1)[[3, 4, 15]] += 1  # of the first two frames
        return found

    monkeypatch.setattr("sdq_fpga.lower.integer.execute_integer", expected)
    done = shell("run", shell.run, "--emulate", "--dataset")
    assert done.exit_code == 1
    assert "3 of 200 values DIFFER, in 2 answers" in done.stdout


def test_frames_of_ones_own_on_the_boards_own_shell(shell):
    expected = np.load(next((shell.run / "simulate").glob("expected-*.npy")))
    host = json.loads((shell.run / "lower" / "host.json").read_text())
    (source,) = host["inputs"]
    images = load_digits().test_images[:3].reshape(3, *source["shape"])
    np.save(shell.folder / "x.npy", images)
    answers = shell.folder / "answers"
    done = shell(
        "run", shell.run, "--emulate", "--local", "--input", shell.folder / "x.npy",
        "--output", answers,
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    values = np.load(answers / "output-0.npy")
    assert np.array_equal(values.reshape(3, -1), expected[:3].reshape(3, -1))
    for words in ("emulated pynq-z2 at this board", "simulated latency", "no PMBus rails"):
        assert words in done.stdout
    assert f"outputs are in {answers}: output-N.npy" in done.stderr


def test_batches_of_growing_size_and_a_live_table(shell):
    done = shell("run", shell.run, "--emulate", "--throughput", "--batch", 6, "--watch", "--json")
    assert done.exit_code == 0, done.stderr
    rows = json.loads(done.stdout)["throughput"]
    assert [row["batch"] for row in rows] == [1, 2, 4, 6]
    assert all(row["frames_per_second"] > 0 for row in rows)
    totals = [row["cycles"]["total"] for row in rows]
    assert totals == sorted(totals)
    assert "on the board" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--dataset"], "one board is needed"),
        (["--emulate", "--board-host", "x@y", "--dataset"], "one board is needed"),
        (["--emulate"], "one thing to run is needed"),
        (["--emulate", "--dataset", "--throughput"], "one thing to run is needed"),
        (["--emulate", "--throughput", "--images", "3"], "--images counts test images"),
        (["--emulate", "--throughput", "--output", "x"], "--throughput keeps no outputs"),
        (["--emulate", "--dataset", "--identity", TINY], "--identity is about SSH"),
        (["--local", "--dataset", "--known-hosts", TINY], "--known-hosts is about SSH"),
        (["--board-host", "x", "--dataset", "--identity", "none"], "'none' does not exist"),
        (["--board-host", "x", "--dataset", "--known-hosts", "none"], "'none' does not exist"),
        (["--emulate", "--dataset", "--ask-password"], "--ask-password is about SSH"),
        (["--board-host", "x:secret@y", "--dataset"], "not of the form USER@HOST"),
        (["--local", "--throughput"], "has no bitstream"),
        (["--emulate", "--input", "none.npy"], "none.npy is not a whole NumPy array"),
    ],
)
def test_what_can_not_be(shell, arguments, says):
    done = shell("run", shell.run, *arguments)
    assert done.exit_code == 2
    assert says in done.stderr
    assert "secret" not in done.stderr


def test_a_directory_that_is_no_build(shell):
    done = shell("run", shell.folder / "nothing", "--emulate", "--throughput")
    assert done.exit_code == 2
    assert "not the directory of a finished build" in done.stderr


# What a board has not: it finds nothing of these.
BARE = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "brevitas", "finn", "qonnx", "onnx", "scipy"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
from sdq_fpga.cli import main
main()
"""


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        # All that is missing is a board that is not emulated.
        ("--throughput", "this board: the package holds a bitstream, and this board is emulated"),
        ("--dataset", "the test images can't be read here, as"),
    ],
)
def test_the_boards_own_shell_needs_neither_torch_nor_finn(
    with_bitstream, board_python, tmp_path, asked, says
):
    places = [str(IMAGE), *sys.path]
    done = subprocess.run(
        [
            sys.executable, "-c", BARE, "run", str(with_bitstream), "--local", asked,
            "--board-python", str(board_python),
        ],
        env={"HOME": str(tmp_path), "BOARD": "Pynq-Z2", "PYTHONPATH": os.pathsep.join(places)},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert says in done.stderr


@pytest.fixture
def with_bitstream(shell, tmp_path) -> Path:
    """The build, with a bitstream for a real board."""
    directory = tmp_path / "run"
    shutil.copytree(shell.run, directory)

    def bitstream_stage(out: Path) -> None:
        (out / "accelerator.bit").write_bytes(bitstream(emulated=False))
        (out / "accelerator.hwh").write_text("<EDKSYSTEM/>")

    with open_run(directory) as run:
        run.stage("bitstream", {}, (), bitstream_stage)
    return directory


def test_a_bitstream_that_was_changed_is_not_copied(shell, emulated, disk, with_bitstream):
    path = with_bitstream / "bitstream" / "accelerator.bit"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    login = emulated.login
    stated = ["run", with_bitstream, "--board-host", f"{login.user}@{login.host}:{login.port}"]
    keys = ["--identity", login.keys[0], "--known-hosts", login.known_hosts]
    done = shell(*stated, "--throughput", *keys)
    assert done.exit_code == 1
    assert "bitstream/accelerator.bit is not what the stage wrote; delete" in done.stderr
    assert not (disk / "home" / ".sdq-fpga").exists()


def test_a_real_bitstream_goes_over_ssh_and_is_refused_by_an_emulated_board(
    shell, emulated, disk, with_bitstream, tmp_path
):
    login = emulated.login
    address = f"{login.user}@{login.host}:{login.port}"
    stated = ["run", with_bitstream, "--board-host", address, "--throughput"]
    keys = ["--identity", login.keys[0], "--known-hosts", login.known_hosts]
    done = shell(*stated, *keys)
    assert done.exit_code == 2
    assert f"{login.user}@{login.host}: the package holds a bitstream" in done.stderr
    assert "this board is emulated" in done.stderr
    assert installed(disk) == []
    (tmp_path / "nobody").touch()
    done = shell(*stated, *keys[:2], "--known-hosts", tmp_path / "nobody")
    assert done.exit_code == 2
    assert "is not the known one" in done.stderr
