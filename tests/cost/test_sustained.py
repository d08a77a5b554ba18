"""The interval that a network keeps once its first frames have passed."""

import functools
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdq_fpga import zoo
from sdq_fpga.board import load_board
from sdq_fpga.cost.folding.solve import solve
from sdq_fpga.cost.streams import CONVERTER, divides
from sdq_fpga.cost.timing.freely import FEW_FRAMES, time_freely
from sdq_fpga.cost.timing.schedule import Pipeline
from sdq_fpga.cost.timing.sizing import FifoSizes, size_fifos
from sdq_fpga.errors import UserError
from sdq_fpga.lower.describe import describe
from sdq_fpga.lower.hardware import to_hardware
from sdq_fpga.progress import SilentProgress
from sdq_fpga.zoo.random_net import random_network
from tests.lower.lowered import CLOCK_MHZ, read

BOARD = load_board("zcu104")
RESOURCES = ("lut", "ff", "dsp", "bram18")


def hardware(model):
    return describe(to_hardware(read(model).network, BOARD.dsp))


@functools.cache
def resnet():
    return hardware(zoo.resnet8((4, 4), width=0.5, image_size=16))


@functools.cache
def at_share(share):
    return solve(resnet(), BOARD, CLOCK_MHZ, None, {"lut": share, "dsp": share})


def sustained(pipeline, depths, frames=40):
    """Cycles between frames in the second half of many."""
    ends = pipeline.time(depths, frames=frames).last_out
    return float(np.diff(ends)[frames // 2 :].mean())


def unlimited(pipeline):
    return dict.fromkeys(pipeline.fifos, 0)


def designs(seed):
    """A random network, folded for budgets from the least on which it fits to the whole board."""
    graph = hardware(random_network(seed))
    for share in (0.8 / 2**halves for halves in range(10, -1, -2)):
        try:
            yield solve(graph, BOARD, CLOCK_MHZ, None, dict.fromkeys(RESOURCES, share))
        except UserError:
            continue


@settings(max_examples=8)
@given(st.integers(0, 10_000))
def test_more_budget_never_gives_a_slower_design(seed):
    foldings, ends, built = [], [], []
    for found in designs(seed):
        pipeline = Pipeline(found.graph)
        foldings.append(found.interval)
        ends.append(sustained(pipeline, unlimited(pipeline)))
        assert ends[-1] == pytest.approx(found.interval, rel=1e-3)
        sizes = size_fifos(pipeline, 0, SilentProgress())
        built.append(sustained(pipeline, sizes.depths))
        assert built[-1] == pytest.approx(sizes.interval, rel=1e-3)
    assert foldings == sorted(foldings, reverse=True)
    for intervals in (ends, built):
        for less, more in pairwise(intervals):
            assert more <= less * 1.001


# Many nodes in a row are as slow as the slowest: frames come later until all of them are late.
@pytest.mark.parametrize("share", [0.1, 0.17, 0.2, 0.25])
def test_fifos_are_sized_for_the_pace_that_comes_after_the_first_frames(share):
    pipeline = Pipeline(at_share(share).graph)
    slowest = at_share(share).interval
    assert pipeline.time(unlimited(pipeline), frames=FEW_FRAMES).interval > 1.02 * slowest
    assert time_freely(pipeline).interval == pytest.approx(slowest, rel=1e-3)
    sizes = size_fifos(pipeline, 20, SilentProgress())
    assert sizes.interval == pytest.approx(slowest, rel=1e-3)
    assert sustained(pipeline, sizes.depths) == pytest.approx(sizes.interval, rel=1e-3)
    assert sizes.bits <= sizes.occupancy_bits


# Window generators give and converters take with pauses, which would add up if they were wired.
@pytest.mark.parametrize(("seed", "fps"), [(11_006, 117_292), (11_028, 836_941), (11_080, 295_065)])
def test_converters_of_widths_that_do_not_divide_hold_nobody_up(seed, fps):
    board = load_board("pynq-z2")
    graph = describe(to_hardware(read(random_network(seed)).network, board.dsp))
    found = solve(graph, board, board.clock_mhz.default, fps, {})
    assert any(uneven(node) for node in found.graph.nodes if node.op == CONVERTER)
    pipeline = Pipeline(found.graph)
    assert sustained(pipeline, unlimited(pipeline)) == found.interval
    assert size_fifos(pipeline, 40, SilentProgress()).interval == pytest.approx(
        found.interval, 1e-3
    )


def uneven(node):
    return not divides(node.integer("inWidth"), node.integer("outWidth"))


@pytest.mark.parametrize(("images", "interval"), [(4, 100), (6, 85), (8, 230 / 3), (100, 75)])
def test_what_is_foretold_of_a_simulation_is_of_the_frames_that_it_counts(images, interval):
    # The first image goes alone: these are of the second and so on.
    ends = (100, 210, 310, 400, 480)
    sizes = FifoSizes(
        depths={}, unlimited_interval=75, interval=75, last_out=ends, latency=101, bits=0,
        occupancy_bits=0, trials=1,
    )  # fmt: skip
    assert sizes.simulated_interval(images) == pytest.approx(interval)
    older = sizes.model_copy(update={"last_out": ()})
    assert older.simulated_interval(images) == 75
