"""The bits that cost a search the least, of those with which a board reaches a speed.

What bits take depends on the folding, and the best folding on the bits: the integer program takes
them by the tables of one folding, beginning with that of the fewest bits; then the network is
folded again, as long as the bits get better.
"""

from collections.abc import Callable, Sequence

import torch

from sdq_fpga.cost.folding.figures import usable
from sdq_fpga.cost.folding.program import RESOURCES
from sdq_fpga.cost.folding.solve import Solution
from sdq_fpga.cost.policies import FixedFolding, PolicyTables, Refolding, TableGroup, worth
from sdq_fpga.search.board_goal import BoardGoal, Foldings
from sdq_fpga.search.decided import Decided
from sdq_fpga.search.limit import Costs
from sdq_fpga.search.program import Taken, cheapest_choice

__all__ = ["BoardProgram"]

_ROUNDS = 4  # of foldings to start from
_TIGHTER = (1.0, 0.97, 0.94, 0.9, 0.85, 0.8)  # of the budget, where tables promise too much


class BoardProgram:
    """Chooses bits by the tables of foldings.

    Args:
        goal: what is wanted of the board.
        candidates: [choices] bits of each, ascending.
        decided: what these decide.
        foldings: of the network, for the goal.
        fixed: tables of its foldings.
        anew: tables of the network where each stage is folded anew.
    """

    def __init__(
        self,
        goal: BoardGoal,
        candidates: Sequence[tuple[int, ...]],
        decided: Decided,
        foldings: Foldings,
        fixed: FixedFolding,
        anew: Refolding,
    ) -> None:
        self._goal = goal
        self._candidates = candidates
        self._decided = decided
        self._foldings = foldings
        self._fixed = fixed
        self._anew = anew

    def cheapest(self, costs: Costs, allows: Callable[[Sequence[int]], bool]) -> tuple[int, ...]:
        """The bits that cost the least, of those that were found; at worst the fewest.

        Args:
            costs: of each candidate.
            allows: whether some folding within the budget reaches the speed with some bits.

        Raises:
            StageError: the solver found none in its time.
        """

        def cost(bits: Sequence[int]) -> float:
            triples = zip(self._candidates, costs, bits, strict=True)
            return sum(own[candidates.index(b)] for candidates, own, b in triples)

        best = tuple(each[0] for each in self._candidates)
        for _ in range(_ROUNDS):
            folded = self._foldings.cheapest(self._decided.graph(best))
            if folded is None:  # the fewest bits, which leave FIFOs no room but what they need
                break
            found = [self._within(each, costs, allows) for each in self._tables(folded)]
            better = min((each for each in found if each is not None), key=cost, default=best)
            if cost(better) >= cost(best):
                break
            best = better
        return best

    def _tables(self, folded: Solution) -> tuple[PolicyTables, PolicyTables]:
        """What bits take in a folding as it is, and where each stage keeps its interval anew."""
        goal, fixed = self._goal, self._fixed
        prices = worth(folded, goal.board, self._foldings.within)
        interval = folded.interval if goal.target_latency_us else int(goal.interval)
        beside = fixed.between(folded.graph)
        return fixed.of(folded.graph), self._anew.tables(interval, prices, beside)

    def _within(
        self, tables: PolicyTables, costs: Costs, allows: Callable[[Sequence[int]], bool]
    ) -> tuple[int, ...] | None:
        """The cheapest bits by tables that are allowed; None if none were found."""
        limits = usable(self._goal.board, self._foldings.within)
        taken = [each for group in tables.groups for each in self._taken(tables, group)]
        for share in _TIGHTER:
            found = cheapest_choice(costs, taken, [share * limits[name] for name in RESOURCES])
            if found is None:
                return None
            bits = tuple(each[p] for each, p in zip(self._candidates, found, strict=True))
            if allows(bits):
                return bits
        return None

    def _taken(self, tables: PolicyTables, group: TableGroup) -> list[Taken]:
        """The tables of a group, of the candidates alone."""
        owners, shifts = self._decided.owners, self._decided.shifts
        found = []
        for variables, values in zip(group.variables, group.values, strict=True):
            picked = values
            for axis, variable in enumerate(variables):
                inside = torch.tensor(self._candidates[owners[variable]]) + shifts[variable]
                low, high = int(tables.lowest[variable]), int(tables.highest[variable])
                picked = picked.take((inside.clamp(low, high) - low).numpy(), axis=axis)
            found.append(Taken(tuple(owners[variable] for variable in variables), picked))
        return found
