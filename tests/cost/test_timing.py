"""The timing model against the simulated RTL of a network with a branch, cycle by cycle."""

import pytest
from finn.util.basic import getHWCustomOp
from hypothesis import given, settings
from hypothesis import strategies as st

from sdq_fpga.board import load_board
from sdq_fpga.cost.fifo import FifoStyle, fifo_memory
from sdq_fpga.cost.timing.actor import Latch
from sdq_fpga.cost.timing.schedule import FIFO, Pipeline, StuckError
from sdq_fpga.cost.timing.sizing import SHIFT_DEPTH, fifo_bits, size_fifos
from sdq_fpga.errors import StageError
from sdq_fpga.lower.describe import describe
from sdq_fpga.lower.finn_session import finn_session
from sdq_fpga.lower.hardware import to_hardware
from sdq_fpga.lower.streams import insert_streams
from sdq_fpga.progress import SilentProgress
from sdq_fpga.rtl.generate import generate
from sdq_fpga.sim.bench import Drive
from sdq_fpga.sim.simulate import build_simulation
from sdq_fpga.stages.model_build import random_vectors
from sdq_fpga.zoo import GraphBuilder
from tests.lower.lowered import CLOCK_MHZ, folded, read

BOARD = load_board("zcu104")
UNLIMITED = 2**31 - 1
FRAMES = 4


def residual():
    """A convolution of three rows beside nothing, then the sum: one arm is two rows late."""
    build = GraphBuilder(3)
    x = build.conv(build.scaled_input((1, 5, 40)), 4, 1)
    x = build.quant_relu(build.batch_norm(x), 4)
    y = build.conv(x, 4, 3, pad=1, weight_bits=2)
    y = build.quant_identity(build.batch_norm(y, center=0.0), 4)
    build.output(build.quant_identity(build.add(x, y), 4))
    return read(build.finish())


def held_up():
    """A matrix-vector unit of three columns and four rows."""
    build = GraphBuilder(1)
    x = build.conv(build.input((3, 6, 7)), 4, 1)
    build.output(build.bipolar(build.batch_norm(x, center=0.0)))
    return read(build.finish())


def _fold(model, directory):
    return folded(model, directory, BOARD, 20_000)[0]


def _fold_held_up(model, directory):
    """DSP slices that take 3 cycles a vector, before a converter that takes 4.

    The unit's output queue fills: it stops, until all sums that are under way have left.
    """
    with finn_session(directory, directory / "log"):
        graph = to_hardware(model.network, BOARD.dsp)
        (unit,) = graph.get_nodes_by_op_type("MVAU_rtl")
        getHWCustomOp(unit).set_nodeattr("PE", 4)
        graph = insert_streams(graph)
    fifo = graph.find_consumer(unit.output[0])
    if fifo.op_type == FIFO:  # it would hide the most of it
        graph.find_consumer(fifo.output[0]).input[0] = unit.output[0]
        graph.graph.node.remove(fifo)
    return graph


class Both:
    """The network as RTL, whose FIFOs take their depth from an input, and in the timing model.

    The probes that stand for FIFOs are a cycle faster than FIFOs: see the fixture ``probes``.
    """

    def __init__(self, directory, cache, model, fold):
        self.model = model
        for name in ("work", "rtl", "sim"):
            (directory / name).mkdir()
        self.scratch = directory / "sim"
        graph = fold(model, directory)
        self.pipeline = Pipeline(describe(graph))
        design = generate(
            graph, BOARD.part, CLOCK_MHZ, directory / "work", directory / "rtl",
            directory / "log", probed=True,
        )  # fmt: skip
        self.simulation = build_simulation(
            design, directory / "rtl", self.scratch, cycles=1000, cache=cache,
            progress=SilentProgress(),
        )  # fmt: skip

    def simulate(self, depths, gap=0):
        (source,) = self.simulation.design.inputs
        (frames,) = random_vectors(self.model, FRAMES, 0).frames.values()
        return self.simulation.run(
            {source.tensor: frames.reshape(FRAMES, *source.stream.shape)},
            Drive(
                gap=gap,
                constants={f"limit_{name}": depth or UNLIMITED for name, depth in depths.items()},
                probes=[f"peak_{name}" for name in depths],
            ),
            estimated_interval=1000,
            scratch=self.scratch,
        )  # fmt: skip

    def unlimited(self):
        return dict.fromkeys(self.pipeline.fifos, 0)


@pytest.fixture(scope="module")
def both(tmp_path_factory, cache):
    return Both(tmp_path_factory.mktemp("both"), cache, residual(), _fold)


