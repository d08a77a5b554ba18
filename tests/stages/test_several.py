"""The fastest design that keeps an accuracy, and a frontier of several."""

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from terminal import TINY, changed, tree

from sdq_fpga.board import load_board
from sdq_fpga.cli import main
from sdq_fpga.flow import load_flow
from sdq_fpga.policy import Policy
from sdq_fpga.progress import SilentProgress
from sdq_fpga.run import open_run
from sdq_fpga.stages import several, steps
from sdq_fpga.stages.build import Build
from sdq_fpga.stages.settings import Settings
from sdq_fpga.stages.several import fastest_kept


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """Searches the tiny flow, shortly trained, in a directory of its own."""
    root = tmp_path_factory.mktemp("several")
    flow = yaml.safe_load(TINY.read_text())
    for stage, epochs in {"train": 4, "search": 2, "finetune": 1}.items():
        flow[stage]["epochs"] = epochs
    path = root / "short.yaml"
    path.write_text(yaml.safe_dump(flow))

    def ask(*options):
        shared = ("--flow", path, "--board", "pynq-z2", "--budget", "lut=4%,dsp=1%")
        arguments = ["search", *shared, "--run", root / "run", "--cache", root / "cache", *options]
        return CliRunner().invoke(main, [*map(str, arguments), "--json"], catch_exceptions=False)

    return root / "run", ask


def test_a_frontier_is_policies_a_table_and_a_plot(asked):
    run, ask = asked
    done = ask("--pareto", 3)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    designs = found["designs"]
    assert 2 <= len(designs) <= 3
    assert found["held_out"] == pytest.approx(0.2 * 1437, abs=5)
    assert not found["finetuned"]
    rates = [each["frames_per_second"] for each in designs]
    assert rates == sorted(rates)
    assert rates[-1] > 1.5 * rates[0]
    bits = [each["mean_weight_bits"] for each in designs]
    assert bits == sorted(bits, reverse=True)
    for each in designs:
        policy = Policy.from_file(run / "pareto" / each["policy"])
        assert policy.network == "tiny"
        assert policy.mean_weight_bits == each["mean_weight_bits"]
    assert (run / "pareto.png").read_bytes().startswith(b"\x89PNG")
    assert len(list(run.glob("tensorboard/pareto-*/search-*/events.*"))) == 3


def test_the_fastest_of_all_is_taken_where_all_are_good_enough(asked):
    run, ask = asked
    done = ask("--accuracy-drop", "99%")
    assert done.exit_code == 0, done.output
    found = json.loads((run / "search" / "designs.json").read_text())
    slowest, fastest = found["designs"]
    assert found["finetuned"]
    assert slowest["kept"]
    assert fastest["kept"]
    assert fastest["frames_per_second"] > slowest["frames_per_second"]
    policy = Policy.from_file(run / "search" / "policy.json")
    assert json.loads(done.stdout) == json.loads(policy.to_bytes())
    assert policy.mean_weight_bits == fastest["mean_weight_bits"] < slowest["mean_weight_bits"]


def test_a_drop_that_can_not_be_kept_is_said_with_the_nearest(asked, monkeypatch):
    _, ask = asked
    accuracies = iter([0.95, 0.875])
    monkeypatch.setattr(several, "accuracy", lambda *_: next(accuracies))
    done = ask("--accuracy-drop", "2%")
    assert done.exit_code == 2
    assert "a drop of 2.00% in accuracy can't be kept" in done.output
    assert "have 87.50% of the images held back, and the float network 95.00%" in done.output


class Killing(SilentProgress):
    """Kills this process in the middle of the second task of a name."""

    def __init__(self, label):
        self.label, self.begun, self.notes = label, 0, []

    @contextmanager
    def task(self, label, total):
        self.begun += label == self.label
        left = total // 2

        def advance(steps):
            nonlocal left
            left -= steps
            if label == self.label and self.begun == 2 and left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

        yield advance

    def note(self, text):
        self.notes.append(text)


class Counting(SilentProgress):
    """Remembers which tasks have begun."""

    def __init__(self):
        self.labels = []

    def task(self, label, total):
        self.labels.append(label)
        return super().task(label, total)


