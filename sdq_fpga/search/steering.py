"""Steers a search along a straight line to a goal, whatever the goal is measured in.

The measure m, which the choices decide, follows a reference r that falls to the goal. The term in
the loss is the augmented Lagrangian of the constraint h = (m - r) / span <= 0 (Nocedal and Wright,
"Numerical Optimization", 2nd edition, section 17.4), whose multiplier rises while the search lags
behind the reference, and falls while it leads: a PI controller. So the price of a bit is as high as
the goal needs, and the layers that lose least by a drop pay first.
"""

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

from sdq_fpga.search.choice import Learned
from sdq_fpga.search.limit import Limit, confirmed, settle_all

__all__ = ["Steered", "Steering"]

L = TypeVar("L", bound=Learned)

_REFRESHES = 20  # of what the measure starts from, in a search

# Shares of the search after which the reference is at the goal, and after which the search settles
# in any case; what is left of it trains the settled bits.
_RAMP = 0.7
_HARD_END = 0.8
# How strongly the price of a bit answers to the lag (proportional), and to the sum of lags over
# the whole search (integral).
_PENALTY = 10.0
_DUAL_RATE = 100.0


class Steering:
    """Price and reference of one search.

    Args:
        start: the measure where the search begins.
        goal: where it is to end.
        least_span: of start and goal, by which the lag is measured.
        steps: length of the search.

    Attributes:
        multiplier: lambda_H, the price of the measure.
    """

    def __init__(self, start: float, goal: float, *, least_span: float, steps: int) -> None:
        self.multiplier = 0.0
        self._start = self._reference = start
        self._goal = goal
        self._span = max(start - goal, least_span)
        self._steps = steps

    def term(self, measure: float) -> tuple[float, float]:
        """What the constraint adds to the loss, and its derivative by the measure.

        That by h is max(0, lambda + c h).
        """
        # In this order, what is not a number stays so, and the loss is found to be none.
        pressure = max(self.multiplier + _PENALTY * (measure - self._reference) / self._span, 0.0)
        return (pressure**2 - self.multiplier**2) / (2 * _PENALTY), pressure / self._span

    def follow(self, measure: float, done: int) -> None:
        """Moves price and reference.

        Args:
            measure: where the search is.
            done: steps of the search so far.
        """
        self.multiplier = max(
            0.0,
            self.multiplier + _DUAL_RATE / self._steps * (measure - self._reference) / self._span,
        )
        share = min(1.0, done / (_RAMP * self._steps))
        self._reference = self._start + (self._goal - self._start) * share

    def over(self, done: int) -> bool:
        """Whether the search must settle."""
        return done >= _HARD_END * self._steps

    def state_dict(self) -> dict[str, Any]:
        """All that changes in a search."""
        return {"multiplier": self.multiplier, "reference": self._reference}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from what ``state_dict`` gave."""
        self.multiplier, self._reference = state["multiplier"], state["reference"]


class Steered(ABC, Generic[L]):
    """Carries choices to a goal, and then settles them, once and for all.

    Where the most bits of all are within the goal, they are settled at once.

    Args:
        limit: the goal.
        steps: length of the search.

    Attributes:
        limit: as given.
        choices: those that it steers.
        steering: price and reference.
        settled: whether every layer's bits are decided.
        greedy_drops: those that had to drop before the search could settle.
    """

    def __init__(self, limit: Limit[L], steps: int) -> None:
        self.limit = limit
        self.choices = limit.choices
        self.settled = False
        self.greedy_drops: list[L] = []
        self._every = max(1, steps // _REFRESHES)
        self._measure: float | None = None  # of the term of this step
        start = limit.measured()
        self.steering = Steering(start, limit.goal, least_span=limit.least_span, steps=steps)
        if limit.allows(limit.highest) and limit.confirms(limit.highest):
            settle_all(limit, limit.highest)
            self.settled = True

    @abstractmethod
    def decided(self) -> tuple[int, ...]:
        """Bits of every choice, within the goal, by what they have learned."""

    def reached(self, done: int, measured: float) -> bool:
        """Whether the search is to settle; before its hard end if it likes.

        Args:
            done: steps of the search so far.
            measured: the measure in the last of them.
        """
        del measured
        if done % self._every == 0:
            self.limit.look()
        return False

    def dropped(self) -> list[L]:
        """Lets choices drop to fewer bits; those that do, for their optimizer to start afresh."""
        return []

    def settle(self) -> None:
        """Decides every layer's bits."""
        settle_all(self.limit, confirmed(self.limit, self.decided))
        self.settled = True

    def term(self) -> float:
        """What the goal adds to the loss; its gradient is added to that of the choices.

        Both are in plain numbers: a graph of them takes longer than all else that steers.
        """
        if self.settled:
            return 0.0
        kind = type(self.choices[0])
        shares = kind.chances(self.choices)
        measure, slopes = self.limit.measure(shares)
        self._measure = measure
        value, slope = self.steering.term(measure)
        if slope:
            kind.push(self.choices, shares, [slope * each for each in slopes])
        return value

    def step(self, done: int) -> list[L]:
        """Moves price and reference, and settles or lets choices drop.

        The measure is that of the step's term, before the optimizer moved the choices: it is asked
        for once in a step.

        Args:
            done: steps of the search so far.

        Returns:
            The choices that start afresh.
        """
        if self.settled:
            return []
        measured = self.limit.measured() if self._measure is None else self._measure
        self._measure = None
        self.steering.follow(measured, done)
        if self.reached(done, measured) or self.steering.over(done):
            self.settle()
            return []
        return self.dropped()

    def state_dict(self) -> dict[str, Any]:
        """All that changes in a search, but for the choices themselves."""
        return {
            "settled": self.settled,
            "greedy_drops": [self.choices.index(each) for each in self.greedy_drops],
            "steering": self.steering.state_dict(),
            "limit": self.limit.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from what ``state_dict`` gave, the choices being where they were then."""
        self.settled = state["settled"]
        self.greedy_drops = [self.choices[index] for index in state["greedy_drops"]]
        self.steering.load_state_dict(state["steering"])
        self.limit.load_state_dict(state["limit"])
