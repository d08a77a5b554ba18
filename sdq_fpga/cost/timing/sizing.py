"""Depths of FIFOs from the timing model: full throughput and no deadlock, with little memory.

FIFOs start shallow. What holds the network up then names the FIFO to make deeper: the one that is
full on the path of waits that ends with the last beat, or that closes a circle of waits in which
nothing moves. When the interval is that of unlimited FIFOs, those that were named get the depth
that they then use, and are shrunk as far as the interval allows.
"""

import math
from collections.abc import Callable, Mapping

from pydantic import Field

from sdq_fpga.cost.timing.schedule import Pipeline, Schedule, StuckError
from sdq_fpga.plain import Plain
from sdq_fpga.progress import Progress

__all__ = ["SHIFT_DEPTH", "FifoSizes", "fifo_bits", "size_fifos"]

SHIFT_DEPTH = 32
"""Up to here, a shift register takes one LUT for a bit, whatever its depth."""

_TOLERANCE = 1.001  # of the interval
_FRAMES = 3
_FINENESS = 16  # shrinking stops when what is left to gain is less than this part of the depth


class FifoSizes(Plain):
    """What the sizing found.

    Attributes:
        depths: words of each FIFO, by name.
        unlimited_interval: cycles between frames with FIFOs of any depth.
        interval: the same with these depths.
        latency: cycles of the first frame, with these depths.
        bits: memory of all FIFOs.
        occupancy_bits: memory if each FIFO were as deep as its greatest occupancy, with frames
            arriving at the interval: what FINN's sizing takes.
        trials: how often the network was timed.
    """

    depths: dict[str, int]
    unlimited_interval: float
    interval: float
    latency: int
    bits: int = Field(ge=0)
    occupancy_bits: int = Field(ge=0)
    trials: int


def fifo_bits(widths: Mapping[str, int], depths: Mapping[str, int]) -> int:
    """Memory of FIFOs in bits; a shallow one takes a shift register of 32 words.

    Args:
        widths: bits of a word, by name.
        depths: words, by name.
    """
    return sum(widths[name] * max(depth, SHIFT_DEPTH) for name, depth in depths.items())


def size_fifos(pipeline: Pipeline, trials: int, progress: Progress) -> FifoSizes:
    """Finds depths that keep the interval of unlimited FIFOs.

    Args:
        pipeline: the network.
        trials: how often it may be timed to shrink FIFOs; finding depths that are enough takes what
            it takes.
        progress: told after each trial.

    Raises:
        StuckError: the network does not work even with unlimited FIFOs.
    """
    with progress.task("size FIFOs", trials) as advance:
        sizing = _Sizing(pipeline, trials, lambda made: advance(int(made <= trials)))
        sizes = sizing.run()
        advance(max(0, trials - sizing.trials))
    return sizes


class _Sizing:
    def __init__(self, pipeline: Pipeline, most: int, tell: Callable[[int], None]) -> None:
        self.pipeline = pipeline
        self.most = most
        self.tell = tell
        self.trials = 0
        self.target = math.inf

    def run(self) -> FifoSizes:
        widths = self.pipeline.widths()
        unlimited = dict.fromkeys(widths, 0)
        free = self._time(unlimited)
        paced = self._time(unlimited, gap=math.ceil(free.interval))
        self.target = max(free.interval, paced.interval) * _TOLERANCE
        enough = {name: max(SHIFT_DEPTH, peak) for name, peak in paced.peaks.items()}
        depths = self._shrink(self._grow(enough))
        found = self.pipeline.time(depths)
        return FifoSizes(
            depths=depths,
            unlimited_interval=free.interval,
            interval=found.interval,
            latency=found.latency,
            bits=fifo_bits(widths, depths),
            occupancy_bits=fifo_bits(widths, paced.peaks),
            trials=self.trials,
        )

    def _grow(self, enough: Mapping[str, int]) -> dict[str, int]:
        """Gives the limit of shallow FIFOs up, one by one, until the interval is kept.

        With all others shallow, the occupancy of those without a limit is what they need.

        Args:
            enough: depths that keep the interval, all together.
        """
        widths = self.pipeline.widths()
        depths = dict.fromkeys(widths, SHIFT_DEPTH)
        while True:
            try:
                found = self._time(depths)
                if found.interval <= self.target:
                    break
                full = {name: float(times) for name, times in found.full.items()}
            except StuckError as stuck:
                full = {name: 1 / widths[name] for name in stuck.fifos}
            full = {name: weight for name, weight in full.items() if depths[name]}
            if not full:
                return dict(enough)
            depths[max(full, key=lambda each: full[each])] = 0
        needed = {
            name: depth or max(SHIFT_DEPTH, found.peaks[name]) for name, depth in depths.items()
        }
        return needed if self._keeps(needed) else dict(enough)

    def _shrink(self, depths: dict[str, int]) -> dict[str, int]:
        """Bisects the depths of FIFOs that are deep, the largest first, as trials allow."""
        widths = self.pipeline.widths()
        deep = [name for name, depth in depths.items() if depth > SHIFT_DEPTH]
        for name in sorted(deep, key=lambda each: -widths[each] * depths[each]):
            low, high = (
                SHIFT_DEPTH - 1,
                depths[name],
            )  # the one is taken to fail, the other does not
            while high - low > max(1, high // _FINENESS) and self.trials < self.most:
                middle = (low + high) // 2
                if self._keeps(depths | {name: middle}):
                    high = middle
                else:
                    low = middle
            depths = depths | {name: high}
        return depths

    def _keeps(self, depths: Mapping[str, int]) -> bool:
        try:
            return self._time(depths).interval <= self.target
        except StuckError:
            return False

    def _time(self, depths: Mapping[str, int], gap: int = 0) -> Schedule:
        self.trials += 1
        self.tell(self.trials)
        return self.pipeline.time(depths, frames=_FRAMES, gap=gap)
