"""A frame rate as the goal: the search ends at bits with which the board reaches it."""

import math
from dataclasses import replace

import pytest
import torch
from steered import run

from sdq_fpga.board import load_board
from sdq_fpga.cost.fifo_room import size_within
from sdq_fpga.cost.folding.figures import usable
from sdq_fpga.cost.folding.solve import least_need, solve
from sdq_fpga.errors import UserError
from sdq_fpga.flow import load_flow
from sdq_fpga.nets import make_net
from sdq_fpga.progress import SilentProgress
from sdq_fpga.search import BoardGoal, board_goal, check_search
from sdq_fpga.search.dbp import Dbp
from sdq_fpga.search.frame_rate import FrameRate
from sdq_fpga.search.on_board import OnBoard
from sdq_fpga.search.space import Space
from sdq_fpga.stages.untrained import hardware_of_flow, uniform_policy

FLOW = load_flow("digits-cnn")
BOARD = load_board("pynq-z2")
STEPS = 60
TRIALS = 10
FEW = {"lut": 0.1, "dsp": 0.05}


@pytest.fixture(scope="module")
def graph():
    return hardware_of_flow(FLOW, uniform_policy(FLOW, 4), BOARD)


@pytest.fixture(scope="module")
def rates(graph):
    """Frames/s with the most and with the fewest bits that layers may have."""

    def fastest(place):
        _, steering = make(goal(graph, 1.0))
        bits = [dbp.candidates[place] for dbp in steering.choices]
        return 100e6 / solve(steering.limit.graph(bits), BOARD, 100.0, None, {}).interval

    return fastest(-1), fastest(0)


def goal(graph, fps):
    return BoardGoal(
        graph=graph,
        bits=4,
        board=BOARD,
        clock_mhz=100.0,
        target_fps=fps,
        shares={},
        fifo_trials=TRIALS,
    )


def make(wanted, cost="prices"):
    space = Space.of(FLOW.search, make_net(FLOW.network), Dbp)
    steering = FrameRate(OnBoard(wanted, space, cost), threshold=0.1, steps=STEPS)
    return steering.choices, steering


def bits_of(steering):
    return [dbp.bits for dbp in steering.choices]


def built(steering, bits):
    """Frames/s of the design that a build would make for the target, with its FIFOs."""
    graph, wanted = steering.limit.graph(bits), steering.limit.wanted

    def fold(shares, _):
        return solve(graph, BOARD, 100.0, wanted.target_fps, shares)

    shares, silent = wanted.shares, SilentProgress()
    sized = size_within(fold(shares, None), fold, BOARD, shares, TRIALS, silent, fastest=False)
    assert not sized.resources.over(usable(BOARD, shares))
    return 100e6 / sized.fifos.interval


@pytest.mark.parametrize(("share", "strength"), [(0.3, 1e-3), (0.6, 1e-2), (0.9, 1.0)])
def test_it_ends_where_a_build_reaches_the_target(graph, rates, share, strength):
    slow, fast = rates
    target = slow * (fast / slow) ** share
    dbps, steering = make(goal(graph, target))
    pulls = strength * torch.rand(len(dbps), generator=torch.Generator().manual_seed(0))
    run(dbps, steering, pulls.tolist(), STEPS, rate=0.2)
    assert steering.settled
    assert all(dbp.deterministic for dbp in dbps)
    assert built(steering, bits_of(steering)) >= target / 1.03
    assert bits_of(steering) != [dbp.candidates[0] for dbp in steering.choices]


def test_bits_with_no_room_for_their_fifos_are_given_up(graph, monkeypatch):
    monkeypatch.setattr(board_goal, "_ROOM", 0.001)
    dbps, steering = make(replace(goal(graph, 74_000.0), shares=FEW))
    limit, confirms, answers = steering.limit, steering.limit.confirms, []

    def noted(bits):
        answers.append(confirms(bits))
        return answers[-1]

    monkeypatch.setattr(limit, "confirms", noted)
    pulls = [1e-4] * len(dbps)
    pulls[5] = 3.0  # of many bits of this activation, FIFOs need more than there is
    run(dbps, steering, pulls, STEPS, rate=0.2)
    assert not answers[0]
    assert answers[-1]
    assert built(steering, bits_of(steering)) >= 74_000 / 1.03
    assert bits_of(steering) != list(limit.lowest)


