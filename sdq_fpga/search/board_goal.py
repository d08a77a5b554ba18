"""A speed on a board as a goal, and the foldings that have it.

How deep FIFOs have to be takes much longer to find than a folding. A search leaves them a share of
the budget, and sizes them where it is to end: ``Foldings.holds``.
"""

import math
from copy import copy
from dataclasses import dataclass, replace

from sdq_fpga.board import Board
from sdq_fpga.cost.fifo_room import Sized, solve_within
from sdq_fpga.cost.folding.figures import Shares, usable
from sdq_fpga.cost.folding.network import Known
from sdq_fpga.cost.folding.solve import Need, Solution, is_reached, least_need, solve
from sdq_fpga.cost.node import HardwareGraph
from sdq_fpga.cost.policies import with_least
from sdq_fpga.cost.timing.schedule import Pipeline
from sdq_fpga.errors import UserError

__all__ = ["BoardGoal", "Foldings", "latency_of"]

_ROOM = 0.02  # of the budget for FIFOs, and so much more each time that it was too little
_PLENTY = 0.15  # of the budget is more than FIFOs were seen to need
_TOLERANCE = 1.03  # of a target
_STEPS_DOWN = 24  # by that factor each: down to half of what was found
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
        fifo_trials: how often a design may be timed to shrink its FIFOs.
        target_latency_us: microseconds that a frame may take through the empty pipeline; None for
            any.
    """

    graph: HardwareGraph
    bits: int
    board: Board
    clock_mhz: float
    target_fps: float | None
    shares: Shares
    fifo_trials: int
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


class Foldings:
    """How networks are folded for a goal.

    Args:
        goal: the goal.

    Attributes:
        known: what has been found of their nodes.
    """

    def __init__(self, goal: BoardGoal) -> None:
        self._goal = goal
        self.known = Known(goal.board)
        self._room = _ROOM

    def with_plenty_of_room(self) -> "Foldings":
        """Those that leave FIFOs more than they are known to need."""
        other = copy(self)
        other._room = max(_PLENTY, self._room)
        return other

    @property
    def within(self) -> dict[str, float]:
        """Shares of the board, without what is left for FIFOs."""
        goal, left = self._goal, 1 - self._room
        whole, limits = goal.board.budget.model_dump(), usable(goal.board, goal.shares)
        return {name: left * limits[name] / whole[name] for name in whole if whole[name]}

    def leave_more(self) -> None:
        """Leaves FIFOs more of the budget."""
        self._room += _ROOM

    def holds(self, graph: HardwareGraph) -> bool:
        """Whether a design for the target is what it should be once its FIFOs are sized."""
        goal = self._goal
        try:
            fifos = self._sized(graph, goal.target_fps, goal.target_latency_us).fifos
        except UserError:
            return False
        most_us = goal.target_latency_us
        latency = math.inf if most_us is None else goal.clock_mhz * most_us
        return fifos.interval <= _TOLERANCE * goal.interval and (
            fifos.latency <= _TOLERANCE * latency
        )

    def reached(self, graph: HardwareGraph) -> float:
        """Frames/s of a design that a build for so many would find, FIFOs and all; 0 if none fits.

        The fastest that was found, or a little less, where a build would take another way to it.
        """
        goal = self._goal
        try:
            interval = self._sized(graph, None, None).fifos.interval
        except UserError:
            return 0.0
        fps = goal.clock_mhz * 1e6 / interval
        for _ in range(_STEPS_DOWN):
            if Foldings(replace(goal, target_fps=fps, target_latency_us=None)).holds(graph):
                return fps
            fps /= _TOLERANCE
        return 0.0

    def refusal(self, graph: HardwareGraph) -> UserError:
        """Says what a network of the fewest bits of all, which miss the target, does reach.

        Raises:
            UserError: it does not even fit.
        """
        goal = self._goal
        interval, latency, sized = self._best(graph)
        fps = goal.clock_mhz * 1e6 / interval
        asked = [] if goal.target_fps is None else [f"{goal.target_fps:,.12g} frames/s"]
        most, about = ("", "") if sized else ("at most ", "about ")
        reached, fix = [f"{most}{math.floor(fps):,}"], "ask for fewer"
        if goal.target_latency_us is not None:
            asked.append(f"{goal.target_latency_us:g} us")
            latency_us = math.ceil(latency / goal.clock_mhz * 1000) / 1000
            reached, fix = [f"{reached[0]} frames/s", f"{about}{latency_us:g} us"], "ask for less"
        return UserError(
            f"{' with '.join(asked)} are out of reach on {goal.board.name} even with the fewest "
            f"bits of all candidates, which reach {' and '.join(reached)}",
            f"{fix}, or give fewer bits as candidates",
        )

    def _best(self, graph: HardwareGraph) -> tuple[float, float, bool]:
        """Interval and latency of the fastest design, and whether its FIFOs are sized.

        That takes long, and is of use only where they are what stands in the way.
        """
        goal = self._goal
        try:
            self._solved(graph, goal.target_fps, goal.target_latency_us, shares=goal.shares)
        except UserError:
            found = self._solved(graph, None, shares=goal.shares)
            return found.interval, latency_of(found) / _IN_TIME, False
        fifos = self._sized(graph, None, None).fifos
        return fifos.interval, fifos.latency, True

    def has_any(self, graph: HardwareGraph) -> bool:
        """Whether some folding reaches the target."""
        goal = self._goal
        if goal.target_latency_us is None and goal.target_fps is not None:
            within, nodes = self.within, self.known
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

    def fastest(self, graph: HardwareGraph) -> Solution | None:
        """The fastest folding; None if nothing is within the budget."""
        try:
            return self._solved(graph, None)
        except UserError:
            return None

    def need(self, graph: HardwareGraph, interval: int) -> Need:
        """What a network takes at the least to keep an interval, be it more than there is.

        What is not scarce has a price, too: what is free would be wasted.
        """
        found = least_need(graph, self._goal.board, interval, self.within, self.known)
        prices = with_least(found.prices, usable(self._goal.board, self.within))
        return replace(found, prices=prices)

    def crowded(self, graph: HardwareGraph) -> Solution:
        """The fastest folding, with no room for FIFOs but the least.

        Raises:
            UserError: nothing is within the budget.
        """
        return self._solved(graph, None, shares=self._goal.shares)

    def _sized(
        self, graph: HardwareGraph, target_fps: float | None, latency_us: float | None
    ) -> Sized[Solution]:
        """A design as a build would make it, FIFOs and all.

        Raises:
            UserError: there is none.
        """
        goal = self._goal
        return solve_within(
            graph,
            goal.board,
            goal.clock_mhz,
            target_fps,
            goal.shares,
            goal.fifo_trials,
            latency_us,
            self.known,
        )

    def _solved(
        self,
        graph: HardwareGraph,
        target_fps: float | None,
        latency_us: float | None = None,
        *,
        shares: Shares | None = None,
    ) -> Solution:
        goal = self._goal
        return solve(
            graph,
            goal.board,
            goal.clock_mhz,
            target_fps,
            self.within if shares is None else shares,
            latency_us,
            self.known,
        )


def latency_of(found: Solution) -> int:
    """Cycles of a frame through the empty pipeline, with FIFOs of any depth."""
    pipeline = Pipeline(found.graph)
    return pipeline.time(dict.fromkeys(pipeline.fifos, 0), frames=_FRAMES).latency
