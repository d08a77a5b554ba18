"""Several designs by one search: each begins where a slower one has ended."""

import itertools

import pytest
import torch

from sdq_fpga.board import load_board
from sdq_fpga.cost.folding.solve import solve
from sdq_fpga.progress import SilentProgress
from sdq_fpga.search import BoardGoal, search
from sdq_fpga.search import frontier as frontier_module
from sdq_fpga.search.choice import Choice
from sdq_fpga.search.frontier import Frontier
from sdq_fpga.search.on_board import OnBoard
from sdq_fpga.search.space import Space
from sdq_fpga.search.task import Task
from sdq_fpga.stages.untrained import hardware_of_flow, uniform_policy

BOARD = load_board("pynq-z2")
SHARES = dict.fromkeys(BOARD.budget.model_dump(), 0.03)


@pytest.fixture(scope="module")
def short(flow):
    return flow.model_copy(
        update={"search": flow.search.model_copy(update={"epochs": 2, "dbp_learning_rate": 0.3})}
    )


@pytest.fixture(scope="module")
def goal(short):
    graph = hardware_of_flow(short, uniform_policy(short, 4), BOARD)
    return BoardGoal(
        graph=graph,
        bits=4,
        board=BOARD,
        clock_mhz=100.0,
        target_fps=None,
        shares=SHARES,
        fifo_trials=10,
    )


@pytest.fixture(scope="module")
def frontier(short, goal, digits, _trained):
    """With the slowest design, the fastest, and then one in between."""
    frontier = Frontier(short, _trained, digits, goal, 0, SilentProgress())
    assert frontier.fastest > 1.5 * frontier.slowest
    slow, middle, fast = frontier.targets(3)
    return frontier, [frontier.at(target) for target in (slow, fast, middle)]


def pairs(design):
    return [(each.weight_bits, each.activation_bits or 0) for each in design.result.policy.layers]


def test_targets_are_from_the_slowest_to_the_fastest_by_one_factor(frontier):
    found, _ = frontier
    targets = found.targets(4)
    assert (targets[0], targets[-1]) == (found.slowest, found.fastest)
    factors = [after / before for before, after in itertools.pairwise(targets)]
    assert factors == pytest.approx([factors[0]] * 3)


def test_bits_are_no_more_than_those_of_the_next_slower_design(frontier):
    slow, fast, middle = frontier[1]
    assert pairs(slow) == [(8, 4), (8, 4), (8, 0)]
    assert middle.target_fps < fast.target_fps
    for faster in (middle, fast):
        both = zip(pairs(slow), pairs(faster), strict=True)
        assert all(more[0] >= less[0] and more[1] >= less[1] for more, less in both)
    # What was searched last began at the slow one: from the fast one no bits would have come back.
    assert sum(bits for bits, _ in pairs(middle)) > sum(bits for bits, _ in pairs(fast))


def test_each_search_is_given_the_next_slower_design(short, goal, digits, _trained, monkeypatch):
    begun = []

    def note_and_search(*arguments):
        begun.append(arguments[-1])
        return search(*arguments)

    monkeypatch.setattr(frontier_module, "search", note_and_search)
    uniform = short.search.model_copy(update={"method": "uniform"})
    flow = short.model_copy(update={"search": uniform})
    found = Frontier(flow, _trained, digits, goal, 0, SilentProgress())
    slow, middle, fast = found.targets(3)
    slowest = found.at(slow).result
    found.at(fast)
    found.at(middle)
    assert begun[0] is None
    assert begun[1] is begun[2] is slowest


def test_a_folding_reaches_each_rate(frontier, short, goal, net):
    def space(most):
        return Space.of(short.search, net, Choice, most)

    limit = OnBoard(goal, space(None), "prices")
    for design in frontier[1]:
        bits = [each.candidates[-1] for each in space(design.result.policy).choices]
        target = 0.9999 * design.target_fps
        assert 1e8 / solve(limit.graph(bits), BOARD, 100.0, target, SHARES).interval >= target
        assert design.frames_per_second >= target


def test_what_comes_after_begins_with_the_network_and_the_bits_of_the_other(
    frontier, short, net, digits
):
    before = frontier[1][1].result
    task = Task(short, net, digits, 3.0, 0, SilentProgress(), after=before)
    for name, value in task.unit_net().state_dict().items():
        assert torch.equal(value, before.state[name])
    space = task.space(Choice)
    assert space.layer_bits() == before.policy.layers
    for name, choice in space.weights.items():
        (layer,) = (each for each in before.policy.layers if each.shape.name == name)
        allowed = [bits for bits in short.search.weight_bits if bits <= layer.weight_bits]
        assert choice.candidates == tuple(allowed)