def test_what_resists_most_keeps_most_bits(graph, rates):
    slow, fast = rates
    dbps, steering = make(goal(graph, (slow * fast) ** 0.5))
    kept = len(dbps) // 2
    pulls = [3.0] * kept + [1e-4] * (len(dbps) - kept)
    run(dbps, steering, pulls, STEPS, rate=0.2)
    places = [dbp.candidates.index(dbp.bits) / (len(dbp.candidates) - 1) for dbp in dbps]
    assert sum(places[:kept]) / kept > sum(places[kept:]) / (len(dbps) - kept)


def test_a_target_that_all_bits_reach_leaves_them(graph, rates):
    dbps, steering = make(goal(graph, 0.8 * rates[0]))
    steering.step(1)
    assert steering.settled
    assert [dbp.bits for dbp in dbps] == [dbp.candidates[-1] for dbp in dbps]


def push(dbps, steering):
    """Gives the logits the gradient of what is expected to be taken of the budget."""
    limit = steering.limit
    shares = Dbp.chances(dbps)
    _, slopes = limit.measure(shares)
    Dbp.push(dbps, shares, [limit.expected_share() * each for each in slopes])


def test_what_is_expected_falls_with_the_betas(graph, rates):
    dbps, steering = make(goal(graph, rates[1]))
    before = steering.limit.expected_share()
    push(dbps, steering)
    gradients = [dbp.logit.grad.item() for dbp in dbps]
    assert min(gradients) >= 0
    assert max(gradients) > 0
    with torch.no_grad():
        for dbp in dbps:
            dbp.logit.fill_(0.0)
    assert steering.limit.expected_share() < before


def test_a_resource_costs_what_the_folding_says(graph, rates, monkeypatch):
    def gradients(factor):
        def at_other_prices(*arguments):
            found = least_need(*arguments)
            prices = {name: factor * price for name, price in found.prices.items()}
            return replace(found, prices=prices)

        monkeypatch.setattr(board_goal, "least_need", at_other_prices)
        dbps, steering = make(goal(graph, rates[1]))
        push(dbps, steering)
        return torch.stack([dbp.logit.grad for dbp in dbps])

    once = gradients(1.0)
    assert once.max() > 0
    torch.testing.assert_close(gradients(3.0), 3 * once)


def needed(limit, bits):
    """How many times the budget, without what is left for FIFOs, bits take at the target."""
    goal, whole = limit.wanted, BOARD.budget.model_dump()
    usable_ = usable(BOARD, goal.shares)
    within = {name: 0.98 * usable_[name] / whole[name] for name in whole if whole[name]}
    return least_need(limit.graph(bits), BOARD, int(goal.interval), within).share


def test_it_is_what_the_board_lacks_where_bits_are_certain(graph, rates):
    dbps, steering = make(goal(graph, rates[1]))
    with torch.no_grad():
        for dbp in dbps:
            dbp.logit.fill_(50.0)
    limit = steering.limit
    assert needed(limit, limit.highest) > 1
    assert limit.expected_share() == pytest.approx(needed(limit, limit.highest), rel=1e-6)


def test_a_look_takes_the_board_as_it_is_with_the_bits_that_layers_have_come_to(graph, rates):
    dbps, steering = make(goal(graph, 0.9 * rates[1]))
    limit = steering.limit
    limit.expected_share()  # at the most bits
    for dbp in dbps:
        while not dbp.deterministic:
            dbp.drop()
    limit.look()
    assert needed(limit, limit.lowest) < 1
    assert limit.expected_share() == pytest.approx(needed(limit, limit.lowest), rel=1e-6)


def test_bits_are_worth_something_where_it_takes_several_of_them():
    """With 8 bits or 6, only DSP slices are scarce here, of which both take as many."""
    flow = load_flow("mnist-mlp")
    start = hardware_of_flow(flow, uniform_policy(flow, 4), BOARD)
    limit = OnBoard(
        goal(start, 3_120_000.0), Space.of(flow.search, make_net(flow.network), Dbp), "prices"
    )
    at = limit.highest
    less = tuple(6 if bits == 8 else bits for bits in at)
    assert needed(limit, less) == pytest.approx(needed(limit, at), rel=1e-6)
    measured, slopes = limit.measure(Dbp.chances(limit.choices))
    assert measured > 1
    assert max(own - lower for own, lower in zip(slopes[::2], slopes[1::2], strict=True)) > 0.1


