"""A search that is cut: what steers it goes on as well, and it ends in the same bits."""

import copy
from contextlib import contextmanager

import pytest
import torch

from sdq_fpga.board import load_board
from sdq_fpga.progress import SilentProgress
from sdq_fpga.search import BoardGoal, search
from sdq_fpga.search import steering as steering_module
from sdq_fpga.stages.untrained import hardware_of_flow, uniform_policy
from sdq_fpga.train import Checkpoints, Rig

STEPS = 22  # of an epoch of the digits


class CutError(Exception):
    """Cuts a search."""


class Cutting(SilentProgress):
    """Cuts what it listens to at a step."""

    def __init__(self, at):
        self.left, self.notes = at, []

    @contextmanager
    def task(self, label, total):
        yield self.advance

    def advance(self, steps):
        if self.left == 0:
            raise CutError
        self.left -= steps

    def note(self, text):
        self.notes.append(text)


def bits(flow):
    return 3.0


def frame_rate(flow):
    board, most = load_board("pynq-z2"), flow.search.activation_bits[-1]
    return BoardGoal(
        graph=hardware_of_flow(flow, uniform_policy(flow, most), board),
        bits=most,
        board=board,
        clock_mhz=100.0,
        target_fps=1e5,
        shares={"lut": 0.05, "dsp": 0.02},
        fifo_trials=10,
    )


@pytest.mark.parametrize(
    ("make_goal", "epochs", "cuts"),
    [(bits, 6, (2 * STEPS + 5, 2 * STEPS)), (frame_rate, 3, (STEPS + 1, STEPS + 1))],
)
def test_a_search_that_is_cut_ends_in_the_same_bits(
    flow, net, digits, tmp_path, monkeypatch, make_goal, epochs, cuts
):
    monkeypatch.setattr(steering_module, "_REFRESHES", 6)  # solves fewer foldings
    goal = make_goal(flow)
    changed = {"epochs": epochs, "ema_decay": 0.5, "label_smoothing": 0.1}
    flow = flow.model_copy(update={"search": flow.search.model_copy(update=changed)})
    undisturbed = search(flow, net, digits, goal, 5, SilentProgress())
    rig = Rig(checkpoints=Checkpoints(tmp_path, "ours", 0.0))
    done = 0
    for at in cuts:
        with pytest.raises(CutError):
            search(flow, copy.deepcopy(net), digits, goal, 5, Cutting(at), rig)
        done += at // STEPS
    last = Cutting(-1)
    found = search(flow, copy.deepcopy(net), digits, goal, 5, last, rig)
    assert last.notes == [f"search: goes on after epoch {done} of {epochs}"]
    assert -1 - last.left == (epochs - done) * STEPS
    assert found.policy == undisturbed.policy
    assert found.history == undisturbed.history
    assert found.greedy_drops == undisturbed.greedy_drops
    assert all(torch.equal(value, undisturbed.state[key]) for key, value in found.state.items())
    assert len({(each.weight_bits, each.activation_bits) for each in found.policy.layers}) > 1
