"""Several designs by one search: each begins where a slower one has ended."""

import itertools

import pytest
import torch

from sdq_fpga.board import load_board
from sdq_fpga.cost.folding.solve import solve
from sdq_fpga.progress import SilentProgress
from sdq_fpga.search import BoardGoal
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
        graph=graph, bits=4, board=BOARD, clock_mhz=100.0, target_fps=None, shares=SHARES
    )


def pairs(policy):
    return [(layer.weight_bits, layer.activation_bits or 0) for layer in policy.layers]


def test_bits_fall_from_design_to_design_and_rates_are_reached(short, goal, net, digits):
    frontier = Frontier(short, net, digits, goal, 0, SilentProgress())
    assert frontier.fastest > 1.5 * frontier.slowest
    designs = [frontier.at(target) for target in frontier.targets(3)]
    assert designs[0].target_fps == pytest.approx(frontier.slowest)
    assert designs[-1].target_fps == frontier.fastest
    highest = [(8, 4), (8, 4), (8, 0)]
    assert pairs(designs[0].result.policy) == highest
    for slower, faster in itertools.pairwise(designs):
        assert faster.target_fps > slower.target_fps
        both = zip(pairs(slower.result.policy), pairs(faster.result.policy), strict=True)
        assert all(more[0] >= less[0] and more[1] >= less[1] for more, less in both)
    for design in designs:
        bits = [
            each.candidates[-1]
            for each in Space.of(short.search, net, Choice, design.result.policy).choices
        ]
        graph = OnBoard(goal, Space.of(short.search, net, Choice), "prices").graph(bits)
        target = 0.9999 * design.target_fps
        assert 1e8 / solve(graph, BOARD, 100.0, target, SHARES).interval >= target
        assert design.frames_per_second >= target


def test_a_search_in_between_begins_at_the_next_slower_one(short, goal, net, digits):
    frontier = Frontier(short, net, digits, goal, 0, SilentProgress())
    slow = frontier.at(frontier.slowest)
    fast = frontier.at(frontier.fastest)
    middle = frontier.at((frontier.slowest * frontier.fastest) ** 0.5)
    assert middle.target_fps < fast.target_fps
    weights = [sum(w for w, _ in pairs(each.result.policy)) for each in (slow, middle, fast)]
    # From the fast one it could not have come back up.
    assert weights[0] >= weights[1] > weights[2]


def test_what_comes_after_begins_with_the_network_and_the_bits_of_the_other(
    short, goal, net, digits
):
    frontier = Frontier(short, net, digits, goal, 0, SilentProgress())
    before = frontier.at(frontier.fastest).result
    task = Task(short, net, digits, 3.0, 0, SilentProgress(), before)
    for name, value in task.unit_net().state_dict().items():
        assert torch.equal(value, before.state[name])
    space = task.space(Choice)
    assert space.layer_bits() == before.policy.layers
    candidates = short.search.weight_bits
    for name, choice in space.weights.items():
        (layer,) = (each for each in before.policy.layers if each.shape.name == name)
        assert choice.candidates == tuple(b for b in candidates if b <= layer.weight_bits)
