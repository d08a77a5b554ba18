"""Several processes that train one build: the command starts the others, and one writes."""

import json
import subprocess
import sys
import time

import pytest
from terminal import TINY, tree
from test_bad_input import one_sentence
from torch.distributed import DistNetworkError

from sdq_fpga.errors import StageError
from sdq_fpga.stages import team
from sdq_fpga.train.resume import CHECKPOINT


def test_two_processes_search_together_and_go_on_if_they_are_killed(terminal):
    options = (
        "search", "--board", "zcu104", "--flow", str(TINY), "--devices", "2",
        "--checkpoint-every", "0", "--run",
    )  # fmt: skip
    done = terminal.run(*options, "whole", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["network"] == "tiny"
    work = terminal.root / "work"
    whole = work / "whole"
    assert json.loads((whole / "train" / "metrics.json").read_text())["accuracy"] > 0.8
    assert json.loads((whole / "settings.json").read_text())["devices"]["devices"] == 2
    assert not list(whole.glob(".scratch-*"))
    assert done.err.count("train: 132 of 132") == 1

    # The first one is killed; the other ends by itself.
    killed = subprocess.Popen(
        terminal.arguments(*options, "cut"),
        cwd=work,
        env=terminal.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not list((work / "cut").glob(f".unfinished/search/*/{CHECKPOINT}")):
        assert killed.poll() is None, "the command ended before it could be killed"
        time.sleep(0.002)
    killed.kill()
    killed.wait()
    again = terminal.run(*options, "cut", "--json")
    assert again.code == 0, again.err
    assert "search: goes on after epoch" in again.err
    assert again.out == done.out
    for stage in ("train", "search"):
        assert tree(work / "cut" / stage) == tree(whole / stage)


def test_a_model_is_not_trained(terminal):
    done = terminal.call("build", "--board", "zcu104", "--model", "m.onnx", "--devices", "2")
    one_sentence(done, 2, "--devices has no meaning with --model")


def test_only_what_trains_waits_for_fabric_and_tensorboard():
    code = (
        "import sys, sdq_fpga.cli\n"
        "assert 'torch' not in sys.modules\n"
        "import sdq_fpga.stages.foretell, sdq_fpga.stages.build\n"
        "assert 'torch' in sys.modules\n"
        "assert not {'lightning_fabric', 'tensorboard'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_process_ends_with_the_one_that_started_it(monkeypatch):
    class EndedError(Exception):
        pass

    def end(code):
        raise EndedError

    parents = iter([7, 7, 1])
    monkeypatch.setattr(team.os, "getppid", lambda: next(parents))
    monkeypatch.setattr(team.os, "_exit", end)
    monkeypatch.setattr(team.time, "sleep", lambda _: None)
    with pytest.raises(EndedError):
        team._end_with(7)
    assert next(parents, None) is None


@pytest.mark.parametrize(
    "error", [RuntimeError("[gloo/pair.cc:537] Connection reset"), DistNetworkError("timed out")]
)
def test_a_process_that_is_lost_is_told(error):
    words = r"stage 'train' lost another process .*goes on"
    with pytest.raises(StageError, match=words), team.connected("train"):
        raise error


def test_other_failures_pass_through():
    with pytest.raises(RuntimeError, match="shapes"), team.connected("train"):
        raise RuntimeError("shapes differ")
