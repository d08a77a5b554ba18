"""Simulates a stitched accelerator in Verilator and measures it."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sdq_fpga.errors import StageError
from sdq_fpga.progress import Progress
from sdq_fpga.rtl.design import RtlDesign
from sdq_fpga.shipped import shipped_dir
from sdq_fpga.sim.streams import pack, unpack
from sdq_fpga.sim.verilator import compile_model

__all__ = ["Measured", "Simulation", "build_simulation"]

_STALL_ONE = 2**16  # the harness takes probabilities in units of 1/65536
# digits-cnn at its fastest on zcu104 (47 MB of C++): without optimisation, compilation takes 46 s
# of CPU instead of 150 s, and 10,000 cycles take 4 s instead of 1 s.
_FEW_CYCLES = 300_000
_PATIENCE_FRAMES = 4
_PATIENCE_CYCLES = 100_000


@dataclass(frozen=True)
class Measured:
    """What one simulation showed.

    Attributes:
        outputs: the accelerator's integers, [N, *shape of the output stream].
        cycles: cycles simulated.
        latency: cycles from the first beat of a frame in to its last beat out, pipeline empty.
        interval: cycles between two frames in steady state.
    """

    outputs: npt.NDArray[np.int64]
    cycles: int
    latency: int
    interval: float


@dataclass(frozen=True)
class Simulation:
    """A compiled accelerator; ``run`` may be called any number of times."""

    design: RtlDesign
    rtl: Path
    executable: Path

    def run(
        self,
        frames: npt.NDArray[np.int64],
        *,
        stall: float,
        seed: int,
        estimated_interval: int,
        scratch: Path,
        label: str,
        progress: Progress,
    ) -> Measured:
        """Streams frames through the accelerator.

        Args:
            frames: integers of shape [N, *shape of the input stream], at least four.
            stall: probability that the source holds back a beat in a cycle, and that the sink is
                not ready in it.
            seed: seed of the stalls and of registers that have no reset.
            estimated_interval: cycles a frame may take; a design that is far slower is stuck.
            scratch: directory for the files that go in and out.
            label: what the progress bar says.
            progress: told after each frame.

        Raises:
            StageError: the design is stuck, violates AXI-Stream, fails one of its assertions, or
                does not find a memory file.
        """
        beats = pack(frames, self.design.input)
        count = len(frames)
        patience = int(
            (_PATIENCE_CYCLES + _PATIENCE_FRAMES * estimated_interval) / (1.0 - stall) ** 2
        )
        source, sink = scratch / "in.bin", scratch / "out.bin"
        source.write_bytes(beats.tobytes())
        command = [
            str(self.executable),
            str(source),
            str(sink),
            str(self.design.input.width // 8),
            str(self.design.output.width // 8),
            str(self.design.input.beats),
            str(self.design.output.beats),
            str(count),
            str(round(stall * _STALL_ONE)),
            str(seed),
            "1",
            str(patience),
        ]
        times, cycles = self._follow(command, count, label, progress)
        raw = np.frombuffer(sink.read_bytes(), np.uint8)
        shaped = raw.reshape(count, self.design.output.beats, self.design.output.width // 8)
        last_out = [each[3] for each in times]
        middle = count // 2
        steady = count - 1 - middle
        return Measured(
            outputs=unpack(shaped, self.design.output),
            cycles=cycles,
            latency=times[0][3] - times[0][0] + 1,
            interval=(last_out[-1] - last_out[middle]) / steady,
        )

    def _follow(
        self, command: list[str], count: int, label: str, progress: Progress
    ) -> tuple[list[tuple[int, ...]], int]:
        """Runs the harness and reads its lines as they come."""
        times: list[tuple[int, ...]] = []
        other: list[str] = []
        cycles = 0
        with (
            subprocess.Popen(
                command,
                cwd=self.rtl,  # memories are named without a directory
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            ) as process,
            progress.task(label, count) as advance,
        ):
            assert process.stdout is not None  # noqa: S101  # we asked for a pipe
            for line in process.stdout:
                words = line.split()
                if words[:1] == ["frame"]:
                    times.append(tuple(int(word) for word in words[2:]))
                    advance(1)
                elif words[:1] == ["done"]:
                    cycles = int(words[1])
                elif words:
                    other.append(line.strip())
        failed = process.returncode != 0 or len(times) != count
        if failed or any("readmem" in line for line in other):
            said = next((line for line in other if line), f"exit code {process.returncode}")
            raise StageError(
                f"the simulated accelerator failed after {len(times)} of {count} frames ({said})",
                "report the network and the board; the RTL is kept in the run directory",
            )
        return times, cycles


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
    executable = compile_model(
        [rtl / name for name in design.sources],
        design.top,
        shipped_dir("hw") / "sim" / "harness.cpp",
        build,
        optimise=cycles > _FEW_CYCLES,
        cache_dir=cache,
        progress=progress,
    )
    return Simulation(design=design, rtl=rtl, executable=executable)
