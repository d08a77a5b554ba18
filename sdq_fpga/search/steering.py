"""Steers a search along a straight line to a goal, whatever the goal is measured in.

The measure m, which the betas decide, follows a reference r that falls to the goal. The term in the
loss is the augmented Lagrangian of the constraint h = (m - r) / span <= 0 (Nocedal and Wright,
"Numerical Optimization", 2nd edition, section 17.4), whose multiplier rises while the search lags
behind the reference, and falls while it leads: a PI controller. So the price of a bit is as high as
the goal needs, and the layers that lose least by a drop pay first.
"""

from collections.abc import Callable, Sequence

from torch import Tensor, relu

from sdq_fpga.search.dbp import Dbp

__all__ = ["Steering", "drop_smallest", "dropped"]

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
        pressure = relu(self.multiplier + _PENALTY * self._lag(measure))
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

    def _lag(self, measure: Tensor) -> Tensor:
        return (measure - self._reference) / self._span


def dropped(dbps: Sequence[Dbp], threshold: float) -> list[Dbp]:
    """Drops the layers whose beta fell under the threshold; returns their DBPs."""
    found = [dbp for dbp in dbps if not dbp.deterministic and dbp.beta.item() < threshold]
    for dbp in found:
        dbp.drop()
    return found


def drop_smallest(dbps: Sequence[Dbp], enough: Callable[[], bool]) -> list[Dbp]:
    """Drops the layer of the smallest beta, again and again, until it is enough.

    Args:
        dbps: some of which can drop.
        enough: says whether the search could settle.

    Returns:
        Those that had to drop, in order.
    """
    found = []
    while not enough():
        # min takes the first of equals: among equal betas the first layer drops.
        smallest = min((d for d in dbps if not d.deterministic), key=lambda d: d.beta.item())
        smallest.drop()
        found.append(smallest)
    return found