def test_a_search_looks_at_the_board_again_as_bits_move(graph, rates):
    dbps, steering = make(goal(graph, rates[1]))
    looked = set()
    step = steering.step

    def note_and_step(done):
        looked.add(steering.limit.state_dict()["here"])
        return step(done)

    steering.step = note_and_step
    run(dbps, steering, [1.0] * len(dbps), STEPS, rate=0.2)
    assert len(looked) > 2


def test_out_of_reach_says_what_is_in_reach(graph, rates):
    with pytest.raises(UserError, match=r"out of reach on pynq-z2 .* which reach at most [\d,]+"):
        check_search(FLOW, goal(graph, 1.5 * rates[1]))


@pytest.fixture(scope="module")
def crowded(graph):
    """What the fewest bits reach in a budget with nothing left for FIFOs."""
    limit = make(goal(graph, 1.0))[1].limit
    used = solve(limit.graph(limit.lowest), BOARD, 100.0, 200_000.0, FEW).resources
    whole = BOARD.budget.model_dump()
    just = {n: (getattr(used, n) + 0.5) / whole[n] for n in whole if whole[n]}
    return replace(goal(graph, 200_000.0), shares=just)


def test_what_fewest_bits_reach_can_be_searched_for(crowded):
    limit = make(replace(crowded, target_fps=1.0))[1].limit
    fps = limit.reached(limit.lowest)
    assert 0 < fps < 200_000
    check_search(FLOW, replace(crowded, target_fps=fps))


def test_what_is_said_to_be_in_reach_is(crowded):
    """Though FIFOs leave the fewest bits less than the folding would like."""
    wanted = crowded
    with pytest.raises(UserError, match=r"out of reach on pynq-z2 .* which reach [\d,]+") as error:
        check_search(FLOW, wanted)
    said = float(error.value.what.rsplit(" ", 1)[1].replace(",", ""))
    check_search(FLOW, replace(wanted, target_fps=said))


@pytest.mark.parametrize("size", [8, 12])
def test_a_mean_may_be_exact_or_quantized(size):
    # 4x4 values before the average: their mean needs no quantizer, that of 6x6 does.
    params = {
        "in_channels": 1,
        "image_size": size,
        "channels": [4, 6],
        "blocks": [1, 1],
        "classes": 10,
    }
    network = FLOW.network.model_copy(update={"kind": "resnet", "params": params})
    flow = FLOW.model_copy(update={"network": network})
    residual = hardware_of_flow(flow, uniform_policy(flow, 4), BOARD)
    quantized = [node.layer for node in residual.nodes if node.op == "Thresholding_rtl"]
    assert ("average_mean" in quantized) == (size == 12)
    check_search(flow, goal(residual, 10_000.0))
    with pytest.raises(UserError, match="out of reach"):
        check_search(flow, goal(residual, 1e9))


@pytest.mark.parametrize("cost", ["prices", "bits", "macs"])
def test_what_is_expected_is_straight_for_a_few_steps(graph, rates, cost):
    dbps, steering = make(goal(graph, rates[1]), cost)
    limit = steering.limit
    generator = torch.Generator().manual_seed(0)

    def away():
        """How far the measure is from what it is measured by, in logarithms."""
        measured, _ = limit.measure(Dbp.chances(dbps))
        return abs(measured - math.log(limit.expected_share()))

    assert away() == pytest.approx(0, abs=1e-12)
    seen = []
    for _ in range(6):
        with torch.no_grad():
            for dbp in dbps:
                dbp.logit -= 0.2 * torch.rand((), generator=generator)
        seen.append(away())
    # What is expected came down by far more.
    start = make(goal(graph, rates[1]), cost)[1].limit.measured()
    assert 0 < max(seen) < 0.05 * (start - limit.measured())
    dbps[0].drop()  # where options change, it is asked for anew
    assert away() == pytest.approx(0, abs=1e-12)


def test_a_limit_goes_on_on_the_tangent_that_it_was_on(graph, rates):
    dbps, steering = make(goal(graph, rates[1]))
    others, other = make(goal(graph, rates[1]))
    steering.limit.measured()
    with torch.no_grad():
        for dbp in dbps:
            dbp.logit -= 0.5
    for old, new in zip(dbps, others, strict=True):
        new.load_state_dict(old.state_dict())
    other.limit.load_state_dict(steering.limit.state_dict())
    for _ in range(12):  # beyond its end
        assert other.limit.measure(Dbp.chances(others)) == steering.limit.measure(Dbp.chances(dbps))
    assert other.limit.expected_share() == steering.limit.expected_share()
