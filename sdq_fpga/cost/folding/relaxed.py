"""The folding program with prices instead of budgets: then a network is solved by elimination.

Where every resource has a price, a design costs the sum of what its stages and the streams between
them cost, and the cheapest is found exactly: stage after stage is eliminated, its best choice noted
for all choices of its neighbours (Bertele and Brioschi, "Nonserial Dynamic Programming", 1972).
Networks are chains with a few branches, so that few neighbours are ever left.

At any prices, the cost of that design less the worth of the budget is a bound of what all designs
within the budget cost (Lagrangian duality; Fisher, "The Lagrangian Relaxation Method", Management
Science 1981). What choices cost at the least in any design (min-marginals) shows which of them no
better design can have.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import numpy.typing as npt

__all__ = ["NEVER", "Floats", "Integers", "Link", "Part", "Priced", "Relaxed"]

NEVER = 1e12
"""Cost of what can not be."""

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Part:
    """Choices of a stage; equal stages share one.

    Attributes:
        amounts: [choices, resources] in shares of the budget.
        costs: [choices] what they cost beside all shares of the budget.
        kinds: [choices] number of the kind: choices of one kind look alike from outside.
    """

    amounts: Floats
    costs: Floats
    kinds: Integers

    def priced(self, prices: Floats, weight: float) -> Floats:
        """[choices] what they cost."""
        found: Floats = self.amounts @ (prices + weight) + weight * self.costs
        return found


@dataclass(frozen=True, eq=False)
class Link:
    """What stands between two stages; equal links share one.

    Attributes:
        amounts: [kinds of the source, kinds of the sink, resources].
        never: [kinds of the source, kinds of the sink] what can't be.
    """

    amounts: Floats
    never: npt.NDArray[np.bool_]

    def priced(self, prices: Floats, weight: float) -> Floats:
        """[kinds of the source, kinds of the sink] what it costs."""
        found: Floats = self.amounts @ (prices + weight)
        found[self.never] = NEVER
        return found


@dataclass(frozen=True)
class Priced:
    """What everything costs at some prices.

    Attributes:
        kinds: of each stage, [kinds] cost of the cheapest choice of each.
        choices: of each stage, [kinds] that choice.
        links: of each link, [kinds of the source, kinds of the sink] cost.
    """

    kinds: list[Floats]
    choices: list[Integers]
    links: list[Floats]


@dataclass(frozen=True)
class _Step:
    """Eliminates a stage.

    Attributes:
        stage: the stage.
        rest: its neighbours at that time, ascending.
        factors: numbers of the tables that it has a part in, with their axes among [stage, *rest].
    """

    stage: int
    rest: tuple[int, ...]
    factors: tuple[tuple[int, tuple[int, ...]], ...]


class Relaxed:
    """Stages and what stands between them.

    Args:
        parts: of each stage.
        links: stages on either side, and what stands between.
    """

    def __init__(self, parts: Sequence[Part], links: Sequence[tuple[int, int, Link]]) -> None:
        self.parts, self.links = tuple(parts), tuple(links)
        self.sizes = [int(part.kinds.max()) + 1 for part in parts]
        self.steps = _plan(len(parts), [(source, sink) for source, sink, _ in links])

    def priced(self, prices: Floats, weight: float) -> Priced:
        """What everything costs.

        Args:
            prices: [resources] of a whole budget.
            weight: of what a design costs: all its shares of the budget, and what its choices
                cost beside.
        """
        parts = {part: _cheapest_of_kinds(part, prices, weight) for part in set(self.parts)}
        links = {link: link.priced(prices, weight) for link in {each for _, _, each in self.links}}
        found = [parts[part] for part in self.parts]
        return Priced(
            [costs for costs, _ in found],
            [choices for _, choices in found],
            [links[link] for _, _, link in self.links],
        )

    def mixed(self, first: Priced, then: Priced, count: int) -> Priced:
        """The first ``count`` stages, with what stands behind them, as in ``first``."""
        ahead = [source < count for source, _, _ in self.links]
        pairs = zip(ahead, first.links, then.links, strict=True)
        return Priced(
            first.kinds[:count] + then.kinds[count:],
            first.choices[:count] + then.choices[count:],
            [one if before else other for before, one, other in pairs],
        )

    def cheapest(self, priced: Priced) -> tuple[float, tuple[int, ...]]:
        """The cost of the cheapest design, and its choices."""
        tables, _, total = self._eliminated(priced)
        kinds = [0] * len(self.parts)
        for step, table in zip(reversed(self.steps), reversed(tables), strict=True):
            there = np.moveaxis(table, 0, -1)[tuple(kinds[k] for k in step.rest)]
            kinds[step.stage] = int(there.argmin())
        pairs = zip(priced.choices, kinds, strict=True)
        return total, tuple(int(choices[kind]) for choices, kind in pairs)

    def totals(self, index: Sequence[int]) -> tuple[Floats, float]:
        """[resources] of a design in shares of the budget, and what it costs."""
        pairs = list(zip(self.parts, index, strict=True))
        kinds = [int(part.kinds[k]) for part, k in pairs]
        amounts = [part.amounts[k] for part, k in pairs]
        amounts += [link.amounts[kinds[a], kinds[b]] for a, b, link in self.links]
        total = np.sum(amounts, axis=0)
        return total, float(total.sum()) + sum(float(part.costs[k]) for part, k in pairs)

    def marginals(self, prices: Floats, weight: float) -> list[Floats]:
        """[choices] of each stage: cost of the cheapest design that has the choice.

        Arguments are as of ``priced``.
        """
        priced = self.priced(prices, weight)
        tables, messages, total = self._eliminated(priced)
        beliefs: dict[int, Floats] = {}
        place = {step.stage: number for number, step in enumerate(self.steps)}
        for number in reversed(range(len(self.steps))):
            step, table = self.steps[number], tables[number]
            if not step.rest:
                # What other parts of a network without links to this one cost.
                beliefs[number] = table + (total - float(table.min()))
                continue
            # The message went to the step that eliminates the first of the rest.
            parent = min(place[each] for each in step.rest)
            there = self.steps[parent]
            axes = (there.stage, *there.rest)
            gone = tuple(k for k, each in enumerate(axes) if each not in step.rest)
            outer = np.transpose(
                beliefs[parent].min(axis=gone),
                np.argsort([each for each in axes if each in step.rest]),
            )
            beliefs[number] = table + (outer - messages[number])
        found = []
        for stage, part in enumerate(self.parts):
            belief = beliefs[place[stage]]
            of_kind = belief.min(axis=tuple(range(1, belief.ndim)))
            cost = part.priced(prices, weight)
            found.append(of_kind[part.kinds] + (cost - priced.kinds[stage][part.kinds]))
        return found

    def _eliminated(self, priced: Priced) -> tuple[list[Floats], list[Floats], float]:
        """The table and the message of each step, and the least cost."""
        factors = [*priced.kinds, *priced.links]
        tables, messages, total = [], [], 0.0
        for step in self.steps:
            shape = [self.sizes[each] for each in (step.stage, *step.rest)]
            parts = []
            for number, axes in step.factors:
                wide = [1] * len(shape)
                for axis in axes:
                    wide[axis] = shape[axis]
                factor = factors[number]
                order = np.argsort(axes)
                parts.append(factor.transpose(order).reshape(wide))
            table = reduce(np.add, parts)
            if table.shape != tuple(shape):
                table = np.broadcast_to(table, shape)
            message = table.min(axis=0)
            tables.append(table)
            messages.append(message)
            factors.append(message)
            if not step.rest:
                total += float(message)
        return tables, messages, total


def _cheapest_of_kinds(part: Part, prices: Floats, weight: float) -> tuple[Floats, Integers]:
    """[kinds] least cost of each, and the choice that has it."""
    cost = part.priced(prices, weight)
    order = np.lexsort((cost, part.kinds))
    _, first = np.unique(part.kinds[order], return_index=True)
    choices = order[first]
    return cost[choices], choices


def _plan(stages: int, links: Sequence[tuple[int, int]]) -> list[_Step]:
    """Eliminates stages with few neighbours first."""
    scopes: list[tuple[int, ...]] = [(stage,) for stage in range(stages)]
    scopes += [tuple(each) for each in links]
    touching: list[set[int]] = [set() for _ in range(stages)]
    for number, scope in enumerate(scopes):
        for stage in scope:
            touching[stage].add(number)
    left = set(range(stages))
    steps = []

    def neighbours(stage: int) -> set[int]:
        return {each for number in touching[stage] for each in scopes[number]} - {stage}

    around = {stage: neighbours(stage) for stage in left}
    while left:
        stage = min(left, key=lambda each: (len(around[each]), each))
        rest = tuple(sorted(around[stage]))
        axes = {each: axis for axis, each in enumerate((stage, *rest))}
        factors = tuple(
            (number, tuple(axes[each] for each in scopes[number]))
            for number in sorted(touching[stage])
        )
        steps.append(_Step(stage, rest, factors))
        for number in touching[stage]:
            for each in scopes[number]:
                if each != stage:
                    touching[each].discard(number)
        message = len(scopes)
        scopes.append(rest)
        left.discard(stage)
        for each in rest:
            touching[each].add(message)
            around[each] = neighbours(each)
    return steps
