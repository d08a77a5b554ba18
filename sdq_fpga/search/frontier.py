"""Many designs by one search: from the slowest to the fastest, each goes on where another ended.

A search for a frame rate begins with the network and the bits at which that of the next slower one
has ended. So it has little to learn anew, and takes a part of the epochs.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from torch import nn

from sdq_fpga.data import Dataset
from sdq_fpga.flow import Flow
from sdq_fpga.nets import make_net
from sdq_fpga.policy import Policy
from sdq_fpga.progress import Progress
from sdq_fpga.search.board_goal import BoardGoal
from sdq_fpga.search.choice import Choice
from sdq_fpga.search.methods import search
from sdq_fpga.search.on_board import OnBoard
from sdq_fpga.search.space import Space
from sdq_fpga.search.task import SearchResult
from sdq_fpga.train import seeded
from sdq_fpga.train.rig import Rig

__all__ = ["Design", "Frontier"]

_PARTS = 4  # of a search's epochs, one is enough for the way from one design to the next


@dataclass(frozen=True)
class Design:
    """What one search of several has found.

    Attributes:
        target_fps: that it was to reach.
        frames_per_second: that some folding of its bits reaches.
        result: of the search.
    """

    target_fps: float
    frames_per_second: float
    result: SearchResult


class Frontier:
    """Designs of one network on one board.

    Args:
        flow: says how to search.
        net_float: the trained network; it is not changed.
        dataset: its training images are used.
        goal: the board; its targets have no part.
        seed: of everything that is drawn.
        progress: is told of every step.
        rig: what the search for a frame rate runs on.

    Attributes:
        slowest: frames/s of the most bits of all candidates that fit.
        fastest: frames/s of the fewest bits.

    Raises:
        UserError: the network does not fit the board at all, or a fixed layer does not exist.
    """

    def __init__(
        self,
        flow: Flow,
        net_float: nn.Module,
        dataset: Dataset,
        goal: BoardGoal,
        seed: int,
        progress: Progress,
        rig: Callable[[float], Rig] = lambda _: Rig(),
    ) -> None:
        epochs = math.ceil(flow.search.epochs / _PARTS)
        self._flow = flow.model_copy(
            update={"search": flow.search.model_copy(update={"epochs": epochs})}
        )
        self._net, self._dataset, self._seed = net_float, dataset, seed
        self._goal = replace(goal, target_fps=None, target_latency_us=None)
        self._progress, self._rig = progress, rig
        self._designs: list[Design] = []
        with seeded(0):
            self._shapes = make_net(flow.network)
        self._limit = OnBoard(self._goal, self._space(None), flow.search.cost)
        self.slowest, self.fastest = self._ends()

    def targets(self, count: int) -> list[float]:
        """Frame rates from the slowest to the fastest, each by the same factor faster."""
        step = (self.fastest / self.slowest) ** (1 / (count - 1))
        return [*(self.slowest * step**n for n in range(count - 1)), self.fastest]

    def at(self, target_fps: float) -> Design:
        """Searches for one frame rate, from the fastest design that was searched for a slower one.

        Raises:
            StageError: training diverged.
        """
        # A rate that was computed from a whole interval must not ask for a shorter one.
        hertz = self._goal.clock_mhz * 1e6
        goal = replace(self._goal, target_fps=hertz / (math.floor(hertz / target_fps + 1e-6) + 0.5))
        slower = [each for each in self._designs if each.target_fps <= target_fps]
        after = max(slower, key=lambda each: each.target_fps).result if slower else None
        rig = self._rig(target_fps)
        result = search(
            self._flow, self._net, self._dataset, goal, self._seed, self._progress, rig, after
        )
        reached = max(goal.target_fps or 0.0, self._limit.speed(self._bits(result.policy)))
        design = Design(target_fps, reached, result)
        self._designs.append(design)
        return design

    def _ends(self) -> tuple[float, float]:
        """Frames/s with the most bits that fit, and with the fewest."""
        limit = self._limit
        bits = limit.highest
        while not (slowest := limit.speed(bits)):
            bits = tuple(
                max((each for each in choice.candidates if each < own), default=own)
                for choice, own in zip(limit.choices, bits, strict=True)
            )
        return slowest, max(slowest, limit.reached(limit.lowest))

    def _bits(self, policy: Policy) -> Sequence[int]:
        return [choice.candidates[-1] for choice in self._space(policy).choices]

    def _space(self, most: Policy | None) -> Space[Choice]:
        return Space.of(self._flow.search, self._shapes, Choice, most)
