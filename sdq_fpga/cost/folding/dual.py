"""The best prices of resources: those whose bound of all designs within the budget is the greatest.

The bound is a concave function of the prices, found by cutting planes (Kelley, "The Cutting-Plane
Method for Solving Convex Programs", 1960) that are taken half-way to the best prices known, which
is steadier. Each step meets a design, and some of these are within the budget or near it.
"""

from dataclasses import dataclass

import numpy as np

from sdq_fpga.cost.folding.master import Master
from sdq_fpga.cost.folding.relaxed import NEVER, Floats, Relaxed

__all__ = ["Dual", "best_prices"]

_STEPS = 80
_DEAREST = 1e3  # price of a whole budget, where all of one costs 1
_TOLERANCE = 1e-9
_NEAR = 1e-5  # of the greatest bound


@dataclass(frozen=True)
class Dual:
    """What prices tell.

    Attributes:
        bound: no design within the budget costs less; where any design will do, there is none if
            it is above 0.
        prices: [resources] of a whole budget, which show that.
        found: the cheapest design within the budget that was met.
        cost: what it costs.
        met: all designs that were met, those that exceed the budget the least first; none if no
            design keeps up.
    """

    bound: float
    prices: Floats
    found: tuple[int, ...] | None
    cost: float
    met: tuple[tuple[int, ...], ...]

    @property
    def impossible(self) -> bool:
        """Whether no design is within the budget, where any will do."""
        return self.bound > _TOLERANCE


class _Met:
    """The designs that were met."""

    def __init__(self, relaxed: Relaxed, limits: Floats) -> None:
        self.relaxed, self.limits = relaxed, limits
        self.found: tuple[int, ...] | None = None
        self.cost = np.inf
        self._excess: dict[tuple[int, ...], float] = {}

    def meet(self, prices: Floats, weight: float) -> tuple[float, Floats, float]:
        """Meets the cheapest design: what it costs so priced, [resources] excess, and its cost."""
        value, index = self.relaxed.cheapest(self.relaxed.priced(prices, weight))
        if value >= NEVER / 2:
            return np.inf, np.zeros(len(self.limits)), np.inf
        amounts, cost = self.relaxed.totals(index)
        excess = amounts - self.limits
        if excess.max() <= _TOLERANCE and cost < self.cost:
            self.found, self.cost = index, cost
        self._excess.setdefault(index, float(excess.max()))
        return value, excess, cost

    def told(self, bound: float, prices: Floats) -> Dual:
        met = sorted(self._excess, key=self._excess.__getitem__)
        return Dual(bound, prices, self.found, self.cost, tuple(met))


def best_prices(
    relaxed: Relaxed,
    limits: Floats,
    start: Floats,
    *,
    any_design: bool,
    to_the_end: bool = False,
) -> Dual:
    """Looks for the best prices.

    Args:
        relaxed: the stages.
        limits: [resources] budget, in shares of it: 1, or 0 where there is none.
        start: [resources] prices to begin with.
        any_design: whether any design within the budget will do; then the search ends as soon as
            there is one, or none is possible. All prices together are 1 then.
        to_the_end: whether it looks for the best even so.
    """
    weight = 0.0 if any_design else 1.0
    met = _Met(relaxed, limits)
    # What there is none of, no choice takes, and has no price.
    most: Floats = np.where(limits > 0, _DEAREST, 0.0)
    master = Master(most, 1.0 if any_design else None)
    prices, best, best_at = start, -np.inf, start
    for _ in range(_STEPS):
        value, excess, cost = met.meet(prices, weight)
        bound = value - float(prices @ limits)
        if bound > best:
            best, best_at = bound, prices
        told = any_design and not to_the_end
        if told and (met.found is not None or best > _TOLERANCE):
            return met.told(best, prices)
        if np.isinf(bound):
            break
        top, at = master.cut(excess, weight * cost)
        if min(top, np.inf if any_design else met.cost) - best <= _NEAR * max(1.0, abs(best)):
            break
        prices = (best_at + at) / 2
    return met.told(best, best_at)
