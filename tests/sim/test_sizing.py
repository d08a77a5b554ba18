"""Depths of FIFOs: a network with a branch, which is stuck with too shallow ones."""

import pytest

from sdq_fpga.board import load_board
from sdq_fpga.errors import StageError
from sdq_fpga.progress import SilentProgress
from sdq_fpga.rtl.design import FifoProbe
from sdq_fpga.rtl.generate import generate
from sdq_fpga.sim.bench import Drive
from sdq_fpga.sim.simulate import build_simulation
from sdq_fpga.sim.sizing import fifo_bits, size_fifos, whole_frames
from sdq_fpga.stages.model_build import random_vectors
from sdq_fpga.zoo import GraphBuilder
from tests.lower.lowered import CLOCK_MHZ, folded, read

BOARD = load_board("zcu104")
UNLIMITED = 2**31 - 1
SHIFT = 32


def residual():
    """A convolution of three rows beside nothing, then the sum: one arm is two rows late."""
    build = GraphBuilder(3)
    x = build.conv(build.scaled_input((1, 5, 12)), 4, 1)
    x = build.quant_relu(build.batch_norm(x), 4)
    y = build.conv(x, 4, 3, pad=1, weight_bits=2)
    y = build.quant_identity(build.batch_norm(y, center=0.0), 4)
    build.output(build.quant_identity(build.add(x, y), 4))
    return read(build.finish())


class Sized:
    """A compiled design with probes, and what sizing made of it."""

    def __init__(self, directory):
        self.model = residual()
        for name in ("work", "rtl", "sim"):
            (directory / name).mkdir()
        self.scratch = directory / "sim"
        graph, self.folding = folded(self.model, directory, BOARD, 20_000)
        design = generate(
            graph, BOARD.part, CLOCK_MHZ, directory / "work", directory / "rtl",
            directory / "log", probed=True,
        )  # fmt: skip
        self.simulation = build_simulation(
            design, directory / "rtl", self.scratch, cycles=1000, cache=None,
            progress=SilentProgress(),
        )  # fmt: skip
        self.names = [probe.name for probe in design.probes]
        self.probes = {probe.name: probe for probe in design.probes}

    def size(self, trials):
        return size_fifos(
            self.simulation, self.folding.interval, trials=trials, scratch=self.scratch,
            progress=SilentProgress(),
        )  # fmt: skip

    def run(self, depths, gap=0, stall=0.0):
        (source,) = self.simulation.design.inputs
        (frames,) = random_vectors(self.model, 6, 0).frames.values()
        return self.simulation.run(
            {source.tensor: frames.reshape(6, *source.stream.shape)},
            Drive(
                gap=gap,
                stall=stall,
                constants={f"limit_{name}": depths[name] for name in self.names},
                probes=[f"peak_{name}" for name in self.names],
            ),
            estimated_interval=self.folding.interval,
            scratch=self.scratch,
            label="x",
            progress=SilentProgress(),
        )  # fmt: skip


@pytest.fixture(scope="module")
def sized(tmp_path_factory):
    return Sized(tmp_path_factory.mktemp("sized"))


@pytest.fixture(scope="module")
def sizes(sized):
    return sized.size(12)


def test_too_shallow_fifos_are_stuck(sized):
    with pytest.raises(StageError, match=r"failed after 0 frames"):
        sized.run(dict.fromkeys(sized.names, 2))


def test_sized_fifos_are_not_and_keep_the_interval(sized, sizes):
    free = sized.run(dict.fromkeys(sized.names, UNLIMITED))
    found = sized.run(sizes.depths)
    assert found.interval <= 1.001 * free.interval
    assert sizes.interval == free.interval
    (ours,), (theirs,) = found.outputs.values(), free.outputs.values()
    assert (ours == theirs).all()
    sized.run(sizes.depths, stall=0.3)


def test_no_fifo_is_deeper_than_it_was_ever_full(sized, sizes):
    paced = sized.run(dict.fromkeys(sized.names, UNLIMITED), gap=int(sizes.interval) + 1)
    for name, depth in sizes.depths.items():
        assert SHIFT <= depth <= max(SHIFT, paced.probes[f"peak_{name}"]), name
    assert sizes.bits == fifo_bits(sized.probes, sizes.depths) <= sizes.occupancy_bits
    assert sizes.depths.keys() == set(sized.names)


def test_trials_are_counted_and_more_of_them_never_find_larger_fifos(sized, sizes):
    few = sized.size(2)
    assert few.trials == 2
    assert 2 < sizes.trials <= 12
    assert sizes.bits <= few.bits
    assert sized.run(few.depths).interval <= 1.001 * few.interval


def test_a_probe_is_never_fuller_than_it_may_be(sized, sizes):
    found = sized.run(sizes.depths)
    for name, depth in sizes.depths.items():
        assert found.probes[f"peak_{name}"] <= depth


def test_whole_frames_need_no_simulation(sized):
    probes = tuple(sized.probes.values())
    found = whole_frames(probes, 100)
    assert found.depths == {each.name: max(32, 2 * each.frame_words) for each in probes}
    assert (found.trials, found.cycles, found.interval) == (0, 0, 100)
    assert sized.run(found.depths).interval > 0


def test_memory_of_fifos():
    probes = {
        "a": FifoProbe(name="a", width=3, frame_words=10),
        "b": FifoProbe(name="b", width=10, frame_words=10),
    }
    assert fifo_bits(probes, {"a": 2, "b": 100}) == 3 * 32 + 10 * 100
