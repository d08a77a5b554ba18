"""The integer program of folding: one choice for each stage, within a budget.

What stands between stages is in it: converters and FIFOs, whose cost depends on the choices on both
sides. Prices of the resources give a bound of what any design costs (``dual``), and so a proof that
none keeps an interval, or a design that does; whether an interval can be kept is monotone, so
bisection over the intervals that foldings have finds the least. Where prices do not decide, HiGHS
does (``exact``), among the choices that the bound leaves.

The design of an interval is the cheapest that single exchanges lead to (``repair``) from those that
prices meet. HiGHS finds a cheaper one of its core, the choices whose designs cost hardly more than
the bound (Balas and Zemel, "An Algorithm for Large Zero-One Knapsack Problems", Operations Research
1980), as long as that is small. How far from the least it may be is told.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sdq_fpga.board import DspGeneration
from sdq_fpga.cost.folding.dual import Dual, best_prices
from sdq_fpga.cost.folding.edges import Edge, Wires
from sdq_fpga.cost.folding.exact import solve_exactly
from sdq_fpga.cost.folding.figures import RESOURCES
from sdq_fpga.cost.folding.relaxed import Floats, Integers
from sdq_fpga.cost.folding.repair import cheapest_of, first_of, improved
from sdq_fpga.cost.folding.shadow import shadow_prices
from sdq_fpga.cost.folding.wiring import Instance, Stage, Wiring
from sdq_fpga.errors import StageError

__all__ = ["RESOURCES", "Chosen", "Floats", "Program", "Stage"]

_TIGHT = 1e-3  # relative gap of the solver
_CLOSE = 0.02  # relative gap to the bound with which a design will do
_FEW = 200  # choices, of which the best design is found exactly
_EASY = 60  # choices beside one for each stage, of which the solver finds the best at once
# A core is the choices of which the bound says that they cost so little more, relatively.
_CORES = (5e-4, 4e-3, 0.03, 0.25, np.inf)
_AN_INTERVAL = 1.0  # of latency is worth as much as all of one resource
_SURE = 1e-9


@dataclass(frozen=True)
class Chosen:
    """A choice for each stage.

    Attributes:
        index: [stages] of the choice.
        gap: by how much, relatively, it may cost more than the cheapest at its interval; None where
            nobody looked for that.
    """

    index: tuple[int, ...]
    gap: float | None = None


class Program:
    """The foldings of a network within a budget.

    Args:
        stages: of the network.
        budget: by resource, what may be used.
        edges: the streams between them, each with a FIFO and, where widths differ, a converter.
        wires: what stands on them; None for DSP48E2, of which nothing is known yet.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        budget: Mapping[str, float],
        edges: Sequence[Edge] = (),
        wires: Wires | None = None,
    ) -> None:
        self.stages = tuple(stages)
        self.budget = np.array([budget[name] for name in RESOURCES])
        # In shares of the budget; of what there is none of, one unit is too much.
        self.scale = np.where(self.budget > 0, 1 / np.maximum(self.budget, 1e-9), 2.0)
        self.limits = (self.budget > 0).astype(np.float64)
        self.wiring = Wiring(stages, edges, wires or Wires(DspGeneration.DSP48E2), self.scale)
        self._met: list[Chosen] = []  # within the budget
        self._duals: dict[int, tuple[Instance, Dual] | None] = {}  # by interval, for any design
        self._prices = np.full(len(RESOURCES), 1 / len(RESOURCES))  # which told the most last time

    # ---- what the foldings have --------------------------------------------------------------

    @property
    def intervals(self) -> Integers:
        """All intervals that a network may have, ascending; some stage can't do with less."""
        return self.wiring.intervals

    def amounts(self, chosen: Chosen) -> Floats:
        """[resources] of a choice and what stands between, in order of ``RESOURCES``."""
        return self.wiring.amounts(chosen.index)

    def interval(self, chosen: Chosen) -> int:
        """Cycles of the slowest node."""
        return self.wiring.interval(chosen.index)

    # ---- solutions ---------------------------------------------------------------------------

    def any_at(self, interval: int) -> Chosen | None:
        """Some choice that keeps an interval within the budget; None if there is none.

        Raises:
            StageError: the solver has found neither.
        """
        if self._is_met(interval):
            return self._met_at(interval)
        asked = self._dual_at(interval)
        if asked is None or asked[1].impossible:
            return None
        instance, dual = asked
        marginals = instance.relaxed.marginals(dual.prices, 0.0)
        most = float(dual.prices @ self.limits) + _SURE
        left = [np.flatnonzero(each <= most) for each in marginals]
        index = solve_exactly(instance.relaxed, self.limits, left, _TIGHT, any_design=True)
        if index is None:
            return None
        self._met.append(Chosen(instance.chosen(index)))
        return self._met[-1]

    def cheapest_at(self, interval: int) -> Chosen | None:
        """The choice that keeps an interval with the least sum of shares of the budget.

        Its gap says how far the sum may be from the least.

        Raises:
            StageError: the solver has found neither a choice nor that there is none.
        """
        return self._best_at(interval, for_latency=False)

    def quickest_at(self, interval: int) -> Chosen | None:
        """The choice that keeps an interval and fills the pipeline soon and cheaply.

        Its gap says how far both together may be from the least.

        Raises:
            StageError: as ``cheapest_at``.
        """
        return self._best_at(interval, for_latency=True)

    def least_interval(self) -> tuple[int | None, int]:
        """The least interval within the budget, and a proven bound of it.

        Returns:
            The interval, None if nothing fits; and the greatest below which none is possible.
            They are equal unless the solver gave up.
        """
        intervals = self.intervals.tolist()
        # What is true of an interval is true of all above.
        most = bisect_left(intervals, True, key=self._is_met)
        sure = bisect_left(intervals, True, hi=most, key=lambda each: not self._impossible(each))
        most, sure = self._decided(sure, most)
        best = intervals[most] if most < len(intervals) else None
        return best, intervals[min(sure, len(intervals) - 1)]

    def _decided(self, low: int, high: int) -> tuple[int, int]:
        """Asks the solver for the numbers of the least interval and of its bound.

        Prices tell of intervals below ``low`` that they can't be kept, and of ``high`` that it can.
        They seldom leave many between, and mostly the least of them can be kept.
        """
        sure = middle = low
        while low < high:
            try:
                found = self.any_at(int(self.intervals[middle]))
            except StageError:
                low = middle + 1
            else:
                if found is None:
                    low = sure = middle + 1
                else:
                    high = int(np.searchsorted(self.intervals, self.interval(found)))
            middle = (low + high) // 2
        return high, sure

    def nearest_at(self, interval: int) -> Chosen:
        """A choice that keeps an interval and exceeds the budget by little, in shares of it.

        Raises:
            StageError: none keeps it.
        """
        anything = np.full(len(RESOURCES), np.inf)
        instance = self._at(interval, anything, for_latency=False)
        if instance is not None:
            dual = best_prices(instance.relaxed, self.limits, self._prices, any_design=True)
            if dual.met:
                return Chosen(instance.chosen(dual.met[0]))
        raise _too_short(interval)

    def need_at(self, interval: int) -> tuple[float, dict[str, float], Chosen]:
        """What keeping an interval takes at the least; what there is none of counts as half a unit.

        Returns:
            How many times the budget, by the greatest bound that prices give: more than 1 where no
            design is within it by any prices. Those prices of a unit, at which the budget is worth
            1. And the design that is worth the least at them.

        Raises:
            StageError: no design keeps the interval.
        """
        whole = np.ones(len(RESOURCES))
        instance = self._at(interval, np.full(len(RESOURCES), np.inf), for_latency=False)
        if instance is None:
            raise _too_short(interval)
        start = self._prices / self._prices.sum()
        dual = best_prices(instance.relaxed, whole, start, any_design=True, to_the_end=True)
        if np.isinf(dual.bound):  # some stream is too slow for it
            raise _too_short(interval)
        worth = float(dual.prices.sum())
        _, index = instance.relaxed.cheapest(instance.relaxed.priced(dual.prices, 0.0))
        prices = dict(zip(RESOURCES, (dual.prices * self.scale / worth).tolist(), strict=True))
        return 1 + dual.bound / worth, prices, Chosen(instance.chosen(index))

    def prices(self) -> dict[str, float]:
        """Shadow prices: cycles of interval that one more unit of each resource would save.

        See ``shadow_prices``; NaN where they were not found.
        """
        duals = shadow_prices([stage.foldings for stage in self.stages], self.scale, self.limits)
        return dict(zip(RESOURCES, duals, strict=True))

    # ---- the solver --------------------------------------------------------------------------

    def _at(self, interval: int, limits: Floats, *, for_latency: bool) -> Instance | None:
        def beside(fill: float, cycles: Integers) -> Floats:
            return _filling(fill, cycles, interval) * for_latency

        return self.wiring.at(interval, limits, beside)

    def _dual_at(self, interval: int) -> tuple[Instance, Dual] | None:
        """What prices tell of any design that keeps an interval; None if some stage can't."""
        if interval not in self._duals:
            instance = self._at(interval, self.limits, for_latency=False)
            self._duals[interval] = None
            if instance is not None:
                start = self._prices
                dual = best_prices(instance.relaxed, self.limits, start, any_design=True)
                if np.isfinite(dual.bound):
                    self._prices = dual.prices
                self._duals[interval] = instance, dual
        return self._duals[interval]

    def _impossible(self, interval: int) -> bool:
        """Whether prices show that no design keeps an interval within the budget."""
        asked = self._dual_at(interval)
        return asked is None or asked[1].impossible

    def _is_met(self, interval: int) -> bool:
        """Whether a design that keeps an interval within the budget was met, or is met now."""
        if self._met_at(interval) is not None:
            return True
        asked = self._dual_at(interval)
        if asked is None or asked[1].impossible:
            return False
        instance, dual = asked
        index = dual.found
        if index is None:
            starts = (*dual.met[:1], *self._met_near(instance, dual.prices), *dual.met[1:])
            index = first_of(instance.relaxed, starts, self.limits, dual.prices)
        if index is None:
            return False
        self._met.append(Chosen(instance.chosen(index)))
        return True

    def _met_at(self, interval: int) -> Chosen | None:
        """What was met last of all that keeps an interval within the budget."""
        met = (each for each in reversed(self._met) if self.interval(each) <= interval)
        return next(met, None)

    def _best_at(self, interval: int, *, for_latency: bool) -> Chosen | None:
        instance = self._at(interval, self.limits, for_latency=for_latency)
        if instance is None:
            return None
        relaxed, free = instance.relaxed, np.zeros(len(RESOURCES))
        dual = best_prices(relaxed, self.limits, free, any_design=False)
        best = cheapest_of(relaxed, list(dual.met), self.limits, dual.prices)
        if best is None:
            starts = self._met_near(instance, dual.prices)
            best = cheapest_of(relaxed, starts, self.limits, dual.prices)
        if best is None:
            some = self.any_at(interval)
            if some is None:
                return None
            best = improved(relaxed, instance.numbered(some.index), self.limits)
        return self._within_gap(instance, dual, best)

    def _within_gap(self, instance: Instance, dual: Dual, best: tuple[int, ...]) -> Chosen:
        """The design, or a cheaper one of a core, and its gap."""
        relaxed = instance.relaxed
        few = sum(map(len, instance.kept)) <= _FEW
        size, bound = max(abs(dual.bound), _SURE), dual.bound
        cost = relaxed.totals(best)[1]
        marginals: list[Floats] = []
        for near in _CORES:
            if cost <= bound + (0.0 if few else _CLOSE) * size:
                break
            marginals = marginals or relaxed.marginals(dual.prices, 1.0)
            most = dual.bound + near * size + float(dual.prices @ self.limits)
            kept = [np.flatnonzero(each <= most + _SURE) for each in marginals]
            if not few and sum(map(len, kept)) - len(kept) > _EASY:
                break
            try:
                found = solve_exactly(relaxed, self.limits, kept, _TIGHT, any_design=False)
            except StageError:
                break  # a larger core would take longer still
            outside = dual.bound + near * size  # what is left out costs more
            if found is None:
                bound = outside
                continue
            least = relaxed.totals(found)[1]
            bound = max(bound, min(outside, least - _TIGHT * abs(least)))
            if least < cost:
                best, cost = found, least
            if cost <= outside:
                break
        return Chosen(instance.chosen(best), max(0.0, (cost - bound) / size))

    def _met_near(self, instance: Instance, prices: Floats) -> list[tuple[int, ...]]:
        """What was found at other intervals, with other choices for stages that are too slow."""
        found = (instance.numbered(each.index, prices) for each in self._met)
        return [each for each in found if instance.relaxed.can_be(each)]


def _too_short(interval: int) -> StageError:
    return StageError(f"no folding has an interval of {interval} cycles", "ask for more")


def _filling(fill: float, cycles: Integers, interval: int) -> Floats:
    found: Floats = fill * cycles / interval * _AN_INTERVAL
    return found
