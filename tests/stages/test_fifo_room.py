"""A design that its FIFOs take over the budget is folded again, or what takes it is named."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from qonnx.core.modelwrapper import ModelWrapper

from sdq_fpga import zoo
from sdq_fpga.board import load_board
from sdq_fpga.cost.folding import FoldedNode, Folding, Resources
from sdq_fpga.cost.timing.schedule import Pipeline
from sdq_fpga.errors import UserError
from sdq_fpga.lower.describe import describe
from sdq_fpga.lower.finn_session import finn_session
from sdq_fpga.lower.folding import fold
from sdq_fpga.lower.hardware import to_hardware
from sdq_fpga.lower.streams import set_depths
from sdq_fpga.progress import SilentProgress
from sdq_fpga.stages.fifo_room import further_room, size_within
from tests.lower.lowered import CLOCK_MHZ, read

BOARD = load_board("zcu104")
SHARES = {"lut": 0.06}
FPS = 8000


@pytest.fixture(scope="module")
def refold(tmp_path_factory):
    """Folds a network of residual blocks, for a frame rate or the fastest that fits."""
    folder = tmp_path_factory.mktemp("session")
    network = read(zoo.resnet8((3, 3), width=0.25)).network
    with finn_session(folder, folder / "log"):
        hardware = to_hardware(network, BOARD.dsp)

        def folded(shares, fps=None):
            model = ModelWrapper(copy.deepcopy(hardware.model))
            return fold(model, BOARD, CLOCK_MHZ, fps, shares, SilentProgress())

        yield folded


def size(folded, refold, shares):
    return size_within(folded, refold, BOARD, shares, 0, SilentProgress())


def hardly_enough(folding):
    """Shares that hold a design only with FIFOs of the least depth."""
    used, whole = folding.resources.model_dump(), BOARD.budget.model_dump()
    return {name: (used[name] + 0.5) / whole[name] for name in whole}


@pytest.mark.parametrize("name", ["pynq-z2", "zcu104"])
def test_fifos_are_timed_as_they_are_made(refold, name):
    """Where there is no UltraRAM, a deep FIFO is of block RAM, and holds other numbers of words."""
    board = load_board(name)
    model, _ = refold({}, FPS)
    pipeline = Pipeline(describe(model), ultra=board.budget.uram > 0)
    for depth in (1000, 2028, 2100, 5000):
        depths = dict.fromkeys(pipeline.widths(), depth)
        told = pipeline.time(depths)
        set_depths(model, depths, board)
        assert told == Pipeline(describe(model)).time({})


def test_a_design_within_the_budget_stays_as_it_is(refold):
    folded = refold({}, FPS)
    found = size(folded, lambda shares: pytest.fail("folded again"), {})
    assert not found.room
    assert found.folding.resources.lut > folded[1].resources.lut


def test_a_design_that_is_over_is_folded_again(refold):
    shares = {"lut": hardly_enough(refold(SHARES)[1])["lut"]}
    first = refold(shares)
    asked = []

    def again(less):
        asked.append(less)
        return refold(less)

    found = size(first, again, shares)
    assert asked
    assert all(less["lut"] < shares["lut"] for less in asked)
    assert found.room["lut"] > 0
    assert not found.folding.over_budget(BOARD, shares)
    assert found.folding.interval >= first[1].interval
    assert found.fifos.interval <= found.folding.interval * 1.1


def test_a_target_that_leaves_nothing_for_fifos(refold):
    folded = refold({}, FPS)
    with pytest.raises(UserError, match=r"FIFOs .* need .*\d+ lut.*; with .* too little .*lut"):
        size(folded, lambda less: refold(less, FPS), hardly_enough(folded[1]))


def test_the_fifo_that_takes_the_most_is_named(refold):
    model, folding = refold({}, FPS)
    said = r"takes too much of lut \(.*all FIFOs take .* layer '\w+' \(fifo_\d+\), \d"
    with pytest.raises(UserError, match=said):
        size((model, folding), lambda _: (model, folding), hardly_enough(folding))


def design(lut, bram18):
    resources = Resources(lut=lut, bram18=bram18, uram=0, dsp=0)
    node = FoldedNode(name="n", op="o", pe=1, simd=1, cycles=1, resources=resources)
    return Folding(nodes=(node,), interval=1, bottleneck="n", resources=resources)


amounts = st.integers(0, 1000)


@given(amounts, amounts, st.integers(1, 1000), st.integers(0, 300))
def test_room_grows_until_it_is_all(least, grown, most, before):
    limits = {"lut": most, "bram18": 10_000}
    room = {"lut": min(before, most)}
    found = further_room(room, design(least, 0), design(least + grown, grown), limits)
    assert "bram18" not in found
    if least + grown <= most:
        assert found == room
    else:
        assert found["lut"] == most or found["lut"] > room["lut"]
        assert found["lut"] >= min(most, grown)
