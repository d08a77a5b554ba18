"""Depths of FIFOs from the timing model: full throughput and no deadlock, with little memory.

FIFOs start shallow. What holds the network up then names the FIFO to make deeper: the one that is
full on the path of waits that ends with the last beat, or that closes a circle of waits in which
nothing moves. When the interval is that of unlimited FIFOs, those that grew are shrunk again, each
as far as the interval allows.
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
_FINENESS = 16  # shrinking stops when what is left to gain is less than this part of the depth


class FifoSizes(Plain):
    """What the sizing found.

    Attributes:
        depths: words of each FIFO, by name.
        interval: cycles between frames with FIFOs of any depth.
        latency: cycles of the first frame, with these depths.
        bits: memory of all FIFOs.
        occupancy_bits: memory if each FIFO were as deep as its greatest occupancy, with frames
            arriving at the interval: what FINN's sizing takes.
        trials: how often the network was timed.
    """

    depths: dict[str, int]
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


def size_fifos(pipeline: Pipeline, progress: Progress) -> FifoSizes:
    """Finds depths that keep the interval of unlimited FIFOs.

    Raises:
        StuckError: the network does not work even with unlimited FIFOs.
    """
    total = len(pipeline.fifos)
    with progress.task("size FIFOs", total) as advance:
        sizing = _Sizing(pipeline, lambda trials: advance(int(trials <= total)))
        sizes = sizing.run()
        advance(max(0, total - sizing.trials))
    return sizes


class _Sizing:
    def __init__(self, pipeline: Pipeline, tell: Callable[[int], None]) -> None:
        self.pipeline = pipeline
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
        return FifoSizes(
            depths=depths,
            interval=free.interval,
            latency=self._time(depths).latency,
            bits=fifo_bits(widths, depths),
            occupancy_bits=fifo_bits(widths, paced.peaks),
            trials=self.trials,
        )

    def _grow(self, enough: Mapping[str, int]) -> dict[str, int]:
        """Makes shallow FIFOs deeper, one by one, until the interval is kept.

        Args:
            enough: depths that keep the interval, all together.
        """
        widths = self.pipeline.widths()
        depths = dict.fromkeys(widths, SHIFT_DEPTH)
        while True:
            try:
                found = self._time(depths)
                if found.interval <= self.target:
                    return depths
                full = found.full
            except StuckError as stuck:
                full = {name: 1 / widths[name] for name in stuck.fifos}
            full = {name: weight for name, weight in full.items() if depths[name] < enough[name]}
            if not full:
                return dict(enough)
            name = max(full, key=lambda each: full[each])
            depths[name] = min(2 * depths[name], enough[name])

    def _shrink(self, depths: dict[str, int]) -> dict[str, int]:
        """Bisects the depth of each FIFO that is deep, the largest first."""
        widths = self.pipeline.widths()
        deep = [name for name, depth in depths.items() if depth > SHIFT_DEPTH]
        for name in sorted(deep, key=lambda each: -widths[each] * depths[each]):
            low, high = (
                SHIFT_DEPTH - 1,
                depths[name],
            )  # the one is taken to fail, the other does not
            while high - low > max(1, high // _FINENESS):
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
        return self.pipeline.time(depths, gap=gap)
