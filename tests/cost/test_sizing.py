"""Depths of FIFOs by the timing model, on networks of all kinds."""

import functools
import math

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
from tests.lower.lowered import CLOCK_MHZ, read

BOARD = load_board("zcu104")
NETWORKS = {
    "resnet8": lambda: zoo.resnet8((4, 4), width=0.5, image_size=16),
    "resnet50": lambda: zoo.resnet50((2, 2), width=0.0625, image_size=32, classes=10),
    **{f"random_{seed}": lambda seed=seed: random_network(seed) for seed in range(6)},
}


@functools.cache
def pipeline(name):
    graph = describe(to_hardware(read(NETWORKS[name]()).network, BOARD.dsp))
    return Pipeline(solve(graph, BOARD, CLOCK_MHZ, None, {}).graph)


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
