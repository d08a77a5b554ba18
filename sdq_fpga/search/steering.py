"""Steers a search along a straight line to a goal, whatever the goal is measured in.

The measure m, which the betas decide, follows a reference r that falls to the goal. The term in the
loss is the augmented Lagrangian of the constraint h = (m - r) / span <= 0 (Nocedal and Wright,
"Numerical Optimization", 2nd edition, section 17.4), whose multiplier rises while the search lags
behind the reference, and falls while it leads: a PI controller. So the price of a bit is as high as
the goal needs, and the layers that lose least by a drop pay first.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from sdq_fpga.search.dbp import Dbp

__all__ = ["Steered", "Steering"]

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

    def term(self, measure: Tensor) -> Tensor:
        """What the constraint adds to the loss; its gradient by h is max(0, lambda + c h)."""
        pressure = torch.relu(self.multiplier + _PENALTY * self._lag(measure))
        return (pressure.square() - self.multiplier**2) / (2 * _PENALTY)

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

    def _lag(self, measure: Tensor) -> Tensor:
        return (measure - self._reference) / self._span


class Steered(ABC):
    """Carries DBPs to a goal, and then settles them, once and for all.

    Args:
        dbps: of every layer, the fixed ones too.
        threshold: a layer drops when its beta is below this.

    Attributes:
        dbps: those that it steers.
        steering: price and reference; set by the class that knows where the search begins.
        settled: whether every layer's bits are decided.
        greedy_drops: those that had to drop before the search could settle.
    """

    steering: Steering

    def __init__(self, dbps: Sequence[Dbp], threshold: float) -> None:
        self.dbps = tuple(dbps)
        self.settled = False
        self.greedy_drops: list[Dbp] = []
        self._threshold = threshold

    @abstractmethod
    def measure(self) -> Tensor:
        """Where the search is, under the betas; differentiable."""

    @abstractmethod
    def reached(self, done: int) -> bool:
        """Whether the search is at its goal, after so many steps."""

    @abstractmethod
    def settle(self) -> None:
        """Decides every layer's bits."""

    def term(self) -> Tensor:
        """What the goal adds to the loss."""
        return torch.zeros(()) if self.settled else self.steering.term(self.measure())

    def step(self, done: int) -> list[Dbp]:
        """Drops the layers whose beta fell under the threshold, and moves price and reference.

        Args:
            done: steps of the search so far.

        Returns:
            The DBPs whose betas made them drop, for their optimizer to start afresh.
        """
        if self.settled:
            return []
        self.steering.follow(self.measure().item(), done)
        if self.reached(done) or self.steering.over(done):
            self.settle()
            return []
        found = [d for d in self.dbps if not d.deterministic and d.beta.item() < self._threshold]
        for dbp in found:
            dbp.drop()
        return found

    def drop_until(self, enough: Callable[[], bool]) -> None:
        """Drops the layer of the smallest beta, again and again, until the search can settle."""
        while not enough():
            # min takes the first of equals: among equal betas the first layer drops.
            smallest = min(
                (d for d in self.dbps if not d.deterministic), key=lambda d: d.beta.item()
            )
            smallest.drop()
            self.greedy_drops.append(smallest)

    def state_dict(self) -> dict[str, Any]:
        """All that changes in a search, but for the DBPs themselves."""
        return {
            "settled": self.settled,
            "greedy_drops": [self.dbps.index(dbp) for dbp in self.greedy_drops],
            "steering": self.steering.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from what ``state_dict`` gave, the DBPs being where they were then."""
        self.settled = state["settled"]
        self.greedy_drops = [self.dbps[index] for index in state["greedy_drops"]]
        self.steering.load_state_dict(state["steering"])
