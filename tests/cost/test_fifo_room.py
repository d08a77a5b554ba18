"""A network that its FIFOs take over the budget is folded again, or what takes it is named."""

import copy
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from qonnx.core.modelwrapper import ModelWrapper

from sdq_fpga import zoo
from sdq_fpga.board import load_board
from sdq_fpga.cost.fifo_room import Sized, fps_of, further_room, size_within
from sdq_fpga.cost.folding.figures import Resources, usable
from sdq_fpga.cost.folding.solve import solve
from sdq_fpga.cost.node import HardwareGraph
from sdq_fpga.cost.timing.schedule import Pipeline
from sdq_fpga.cost.timing.sizing import FifoSizes
from sdq_fpga.errors import UserError
from sdq_fpga.lower.describe import describe
from sdq_fpga.lower.finn_session import finn_session
from sdq_fpga.lower.folding import FoldedModel, fold
from sdq_fpga.lower.hardware import to_hardware
from sdq_fpga.progress import SilentProgress
from tests.lower.lowered import CLOCK_MHZ, read

BOARD = load_board("zcu104")
SHARES = {"lut": 0.06}
FPS = 8000


@pytest.fixture(scope="module")
def hardware(tmp_path_factory):
    """A network of residual blocks."""
    folder = tmp_path_factory.mktemp("session")
    network = read(zoo.resnet8((3, 3), width=0.25)).network
    with finn_session(folder, folder / "log"):
        yield to_hardware(network, BOARD.dsp)


@pytest.fixture(scope="module")
def refold(hardware):
    """Folds it, for a frame rate or the fastest that fits."""
    graph = describe(hardware)

    def refold(shares, fps=None, *, thrifty=False):
        return solve(graph, BOARD, CLOCK_MHZ, fps, shares, thrifty=thrifty)

    return refold


@pytest.fixture(scope="module")
def again(refold):
    """Folds it for an interval, or the fastest that fits."""

    def again(shares, interval):
        return refold(shares, None if interval is None else fps_of(interval, CLOCK_MHZ))

    return again


def size(folded, again, shares, *, fastest=False):
    return size_within(folded, again, BOARD, shares, 0, SilentProgress(), fastest=fastest)


def not_again(*_):
    pytest.fail("folded again")


def exactly(resources):
    """Shares of just as much."""
    used, whole = resources.model_dump(), BOARD.budget.model_dump()
    return {name: (used[name] + 0.5) / whole[name] for name in whole}


@pytest.mark.parametrize("name", ["pynq-z2", "zcu104"])
def test_fifos_are_timed_as_they_are_made(hardware, name):
    """Where there is no UltraRAM, a deep FIFO is of block RAM, and holds other numbers of words."""
    board = load_board(name)
    model = ModelWrapper(copy.deepcopy(hardware.model))
    folded = FoldedModel(*fold(model, BOARD, CLOCK_MHZ, FPS, {}, SilentProgress()))
    pipeline = Pipeline(folded.graph, ultra=board.budget.uram > 0)
    for depth in (1000, 2028, 2100, 5000):
        depths = dict.fromkeys(pipeline.widths(), depth)
        told = pipeline.time(depths)
        folded.deepen(depths, board)
        assert told == Pipeline(describe(folded.model)).time({})


def test_a_model_is_sized_as_what_it_was_folded_by(hardware, refold, again):
    """Whoever sizes before there is a model, as a search does, foretells what is built."""
    shares = {"lut": exactly(refold(SHARES).resources)["lut"]}
    plain = size(refold(shares), again, shares, fastest=True)

    def model_again(less, interval):
        model = ModelWrapper(copy.deepcopy(hardware.model))
        fps = None if interval is None else fps_of(interval, CLOCK_MHZ)
        return FoldedModel(*fold(model, BOARD, CLOCK_MHZ, fps, less, SilentProgress()))

    found = size(model_again(shares, None), model_again, shares, fastest=True)
    assert plain.room
    assert (found.fifos, found.room) == (plain.fifos, plain.room)
    figures = found.folded.deepen(found.fifos.depths, BOARD)
    assert figures.resources == found.resources == plain.resources
    assert describe(found.folded.model) == found.graph


def test_a_design_within_the_budget_stays_as_it_is(refold):
    folded = refold({}, FPS)
    found = size(folded, not_again, {})
    assert not found.room
    assert found.folded is folded
    assert found.resources.lut > folded.resources.lut


def test_a_design_that_is_over_is_folded_again(refold):
    shares = {"lut": exactly(refold(SHARES).resources)["lut"]}
    first = refold(shares)
    asked = []

    def again(less, _):
        asked.append(less)
        return refold(less)

    found = size(first, again, shares)
    assert asked
    assert all(less["lut"] < shares["lut"] for less in asked)
    assert found.room["lut"] > 0
    assert not found.resources.over(usable(BOARD, shares))
    assert found.folded.interval >= first.interval
    assert found.fifos.interval <= found.folded.interval * 1.1


