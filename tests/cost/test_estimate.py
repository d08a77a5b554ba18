"""What is foretold of a design: the interval that its FIFOs are sized for, targets, and advice."""

import re

import pytest

from sdq_fpga import zoo
from sdq_fpga.board import load_board
from sdq_fpga.cost.bits import with_bits
from sdq_fpga.cost.estimate import estimate
from sdq_fpga.cost.folding.solve import solve
from sdq_fpga.cost.timing.schedule import Pipeline
from sdq_fpga.cost.timing.sizing import size_fifos
from sdq_fpga.errors import UserError
from sdq_fpga.lower.describe import describe
from sdq_fpga.lower.hardware import to_hardware
from sdq_fpga.progress import SilentProgress
from sdq_fpga.zoo.random_net import random_network
from tests.lower.lowered import CLOCK_MHZ, read

BOARD = load_board("zcu104")


@pytest.fixture(scope="module")
def resnet():
    model = zoo.resnet8((4, 4), width=0.5, image_size=16)
    return describe(to_hardware(read(model).network, BOARD.dsp))


# In some of these designs the first frames come farther apart than later ones.
@pytest.mark.parametrize("share", [0.115, 0.125, 0.3])
def test_fifos_are_sized_for_the_interval_that_is_foretold(resnet, share):
    shares = {"lut": share, "dsp": share}
    graph = solve(resnet, BOARD, CLOCK_MHZ, None, shares).graph
    sizes = size_fifos(Pipeline(graph), 0, SilentProgress())
    foretold = estimate(resnet, BOARD, CLOCK_MHZ, None, shares).interval
    assert foretold == pytest.approx(sizes.unlimited_interval, rel=1e-3)
    assert foretold == pytest.approx(sizes.interval, rel=0.02)


def test_a_target_is_reached_to_the_last_cycle():
    # Converters between widths that do not divide stand before what takes 300 cycles.
    board = load_board("pynq-z2")
    graph = describe(to_hardware(read(random_network(11_080)).network, board.dsp))
    clock_mhz = board.clock_mhz.default
    found = estimate(graph, board, clock_mhz, clock_mhz * 1e6 / 300, {})
    assert found.interval == max(each.cycles for each in found.layers) == 300


def test_what_is_advised_makes_the_design_faster(resnet):
    shares = {"lut": 0.14, "dsp": 0.14}
    found = estimate(resnet, BOARD, CLOCK_MHZ, None, shares)
    held, bits, steps = found.advice
    layer = re.fullmatch(r"lut holds .* layer '(\w+)' takes the most, .*", held)[1]
    assert bits.startswith("try fewer bits there first")
    step, now = re.search(r"interval is ([\d,]+) cycles instead of ([\d,]+)", steps).groups()
    assert int(now.replace(",", "")) == found.bound
    fewer = estimate(with_bits(resnet, {layer: 2}, {}), BOARD, CLOCK_MHZ, None, shares)
    assert fewer.interval < found.interval
    assert fewer.bound <= int(step.replace(",", "")) < found.bound


def test_the_best_rate_within_a_budget_is_said_whatever_was_asked_for(resnet):
    shares = {"lut": 0.08, "dsp": 0.08}
    with pytest.raises(UserError, match="no folding reaches 5,000,000 frames/s") as caught:
        solve(resnet, BOARD, CLOCK_MHZ, 5e6, shares)
    assert re.search(r"even \d+ do not fit: too little .*lut \(", str(caught.value))
    most = int(re.search(r"ask for at most (\d+) frames/s", str(caught.value))[1])
    assert solve(resnet, BOARD, CLOCK_MHZ, most, shares).interval <= CLOCK_MHZ * 1e6 / most


@pytest.mark.parametrize(("share", "lacks"), [(0.08, True), (0.8, False)])
def test_the_resource_that_stands_in_the_way_of_a_latency_is_named(resnet, share, lacks):
    with pytest.raises(UserError, match="the quickest takes") as caught:
        solve(resnet, BOARD, CLOCK_MHZ, None, {"lut": share, "dsp": share}, 1.0)
    assert ("as there is too little lut" in str(caught.value)) is lacks
