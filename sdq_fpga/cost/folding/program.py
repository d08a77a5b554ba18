"""The integer program of folding: one choice for each stage, within a budget.

For a given interval it is a multiple-choice knapsack: of each stage's foldings that keep up, one is
taken, and no resource may exceed its budget. HiGHS solves it; whether an interval can be kept is
monotone, so bisection over the intervals that foldings have finds the least, with proof.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import csr_array

from sdq_fpga.cost.folding.choices import Choice
from sdq_fpga.errors import StageError

__all__ = ["RESOURCES", "Chosen", "Floats", "Program", "Stage"]

RESOURCES = ("lut", "ff", "bram18", "uram", "dsp")
_SECONDS = 20.0  # for one call of the solver
_FIRST = 1e6  # relative gap with which the first solution will do
_TIGHT = 1e-4  # relative gap
_TIE = 1e-3  # weight of all resources beside the shortest
_AN_INTERVAL = 1.0  # of latency is worth as much as all of one resource
_OPTIMAL, _INFEASIBLE = 0, 2  # status of scipy.optimize

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Stage:
    """Nodes that are folded together, because no width converter may stand between them.

    Attributes:
        names: of the nodes.
        layer: name of the layer that they come from.
        choices: for each folding of the stage, one choice for each node.
        fill: share of the stage's cycles that goes by before it gives its first output.
    """

    names: tuple[str, ...]
    layer: str
    choices: tuple[tuple[Choice, ...], ...]
    fill: float

    @cached_property
    def cycles(self) -> Integers:
        """[choices] cycles between frames."""
        return np.array([max(each.cycles for each in choice) for choice in self.choices])

    @cached_property
    def amounts(self) -> Floats:
        """[choices, resources] in order of ``RESOURCES``."""
        return np.array(
            [
                [sum(getattr(each.resources, name) for each in choice) for name in RESOURCES]
                for choice in self.choices
            ],
            np.float64,
        )


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
    """

    def __init__(self, stages: Sequence[Stage], budget: Mapping[str, float]) -> None:
        self.stages = tuple(stages)
        self.budget = np.array([budget[name] for name in RESOURCES])
        # In shares of the budget; of what there is none of, one unit is too much.
        self.scale = np.where(self.budget > 0, 1 / np.maximum(self.budget, 1e-9), 2.0)
        self.limits = (self.budget > 0).astype(np.float64)

    # ---- what the foldings have --------------------------------------------------------------

    @cached_property
    def intervals(self) -> Integers:
        """All intervals that a network may have, ascending; some stage can't do with less."""
        least = max(int(stage.cycles.min()) for stage in self.stages)
        found = np.unique(np.concatenate([stage.cycles for stage in self.stages]))
        return found[found >= least]

    def amounts(self, chosen: Chosen) -> Floats:
        """[resources] of a choice, in order of ``RESOURCES``."""
        pairs = zip(self.stages, chosen.index, strict=True)
        found: Floats = np.sum([stage.amounts[index] for stage, index in pairs], axis=0)
        return found

    def filling(self, stage: Stage, interval: int) -> Floats:
        """[choices] what filling the pipeline costs: an interval as much as ``_AN_INTERVAL``."""
        found: Floats = stage.fill * stage.cycles / interval * _AN_INTERVAL
        return found

    def interval(self, chosen: Chosen) -> int:
        """Cycles of the slowest stage."""
        return max(
            int(stage.cycles[index]) for stage, index in zip(self.stages, chosen.index, strict=True)
        )

    # ---- solutions ---------------------------------------------------------------------------

    def any_at(self, interval: int) -> Chosen | None:
        """Some choice that keeps an interval within the budget; None if there is none.

        Raises:
            StageError: the solver has found neither in its time.
        """
        return self._solve(interval, self._shares, _FIRST, for_latency=False)

    def cheapest_at(self, interval: int) -> Chosen | None:
        """The choice that keeps an interval with the least sum of shares of the budget."""
        return self._solve(interval, self._shares, _TIGHT, for_latency=False)

    def quickest_at(self, interval: int) -> Chosen | None:
        """The choice that keeps an interval and fills the pipeline soon and cheaply."""

        def cost(stage: Stage, kept: Integers) -> Floats:
            return self.filling(stage, interval)[kept] + self._shares(stage, kept)

        return self._solve(interval, cost, _TIGHT, for_latency=True)

    def least_interval(self) -> tuple[int | None, int]:
        """The least interval within the budget, and a proven bound of it.

        Returns:
            The interval, None if nothing fits; and the greatest below which none is possible.
            They are equal unless the solver ran out of time.
        """
        low, high = 0, len(self.intervals)  # the answer is in [low, high]
        sure = 0
        while low < high:
            middle = (low + high) // 2
            try:
                found = self.any_at(int(self.intervals[middle]))
            except StageError:
                low = middle + 1
                continue
            if found is None:
                low = sure = middle + 1
            else:
                high = int(np.searchsorted(self.intervals, self.interval(found)))
        best = int(self.intervals[high]) if high < len(self.intervals) else None
        bound = int(self.intervals[min(sure, len(self.intervals) - 1)])
        return best, bound

    def prices(self) -> dict[str, float]:
        """Shadow prices: cycles of interval that one more unit of each resource would save.

        They are the duals of the budget in the program's relaxation, in which a stage may be a
        mixture of foldings.
        """
        kept = [_undominated(np.c_[stage.cycles, stage.amounts]) for stage in self.stages]
        columns = sum(map(len, kept))
        stage_of = np.repeat(np.arange(len(kept)), [len(each) for each in kept])
        cycles = np.concatenate([s.cycles[k] for s, k in zip(self.stages, kept, strict=True)])
        scale = float(cycles.min(initial=1)) or 1.0
        one = csr_array((np.ones(columns), (stage_of, np.arange(columns))))
        amounts = np.concatenate([s.amounts[k] for s, k in zip(self.stages, kept, strict=True)])
        rows = len(self.stages)
        speed = csr_array((cycles / scale, (stage_of, np.arange(columns))), (rows, columns + 1))
        upper = np.zeros((rows + len(RESOURCES), columns + 1))
        upper[:rows] = speed.toarray()
        upper[:rows, -1] = -1.0
        upper[rows:, :-1] = (amounts * self.scale).T
        equal = np.c_[one.toarray(), np.zeros(rows)]
        found = linprog(
            np.r_[np.zeros(columns), 1.0],
            A_ub=upper,
            b_ub=np.r_[np.zeros(rows), self.limits],
            A_eq=equal,
            b_eq=np.ones(rows),
            method="highs",
        )
        if found.status != _OPTIMAL:
            return dict.fromkeys(RESOURCES, math.nan)
        duals = -np.asarray(found.ineqlin.marginals)[rows:] * scale * self.scale
        return {name: max(0.0, float(dual)) for name, dual in zip(RESOURCES, duals, strict=True)}

    # ---- the solver --------------------------------------------------------------------------

    def nearest_at(self, interval: int) -> Chosen:
        """The choice that keeps an interval and exceeds the budget the least, in shares of it."""
        kept = self._kept(interval, for_latency=False)
        pairs = zip(self.stages, kept, strict=True)
        shares = np.concatenate([self._shares(stage, where) for stage, where in pairs])
        found = self._run(kept, np.r_[shares * _TIE, 1.0], _TIGHT, exceeding=True)
        if found is None:
            raise StageError(f"no folding has an interval of {interval} cycles", "ask for more")
        return found

    def _shares(self, stage: Stage, kept: Integers) -> Floats:
        shares: Floats = (stage.amounts[kept] * self.scale).sum(axis=1)
        return shares

    def _solve(
        self, interval: int, cost: Callable[[Stage, Integers], Floats], gap: float,
        *, for_latency: bool,
    ) -> Chosen | None:  # fmt: skip
        kept = self._kept(interval, for_latency=for_latency)
        if not all(map(len, kept)):
            return None
        pairs = zip(self.stages, kept, strict=True)
        costs = np.concatenate([cost(stage, where) for stage, where in pairs])
        return self._run(kept, costs, gap, exceeding=False)

    def _kept(self, interval: int, *, for_latency: bool) -> list[Integers]:
        """[choices] of each stage, those that keep an interval and may be the best."""
        known: dict[tuple[int, bool], Integers] = {}  # equal stages share their choices
        for stage in self.stages:
            timed = for_latency and stage.fill > 0
            key = id(stage.choices), timed
            if key not in known:
                where = np.flatnonzero(stage.cycles <= interval)
                what = stage.amounts[where]
                if timed:
                    what = np.c_[stage.cycles[where], what]
                known[key] = where[_undominated(what)]
        return [known[id(s.choices), for_latency and s.fill > 0] for s in self.stages]

    def _run(
        self, kept: list[Integers], costs: Floats, gap: float, *, exceeding: bool
    ) -> Chosen | None:
        """Solves for one of the kept choices of each stage.

        Args:
            kept: [choices] of each stage.
            costs: of all of them; with ``exceeding``, also of the share of the budget that is
                taken of whichever resource is the shortest, which may then be more than 1.
            gap: relative gap with which a solution will do.
            exceeding: see there.
        """
        sizes = [len(each) for each in kept]
        count = sum(sizes)
        stage_of = np.repeat(np.arange(len(kept)), sizes)
        one = csr_array((np.ones(count), (stage_of, np.arange(count))), (len(kept), len(costs)))
        pairs = zip(self.stages, kept, strict=True)
        shares = np.concatenate([stage.amounts[k] * self.scale for stage, k in pairs]).T
        limits = self.limits
        if exceeding:
            shares, limits = np.c_[shares, -np.ones(len(RESOURCES))], np.zeros(len(RESOURCES))
        found = milp(
            costs,
            integrality=np.arange(len(costs)) < count,
            bounds=Bounds(0, np.where(np.arange(len(costs)) < count, 1, np.inf)),
            constraints=[
                LinearConstraint(one, 1, 1),
                LinearConstraint(shares, -np.inf, limits),
            ],
            options={"time_limit": _SECONDS, "mip_rel_gap": gap},
        )
        if found.status == _INFEASIBLE:
            return None
        if found.x is None:
            raise StageError(
                f"no folding was found in {_SECONDS:g} s", "ask for another frame rate"
            )
        begins = np.cumsum([0, *sizes[:-1]])
        index = tuple(
            int(where[np.argmax(found.x[begin : begin + size])])
            for where, begin, size in zip(kept, begins, sizes, strict=True)
        )
        return Chosen(index)


def _undominated(what: Floats) -> Integers:
    """Indices of rows of which no other is at most as much in everything; equal ones once."""
    kept: list[int] = []
    for row in np.lexsort(what.T[::-1]):
        if not kept or not (what[kept] <= what[row]).all(axis=1).any():
            kept.append(int(row))
    return np.array(sorted(kept), np.int64)