@pytest.mark.parametrize("fastest", [True, False])
def test_less_room_is_tried_where_too_much_makes_it_slower(refold, fastest):
    """FIFOs of the slower design take less than what those of the first one would."""
    fast, slower, slowest = (refold({}, fps) for fps in (FPS, FPS / 2, FPS / 4))
    needs = size(fast, not_again, {}).resources
    slower_needs = size(slower, not_again, {}).resources
    assert slower_needs.lut < fast.resources.lut + 60 < needs.lut - 60
    shares = {"lut": exactly(fast.resources)["lut"]}
    grown = needs.lut - fast.resources.lut
    asked = []

    def again(less, interval):
        if interval is not None:
            raise UserError("too fast", "ask for less")
        asked.append(usable(BOARD, shares)["lut"] - usable(BOARD, less)["lut"])
        if not asked[-1]:
            return fast
        return slowest if asked[-1] > 0.8 * grown else slower

    found = size(fast, again, shares, fastest=fastest)
    # What is as fast and takes the least comes first.
    assert asked[0] == 0 if fastest else asked[0] >= grown - 1
    assert max(asked) >= grown - 1
    assert found.folded is (slower if fastest else slowest)
    assert (len(asked) > 2) == fastest


def test_what_was_too_fast_is_folded_for_its_interval(refold):
    """It takes less then than what is as fast as the budget allows."""
    fast, slower, slowest = (refold({}, fps) for fps in (FPS, FPS / 2, FPS / 4))
    needs, slower_needs = (size(each, not_again, {}).resources for each in (fast, slower))
    assert slower_needs.lut < needs.lut
    shares = {"lut": exactly(slower_needs)["lut"]}
    wasteful = replace(fast, interval=slower.interval)  # what would have it, and take more
    asked = []

    def again(less, interval):
        asked.append(interval)
        if interval is None:
            return slowest if "lut" in less and less["lut"] < shares["lut"] else fast
        if interval < slower.interval:
            raise UserError("too fast", "ask for less")
        return slower

    found = size(wasteful, again, shares, fastest=True)
    assert found.folded is slower
    assert found.resources == slower_needs
    intervals = [each for each in asked if each is not None]
    assert intervals[:2] == [slower.interval, fast.interval]
    assert all(fast.interval < each < slower.interval for each in intervals[2:])


def test_intervals_between_are_tried_where_that_is_too_fast(refold):
    fast, slower, slowest = (refold({}, fps) for fps in (FPS, FPS / 1.5, FPS / 4))
    needs, slower_needs = (size(each, not_again, {}).resources for each in (fast, slower))
    assert slower_needs.lut < needs.lut
    shares = {"lut": exactly(slower_needs)["lut"]}

    def again(less, interval):
        if interval is None:
            return slowest if "lut" in less and less["lut"] < shares["lut"] else fast
        if interval < slower.interval:
            raise UserError("too fast", "ask for less")
        return slower if interval < slowest.interval else slowest

    found = size(fast, again, shares, fastest=True)
    assert fast.interval < slower.interval < (fast.interval + slowest.interval) / 2
    assert found.folded is slower


def test_room_grows_until_fifos_fit(refold):
    """However often it takes: a design that is too slow is better than none."""
    fast, slowest = refold({}, FPS), refold({}, FPS / 4)
    shares = {"lut": exactly(fast.resources)["lut"]}
    limit = usable(BOARD, shares)["lut"]
    grown = size(fast, not_again, {}).resources.lut - fast.resources.lut
    asked = []

    def again(less, _):
        asked.append(limit - usable(BOARD, less)["lut"])
        return slowest if asked[-1] > 6.5 * grown else fast

    assert size(fast, again, shares).folded is slowest
    assert len(asked) > 5
    assert asked == sorted(asked)


def test_less_room_is_tried_where_nothing_leaves_as_much(refold):
    fast, slower = refold({}, FPS), refold({}, FPS / 2)
    shares = {"lut": exactly(fast.resources)["lut"]}
    grown = size(fast, not_again, {}).resources.lut - fast.resources.lut

    def again(less, _):
        if usable(BOARD, shares)["lut"] - usable(BOARD, less)["lut"] > 0.6 * grown:
            raise UserError("too little of it", "take more")
        return slower

    assert size(fast, again, shares).folded is slower


def test_a_target_that_leaves_nothing_for_fifos(refold):
    folded = refold({}, FPS)
    with pytest.raises(UserError, match=r"FIFOs .* need .*\d+ lut.*; with .* too little .*lut"):
        size(folded, lambda less, _: refold(less, FPS), exactly(folded.resources))


def test_the_fifo_that_takes_the_most_is_named(refold):
    folded = refold({}, FPS)
    said = r"takes too much of lut \(.*all FIFOs take .* layer '\w+' \(fifo_\d+\), \d"
    with pytest.raises(UserError, match=said):
        size(folded, lambda *_: folded, exactly(folded.resources))


@dataclass(frozen=True)
class Anything:
    resources: Resources
    graph = HardwareGraph(nodes=(), inputs=(), outputs=())
    interval = 1


NO_FIFOS = FifoSizes(
    depths={},
    unlimited_interval=1,
    interval=1,
    latency=1,
    bits=0,
    occupancy_bits=0,
    trials=0,
)
amounts = st.integers(0, 1000)


@given(amounts, amounts, st.integers(1, 1000), st.integers(0, 300))
def test_room_grows_until_it_is_all(least, grown, most, before):
    limits = {"lut": most, "bram18": 10_000}
    room = {"lut": min(before, most)}
    folded = Anything(Resources(lut=least, bram18=0, uram=0, dsp=0))
    resources = Resources(lut=least + grown, bram18=grown, uram=0, dsp=0)
    found = further_room(Sized(folded, NO_FIFOS, folded.graph, resources, room), limits)
    assert "bram18" not in found
    if least + grown <= most:
        assert found == room
    else:
        assert found["lut"] == most or found["lut"] > room["lut"]
        assert found["lut"] >= min(most, grown)
