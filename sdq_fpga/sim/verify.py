"""Compares the simulated accelerator with the integer network and with QONNX execution."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
import numpy.typing as npt
from qonnx.core.modelwrapper import ModelWrapper

from sdq_fpga.lower.graph import IntegerGraph
from sdq_fpga.lower.host import HostSide
from sdq_fpga.lower.integer import execute_integer
from sdq_fpga.lower.reference import qonnx_outputs
from sdq_fpga.progress import Progress
from sdq_fpga.rtl.design import RtlDesign
from sdq_fpga.sim.bench import Drive
from sdq_fpga.sim.figures import SimulationFigures, Verdict
from sdq_fpga.sim.simulate import Measured, Simulation, build_simulation

__all__ = ["Comparison", "Model", "Vectors", "accuracy", "qonnx_differing", "verify"]

Array = npt.NDArray[np.generic]


@dataclass(frozen=True, eq=False)
class Model:
    """A QONNX model with what was read out of it.

    Attributes:
        qonnx: the model, cleaned up.
        network: the integer network.
        host: what the host does.
    """

    qonnx: ModelWrapper
    network: IntegerGraph
    host: HostSide


@dataclass(frozen=True, eq=False)
class Vectors:
    """What to stream through.

    Attributes:
        frames: for each input of the model, [N, *shape], at least four.
        labels: classes [N], where they are known.
    """

    frames: Mapping[str, Array]
    labels: npt.NDArray[np.int64] | None = None


@dataclass(frozen=True, eq=False)
class Comparison:
    """A simulation beside its references; integers by tensor, [N, *shape of the stream].

    Attributes:
        figures: the summary.
        inputs: what went into the accelerator.
        outputs: what came out without stalls.
        expected: QONNX's outputs, by the model's names, float32.
    """

    figures: SimulationFigures
    inputs: dict[str, npt.NDArray[np.int64]]
    outputs: dict[str, npt.NDArray[np.int64]]
    expected: dict[str, npt.NDArray[np.float32]]


def verify(
    design: RtlDesign,
    rtl: Path,
    model: Model,
    vectors: Vectors,
    *,
    stall: float,
    seed: int,
    estimated_interval: int,
    scratch: Path,
    cache: Path | None,
    progress: Progress,
) -> Comparison:
    """Streams frames through the RTL twice, without and with stalls, and compares every output.

    Both simulations run at the same time.

    Args:
        design: description of the RTL.
        rtl: directory of its files.
        model: the model that it implements.
        vectors: what to stream.
        stall: probability of a stall on each port in the second run.
        seed: seed of the stalls.
        estimated_interval: cycles a frame may take; a design that is far slower is stuck.
        scratch: directory for what is not kept.
        cache: directory of compiled simulations; None to compile always.
        progress: told after each frame.

    Raises:
        UserError: the frames do not fit the model.
        StageError: there is no C++ compiler, or the design is stuck or fails an assertion.
    """
    host = model.host
    inputs = {each.stream: each.codes(vectors.frames[each.name]) for each in host.inputs}
    count = len(next(iter(inputs.values())))
    taken = {each.name: each.as_taken(vectors.frames[each.name]) for each in host.inputs}
    expected = qonnx_outputs(model.qonnx, taken, progress)
    integers = execute_integer(model.network, inputs)
    simulation = build_simulation(
        design,
        rtl,
        scratch,
        cycles=2 * count * estimated_interval,
        cache=cache,
        progress=progress,
    )
    ports = dict(zip((port.tensor for port in design.inputs), inputs.values(), strict=True))
    frames = {
        port.tensor: ports[port.tensor].reshape(count, *port.stream.shape) for port in design.inputs
    }
    free, stalled = _run_both(
        simulation, frames, stall, seed, estimated_interval, scratch, progress
    )
    outputs = _by_stream(host, free.outputs)
    differing = sum(
        int(np.count_nonzero(found.reshape(count, -1) != integers[stream].reshape(count, -1)))
        for run in (free, stalled)
        for stream, found in _by_stream(host, run.outputs).items()
    )
    figures = SimulationFigures(
        interval=free.interval,
        latency=free.latency,
        cycles=free.cycles + stalled.cycles,
        stall=stall,
        quantized_accuracy=accuracy(host, expected, vectors),
        rtl_accuracy=accuracy(host, _scores(host, outputs, integers), vectors),
        verdict=Verdict(
            images=count,
            values=2 * sum(each.size for each in integers.values()),
            differing=differing,
            qonnx_values=sum(each.size for each in expected.values()),
            qonnx_differing=qonnx_differing(host, integers, expected),
        ),
    )
    return Comparison(figures, inputs, outputs, expected)


def _run_both(
    simulation: Simulation,
    frames: Mapping[str, npt.NDArray[np.int64]],
    stall: float,
    seed: int,
    estimated_interval: int,
    scratch: Path,
    progress: Progress,
) -> tuple[Measured, Measured]:
    """Runs without and with stalls at the same time, each in a process of its own."""
    lock = Lock()
    total = 2 * len(next(iter(frames.values())))

    def run(probability: float, folder: Path) -> Measured:
        folder.mkdir()
        return simulation.run(
            frames,
            Drive(stall=probability, seed=seed, alone=1),
            estimated_interval=estimated_interval,
            scratch=folder,
            arrived=arrived,
        )

    # The threads only wait for their processes.
    with progress.task("simulate RTL", total) as advance, ThreadPoolExecutor(2) as pool:

        def arrived(count: int) -> None:
            with lock:  # a listener need not be thread-safe
                advance(count)

        free = pool.submit(run, 0.0, scratch / "free")
        stalled = pool.submit(run, stall, scratch / "stalled")
        # A design that fails in both runs is told of by the one without stalls.
        return free.result(), stalled.result()


def _by_stream(
    host: HostSide, outputs: Mapping[str, npt.NDArray[np.int64]]
) -> dict[str, npt.NDArray[np.int64]]:
    """Outputs of the design, in order of its ports, under the names of the integer network."""
    return dict(zip((each.stream for each in host.outputs), outputs.values(), strict=True))


def _scores(
    host: HostSide,
    outputs: Mapping[str, npt.NDArray[np.int64]],
    like: Mapping[str, npt.NDArray[np.int64]],
) -> dict[str, npt.NDArray[np.float32]]:
    return {
        each.name: each.scores(outputs[each.stream].reshape(like[each.stream].shape))
        for each in host.outputs
    }


def qonnx_differing(
    host: HostSide,
    integers: Mapping[str, npt.NDArray[np.int64]],
    expected: Mapping[str, npt.NDArray[np.float32]],
) -> int:
    """How many outputs of QONNX are nearer to another integer."""
    differing = 0
    for each in host.outputs:
        codes = integers[each.stream]
        if each.function:
            ours = each.values(codes)
            differing += int(np.count_nonzero(~np.isclose(ours, expected[each.name], 1e-4, 1e-6)))
            continue
        distance = np.abs(each.scores(codes).astype(np.float64) - expected[each.name])
        differing += int(np.count_nonzero(distance > each.step() / 2))
    return differing


def accuracy(
    host: HostSide, outputs: Mapping[str, npt.NDArray[np.float32]], vectors: Vectors
) -> float | None:
    """Share of frames whose class is the label; None without labels, or with several outputs.

    Args:
        host: what the host does.
        outputs: by output of the model, its scores, or the class where the model chooses it.
        vectors: the frames and their labels.
    """
    if vectors.labels is None or len(host.outputs) != 1:
        return None
    scores = outputs[host.outputs[0].name].reshape(len(vectors.labels), -1)
    if scores.shape[1] == 1:  # the accelerator has chosen the class
        return float(np.mean(scores[:, 0] == vectors.labels))
    return float(np.mean(np.argmax(scores, axis=1) == vectors.labels))
