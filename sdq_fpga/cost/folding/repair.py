"""Brings a design that exceeds the budget a little within it, and makes one within it cheaper.

One stage after the other gets another choice, with its neighbours as they are. It proves nothing,
but where prices make equal stages change together, it finds what lies between.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from sdq_fpga.cost.folding.relaxed import NEVER, Floats, Relaxed

__all__ = ["cheapest_of", "first_of", "improved", "repaired"]

_TOLERANCE = 1e-9
_LEAST_WORTH = 1e-4  # of what an exchange costs, so that free ones are compared, too


def repaired(
    relaxed: Relaxed, index: Sequence[int], limits: Floats, prices: Floats, weight: float
) -> tuple[int, ...] | None:
    """A design within the budget that differs little; None if none was found.

    Each exchange is the one that takes away the most excess for what it costs.

    Args:
        relaxed: the stages.
        index: of each stage, its choice.
        limits: [resources] budget, in shares of it.
        prices: [resources] of a whole budget.
        weight: as of ``Relaxed.priced``.
    """
    return _repaired(_Moves(relaxed, index, limits), prices, weight)


def _repaired(moves: "_Moves", prices: Floats, weight: float) -> tuple[int, ...] | None:
    worth = np.r_[prices, weight]
    while (now := np.maximum(moves.excess, 0.0).sum()) > _TOLERANCE:
        tried = moves.tried()
        less = now - np.maximum(tried[:, :-1], 0.0).sum(axis=1)
        dearer = np.maximum((tried - moves.now) @ worth, _LEAST_WORTH)
        score = np.where(less > _TOLERANCE, less / dearer, 0.0)
        best = int(score.argmax())
        if score[best] <= 0:
            return None
        moves.take(best)
    return moves.index


def improved(relaxed: Relaxed, index: Sequence[int], limits: Floats) -> tuple[int, ...]:
    """A design within the budget, made cheaper as long as one exchange does that.

    Args:
        relaxed: the stages.
        index: of each stage, its choice; within the budget.
        limits: [resources] budget, in shares of it.
    """
    moves = _Moves(relaxed, index, limits)
    while True:
        tried = moves.tried()
        within = (tried[:, :-1] <= _TOLERANCE).all(axis=1)
        costs = np.where(within, tried[:, -1], np.inf)
        best = int(costs.argmin())
        if not costs[best] < moves.now[-1] - _TOLERANCE:
            return moves.index
        moves.take(best)


def first_of(
    relaxed: Relaxed, starts: Iterable[Sequence[int]], limits: Floats, prices: Floats
) -> tuple[int, ...] | None:
    """The first design within the budget that one of several leads to; None if none does.

    Args:
        relaxed: the stages.
        starts: of each design, the choice of each stage.
        limits: [resources] budget, in shares of it.
        prices: [resources] of a whole budget.
    """
    return next(_all_repaired(relaxed, starts, limits, prices, 0.0), None)


def cheapest_of(
    relaxed: Relaxed, starts: Iterable[Sequence[int]], limits: Floats, prices: Floats
) -> tuple[int, ...] | None:
    """The cheapest design within the budget that one of several leads to; None if none does.

    Arguments are as of ``first_of``.
    """
    within = dict.fromkeys(_all_repaired(relaxed, starts, limits, prices, 1.0))
    found = (improved(relaxed, each, limits) for each in within)
    return min(found, key=lambda each: relaxed.totals(each)[1], default=None)


def _all_repaired(
    relaxed: Relaxed,
    starts: Iterable[Sequence[int]],
    limits: Floats,
    prices: Floats,
    weight: float,
) -> Iterator[tuple[int, ...]]:
    """Those that come within the budget; each begins where the one before ended, which is near."""
    moves: _Moves | None = None
    for start in starts:
        if moves is None:
            moves = _Moves(relaxed, start, limits)
        moves.go_to(start)
        found = _repaired(moves, prices, weight)
        if found is not None:
            yield found


class _Moves:
    """A design, and all that differ from it in one stage.

    Args:
        relaxed: the stages.
        index: of each stage, its choice.
        limits: [resources] budget, in shares of it.

    Attributes:
        now: [resources + 1] excess of the design, and what it costs.
    """

    def __init__(self, relaxed: Relaxed, index: Sequence[int], limits: Floats) -> None:
        self._relaxed, self._limits = relaxed, limits
        self._chosen = list(index)
        amounts, cost = relaxed.totals(index)
        self.now = np.r_[amounts - limits, cost]
        sizes = [len(part.kinds) for part in relaxed.parts]
        self._begins = np.cumsum([0, *sizes])
        self._stage_of = np.repeat(np.arange(len(sizes)), sizes)
        self._links: list[list[int]] = [[] for _ in sizes]
        for number, (source, sink, _) in enumerate(relaxed.links):
            self._links[source].append(number)
            self._links[sink].append(number)
        self._table = np.concatenate([self._rows(stage) for stage in range(len(sizes))])

    @property
    def excess(self) -> Floats:
        """[resources] of the design."""
        found: Floats = self.now[:-1]
        return found

    @property
    def index(self) -> tuple[int, ...]:
        """Of each stage, its choice."""
        return tuple(self._chosen)

    def tried(self) -> Floats:
        """[choices of all stages, resources + 1] what ``now`` would be with each of them."""
        at = self._begins[:-1] + self._chosen
        found: Floats = self._table + (self.now - self._table[at])[self._stage_of]
        return found

    def take(self, row: int) -> None:
        """Takes one of them."""
        stage = int(self._stage_of[row])
        begin = int(self._begins[stage])
        self.now = self.now + self._table[row] - self._table[begin + self._chosen[stage]]
        self._chosen[stage] = row - begin
        self._tell_neighbours([stage])

    def go_to(self, index: Sequence[int]) -> None:
        """Takes another design, which may differ in any stages."""
        parts = self._relaxed.parts
        pairs = enumerate(zip(self._chosen, index, strict=True))
        changed = [stage for stage, (old, new) in pairs if old != new]
        seen = [k for k in changed if parts[k].kinds[self._chosen[k]] != parts[k].kinds[index[k]]]
        self._chosen = list(index)
        amounts, cost = self._relaxed.totals(index)
        self.now = np.r_[amounts - self._limits, cost]
        self._tell_neighbours(seen)

    def _tell_neighbours(self, stages: Sequence[int]) -> None:
        """Makes the rows of those anew that stages with other choices are linked to."""
        links = self._relaxed.links
        near = {
            end
            for stage in stages
            for k in self._links[stage]
            for end in links[k][:2]
            if end != stage
        }
        for other in near:
            self._table[self._begins[other] : self._begins[other + 1]] = self._rows(other)

    def _rows(self, stage: int) -> Floats:
        """[choices, resources + 1] what they take and cost, with what stands beside them."""
        parts = self._relaxed.parts
        own = parts[stage]
        beside = np.zeros((self._relaxed.sizes[stage], own.amounts.shape[1]))
        for number in self._links[stage]:
            source, sink, link = self._relaxed.links[number]
            there = parts[sink if source == stage else source]
            kind = there.kinds[self._chosen[sink if source == stage else source]]
            of_kinds = link.amounts[:, kind] if source == stage else link.amounts[kind]
            never = link.never[:, kind] if source == stage else link.never[kind]
            beside = beside + np.where(never[:, None], NEVER, of_kinds)
        amounts = own.amounts + beside[own.kinds]
        found: Floats = np.c_[amounts, amounts.sum(axis=1) + own.costs]
        return found
