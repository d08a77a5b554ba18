"""Latency targets: bisection against brute force, and designs of a network as they are timed."""

import re
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdq_fpga.board import load_board
from sdq_fpga.cost.estimate import estimate
from sdq_fpga.cost.folding.latency import cheapest_within, quickest
from sdq_fpga.cost.folding.solve import solve
from sdq_fpga.cost.timing.schedule import Pipeline
from sdq_fpga.errors import UserError
from sdq_fpga.lower.describe import describe
from sdq_fpga.lower.hardware import to_hardware
from sdq_fpga.zoo import GraphBuilder
from tests.lower.lowered import CLOCK_MHZ, read

BOARD = load_board("zcu104")


@dataclass(frozen=True)
class Design:
    latency: int
    cost: float


@st.composite
def tables(draw):
    """Designs by interval, which get slower and cheaper; the first ones may not fit."""
    count = draw(st.integers(1, 30))
    made = {}
    for soon in (False, True):
        steps = draw(st.lists(st.integers(0, 50), min_size=count, max_size=count))
        missing = draw(st.integers(0, count))
        latency, cost = 100, 50.0 + 5 * soon
        for number, step in enumerate(steps):
            latency, cost = latency + step, cost - step / 100 - 0.1
            # Steps of two percent: all of them are told apart.
            interval = int(1000 * 1.02**number)
            early = latency - 60 * soon
            made[interval, soon] = None if number < missing else Design(early, cost)
    return made


@given(tables(), st.integers(0, 1700))
def test_the_cheapest_is_that_of_brute_force(table, most):
    intervals = sorted({interval for interval, _ in table})

    def design(interval, *, for_latency):
        return table[interval, for_latency]

    within = [each for each in table.values() if each is not None and each.latency <= most]
    found = cheapest_within(intervals, design, most)
    # Of each kind, the one of the greatest interval is the cheapest.
    if found is None:
        assert not within
    else:
        assert found.latency <= most
        assert found.cost == min(each.cost for each in within)


def test_the_quickest_is_of_the_least_intervals_that_fit():
    table = {1: None, 2: Design(7, 1.0), 3: Design(5, 1.0)} | {
        n: Design(6, 1.0) for n in range(4, 8)
    }
    table[8] = Design(4, 1.0)
    assert quickest(list(table), lambda interval, for_latency: table[interval]) == table[3]
    assert quickest([1], lambda interval, for_latency: table[interval]) is None


@pytest.fixture(scope="module")
def graph():
    """Of two convolutions with a sum around one of them, and a linear layer."""
    build = GraphBuilder(1)
    x = build.conv(build.scaled_input((3, 12, 12)), 8, 3, pad=1)
    x = build.quant_relu(build.batch_norm(x), 4)
    y = build.quant_relu(build.batch_norm(build.conv(x, 8, 3, pad=1)), 4)
    x = build.quant_identity(build.max_pool(build.quant_identity(build.add(x, y), 4), 2), 2)
    build.output(build.linear(build.flatten(x), 10, weight_bits=8))
    return describe(to_hardware(read(build.finish()).network, BOARD.dsp))


def latency_us(solution):
    pipeline = Pipeline(solution.graph)
    found = pipeline.time(dict.fromkeys(pipeline.fifos, 0), frames=2)
    return found.latency / CLOCK_MHZ


def cost(solution):
    budget = BOARD.budget.model_dump()
    return sum(getattr(solution.resources, name) / most for name, most in budget.items() if most)


def test_more_time_never_costs_more_and_is_kept(graph):
    costs = []
    for target in (5, 20, 100):
        found = solve(graph, BOARD, CLOCK_MHZ, None, {}, target)
        assert latency_us(found) <= target
        costs.append(cost(found))
    assert costs == sorted(costs, reverse=True)
    assert costs[0] > 2 * costs[-1]


def test_a_frame_rate_and_a_latency(graph):
    quick = solve(graph, BOARD, CLOCK_MHZ, None, {}, 100)
    both = solve(graph, BOARD, CLOCK_MHZ, 100_000, {}, 100)
    assert quick.interval > 1_000 >= both.interval
    assert latency_us(both) <= 100
    late = solve(graph, BOARD, CLOCK_MHZ, 1_000, {}, 20)
    assert late.interval <= 100_000
    assert latency_us(late) <= 20


def test_a_latency_that_no_design_has(graph):
    with pytest.raises(UserError, match=r"latency of 2 us at 100 MHz: the quickest") as caught:
        solve(graph, BOARD, CLOCK_MHZ, None, {}, 2)
    said = re.search(
        r"takes [\d.]+ us \((\d+) cycles\), the most .* '(\w+)', which needs (\d+)",
        str(caught.value),
    )
    assert said[2] in {node.layer for node in graph.nodes}
    assert int(said[3]) < int(said[1])
    best = float(re.search(r"ask for at least ([\d.]+) us", str(caught.value))[1])
    assert int(said[1]) / CLOCK_MHZ <= best
    assert latency_us(solve(graph, BOARD, CLOCK_MHZ, None, {}, best)) <= best


def test_a_frame_rate_that_does_not_fit_is_said_first(graph):
    with pytest.raises(UserError, match="no folding reaches"):
        solve(graph, BOARD, CLOCK_MHZ, 1e8, {}, 20)


def test_an_estimate_keeps_a_latency(graph):
    found = estimate(graph, BOARD, CLOCK_MHZ, None, {}, 20)
    assert found.latency <= 20 * CLOCK_MHZ
    assert "without a target" in found.advice[0]
