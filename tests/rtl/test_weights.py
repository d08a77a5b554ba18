"""Weights that are written, in UltraRAM, or streamed: bit-exact with others than the model's."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.util.cleanup import cleanup_model

from sdq_fpga.board import load_board
from sdq_fpga.cost.timing.schedule import Pipeline
from sdq_fpga.cost.timing.sizing import size_fifos
from sdq_fpga.errors import StageError, UserError
from sdq_fpga.lower.describe import describe
from sdq_fpga.lower.finn_session import finn_session
from sdq_fpga.lower.folding import fold
from sdq_fpga.lower.graph import Convolution, Dense, Depthwise
from sdq_fpga.lower.hardware import to_hardware
from sdq_fpga.lower.integer import execute_integer
from sdq_fpga.lower.read.model import read_qonnx
from sdq_fpga.lower.streams import set_depths
from sdq_fpga.lower.weights import WeightMemory, set_weight_memory
from sdq_fpga.progress import SilentProgress
from sdq_fpga.rtl.design import RtlDesign, WeightLayout
from sdq_fpga.rtl.generate import generate
from sdq_fpga.rtl.weights import (
    WEIGHT_OPS,
    matrix_of,
    stored_words,
    weight_beats,
    weight_reads,
    weight_words,
    weight_writes,
    weights_read,
)
from sdq_fpga.sim.bench import Drive
from sdq_fpga.sim.simulate import Simulation, build_simulation
from sdq_fpga.sim.verify import Model, verify
from sdq_fpga.sim.verilator import lint
from sdq_fpga.stages.model_build import random_vectors
from sdq_fpga.zoo.builder import GraphBuilder

FRAMES = 4
WEIGHTED = (Convolution, Dense, Depthwise)


def network():
    """All units that multiply with weights: of DSP slices, of LUTs, depthwise; 1 to 6 bits."""
    build = GraphBuilder(3)
    x = build.quant_relu(build.scaled_input((2, 6, 6)), 4)
    for channels, kernel, groups, bits in ((4, 3, 1, 6), (4, 3, 4, 3), (6, 2, 1, "ternary")):
        x = build.conv(x, channels, kernel, groups=groups, weight_bits=bits)
        x = build.quant_relu(build.batch_norm(x), 3)
    x = build.bipolar(build.batch_norm(build.linear(build.flatten(x), 8, weight_bits=4), 0.0))
    build.output(build.linear(x, 5, weight_bits=1))
    return build.finish()


@dataclass(frozen=True)
class Built:
    """A design, its simulation, and the network that it implements."""

    model: Model
    design: RtlDesign
    rtl: Path
    interval: int
    simulation: Simulation
    scratch: Path

    def others(self, seed):
        """The network with other random weights, and those by layer."""
        rng = np.random.default_rng(seed)
        places = (*self.design.registers, *self.design.weight_streams)
        layouts = {each.layer: each.layout for each in places}
        chosen = {}
        operations = []
        for operation in self.model.network.operations:
            if isinstance(operation, WEIGHTED):
                layout = layouts[operation.layer]
                weights = rng.integers(layout.low, layout.high + 1, operation.weights.shape)
                if layout.bipolar:
                    weights = 2 * (weights > 0) - 1
                chosen[operation.layer] = weights
                operations.append(replace(operation, weights=weights))
            else:
                operations.append(operation)
        return replace(self.model.network, operations=tuple(operations)), chosen

    def frames(self):
        vectors = random_vectors(self.model, FRAMES, 0)
        return {
            each.stream: each.codes(vectors.frames[each.name]) for each in self.model.host.inputs
        }

    def run(self, weights=None, **drive):
        (port,) = self.design.inputs
        (codes,) = self.frames().values()
        return self.simulation.run(
            {port.tensor: codes.reshape(FRAMES, *port.stream.shape)},
            Drive(**drive),
            estimated_interval=self.interval,
            scratch=self.scratch,
            weights=weights,
        )

    def check(self, network, measured):
        (expected,) = execute_integer(network, self.frames()).values()
        (found,) = measured.outputs.values()
        np.testing.assert_array_equal(found.reshape(expected.shape), expected)
        assert np.ptp(expected) > 0


def built(directory, cache, memory, *, writable, fps=600_000.0, board_name="zcu104"):
    board = load_board(board_name)
    qonnx = cleanup_model(ModelWrapper(network()))
    model = Model(qonnx, *read_qonnx(qonnx, any_weights=True))
    for name in ("work", "rtl", "build", "sim"):
        (directory / name).mkdir()
    with finn_session(directory, directory / "log"):
        graph = to_hardware(model.network, board.dsp)
        set_weight_memory(graph, board, memory, writable=writable)
        graph, folding = fold(graph, board, 100.0, fps, {}, SilentProgress())
        sizes = size_fifos(
            Pipeline(describe(graph), ultra=board.budget.uram > 0), 0, SilentProgress()
        )
        set_depths(graph, sizes.depths, board)
    design = generate(
        graph, board.part, 100.0, directory / "work", directory / "rtl", directory / "log"
    )
    simulation = build_simulation(
        design, directory / "rtl", directory / "build", cycles=1, cache=cache,
        progress=SilentProgress(),
    )  # fmt: skip
    return (
        Built(model, design, directory / "rtl", folding.interval, simulation, directory / "sim"),
        folding,
    )


@pytest.fixture(scope="module")
def writable(tmp_path_factory, cache):
    return built(tmp_path_factory.mktemp("writable"), cache, WeightMemory.AUTO, writable=True)[0]


# ---- registers ----------------------------------------------------------------------------------


def test_the_model_has_every_kind_of_unit(writable):
    kinds = {window.node.rsplit("_", 1)[0] for window in writable.design.registers}
    assert kinds == {"MVAU_rtl", "SdqMvuLut_rtl", "SdqDepthwise_rtl"}
    assert {window.used_registers for window in writable.design.registers} > {1}
    assert any(window.layout.bipolar for window in writable.design.registers)


def test_windows_are_aligned_and_apart(writable):
    windows = writable.design.registers
    bases = [window.base for window in windows]
    step = bases[0]
    assert bases == [step * (index + 1) for index in range(len(windows))]
    assert step & (step - 1) == 0
    assert all(window.bytes <= step for window in windows)
    assert any(window.bytes > step // 2 for window in windows)


@pytest.mark.parametrize("stall", [0.0, 0.3])
def test_without_writes_the_weights_are_those_of_the_model(writable, stall):
    writable.check(writable.model.network, writable.run(stall=stall))


@pytest.mark.parametrize("seed", range(3))
def test_written_weights_are_used_from_the_first_frame(writable, seed):
    network, weights = writable.others(seed)
    measured = writable.run(
        writes=weight_writes(writable.design, weights), stall=0.3 * (seed == 1), seed=seed
    )
    writable.check(network, measured)


def test_one_layer_alone_can_be_written(writable):
    network, weights = writable.others(7)
    layer = writable.design.registers[1].layer
    operations = tuple(
        new if new.layer == layer else old
        for old, new in zip(writable.model.network.operations, network.operations, strict=True)
    )
    measured = writable.run(writes=weight_writes(writable.design, {layer: weights[layer]}))
    writable.check(replace(writable.model.network, operations=operations), measured)


def test_weights_can_be_read_back(writable):
    _, weights = writable.others(5)
    windows = writable.design.registers
    layer = windows[0].layer
    reads = [address for window in windows for address in weight_reads(window)]
    writes = weight_writes(writable.design, {layer: weights[layer]})
    values = list(writable.run(writes=writes, reads=reads, stall=0.2).reads)
    for window in windows:
        count = window.words * window.used_registers
        found, values = weights_read(window, values[:count]), values[count:]
        expected = matrix_of(window.layout, stored_words(writable.rtl, window))
        if window.layer == layer:
            expected = weights[layer].reshape(expected.shape)
        np.testing.assert_array_equal(found, expected)


def test_an_address_outside_of_all_windows_is_an_error(writable):
    windows = writable.design.registers
    address = windows[-1].base + windows[0].base
    with pytest.raises(StageError, match=f"write to {address} was answered with error 3"):
        writable.run(writes=[(address, 0)])
    with pytest.raises(StageError, match=f"read of {address} was answered with error 3"):
        writable.run(reads=[address])


def test_a_reset_keeps_written_weights(writable):
    network, weights = writable.others(9)
    measured = writable.run(writes=weight_writes(writable.design, weights), reset=150)
    writable.check(network, measured)


def test_weights_that_do_not_fit_are_refused(writable):
    window = writable.design.registers[0]
    shape = (window.layout.rows, window.layout.columns)
    with pytest.raises(UserError, match="and the hardware has"):
        weight_writes(writable.design, {window.layer: np.full(shape, window.layout.high + 1)})
    with pytest.raises(UserError, match="of shape"):
        weight_writes(writable.design, {window.layer: np.ones((shape[0] + 1, shape[1]), int)})
    with pytest.raises(UserError, match="no weights that can be written"):
        weight_writes(writable.design, {"strange": np.ones(shape, int)})
    tight = window.layout.model_copy(update={"sum_high": 1})
    with pytest.raises(UserError, match="use smaller weights"):
        weight_words(tight, "layer", np.ones(shape, int))


# ---- UltraRAM -----------------------------------------------------------------------------------


def test_ultra_ram_is_filled_before_the_first_frame(tmp_path, cache):
    made, folding = built(tmp_path, cache, WeightMemory.ULTRA, writable=True)
    assert all(window.preload for window in made.design.registers)
    assert folding.resources.uram >= len(made.design.registers)
    text = "".join((made.rtl / name).read_text() for name in made.design.sources)
    assert '"ultra"' in text
    for window in made.design.registers:
        assert window.contents not in text
        assert f"{window.node}_memblock.dat" not in text
    made.check(made.model.network, made.run())
    network, weights = made.others(1)
    made.check(network, made.run(writes=weight_writes(made.design, weights)))


@pytest.mark.parametrize(
    ("board", "memory", "writable", "said"),
    [
        ("zcu104", WeightMemory.ULTRA, False, "can't be in UltraRAM alone"),
        ("pynq-z2", WeightMemory.ULTRA, True, "which pynq-z2 has not"),
        ("zcu104", WeightMemory.STREAM, True, "they are streamed"),
    ],
)
def test_what_can_not_be_is_refused(board, memory, writable, said):
    board = load_board(board)
    qonnx = cleanup_model(ModelWrapper(network()))
    graph = to_hardware(read_qonnx(qonnx)[0], board.dsp)
    with pytest.raises(UserError, match=rf"'Conv_0' \(\w+_rtl_0\).*{said}"):
        set_weight_memory(graph, board, memory, writable=writable)


# ---- streams ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def streamed(tmp_path_factory, cache):
    directory = tmp_path_factory.mktemp("streamed")
    made, folding = built(directory, cache, WeightMemory.STREAM, writable=False)
    assert not any(
        node.resources.bram18 or node.resources.uram
        for node in folding.nodes
        if node.op in WEIGHT_OPS
    )
    return made


def test_streams_get_the_weights_of_the_model_by_themselves(streamed, cache):
    assert len(streamed.design.weight_streams) == 5
    assert not streamed.design.registers
    comparison = verify(
        streamed.design,
        streamed.rtl,
        streamed.model,
        random_vectors(streamed.model, FRAMES, 1),
        stall=0.3,
        seed=1,
        estimated_interval=streamed.interval,
        scratch=streamed.scratch,
        cache=cache,
        progress=SilentProgress(),
    )
    assert comparison.figures.verdict.bit_exact


@pytest.mark.parametrize("stall", [0.0, 0.3])
def test_other_weights_can_be_streamed(streamed, stall):
    network, weights = streamed.others(2)
    beats = {}
    for port in streamed.design.weight_streams:
        frames = weight_beats(port, weights[port.layer], FRAMES)
        assert frames.shape == (FRAMES, port.beats, port.width // 8)
        beats[port.prefix] = frames.reshape(-1, port.width // 8)
    streamed.check(network, streamed.run(weights=beats, stall=stall))


@pytest.mark.parametrize("which", ["writable", "streamed"])
def test_lint_of_the_top(which, request):
    made = request.getfixturevalue(which)
    try:
        lint([made.rtl / name for name in made.design.sources], made.design.top)
    except StageError as error:
        faults = str(error).split("; ")
        assert not [fault for fault in faults if f"{made.design.top}.sv" in fault]


# ---- words --------------------------------------------------------------------------------------


@st.composite
def layouts(draw):
    pe, simd = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    bits = draw(st.integers(1, 9))
    return WeightLayout(
        rows=simd * draw(st.integers(1, 4)),
        columns=pe * draw(st.integers(1, 4)),
        pe=pe,
        simd=simd,
        depthwise=draw(st.booleans()),
        element_bits=bits,
        bipolar=bits == 1,
        low=-1 if bits == 1 else -(2 ** (bits - 1)),
        high=1 if bits == 1 else 2 ** (bits - 1) - 1,
        source_low=0,
        source_high=1,
        sum_low=-(2**20),
        sum_high=2**20,
    )


@settings(max_examples=50, deadline=None)
@given(layouts(), st.integers(0, 2**32 - 1))
def test_words_lie_as_documented(layout, seed):
    rng = np.random.default_rng(seed)
    matrix = rng.integers(layout.low, layout.high + 1, (layout.rows, layout.columns))
    if layout.bipolar:
        matrix = 2 * (matrix > 0) - 1
    words = weight_words(layout, "layer", matrix)
    assert len(words) == layout.words
    beats = layout.rows // layout.simd
    for row in range(layout.rows):
        for column in range(layout.columns):
            b, s = divmod(row, layout.simd)
            g, p = divmod(column, layout.pe)
            element = s * layout.pe + p if layout.depthwise else p * layout.simd + s
            bits = words[g * beats + b] >> (layout.element_bits * element)
            code = (matrix[row, column] + 1) // 2 if layout.bipolar else matrix[row, column]
            assert (int(code) ^ bits) % 2**layout.element_bits == 0
    np.testing.assert_array_equal(matrix_of(layout, words), matrix)
