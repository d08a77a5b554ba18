"""Several processes that train one build: the command starts the others, and one writes."""

import json
import socket
import subprocess
import sys
import time

import pytest
from lightning_fabric import Fabric
from terminal import TIMEOUT_S, TINY, Done, tree
from test_bad_input import one_sentence
from torch.distributed import DistNetworkError

from sdq_fpga.errors import StageError
from sdq_fpga.stages import team
from sdq_fpga.train import Devices
from sdq_fpga.train.resume import CHECKPOINT


def test_two_processes_search_together_and_go_on_if_they_are_killed(terminal):
    search = ("search", "--board", "zcu104", "--flow", str(TINY), "--checkpoint-every", "0")
    options = (*search, "--devices", "2", "--run")
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

    # Two nodes are two processes, too.
    first, second = as_nodes(terminal, (*search, "--nodes", "2", "--run", "nodes", "--json"))
    assert (first.code, second.code) == (0, 0), first.err + second.err
    assert (first.out, second.out) == (done.out, "")
    for stage in ("train", "search"):
        assert tree(work / "nodes" / stage) == tree(whole / stage)


def as_nodes(terminal, arguments):
    """What two nodes say that are started with the same command."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = [
        subprocess.Popen(
            terminal.arguments(*arguments),
            cwd=terminal.root / "work",
            env={
                **terminal.environment(),
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
                "NODE_RANK": str(rank),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    said = [each.communicate(timeout=TIMEOUT_S) for each in started]
    return [Done(each.returncode, *its) for each, its in zip(started, said, strict=True)]


def test_a_node_that_was_not_told_which_it_is(terminal):
    done = terminal.call("search", "--board", "zcu104", "--flow", str(TINY), "--nodes", "2")
    one_sentence(done, 2, "2 nodes needs MASTER_ADDR, MASTER_PORT, NODE_RANK in the environment")
    assert not (terminal.root / "work" / "runs").exists()


def test_processes_that_do_not_find_each_other(monkeypatch):
    def refuse(_):
        raise RuntimeError("Gloo connectFullMesh failed: Connection refused")

    monkeypatch.setattr(Fabric, "launch", refuse)
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "eth7")
    with pytest.raises(StageError, match=r"don't find each other .*Connection refused.* eth7"):
        team._launched(Devices(devices=2))


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