@pytest.fixture(scope="module")
def probes():
    """The model with FIFOs as probes are: any depth, and one cycle."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            Pipeline, "_memory", staticmethod(lambda width, depth, style: (depth, 1)), raising=True
        )
        yield


@pytest.mark.usefixtures("probes")
@pytest.mark.parametrize("paced", [False, True])
def test_times_and_occupancies_are_those_of_the_rtl(both, paced):
    gap = int(both.pipeline.time(both.unlimited()).interval) + 1 if paced else 0
    said = both.pipeline.time(both.unlimited(), frames=FRAMES, gap=gap)
    seen = both.simulate(both.unlimited(), gap)
    # At a pace, the first frame may start a few cycles late: the weights are not ready at once.
    assert said.interval == pytest.approx(seen.interval, abs=1)
    assert said.latency == seen.latency
    for name in both.pipeline.fifos:
        assert said.peaks[name] == seen.probes[f"peak_{name}"], name


@pytest.mark.usefixtures("probes")
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_so_they_are_with_fifos_of_any_depth(both, data):
    peaks = both.pipeline.time(both.unlimited()).peaks
    depths = {
        name: data.draw(st.one_of(st.just(max(2, peak)), st.integers(2, max(2, peak))), name)
        for name, peak in peaks.items()
    }
    try:
        said = both.pipeline.time(depths, frames=FRAMES)
    except StuckError as stuck:
        assert stuck.fifos
        with pytest.raises(StageError, match=r"failed after \d frames"):
            both.simulate(depths)
        return
    seen = both.simulate(depths)
    assert said.interval == seen.interval
    assert said.latency == seen.latency


@pytest.mark.usefixtures("probes")
def test_so_they_are_of_a_unit_whose_output_is_refused(tmp_path, cache):
    both = Both(tmp_path, cache, held_up(), _fold_held_up)
    unit, converter, _ = both.pipeline.actors
    assert isinstance(unit.outputs[0].pressure, Latch)
    assert unit.steps / unit.outputs[0].beats == 3
    assert converter.steps / converter.inputs[0].beats == 4
    for depth in (0, 2, 3, 8):
        depths = dict.fromkeys(both.pipeline.fifos, depth)
        said, seen = both.pipeline.time(depths, frames=FRAMES), both.simulate(depths)
        assert (said.interval, said.latency) == (seen.interval, seen.latency), depth
        for name in both.pipeline.fifos:
            assert said.peaks[name] == seen.probes[f"peak_{name}"], (name, depth)


@pytest.mark.usefixtures("probes")
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_deeper_fifo_never_makes_a_network_slower(both, data):
    peaks = both.pipeline.time(both.unlimited()).peaks
    depths = {name: data.draw(st.integers(2, max(2, peak)), name) for name, peak in peaks.items()}
    deeper = {name: depth + data.draw(st.integers(0, 9), name) for name, depth in depths.items()}
    try:
        before = both.pipeline.time(depths)
    except StuckError:
        return
    after = both.pipeline.time(deeper)
    assert all(a <= b for a, b in zip(after.last_out, before.last_out, strict=True))


def test_too_shallow_fifos_are_named(both):
    shallow = dict.fromkeys(both.pipeline.fifos, 2)
    with pytest.raises(StuckError) as caught:
        both.pipeline.time(shallow)
    assert caught.value.fifos
    deeper = shallow | dict.fromkeys(caught.value.fifos, 10_000)
    assert both.pipeline.time(deeper).interval > 0


def test_sized_fifos_keep_the_interval_in_rtl(both):
    sizes = size_fifos(both.pipeline, 40, SilentProgress())
    free = both.simulate(both.unlimited())
    found = both.simulate(sizes.depths)
    assert found.interval <= 1.001 * free.interval
    (ours,), (theirs,) = found.outputs.values(), free.outputs.values()
    assert (ours == theirs).all()
    paced = both.pipeline.time(both.unlimited(), gap=int(free.interval) + 1)
    for name, depth in sizes.depths.items():
        assert SHIFT_DEPTH <= depth <= max(SHIFT_DEPTH, paced.peaks[name]), name
    assert any(depth > SHIFT_DEPTH for depth in sizes.depths.values())
    assert sizes.bits == fifo_bits(both.pipeline.widths(), sizes.depths) < sizes.occupancy_bits


def test_more_trials_never_find_larger_fifos(both):
    few = size_fifos(both.pipeline, 0, SilentProgress())
    many = size_fifos(both.pipeline, 60, SilentProgress())
    assert few.trials < many.trials
    assert many.bits <= few.bits
    assert both.pipeline.time(few.depths).interval <= 1.001 * few.unlimited_interval


def test_memory_of_fifos():
    assert fifo_bits({"a": 3, "b": 10}, {"a": 2, "b": 100}) == 3 * 32 + 10 * 100


@pytest.mark.parametrize(
    ("depth", "width", "style", "made"),
    [
        (2, 8, "auto", (FifoStyle.SHIFT, 5)),
        (33, 8, "block", (FifoStyle.SHIFT, 33)),
        (64, 8, "auto", (FifoStyle.SHIFT, 64)),
        (64, 16, "auto", (FifoStyle.DISTRIBUTED, 64)),
        (258, 4, "auto", (FifoStyle.DISTRIBUTED, 258)),
        (300, 8, "auto", (FifoStyle.BLOCK, 514)),
        (1112, 8, "block", (FifoStyle.BLOCK, 1024 + 128 + 2)),
        (3000, 8, "auto", (FifoStyle.ULTRA, 4096 + 3 + 16)),
    ],
)
def test_what_fifos_are_made_of(depth, width, style, made):
    found = fifo_memory(depth, width, style)
    assert (found.style, found.capacity) == made
