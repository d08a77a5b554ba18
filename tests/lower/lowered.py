"""From a QONNX model to what each later stage makes of it, for tests."""

from pathlib import Path

import numpy as np
from onnx import ModelProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.util.cleanup import cleanup_model

from sdq_fpga.board import Board
from sdq_fpga.cost.folding import Folding
from sdq_fpga.cost.timing.schedule import Pipeline
from sdq_fpga.cost.timing.sizing import size_fifos
from sdq_fpga.lower.describe import describe
from sdq_fpga.lower.finn_session import finn_session
from sdq_fpga.lower.folding import fold
from sdq_fpga.lower.hardware import to_hardware
from sdq_fpga.lower.integer import execute_integer
from sdq_fpga.lower.read.model import read_qonnx
from sdq_fpga.lower.reference import qonnx_outputs
from sdq_fpga.lower.streams import set_depths
from sdq_fpga.progress import SilentProgress
from sdq_fpga.rtl.design import RtlDesign
from sdq_fpga.rtl.generate import generate
from sdq_fpga.sim.verify import Comparison, Model, Vectors, qonnx_differing, verify
from sdq_fpga.stages.model_build import random_vectors

CLOCK_MHZ = 100.0


def read(proto: ModelProto) -> Model:
    """Cleans a model up and reads it."""
    clean = cleanup_model(ModelWrapper(proto))
    return Model(clean, *read_qonnx(clean))


def integers(model: Model, vectors: Vectors) -> dict[str, np.ndarray]:
    """Outputs of the integer network."""
    inputs = {each.stream: each.codes(vectors.frames[each.name]) for each in model.host.inputs}
    return execute_integer(model.network, inputs)


def differing(model: Model, vectors: Vectors) -> int:
    """How many outputs of the integer network are not those of QONNX."""
    expected = qonnx_outputs(model.qonnx, vectors.frames, SilentProgress())
    return qonnx_differing(model.host, integers(model, vectors), expected)


def differing_at_random(model: Model, frames: int = 4, seed: int = 0) -> int:
    """The same for random frames."""
    return differing(model, random_vectors(model, frames, seed))


def folded(
    model: Model, directory: Path, board: Board, target_fps: float | None
) -> tuple[ModelWrapper, Folding]:
    """The folded hardware graph; its FIFOs have the least depth."""
    with finn_session(directory, directory / "log"):
        hardware = to_hardware(model.network, board.dsp)
        return fold(hardware, board, CLOCK_MHZ, target_fps, {}, SilentProgress())


def generated(
    model: Model, directory: Path, board: Board, target_fps: float | None
) -> tuple[RtlDesign, Folding]:
    """Generates the RTL of a network in ``directory``/rtl, with FIFOs that are deep enough."""
    for name in ("work", "rtl"):
        (directory / name).mkdir()
    graph, folding = folded(model, directory, board, target_fps)
    with finn_session(directory, directory / "log"):
        sizes = size_fifos(
            Pipeline(describe(graph), ultra=board.budget.uram > 0), 0, SilentProgress()
        )
        set_depths(graph, sizes.depths, board)
    design = generate(
        graph, board.part, CLOCK_MHZ, directory / "work", directory / "rtl", directory / "log"
    )
    return design, folding


def verified(
    model: Model, directory: Path, cache: Path, board: Board, target_fps: float | None
) -> Comparison:
    """Generates and simulates a network; returns the comparison with QONNX."""
    design, folding = generated(model, directory, board, target_fps)
    scratch = directory / "sim"
    scratch.mkdir()
    return verify(
        design,
        directory / "rtl",
        model,
        random_vectors(model, 12, 0),
        stall=0.4,
        seed=1,
        estimated_interval=folding.interval,
        scratch=scratch,
        cache=cache,
        progress=SilentProgress(),
    )
