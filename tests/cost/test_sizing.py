"""Depths of FIFOs by the timing model, on networks of all kinds."""

import functools
import math
from itertools import pairwise
from types import MappingProxyType

import pytest

from sdq_fpga import zoo
from sdq_fpga.board import load_board
from sdq_fpga.cost.folding.solve import solve
from sdq_fpga.cost.timing.schedule import Pipeline
from sdq_fpga.cost.timing.sizing import SHIFT_DEPTH, fifo_bits, size_fifos
from sdq_fpga.lower.describe import describe
from sdq_fpga.lower.hardware import to_hardware
from sdq_fpga.progress import SilentProgress
from sdq_fpga.zoo.random_net import random_network
from tests.lower.lowered import read

BOARD = load_board("zcu104")
NETWORKS = {
    "resnet8": lambda: zoo.resnet8((4, 4), width=0.5, image_size=16),
    "resnet50": lambda: zoo.resnet50((2, 2), width=0.0625, image_size=32, classes=10),
    **{f"random_{seed}": lambda seed=seed: random_network(seed) for seed in range(6)},
}


@functools.cache
def pipeline(name):
    return folded(NETWORKS[name](), BOARD, None)


def folded(model, board, fps, shares=MappingProxyType({})):
    graph = describe(to_hardware(read(model).network, board.dsp))
    clock_mhz = board.clock_mhz.default
    return Pipeline(solve(graph, board, clock_mhz, fps, shares).graph, ultra=board.budget.uram > 0)


@pytest.mark.parametrize("trials", [0, 10])
@pytest.mark.parametrize("name", NETWORKS)
def test_depths_are_never_too_small_and_no_more_than_occupancies(name, trials):
    network = pipeline(name)
    sizes = size_fifos(network, trials, SilentProgress())
    free = network.time(dict.fromkeys(network.fifos, 0))
    assert sizes.unlimited_interval == free.interval
    for gap in (0, math.ceil(free.interval)):
        for frames in (6, 9):
            found = network.time(sizes.depths, frames=frames, gap=gap)
            assert found.interval <= 1.001 * math.ceil(free.interval), (frames, gap)
    assert all(depth >= SHIFT_DEPTH for depth in sizes.depths.values())
    assert sizes.bits == fifo_bits(network.widths(), sizes.depths) <= sizes.occupancy_bits


def test_a_network_whose_first_frames_are_slower_keeps_the_interval_of_the_later_ones():
    model = zoo.resnet8((4, 4), width=0.5, image_size=16)
    network = folded(model, BOARD, None, {"lut": 0.3, "dsp": 0.3})
    first, *rest = gaps(network.time(dict.fromkeys(network.fifos, 0), frames=9))
    assert max(rest) < 0.95 * first
    sizes = size_fifos(network, 40, SilentProgress())
    assert sizes.unlimited_interval == rest[-1]
    found = network.time(sizes.depths, frames=9)
    assert max(gaps(found)[1:]) <= 1.001 * rest[-1]
    assert sizes.bits <= sizes.occupancy_bits


def test_a_network_whose_later_frames_are_faster_keeps_their_interval():
    model = zoo.resnet8((4, 4), width=0.5, image_size=16)
    network = folded(model, BOARD, None, {"lut": 0.125, "dsp": 0.125})
    first, second, *rest = gaps(network.time(dict.fromkeys(network.fifos, 0), frames=9))
    assert first == second > 1.05 * max(rest)
    sizes = size_fifos(network, 40, SilentProgress())
    assert sizes.unlimited_interval == rest[-1]
    assert gaps(network.time(sizes.depths, frames=12))[-1] <= 1.001 * rest[-1] < first
    assert sizes.bits <= sizes.occupancy_bits


@pytest.mark.parametrize(("seed", "fps"), [(11_006, 117_292), (11_112, 244_018)])
def test_where_the_most_that_is_held_is_too_little_a_word_more_is_enough(seed, fps):
    network = folded(random_network(seed), load_board("pynq-z2"), fps)
    free = network.time(dict.fromkeys(network.fifos, 0), frames=6)
    paced = network.time(dict.fromkeys(network.fifos, 0), gap=math.ceil(free.interval))
    held = {name: max(SHIFT_DEPTH, peak) for name, peak in paced.peaks.items()}
    # A FIFO that is full takes no word in the cycle in which one leaves.
    assert network.time(held, frames=6).interval > 1.001 * free.interval
    for trials in (0, 40):
        sizes = size_fifos(network, trials, SilentProgress())
        assert sizes.unlimited_interval == free.interval
        assert network.time(sizes.depths, frames=12).interval <= 1.001 * free.interval
        assert sizes.bits <= sizes.occupancy_bits + sum(network.widths().values())


def test_a_network_that_slows_down_after_its_first_frames_is_sized_for_the_later_ones():
    network = folded(random_network(11_173), load_board("pynq-z2"), 17_920)
    *first, _, last = gaps(network.time(dict.fromkeys(network.fifos, 0), frames=12))
    assert max(first[:2]) < 0.95 * last
    sizes = size_fifos(network, 40, SilentProgress())
    assert sizes.unlimited_interval == sizes.interval == last
    assert network.time(sizes.depths, frames=30).interval == last
    assert sizes.bits < 0.6 * sizes.occupancy_bits


def gaps(timed):
    """Cycles from the end of each frame to that of the next."""
    return [after - before for before, after in pairwise(timed.last_out)]
