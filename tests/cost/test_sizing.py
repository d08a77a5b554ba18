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
    network = folded(random_network(11_035), BOARD, 54_523)
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
    assert gaps(network.time(sizes.depths, frames=12))[-1] <= 1.001 * reached(network) < first
    assert sizes.bits <= sizes.occupancy_bits


def test_depths_beyond_occupancies_are_no_deeper_than_they_must_be():
    network = folded(random_network(11_006), load_board("pynq-z2"), 117_292)
    occupancies, sizes = (size_fifos(network, trials, SilentProgress()) for trials in (0, 40))
    # With the depths that frames at the interval fill, it is not kept where frames wait.
    peaks = network.time(
        dict.fromkeys(network.fifos, 0), gap=math.ceil(sizes.unlimited_interval)
    ).peaks
    held = {name: max(SHIFT_DEPTH, peak) for name, peak in peaks.items()}
    assert network.time(held, frames=6).interval > 1.001 * sizes.unlimited_interval
    assert sizes.interval <= 1.001 * sizes.unlimited_interval
    assert sizes.bits < 0.5 * occupancies.bits


def test_what_no_depth_can_keep_costs_no_memory():
    network = folded(random_network(11_112), load_board("pynq-z2"), 244_018)
    sizes = size_fifos(network, 40, SilentProgress())
    # Block RAM delays words by a cycle more than what has no limit.
    assert reached(network) > 1.001 * sizes.unlimited_interval
    assert sizes.interval <= 1.001 * reached(network)
    assert sizes.bits <= sizes.occupancy_bits


def reached(network):
    """The interval with FIFOs that are never full."""
    peaks = network.time(dict.fromkeys(network.fifos, 0), frames=6).peaks
    deepest = {name: max(SHIFT_DEPTH, peak) for name, peak in peaks.items()}
    return network.time(deepest, frames=6).interval


def gaps(timed):
    """Cycles from the end of each frame to that of the next."""
    return [after - before for before, after in pairwise(timed.last_out)]
