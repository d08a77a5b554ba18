"""The best prices of resources: those whose bound of all designs within the budget is the greatest.

The bound is a concave function of the prices, found by cutting planes (Kelley, "The Cutting-Plane
Method for Solving Convex Programs", 1960) that are taken half-way to the best prices known, which
is steadier. Each step makes a design, and some of these are within the budget.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sdq_fpga.cost.folding.master import Master
from sdq_fpga.cost.folding.relaxed import NEVER, Floats, Priced, Relaxed
from sdq_fpga.cost.folding.repair import repaired

__all__ = ["Dual", "best_prices"]

_STEPS = 80
_DEAREST = 1e3  # price of a whole budget, where all of one costs 1
_TOLERANCE = 1e-9
_NEAR = 1e-5  # of the greatest bound
_STEPS_OFF = (0.0, 1e-4, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)  # relative, of prices


@dataclass(frozen=True)
class Dual:
    """What prices tell.

    Attributes:
        bound: no design within the budget costs less; where any design will do, there is none if
            it is above 0.
        prices: [resources] of a whole budget, which show that.
        found: the cheapest design within the budget that was met.
        cost: what it costs.
        nearest: the design that was met which exceeds the budget the least; None if no design
            keeps up.
    """

    bound: float
    prices: Floats
    found: tuple[int, ...] | None
    cost: float
    nearest: tuple[int, ...] | None

    @property
    def impossible(self) -> bool:
        """Whether no design is within the budget, where any will do."""
        return self.bound > _TOLERANCE


class _Met:
    """The designs that were met."""

    def __init__(self, relaxed: Relaxed, limits: Floats) -> None:
        self.relaxed, self.limits = relaxed, limits
        self.found: tuple[int, ...] | None = None
        self.nearest: tuple[int, ...] | None = None
        self.cost = self.excess = np.inf

    def meet(self, priced: Priced) -> tuple[float, Floats, float]:
        """Meets the cheapest design: what it costs so priced, [resources] excess, and its cost."""
        value, index = self.relaxed.cheapest(priced)
        if value >= NEVER / 2:
            return np.inf, np.zeros(len(self.limits)), np.inf
        amounts, cost = self.relaxed.totals(index)
        excess = amounts - self.limits
        if excess.max() <= _TOLERANCE and cost < self.cost:
            self.found, self.cost = index, cost
        if excess.max() < self.excess:
            self.nearest, self.excess = index, float(excess.max())
        return value, excess, cost

    def told(self, bound: float, prices: Floats) -> Dual:
        return Dual(bound, prices, self.found, self.cost, self.nearest)


def best_prices(
    relaxed: Relaxed,
    limits: Floats,
    start: Floats,
    *,
    any_design: bool,
    sure: Floats | None = None,
) -> Dual:
    """Looks for the best prices.

    Args:
        relaxed: the stages.
        limits: [resources] budget, in shares of it: 1, or 0 where there is none.
        start: [resources] prices to begin with.
        any_design: whether any design within the budget will do; then the search ends as soon as
            there is one, or none is possible.
        sure: [resources] prices at which a design that costs nothing else is within the budget.
    """
    weight = 0.0 if any_design else 1.0
    met = _Met(relaxed, limits)
    # What there is none of, no choice takes, and has no price.
    most: Floats = np.where(limits > 0, _DEAREST, 0.0)
    master = Master(most, 1.0 if any_design else None)
    prices, best, best_at = start, -np.inf, start
    for _ in range(_STEPS):
        value, excess, cost = met.meet(relaxed.priced(prices, weight))
        bound = value - float(prices @ limits)
        if bound > best:
            best, best_at = bound, prices
        if any_design and (met.found is not None or best > _TOLERANCE):
            return met.told(best, prices)
        if np.isinf(bound):
            break
        top, at = master.cut(excess, weight * cost)
        if min(top, met.cost) - best <= _NEAR * max(1.0, abs(best)):
            break
        prices = (best_at + at) / 2
    if any_design and met.nearest is not None:
        met.found = repaired(relaxed, met.nearest, limits, best_at, weight)
    if not any_design and met.cost - best > _NEAR * max(1.0, abs(best)):
        _fill(relaxed, met, best_at, sure)
    return met.told(best, best_at)


def _fill(relaxed: Relaxed, met: _Met, prices: Floats, sure: Floats | None) -> None:
    """Looks for designs that use up the budget.

    At somewhat lower prices a design exceeds it, and at dearer ones it is within; but equal stages
    change together, which leaves much unused. So as few as possible pay the dearer prices, of the
    first or of the last.
    """
    stages = len(relaxed.parts)
    dear = _first(relaxed, met, prices, [(1 + more, 1.0) for more in _STEPS_OFF], within=True)
    if dear is None and sure is not None:
        dear = _first(relaxed, met, sure, [(1.0, 0.0)], within=True)
    cheap = _first(relaxed, met, prices, [(1 - less, 1.0) for less in _STEPS_OFF], within=False)
    if dear is None or cheap is None:
        return
    for first in (True, False):
        low, high = 0, stages  # that are to pay them
        while high - low > 1:
            middle = (low + high) // 2
            mixed = (
                relaxed.mixed(dear, cheap, middle)
                if first
                else relaxed.mixed(cheap, dear, stages - middle)
            )
            if met.meet(mixed)[1].max() <= _TOLERANCE:
                high = middle
            else:
                low = middle


def _first(
    relaxed: Relaxed,
    met: _Met,
    prices: Floats,
    ways: Sequence[tuple[float, float]],
    *,
    within: bool,
) -> Priced | None:
    """The first way to price that makes a design within the budget, or one that is not.

    Args:
        relaxed: the stages.
        met: told of all designs.
        prices: [resources].
        ways: what they are multiplied by, and the weight of what a design costs.
        within: whether it has to be within the budget.
    """
    for factor, weight in ways:
        priced = relaxed.priced(prices * factor, weight)
        if (met.meet(priced)[1].max() <= _TOLERANCE) == within:
            return priced
    return None