def search_several(directory, progress, until=Build.search, **asked):
    flow = load_flow(str(TINY))
    short = {"train": 4, "search": 8, "finetune": 2}
    flow = changed(flow, **{name: {"epochs": epochs} for name, epochs in short.items()})
    board, shares = load_board("pynq-z2"), {"lut": 0.04, "dsp": 0.01}
    settings = Settings(
        flow=flow, board=board, clock_mhz=100, seed=0, target_bits=None, shares=shares, **asked
    )
    with open_run(directory) as run:
        # Nothing but the ends of trainings is kept.
        build = Build(settings, run, None, progress, checkpoint_every_s=3600)
        build.pareto() if settings.pareto else until(build)


KILL = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_several as here
here.search_several(Path(sys.argv[2]), here.Killing(sys.argv[3]), **json.loads(sys.argv[4]))
"""


@pytest.mark.parametrize(
    ("asked_for", "killed_in", "kept"),
    [
        ({"pareto": 3}, "search", ["search"]),
        ({"accuracy_drop": 0.99}, "finetune", ["search", "finetune", "search"]),
    ],
)
def test_several_searches_that_are_killed_go_on(tmp_path, asked_for, killed_in, kept):
    script = [sys.executable, "-c", KILL, str(Path(__file__).parent), str(tmp_path / "run")]
    killed = subprocess.run(
        [*script, killed_in, json.dumps(asked_for)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    progress = Killing("nothing")
    search_several(tmp_path / "run", progress, **asked_for)
    went_on = [note.split(":")[0] for note in progress.notes if "goes on after epoch" in note]
    assert went_on == kept
    assert not (tmp_path / "run" / ".unfinished").exists()
    search_several(tmp_path / "whole", SilentProgress(), **asked_for)
    stage = "pareto" if "pareto" in asked_for else "search"
    assert tree(tmp_path / "run" / stage) == tree(tmp_path / "whole" / stage)


def test_a_policy_is_finetuned_once(tmp_path, monkeypatch):
    def twice(slowest, fastest, attempt):
        first, again = attempt(slowest), attempt(slowest)
        assert again == first
        return again[0]

    monkeypatch.setattr(several, "fastest_kept", twice)
    progress = Counting()
    search_several(tmp_path / "run", progress, Build.finetune, accuracy_drop=0.99)
    assert progress.labels.count("search") == 2
    assert progress.labels.count("finetune") == 1
    # What the search has finetuned is what the build would.
    kept = tmp_path / "run" / "finetune" / "net.safetensors"
    taken = kept.read_bytes()
    monkeypatch.setattr(steps, "FINETUNED", "none")
    shutil.rmtree(tmp_path / "run" / "finetune")
    search_several(tmp_path / "run", progress, Build.finetune, accuracy_drop=0.99)
    assert progress.labels.count("finetune") == 2
    assert kept.read_bytes() == taken


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--accuracy-drop", "1"), "'1' is no drop in accuracy"),
        (("--accuracy-drop", "100%"), "'100%' is no drop"),
        (("--accuracy-drop", "1%", "--target-fps", "9"), "what --target-fps states"),
        (("--accuracy-drop", "1%", "--target-bits", "3"), "what --target-bits states"),
        (("--pareto", "3", "--target-latency", "9"), "what --target-latency states"),
        (("--pareto", "3", "--accuracy-drop", "1%"), "search different designs"),
        (("--pareto", "3", "--out", "policy.json"), "leave --out out"),
        (("--pareto", "1"), "--pareto"),
    ],
)
def test_what_contradicts_is_refused(asked, options, words):
    done = asked[1](*options)
    assert done.exit_code == 2
    assert words in done.output


rates = st.floats(1.0, 1e6)


@given(rates, st.floats(1.01, 100.0), st.floats(0, 1.2), st.floats(1.0, 1.02))
def test_the_fastest_that_is_kept_is_found_within_three_percent(slow, span, place, more):
    fast = slow * span
    threshold = slow * span**place
    tried, speeds = [], []

    def attempt(target):
        tried.append(target)
        speeds.append(min(target * more, threshold) if target <= threshold else target * more)
        return len(tried) - 1, speeds[-1], target <= threshold

    best = fastest_kept(slow, fast, attempt)
    assert tried[best] == max(each for each in tried if each <= threshold)
    assert len(tried) <= 7
    assert len(set(tried)) == len(tried)
    # Each halves what is left, on a scale of logarithms.
    left = np.log(min(threshold, fast) / speeds[best])
    assert left <= max(np.log(1.03), np.log(span) / 2 ** (len(tried) - 2)) + 1e-9


@given(rates)
def test_where_the_slowest_is_not_good_enough_none_is(slow):
    assert fastest_kept(slow, 2 * slow, lambda target: (target, target, False)) is None
