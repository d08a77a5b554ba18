"""Compares the simulated accelerator with QONNX execution, bit for bit."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sdq_fpga.lower.hardware import HostSide
from sdq_fpga.lower.reference import qonnx_scores
from sdq_fpga.progress import Progress
from sdq_fpga.rtl.design import RtlDesign
from sdq_fpga.sim.figures import SimulationFigures, Verdict
from sdq_fpga.sim.simulate import build_simulation

__all__ = ["Comparison", "verify"]


@dataclass(frozen=True)
class Comparison:
    """A simulation beside its reference.

    Attributes:
        figures: the summary.
        frames: what went into the accelerator, integers [N, *shape of the input stream].
        outputs: what came out without stalls, integers [N, *shape of the output stream].
        expected: QONNX' scores, float32 [N, classes].
    """

    figures: SimulationFigures
    frames: npt.NDArray[np.int64]
    outputs: npt.NDArray[np.int64]
    expected: npt.NDArray[np.float32]


def verify(
    design: RtlDesign,
    rtl: Path,
    model: Path,
    host: HostSide,
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    *,
    stall: float,
    seed: int,
    estimated_interval: int,
    scratch: Path,
    cache: Path | None,
    progress: Progress,
) -> Comparison:
    """Streams images through the RTL twice, without and with stalls, and compares every score.

    The scale of the scores is a power of two, so float32 scores are compared for equality.

    Args:
        design: description of the RTL.
        rtl: directory of its files.
        model: the exported QONNX model.
        host: what the host does before and after the accelerator.
        images: uint8 images [N, ...], at least four.
        labels: their classes [N].
        stall: probability of a stall on each port in the second run.
        seed: seed of the stalls.
        estimated_interval: cycles a frame may take; a design that is far slower is stuck.
        scratch: directory for what is not kept.
        cache: directory of compiled simulations; None to compile always.
        progress: told after each image.

    Raises:
        StageError: there is no C++ compiler, or the design is stuck or fails an assertion.
    """
    expected = qonnx_scores(model, images, progress)
    simulation = build_simulation(
        design,
        rtl,
        scratch,
        cycles=2 * len(images) * estimated_interval,
        cache=cache,
        progress=progress,
    )
    frames = _frames(images, design, host)
    free, stalled = (
        simulation.run(
            frames,
            stall=probability,
            seed=seed,
            estimated_interval=estimated_interval,
            scratch=scratch,
            label=label,
            progress=progress,
        )
        for probability, label in ((0.0, "simulate RTL"), (stall, "simulate RTL, with stalls"))
    )
    scores = [
        each.outputs.reshape(len(images), -1).astype(np.float32) * np.float32(host.score_scale)
        for each in (free, stalled)
    ]
    differing = sum(int(np.count_nonzero(each != expected)) for each in scores)
    figures = SimulationFigures(
        interval=free.interval,
        latency=free.latency,
        cycles=free.cycles + stalled.cycles,
        stall=stall,
        quantized_accuracy=_accuracy(expected, labels),
        rtl_accuracy=_accuracy(scores[0], labels),
        verdict=Verdict(images=len(images), values=2 * expected.size, differing=differing),
    )
    return Comparison(figures, frames, free.outputs, expected)


def _frames(
    images: npt.NDArray[np.uint8], design: RtlDesign, host: HostSide
) -> npt.NDArray[np.int64]:
    ordered = np.moveaxis(images, 1, -1) if host.channels_last else images
    return ordered.astype(np.int64).reshape(len(images), *design.input.shape)


def _accuracy(scores: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> float:
    return float(np.mean(np.argmax(scores, axis=1) == labels))
