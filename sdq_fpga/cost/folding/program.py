"""The integer program of folding: one choice for each stage, within a budget.

What stands between stages is in it: converters and FIFOs, whose cost depends on the choices on both
sides. Prices of the resources give a bound of what any design costs (``dual``), and so a proof that
none keeps an interval, or a design that does; whether an interval can be kept is monotone, so
bisection over the intervals that foldings have finds the least. Where prices do not decide, HiGHS
does (``exact``), among the choices that the bound leaves, or first among those whose designs cost
hardly more than the bound: their core (Balas and Zemel, "An Algorithm for Large Zero-One Knapsack
Problems", Operations Research 1980).
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_array, hstack, vstack

from sdq_fpga.board import DspGeneration
from sdq_fpga.cost.folding.dual import Dual, best_prices
from sdq_fpga.cost.folding.edges import Edge, Wires
from sdq_fpga.cost.folding.exact import solve_exactly
from sdq_fpga.cost.folding.figures import RESOURCES
from sdq_fpga.cost.folding.relaxed import Floats, Integers
from sdq_fpga.cost.folding.repair import improved, repaired
from sdq_fpga.cost.folding.wiring import Instance, Stage, Wiring
from sdq_fpga.errors import StageError

__all__ = ["RESOURCES", "Chosen", "Floats", "Program", "Stage"]

_TIGHT = 1e-3  # relative gap of the solver
_CLOSE = 0.02  # relative gap to the bound with which a design will do
_FEW = 200  # choices, of which the best design is found exactly
# A core is the choices of which the bound says that they cost so little more, relatively.
_CORES = (5e-4, 4e-3, 0.03, 0.25, np.inf)
_AN_INTERVAL = 1.0  # of latency is worth as much as all of one resource
_SURE = 1e-9
_OPTIMAL = 0  # status of scipy.optimize


@dataclass(frozen=True)
class Chosen:
    """A choice for each stage.

    Attributes:
        index: [stages] of the choice.
    """

    index: tuple[int, ...]


class Program:
    """The foldings of a network within a budget.

    Args:
        stages: of the network.
        budget: by resource, what may be used.
        edges: the streams between them, each with a FIFO and, where widths differ, a converter.
        wires: what stands on them; None for DSP48E2, of which nothing is known yet.
        proven: whether HiGHS decides what prices do not; else that is taken for impossible, and
            a design for good enough.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        budget: Mapping[str, float],
        edges: Sequence[Edge] = (),
        wires: Wires | None = None,
        *,
        proven: bool = True,
    ) -> None:
        self.stages = tuple(stages)
        self.budget = np.array([budget[name] for name in RESOURCES])
        # In shares of the budget; of what there is none of, one unit is too much.
        self.scale = np.where(self.budget > 0, 1 / np.maximum(self.budget, 1e-9), 2.0)
        self.limits = (self.budget > 0).astype(np.float64)
        self.wiring = Wiring(stages, edges, wires or Wires(DspGeneration.DSP48E2), self.scale)
        self._proven = proven
        self._met: list[Chosen] = []  # within the budget
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
        """Some choice that keeps an interval within the budget; None if there is none, or unproven.

        Raises:
            StageError: the solver has found neither.
        """
        return self._any_at(interval)[0]

    def cheapest_at(self, interval: int) -> Chosen | None:
        """The choice that keeps an interval with the least sum of shares of the budget.

        The sum is at most 2 % above what is proven to be the least, unless the solver gives up.

        Raises:
            StageError: the solver has found neither a choice nor that there is none.
        """
        return self._best_at(interval, for_latency=False)

    def quickest_at(self, interval: int) -> Chosen | None:
        """The choice that keeps an interval and fills the pipeline soon and cheaply.

        What that costs together is at most 2 % above what is proven to be the least, unless the
        solver gives up.

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
        low, high = 0, len(self.intervals)  # the answer is in [low, high]
        sure = 0
        while low < high:
            middle = (low + high) // 2
            try:
                found, none = self._any_at(int(self.intervals[middle]))
            except StageError:
                low = middle + 1
                continue
            if found is None:
                low = middle + 1
                sure = low if none else sure
            else:
                high = int(np.searchsorted(self.intervals, self.interval(found)))
        best = int(self.intervals[high]) if high < len(self.intervals) else None
        bound = int(self.intervals[min(sure, len(self.intervals) - 1)])
        return best, bound

    def nearest_at(self, interval: int) -> Chosen:
        """A choice that keeps an interval and exceeds the budget by little, in shares of it.

        Raises:
            StageError: none keeps it.
        """
        anything = np.full(len(RESOURCES), np.inf)
        instance = self._at(interval, anything, for_latency=False)
        if instance is not None:
            dual = best_prices(instance.relaxed, self.limits, self._prices, any_design=True)
            if dual.nearest is not None:
                return Chosen(instance.chosen(dual.nearest))
        raise StageError(f"no folding has an interval of {interval} cycles", "ask for more")

    def prices(self) -> dict[str, float]:
        """Shadow prices: cycles of interval that one more unit of each resource would save.

        They are the duals of the budget in the program's relaxation, in which a stage may be a
        mixture of foldings.
        """
        # Equal stages may as well be mixed equally.
        count = Counter(stage.foldings for stage in self.stages)
        times = np.array(list(count.values()))
        kept = [each.undominated for each in count]
        rows, sizes = len(count), [len(each) for each in kept]
        columns = sum(sizes)
        stage_of = np.repeat(np.arange(rows), sizes)
        pairs = list(zip(count, kept, strict=True))
        cycles = np.concatenate([each.cycles[k] for each, k in pairs])
        amounts = np.concatenate([each.amounts[k] for each, k in pairs]) * times[stage_of, None]
        scale = float(cycles.min(initial=1)) or 1.0
        one = csr_array((np.ones(columns), (stage_of, np.arange(columns))))
        slowest = csr_array(-np.ones((rows, 1)))
        speed = csr_array((cycles / scale, (stage_of, np.arange(columns))), (rows, columns))
        shares = csr_array((amounts * self.scale).T)
        none = csr_array((len(RESOURCES), 1))
        found = linprog(
            np.r_[np.zeros(columns), 1.0],
            A_ub=vstack([hstack([speed, slowest]), hstack([shares, none])]),
            b_ub=np.r_[np.zeros(rows), self.limits],
            A_eq=hstack([one, csr_array((rows, 1))]),
            b_eq=np.ones(rows),
            method="highs",
        )
        if found.status != _OPTIMAL:
            return dict.fromkeys(RESOURCES, math.nan)
        duals = -np.asarray(found.ineqlin.marginals)[rows:] * scale * self.scale
        return {name: max(0.0, float(dual)) for name, dual in zip(RESOURCES, duals, strict=True)}

    # ---- the solver --------------------------------------------------------------------------

    def _at(self, interval: int, limits: Floats, *, for_latency: bool) -> Instance | None:
        def beside(fill: float, cycles: Integers) -> Floats:
            return _filling(fill, cycles, interval) * for_latency

        return self.wiring.at(interval, limits, beside)

    def _any_at(self, interval: int) -> tuple[Chosen | None, bool]:
        """Some choice that keeps an interval; and, where none was found, whether there is none."""
        instance = self._at(interval, self.limits, for_latency=False)
        if instance is None:
            return None, True
        dual = best_prices(instance.relaxed, self.limits, self._prices, any_design=True)
        if np.isfinite(dual.bound):
            self._prices = dual.prices
        if dual.found is not None and not dual.impossible:
            found = Chosen(instance.chosen(dual.found))
            self._met.append(found)
            return found, False
        if dual.impossible or not self._proven:
            return None, dual.impossible
        some = self._any_of(instance, dual.prices)
        if some is not None:
            self._met.append(some)
        return some, True

    def _best_at(self, interval: int, *, for_latency: bool) -> Chosen | None:
        instance = self._at(interval, self.limits, for_latency=for_latency)
        if instance is None:
            return None
        relaxed = instance.relaxed
        free = np.zeros(len(RESOURCES))
        dual = best_prices(relaxed, self.limits, free, any_design=False, sure=self._prices)
        if not self._proven:
            return self._good_of(interval, instance, dual)
        some = None
        if dual.found is None:
            some = self._met_at(interval) or self.any_at(interval)
            if some is None:
                return None
        best, cost = dual.found, dual.cost
        close = _CLOSE if sum(map(len, instance.kept)) > _FEW else 0.0
        size = max(abs(dual.bound), _SURE)
        marginals: list[Floats] = []
        for near in _CORES:
            if cost <= dual.bound + close * size:
                break
            marginals = marginals or relaxed.marginals(dual.prices, 1.0)
            most = dual.bound + near * size + float(dual.prices @ self.limits)
            kept = [np.flatnonzero(each <= most + _SURE) for each in marginals]
            try:
                found = solve_exactly(relaxed, self.limits, kept, _TIGHT, any_design=False)
            except StageError:
                break  # a larger core would take longer still
            if found is not None:
                best, cost = min(
                    ((best, cost), (found, relaxed.totals(found)[1])),
                    key=lambda each: each[1],
                )
                if cost <= dual.bound + near * size:
                    break  # what is left out costs more
        return some if best is None else Chosen(instance.chosen(best))

    def _good_of(self, interval: int, instance: Instance, dual: Dual) -> Chosen | None:
        """A good design within the budget, by single exchanges; None if none was found."""
        relaxed, found = instance.relaxed, dual.found
        if found is None and dual.nearest is not None:
            found = repaired(relaxed, dual.nearest, self.limits, dual.prices, 1.0)
        if found is None:
            met = self._met_at(interval)
            if met is None:
                return None
            found = instance.numbered(met.index)
        return Chosen(instance.chosen(improved(relaxed, found, self.limits)))

    def _met_at(self, interval: int) -> Chosen | None:
        """What was found last of all that keeps an interval within the budget."""
        met = (each for each in reversed(self._met) if self.interval(each) <= interval)
        return next(met, None)

    def _any_of(self, instance: Instance, prices: Floats) -> Chosen | None:
        """Some design within the budget, of the choices that prices leave."""
        marginals = instance.relaxed.marginals(prices, 0.0)
        most = float(prices @ self.limits) + _SURE
        kept = [np.flatnonzero(each <= most) for each in marginals]
        found = solve_exactly(instance.relaxed, self.limits, kept, _TIGHT, any_design=True)
        return None if found is None else Chosen(instance.chosen(found))


def _filling(fill: float, cycles: Integers, interval: int) -> Floats:
    found: Floats = fill * cycles / interval * _AN_INTERVAL
    return found
