"""Depths of FIFOs from the timing model: full throughput and no deadlock, with little memory.

FIFOs start shallow. What holds the network up then names the FIFO to make deeper: the one that is
full on the path of waits that ends with the last beat, or that closes a circle of waits in which
nothing moves. When the interval is that of unlimited FIFOs, those that were named get the depth
that they then use. These depths are shrunk one by one as far as the interval allows. What comes out
is timed once more, over more frames.
"""

import math
from collections.abc import Callable, Mapping, Sequence

from pydantic import Field

from sdq_fpga.cost.timing.freely import FEW_FRAMES, MORE_FRAMES, time_freely
from sdq_fpga.cost.timing.schedule import Pipeline, Schedule, StuckError
from sdq_fpga.plain import Plain
from sdq_fpga.progress import Progress

__all__ = ["SHIFT_DEPTH", "FifoSizes", "fifo_bits", "size_fifos"]

SHIFT_DEPTH = 32
"""Up to here, a shift register takes one LUT for a bit, whatever its depth."""

_TOLERANCE = 1.001  # of the interval
_FINENESS = 16  # shrinking stops when what is left to gain is less than this part of the depth
# Steps of actors for which all trials together may last: those of a large network are fewer.
_WORK = 300_000_000


class FifoSizes(Plain):
    """What the sizing found.

    Attributes:
        depths: words of each FIFO, by name.
        unlimited_interval: cycles between frames with FIFOs of any depth.
        interval: the same with these depths, once the first frames have passed.
        last_out: cycle in which the last beat of each of the first frames comes out, with these
            depths; empty in what was written before this was kept.
        latency: cycles of the first frame, with these depths.
        bits: memory of all FIFOs.
        occupancy_bits: memory if each FIFO were as deep as its greatest occupancy, with frames
            arriving at the interval: what FINN's sizing takes.
        trials: how often the network was timed.
    """

    depths: dict[str, int]
    unlimited_interval: float
    interval: float
    last_out: tuple[int, ...] = ()
    latency: int
    bits: int = Field(ge=0)
    occupancy_bits: int = Field(ge=0)
    trials: int

    def simulated_interval(self, images: int) -> float:
        """Cycles between frames that a simulation of some images should show.

        There the first frame has the pipeline to itself, and only those after the middle count
        (``sdq_fpga.sim.simulate``): of few images, these are frames that still come later than
        those that are sustained.

        Args:
            images: how many are simulated, at least four.
        """
        ends: list[float] = [*self.last_out]
        if not ends:
            return self.interval
        further = range(1, images - len(ends))
        ends += [ends[-1] + each * self.interval for each in further]
        middle = images // 2
        return (ends[images - 2] - ends[middle - 1]) / (images - 1 - middle)


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


def _never_full(held: Mapping[str, int]) -> dict[str, int]:
    """Depths that always have room, by the most words that are held: a full FIFO takes none."""
    return {name: max(SHIFT_DEPTH, words + 1) for name, words in held.items()}


