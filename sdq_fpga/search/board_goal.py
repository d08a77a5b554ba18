"""A speed on a board as a goal, and the foldings that have it."""

import math
from dataclasses import dataclass

from sdq_fpga.board import Board
from sdq_fpga.cost.folding.figures import Shares, usable
from sdq_fpga.cost.folding.network import Known
from sdq_fpga.cost.folding.solve import Solution, is_reached, solve
from sdq_fpga.cost.node import HardwareGraph
from sdq_fpga.cost.timing.schedule import Pipeline
from sdq_fpga.errors import UserError

__all__ = ["BoardGoal", "Foldings", "latency_of"]

_MARGIN = 0.95  # of the budget: the depths of FIFOs are known only when the design is timed
# Of a latency: the build folds for the whole budget, which may come out somewhat slower.
_IN_TIME = 0.97
_FRAMES = 2  # to time a latency


@dataclass(frozen=True)
class BoardGoal:
    """What the user wants of the board.

    Attributes:
        graph: the network's nodes, unfolded, with the same bits everywhere; layers have the paths
            of the modules with the weights, and of those that the quantizers take the place of.
        bits: those.
        board: the board.
        clock_mhz: clock of the accelerator.
        target_fps: frames per second to reach; None for any.
        shares: of the board that may be used.
        target_latency_us: microseconds that a frame may take through the empty pipeline; None for
            any.
    """

    graph: HardwareGraph
    bits: int
    board: Board
    clock_mhz: float
    target_fps: float | None
    shares: Shares
    target_latency_us: float | None = None

    @property
    def interval(self) -> float:
        """Cycles between frames at the target; infinite where any will do."""
        return math.inf if self.target_fps is None else self.clock_mhz * 1e6 / self.target_fps

    @property
    def latency(self) -> float:
        """Cycles that a frame may take, somewhat less than the target; infinite for any."""
        within = self.target_latency_us
        return math.inf if within is None else _IN_TIME * self.clock_mhz * within

    @property
    def within(self) -> dict[str, float]:
        """Shares of the board, with some room for FIFOs."""
        whole = self.board.budget.model_dump()
        limits = usable(self.board, self.shares)
        return {name: _MARGIN * limits[name] / whole[name] for name in whole if whole[name]}


class Foldings:
    """How networks are folded for a goal.

    Args:
        goal: the goal.
    """

    def __init__(self, goal: BoardGoal) -> None:
        self._goal = goal
        self._nodes = Known(goal.board)

    def refusal(self, graph: HardwareGraph) -> UserError:
        """Says what a network of the fewest bits of all, which miss the target, does reach.

        Raises:
            UserError: it does not even fit.
        """
        best = self._solved(graph, None)
        goal = self._goal
        fps = goal.clock_mhz * 1e6 / best.interval
        asked = [] if goal.target_fps is None else [f"{goal.target_fps:,.12g} frames/s"]
        reached, fix = [f"{math.floor(fps):,}"], "ask for fewer"
        if goal.target_latency_us is not None:
            asked.append(f"{goal.target_latency_us:g} us")
            latency_us = math.ceil(latency_of(best) / _IN_TIME / goal.clock_mhz * 1000) / 1000
            reached, fix = [f"{reached[0]} frames/s", f"{latency_us:g} us"], "ask for less"
        return UserError(
            f"{' with '.join(asked)} are out of reach on {goal.board.name} even with the fewest "
            f"bits of all candidates, which reach {' and '.join(reached)}",
            f"{fix}, or give fewer bits as candidates",
        )

    def has_any(self, graph: HardwareGraph) -> bool:
        """Whether some folding reaches the target."""
        goal = self._goal
        if goal.target_latency_us is None and goal.target_fps is not None:
            within, nodes = goal.within, self._nodes
            return is_reached(graph, goal.board, goal.clock_mhz, goal.target_fps, within, nodes)
        if goal.target_latency_us is not None:
            # Mostly the fastest is the quickest, too; it is found much sooner.
            fastest = self.fastest(graph)
            if fastest is None:
                return False
            if fastest.interval <= goal.interval and latency_of(fastest) <= goal.latency:
                return True
        return self.cheapest(graph) is not None

    def cheapest(self, graph: HardwareGraph) -> Solution | None:
        """The cheapest folding that reaches the target; None if nothing within the budget does."""
        goal = self._goal
        within = goal.target_latency_us
        try:
            return self._solved(
                graph, goal.target_fps, None if within is None else _IN_TIME * within
            )
        except UserError:
            return None

    def fastest(self, graph: HardwareGraph, *, proven: bool = True) -> Solution | None:
        """The fastest folding; None if nothing is within the budget.

        Args:
            graph: the network.
            proven: whether nothing is known to be faster; else it is a good one.
        """
        try:
            return self._solved(graph, None, proven=proven)
        except UserError:
            return None

    def _solved(
        self,
        graph: HardwareGraph,
        target_fps: float | None,
        latency_us: float | None = None,
        *,
        proven: bool = True,
    ) -> Solution:
        goal = self._goal
        return solve(
            graph,
            goal.board,
            goal.clock_mhz,
            target_fps,
            goal.within,
            latency_us,
            self._nodes,
            proven=proven,
        )


def latency_of(found: Solution) -> int:
    """Cycles of a frame through the empty pipeline, with FIFOs of any depth."""
    pipeline = Pipeline(found.graph)
    return pipeline.time(dict.fromkeys(pipeline.fifos, 0), frames=_FRAMES).latency
