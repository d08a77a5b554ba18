"""Simulates a stitched accelerator in Verilator and measures it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sdq_fpga.progress import Progress
from sdq_fpga.rtl.design import RtlDesign
from sdq_fpga.rtl.weights import stored_words, word_beats, word_writes
from sdq_fpga.sim.bench import BenchRun, Cycle, Drive, compile_bench, run_bench

__all__ = ["Measured", "Simulation", "build_simulation", "patience"]

# digits-cnn at its fastest on zcu104 (47 MB of C++): without optimisation, compilation takes 46 s
# of CPU instead of 150 s, and 10,000 cycles take 4 s instead of 1 s.
_FEW_CYCLES = 300_000
# A deep pipeline may have swallowed all frames long before the first of them leaves.
_PATIENCE_FRAMES = 30
_PATIENCE_CYCLES = 100_000


@dataclass(frozen=True)
class Measured:
    """What one simulation showed.

    Attributes:
        outputs: by tensor, the accelerator's integers [N, *shape of the output stream].
        cycles: cycles simulated.
        latency: cycles from the first beat of a frame in to its last beat out, pipeline empty.
        interval: cycles between two frames in steady state.
        probes: values of the probes.
        reads: what was read by AXI-Lite.
    """

    outputs: dict[str, npt.NDArray[np.int64]]
    cycles: int
    latency: int
    interval: float
    probes: dict[str, int]
    reads: tuple[int, ...] = ()


@dataclass(frozen=True)
class Simulation:
    """A compiled accelerator; ``run`` may be called any number of times, also at the same time."""

    design: RtlDesign
    rtl: Path
    executable: Path

    def run(
        self,
        frames: Mapping[str, npt.NDArray[np.int64]],
        drive: Drive,
        *,
        estimated_interval: int,
        scratch: Path,
        weights: Mapping[str, npt.NDArray[np.uint8]] | None = None,
        arrived: Callable[[int], None] = lambda _: None,
    ) -> Measured:
        """Streams frames through the accelerator.

        Args:
            frames: by tensor, integers [N, *shape of the input stream], at least four.
            drive: stalls and the like; ``patience`` is set here. Memories that are
                empty at first get the design's weights before the writes of ``drive``.
            estimated_interval: cycles a frame may take; a design that is far slower is stuck.
            scratch: directory for the files that go in and out, of this run alone.
            weights: by prefix of a weight stream, its beats instead of the design's weights:
                bytes [words, width / 8], the same again and again.
            arrived: called with 1 after each frame that has left.

        Raises:
            StageError: the design is stuck, violates AXI-Stream, fails one of its assertions, or
                does not find a memory file.
        """
        count = len(next(iter(frames.values())))
        longest = patience(max(estimated_interval, drive.gap))
        waits = int(longest / (1.0 - drive.stall) ** (2 + len(self.design.weight_streams)))
        writes = [*self._first_writes(), *drive.writes]
        drive = replace(drive, patience=waits, writes=writes)
        inputs, outputs = self.design.inputs, self.design.outputs
        cycles = {
            port.prefix: Cycle(
                (weights or {}).get(port.prefix, word_beats(port, stored_words(self.rtl, port))),
                port.beats,
                count,
            )
            for port in self.design.weight_streams
        }
        ran = run_bench(
            self.executable,
            {port.prefix: (port.stream, frames[port.tensor]) for port in inputs},
            {port.prefix: (port.stream, count) for port in outputs},
            drive,
            scratch=scratch,
            memories=self.rtl,
            cycles=cycles,
            arrived=arrived,
        )
        return Measured(
            outputs={port.tensor: ran.outputs[port.prefix] for port in outputs},
            cycles=ran.cycles,
            latency=ran.frames[0][3] - ran.frames[0][0] + 1,
            interval=_interval(ran),
            probes=ran.probes,
            reads=ran.reads,
        )

    def _first_writes(self) -> list[tuple[int, int]]:
        """Fills the memories that are empty at first."""
        writes = [
            write
            for window in self.design.registers
            if window.preload
            for write in word_writes(window, stored_words(self.rtl, window))
        ]
        if writes and self.design.restart is not None:
            writes.append((self.design.restart, 1))
        return writes


def patience(estimated_interval: int) -> int:
    """Cycles without a transfer after which a design without stalls counts as stuck."""
    return _PATIENCE_CYCLES + _PATIENCE_FRAMES * estimated_interval


def _interval(ran: BenchRun) -> float:
    """Cycles between frames in the second half of a run."""
    last_out = [each[3] for each in ran.frames]
    middle = len(last_out) // 2
    return (last_out[-1] - last_out[middle]) / (len(last_out) - 1 - middle)


def build_simulation(
    design: RtlDesign,
    rtl: Path,
    build: Path,
    *,
    cycles: int,
    cache: Path | None,
    progress: Progress,
) -> Simulation:
    """Compiles a design with Verilator, assertions on.

    Args:
        design: the description of the design.
        rtl: directory of its files.
        build: scratch directory for the compilation.
        cycles: about how many will be simulated; a short simulation is not worth optimising.
        cache: directory of compiled models, or None to compile always.
        progress: told how far the compilation is.

    Raises:
        StageError: no C++ compiler, or Verilator refuses the design.
    """
    executable = compile_bench(
        [rtl / name for name in design.sources],
        design.top,
        build,
        optimise=cycles > _FEW_CYCLES,
        cache_dir=cache,
        progress=progress,
    )
    return Simulation(design=design, rtl=rtl, executable=executable)
