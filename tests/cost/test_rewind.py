"""What is kept of the times that were computed last, against times computed anew."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdq_fpga import zoo
from sdq_fpga.board import load_board
from sdq_fpga.cost.folding.solve import solve
from sdq_fpga.cost.timing import engine
from sdq_fpga.cost.timing.schedule import Pipeline, Schedule, StuckError
from sdq_fpga.lower.describe import describe
from sdq_fpga.lower.hardware import to_hardware
from sdq_fpga.zoo.random_net import random_network
from tests.lower.lowered import CLOCK_MHZ, read

BOARD = load_board("zcu104")
NETWORKS = {
    "resnet8": lambda: zoo.resnet8((4, 4), width=0.25, image_size=8),
    **{f"random_{seed}": lambda seed=seed: random_network(seed) for seed in range(4)},
}
# Its last node has one place for a beat that is offered and not yet taken.
HELD_UP_AT_THE_END = 27


@functools.cache
def graph(name):
    return folded(NETWORKS[name]())


def folded(model):
    hardware = describe(to_hardware(read(model).network, BOARD.dsp))
    return solve(hardware, BOARD, CLOCK_MHZ, None, {}).graph


@functools.cache
def peaks(name):
    network = Pipeline(graph(name))
    return network.time(dict.fromkeys(network.fifos, 0)).peaks


def timed(network, depths, frames, gap):
    try:
        return network.time(depths, frames=frames, gap=gap)
    except StuckError as stuck:
        return stuck.fifos


@pytest.mark.parametrize("name", NETWORKS)
@settings(max_examples=5, deadline=None)
@given(data=st.data())
def test_times_do_not_depend_on_what_was_timed_before(name, data):
    network = Pipeline(graph(name))
    # 300: a block RAM, which delays words by a cycle more.
    depth = {
        fifo: st.sampled_from([0, 2, 32, 300, max(2, peak // 2), max(2, peak)])
        for fifo, peak in peaks(name).items()
    }
    depths = dict.fromkeys(depth, 0)
    for _ in range(4):
        some = data.draw(st.lists(st.sampled_from(sorted(depth)), max_size=3), "changed")
        depths = depths | {fifo: data.draw(depth[fifo], fifo) for fifo in some}
        frames, gap = data.draw(st.integers(2, 6)), data.draw(st.sampled_from([0, 0, 0, 500]))
        found = timed(network, depths, frames, gap)
        assert found == timed(Pipeline(graph(name)), depths, frames, gap)


@pytest.mark.parametrize("name", NETWORKS)
def test_more_frames_go_on_from_fewer(name):
    network = Pipeline(graph(name))
    depths = dict.fromkeys(network.fifos, 0)
    many, few = network.time(depths, frames=6), network.time(depths, frames=3)
    assert isinstance(many, Schedule)
    assert many.last_out[:3] == few.last_out
    assert network.time(depths, frames=6) == many


def test_goes_on_from_a_beat_that_was_offered_to_a_port():
    held_up = folded(random_network(HELD_UP_AT_THE_END))
    network = Pipeline(held_up)
    depths = dict.fromkeys(network.fifos, 0)
    paced = network.time(depths, frames=3, gap=400)
    for shallow in (dict.fromkeys(depths, 32), dict.fromkeys(depths, 2), depths):
        found = timed(network, shallow, 3, 400)
        assert found == timed(Pipeline(held_up), shallow, 3, 400)
    assert found == paced


def test_what_was_timed_before_does_not_take_beats_that_stay_in_their_fifo():
    edges = np.zeros((1, engine.E_READ + 1), np.int64)
    edges[0, [engine.E_BEATS, engine.E_READ]] = 4, 2
    # The last two are not read; their times are left from before.
    beats = np.array([[0, 1, 2, 3], [0, 1, 2, 3], [1, 2, 0, 0]], np.int32)
    assert engine.peaks(1, edges, beats).tolist() == [2]
