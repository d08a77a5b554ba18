"""A latency as the goal: the search ends at bits with which the board reaches it."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from steered import run

from sdq_fpga.board import load_board
from sdq_fpga.cost.folding.solve import solve
from sdq_fpga.cost.timing.schedule import Pipeline
from sdq_fpga.errors import UserError
from sdq_fpga.flow import load_flow
from sdq_fpga.nets import make_net
from sdq_fpga.search import BoardGoal, check_search
from sdq_fpga.search.choice import Choice
from sdq_fpga.search.dbp import Dbp
from sdq_fpga.search.frame_rate import FrameRate
from sdq_fpga.search.on_board import OnBoard
from sdq_fpga.search.space import Space
from sdq_fpga.stages.untrained import hardware_of_flow, uniform_policy

FLOW = load_flow(str(Path(__file__).parent.parent / "stages" / "tiny.yaml"))
BOARD = load_board("pynq-z2")
STEPS = 60
MHZ = 100.0
SHARES = dict.fromkeys(BOARD.budget.model_dump(), 0.04)
LESS = {name: 0.98 * share for name, share in SHARES.items()}  # the rest is for FIFOs


def latency(found):
    pipeline = Pipeline(found.graph)
    return pipeline.time(dict.fromkeys(pipeline.fifos, 0), frames=2).latency


@pytest.fixture(scope="module")
def any_speed():
    return BoardGoal(
        graph=hardware_of_flow(FLOW, uniform_policy(FLOW, 4), BOARD),
        bits=4,
        board=BOARD,
        clock_mhz=MHZ,
        target_fps=None,
        shares=SHARES,
        fifo_trials=10,
    )


def limit_of(goal, make=Choice):
    return OnBoard(goal, Space.of(FLOW.search, make_net(FLOW.network), make), "prices")


@pytest.fixture(scope="module")
def latencies(any_speed):
    """Microseconds with the most and with the fewest bits that layers may have."""
    limit = limit_of(any_speed)
    return tuple(
        latency(solve(limit.graph(bits), BOARD, MHZ, None, LESS)) / MHZ
        for bits in (limit.highest, limit.lowest)
    )


@pytest.mark.parametrize(("share", "strength"), [(0.4, 1e-3), (0.8, 1e-1)])
def test_it_ends_where_a_build_finds_a_folding_that_is_quick_enough(
    any_speed, latencies, share, strength
):
    slow, fast = latencies
    target = slow * (fast / slow) ** share
    limit = limit_of(replace(any_speed, target_latency_us=target), Dbp)
    steering = FrameRate(limit, threshold=0.1, steps=STEPS)
    dbps = steering.choices
    pulls = strength * torch.rand(len(dbps), generator=torch.Generator().manual_seed(0))
    run(dbps, steering, pulls.tolist(), STEPS, rate=0.2)
    assert steering.settled
    bits = [dbp.bits for dbp in dbps]
    found = solve(limit.graph(bits), BOARD, MHZ, None, SHARES, target)
    assert latency(found) <= target * MHZ
    assert bits != list(limit.lowest)


def test_both_goals_must_be_reached(any_speed, latencies):
    slow, fast = latencies
    in_time = replace(any_speed, target_latency_us=1.05 * fast)
    speed = limit_of(any_speed).speed(limit_of(any_speed).lowest)
    lowest = limit_of(in_time).lowest
    assert limit_of(in_time).allows(lowest)
    assert limit_of(replace(in_time, target_fps=math.floor(speed))).allows(lowest)
    both = limit_of(replace(any_speed, target_latency_us=2 * slow, target_fps=math.floor(speed)))
    assert not both.allows(both.highest)
    assert not limit_of(replace(in_time, target_fps=1.0)).allows(both.highest)


def test_what_lags_more_is_measured(any_speed, latencies):
    slow, _ = latencies
    target = 0.9 * slow
    at_latency = limit_of(replace(any_speed, target_latency_us=target))
    behind = slow / (0.97 * target)
    speed = at_latency.speed(at_latency.highest)

    def at_speed(times):
        return limit_of(replace(any_speed, target_fps=times * speed)).measured()

    most = 0.9 * at_latency.speed(at_latency.lowest) / speed
    assert at_latency.measured() == pytest.approx(at_speed(behind), rel=1e-3)
    assert at_speed(0.5 * behind) < at_speed(behind) < at_speed(most)
    for times in (0.5 * behind, most):
        goal = replace(any_speed, target_latency_us=target, target_fps=times * speed)
        expected = at_speed(max(behind, times))
        assert limit_of(goal).measured() == pytest.approx(expected, rel=1e-3)


def test_out_of_reach_says_what_is_in_reach(any_speed, latencies):
    _, fast = latencies
    goal = replace(any_speed, target_latency_us=fast / 2, target_fps=10.0)
    with pytest.raises(UserError, match=r"10 frames/s with .* us are out of reach on") as error:
        check_search(FLOW, goal)
    said = float(error.value.what.rsplit(" ", 2)[-2])
    assert said == pytest.approx(fast / 0.97, abs=0.001)
    check_search(FLOW, replace(goal, target_latency_us=said))