class _Sizing:
    def __init__(self, pipeline: Pipeline, most: int, tell: Callable[[int], None]) -> None:
        self.pipeline = pipeline
        self.steps = sum(actor.steps for actor in pipeline.actors)
        self.most = most
        self.tell = tell
        self.frames = FEW_FRAMES
        self.trials = 0
        self.target = math.inf
        self.gap = 0
        self.widths = pipeline.widths()

    @property
    def patience(self) -> int:
        """How many trials there is time for."""
        return max(1, _WORK // (self.frames * self.steps))

    def run(self) -> FifoSizes:
        self.pipeline.make_room(MORE_FRAMES)
        free = time_freely(self.pipeline)
        self.frames = len(free.last_out)
        self.trials += 1
        self.gap = math.ceil(free.interval)
        paced = self._time(dict.fromkeys(self.widths, 0), gap=self.gap)
        self.target = max(free.interval, paced.interval) * _TOLERANCE
        enough = {name: max(SHIFT_DEPTH, peak) for name, peak in paced.peaks.items()}
        grown = self._grow(enough)
        depths = self._shrink(grown)
        depths, found = self._proven((depths, grown, enough, _never_full(paced.peaks)))
        return FifoSizes(
            depths=depths,
            unlimited_interval=free.interval,
            interval=found.interval,
            last_out=found.last_out,
            latency=found.latency,
            bits=fifo_bits(self.widths, depths),
            occupancy_bits=fifo_bits(self.widths, paced.peaks),
            trials=self.trials,
        )

    def _proven(self, found: Sequence[dict[str, int]]) -> tuple[dict[str, int], Schedule]:
        """The first depths that keep the interval of unlimited FIFOs over more frames.

        Some networks slow down after the first frames whatever their FIFOs, and some then need
        deeper ones. Those that hold all that unlimited ones ever hold are the last resort, much
        too deep where frames wait at the input.

        Args:
            found: the depths, best first.
        """
        self.frames = max(MORE_FRAMES, self.frames)
        timed = self._timed(found[0], self.frames)
        if timed is not None and timed.interval <= self.target:
            return found[0], timed
        free = self._time(dict.fromkeys(self.widths, 0))
        self.target = max(self.target, free.interval * _TOLERANCE)
        enough = next((depths for depths in found if self._keeps(depths)), _never_full(free.peaks))
        depths = self._shrink(self._grow(enough))
        return depths, self.pipeline.time(depths, frames=self.frames)

    def _grow(self, enough: Mapping[str, int]) -> dict[str, int]:
        """Gives the limit of shallow FIFOs up until the interval is kept.

        With all others shallow and frames at the interval, the occupancy of those without a limit
        is what they need. One is given up at a time, and more and more of them after some trials.

        Args:
            enough: depths that keep the interval, all together.
        """
        depths = dict.fromkeys(self.widths, SHIFT_DEPTH)
        slow = 0
        while True:
            try:
                found = self._time(depths, gap=self.gap)
                if found.interval <= self.target:
                    break
                full = dict(found.full)
                slow += 1
            except StuckError as stuck:
                full = dict.fromkeys(stuck.fifos, 1)
            full = {name: times for name, times in full.items() if depths[name]}
            if not full:
                return dict(enough)
            worth = sorted(full, key=lambda each: -full[each] / self.widths[each])
            depths |= dict.fromkeys(worth[: 2 ** max(0, slow - self.patience // 3)], 0)
        needed = {
            name: depth or max(SHIFT_DEPTH, found.peaks[name]) for name, depth in depths.items()
        }
        return needed if self._fewer_bits(needed, enough) and self._keeps(needed) else dict(enough)

    def _fewer_bits(self, depths: Mapping[str, int], others: Mapping[str, int]) -> bool:
        return fifo_bits(self.widths, depths) < fifo_bits(self.widths, others)

    def _shrink(self, depths: dict[str, int]) -> dict[str, int]:
        """Bisects the depths of FIFOs that are deep, the largest first, as trials allow.

        By the geometric mean: where trials are few, it is soon near a depth that is much less.
        """
        most = self.trials + min(self.most, self.patience)
        deep = [name for name, depth in depths.items() if depth > SHIFT_DEPTH]
        for name in sorted(deep, key=lambda each: -self.widths[each] * depths[each]):
            # The one is taken to fail, the other does not.
            low, high = SHIFT_DEPTH - 1, depths[name]
            while high - low > max(1, high // _FINENESS) and self.trials < most:
                middle = math.isqrt(low * high) + 1
                if self._keeps(depths | {name: middle}):
                    high = middle
                else:
                    low = middle
            depths = depths | {name: high}
        return depths

    def _keeps(self, depths: Mapping[str, int]) -> bool:
        timed = self._timed(depths, self.frames)
        return timed is not None and timed.interval <= self.target

    def _timed(self, depths: Mapping[str, int], frames: int) -> Schedule | None:
        """None where nothing moves any more."""
        try:
            return self._time(depths, frames=frames)
        except StuckError:
            return None

    def _time(self, depths: Mapping[str, int], *, frames: int = 0, gap: int = 0) -> Schedule:
        self.trials += 1
        self.tell(self.trials)
        return self.pipeline.time(depths, frames=frames or self.frames, gap=gap)
