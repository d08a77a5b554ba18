"""Depths of FIFOs, from simulation: deep enough for full throughput, and then as shallow as that.

All FIFOs are probes (hw/sim/fifo_probe.sv), whose depth is an input of the simulation: one
compiled model serves every trial. Data do not change the timing of any node, so zeros will do.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import Field

from sdq_fpga.errors import StageError
from sdq_fpga.plain import Plain
from sdq_fpga.progress import Progress, SilentProgress
from sdq_fpga.rtl.design import FifoProbe
from sdq_fpga.sim.bench import Drive
from sdq_fpga.sim.simulate import Measured, Simulation

__all__ = ["FifoSizes", "fifo_bits", "size_fifos", "whole_frames"]

_LEAST_DEPTH = 2
_SHIFT_DEPTH = 32  # up to here, a shift register takes one LUT for a bit, whatever its depth
_UNLIMITED = 2**31 - 1
_FRAMES = 4
_TOLERANCE = 1.001  # of the interval


class FifoSizes(Plain):
    """What the sizing found.

    Attributes:
        depths: words of each FIFO, by name.
        interval: cycles between frames with FIFOs of any depth, and with these.
        bits: memory of all FIFOs.
        occupancy_bits: memory if each FIFO were as deep as its greatest occupancy, with frames
            arriving at the interval: what FINN's sizing takes.
        trials: simulations.
        cycles: cycles simulated.
    """

    depths: dict[str, int]
    interval: float
    bits: int = Field(ge=0)
    occupancy_bits: int = Field(ge=0)
    trials: int
    cycles: int


def fifo_bits(probes: Mapping[str, FifoProbe], depths: Mapping[str, int]) -> int:
    """Memory of FIFOs in bits; a shallow one takes a shift register of 32 words."""
    return sum(probes[name].width * max(depth, _SHIFT_DEPTH) for name, depth in depths.items())


def size_fifos(
    simulation: Simulation,
    estimated_interval: int,
    *,
    trials: int,
    scratch: Path,
    progress: Progress,
) -> FifoSizes:
    """Finds depths that keep the interval of unlimited FIFOs.

    First the interval is measured with unlimited FIFOs, then their occupancies with frames
    arriving at that interval: depths that are enough. Then the largest FIFOs are halved, as long
    as the interval stays, and each trial is a simulation of a few frames.

    Args:
        simulation: a design generated with probes.
        estimated_interval: cycles a frame may take; a design that is far slower is stuck.
        trials: simulations at most; more find smaller FIFOs.
        scratch: directory for what is not kept.
        progress: told after each trial.

    Raises:
        StageError: the design does not work even with unlimited FIFOs.
    """
    return _Sizing(simulation, estimated_interval, trials, scratch, progress).run()


def whole_frames(probes: Sequence[FifoProbe], interval: int) -> FifoSizes:
    """FIFOs that hold two frames each, found without any simulation.

    Two, because a branch may be a frame ahead of the other when the first leaves.

    Args:
        probes: the FIFOs.
        interval: cycles between frames, as estimated.
    """
    depths = {probe.name: max(_SHIFT_DEPTH, 2 * probe.frame_words) for probe in probes}
    bits = fifo_bits({probe.name: probe for probe in probes}, depths)
    return FifoSizes(
        depths=depths, interval=interval, bits=bits, occupancy_bits=bits, trials=0, cycles=0
    )


class _Sizing:
    def __init__(
        self,
        simulation: Simulation,
        estimated_interval: int,
        trials: int,
        scratch: Path,
        progress: Progress,
    ) -> None:
        self.simulation = simulation
        self.estimated = estimated_interval
        self.most = trials
        self.scratch = scratch
        self.progress = progress
        self.probes = {probe.name: probe for probe in simulation.design.probes}
        self.trials = self.cycles = 0

    def run(self) -> FifoSizes:
        """Measures, then shrinks."""
        with self.progress.task("size FIFOs", self.most) as advance:
            free = self._simulate(dict.fromkeys(self.probes, _UNLIMITED), 0)
            advance(1)
            paced = self._simulate(dict.fromkeys(self.probes, _UNLIMITED), math.ceil(free.interval))
            advance(1)
            depths = {name: max(_LEAST_DEPTH, paced.probes[f"peak_{name}"]) for name in self.probes}
            occupancy = fifo_bits(self.probes, depths)
            longest = max(free.interval, paced.interval) * _TOLERANCE
            # The shallow ones cost the same at any depth up to that of a shift register.
            roomy = {name: max(depth, _SHIFT_DEPTH) for name, depth in depths.items()}
            roomy = self._shrink(roomy, longest, advance)
            advance(max(0, self.most - self.trials))
        return FifoSizes(
            depths=roomy,
            interval=free.interval,
            bits=fifo_bits(self.probes, roomy),
            occupancy_bits=occupancy,
            trials=self.trials,
            cycles=self.cycles,
        )

    def _shrink(
        self, depths: dict[str, int], longest: float, advance: Callable[[int], None]
    ) -> dict[str, int]:
        """First all at once, to a fraction of their depth; then one by one, the largest first."""
        kept = depths
        for fraction in (0.0, 0.25, 0.5):
            tried = {
                name: max(_SHIFT_DEPTH, math.ceil(depth * fraction))
                for name, depth in depths.items()
            }
            if tried == kept or self.trials >= self.most:
                continue
            advance(1)
            if self._keeps(tried, longest):
                kept = tried
                break
        floors = dict.fromkeys(kept, _SHIFT_DEPTH)
        while self.trials < self.most:
            open_ones = [name for name in kept if kept[name] > floors[name]]
            if not open_ones:
                break
            name = max(
                open_ones, key=lambda each: self.probes[each].width * (kept[each] - floors[each])
            )
            middle = (kept[name] + floors[name]) // 2
            advance(1)
            if self._keeps(kept | {name: middle}, longest):
                kept = kept | {name: middle}
            else:
                # Depths between the two may do, but gain less than half of what was tried.
                floors[name] = middle + 1 if kept[name] - middle > kept[name] // 8 else kept[name]
        return kept

    def _keeps(self, depths: dict[str, int], longest: float) -> bool:
        try:
            return self._simulate(depths, 0).interval <= longest
        except StageError:  # stuck: a branch waits for the other
            return False

    def _simulate(self, depths: dict[str, int], gap: int) -> Measured:
        self.trials += 1
        design = self.simulation.design
        frames = {
            port.tensor: np.full(
                (_FRAMES, *port.stream.shape), int(port.stream.bipolar), dtype=np.int64
            )
            for port in design.inputs
        }
        measured = self.simulation.run(
            frames,
            Drive(
                gap=gap,
                constants={f"limit_{name}": depth for name, depth in depths.items()},
                probes=[f"peak_{name}" for name in depths],
            ),
            estimated_interval=self.estimated,
            scratch=self.scratch,
            label="simulate",
            progress=SilentProgress(),
        )
        self.cycles += measured.cycles
        return measured
