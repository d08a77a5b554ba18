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
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from sdq_fpga.cost.folding.elimination import Step, elimination

__all__ = [
    "NEVER",
    "Floats",
    "Integers",
    "Link",
    "Part",
    "Priced",
    "Relaxed",
]

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


@dataclass(frozen=True)
class Priced:
    """What everything costs at some prices.

    Attributes:
        kinds: of each stage, [kinds] cost of the cheapest choice of each.
        choices: of each stage, [choices] cost, in order of their kinds.
        links: of each link, [kinds of the source, kinds of the sink] cost.
    """

    kinds: list[Floats]
    choices: list[Floats]
    links: list[Floats]


class Relaxed:
    """Stages and what stands between them.

    All choices of all stages are the rows of one table, by their kinds, and so are the pairs of
    kinds on all links: what they cost is found at once.

    Args:
        parts: of each stage.
        links: stages on either side, and what stands between.
        steps: of ``elimination`` of such stages and links; None to find them.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        links: Sequence[tuple[int, int, Link]],
        steps: Sequence[Step] | None = None,
    ) -> None:
        self.parts, self.links = tuple(parts), tuple(links)
        self.steps = steps or elimination(len(parts), [(source, sink) for source, sink, _ in links])
        distinct = list(dict.fromkeys(self.parts))
        orders = [np.argsort(part.kinds, kind="stable") for part in distinct]
        pairs = list(zip(distinct, orders, strict=True))
        self._amounts = np.concatenate([part.amounts[order] for part, order in pairs])
        self._costs = np.concatenate([part.costs[order] for part, order in pairs])
        counts = [np.bincount(part.kinds) for part in distinct]
        self._begins = np.r_[0, np.cumsum(np.concatenate(counts))]  # of all kinds, among the rows
        of_kinds = np.cumsum([0, *map(len, counts)]).tolist()
        rows = self._begins[of_kinds].tolist()
        place = {part: number for number, part in enumerate(distinct)}
        self._places = [place[part] for part in self.parts]
        self._kinds = [slice(a, b) for a, b in pairwise(of_kinds)]
        self._rows = [slice(a, b) for a, b in pairwise(rows)]
        self._orders = orders
        # Of each part, where the choices of each kind begin among its own.
        self._within = [
            (self._begins[a : b + 1] - row).tolist()
            for (a, b), row in zip(pairwise(of_kinds), rows, strict=False)
        ]
        self.sizes = [len(counts[k]) for k in self._places]
        between = list(dict.fromkeys(link for _, _, link in self.links))
        resources = self._amounts.shape[1]
        flat = [link.amounts.reshape(-1, resources) for link in between]
        self._between = np.concatenate([np.zeros((0, resources)), *flat])
        nevers = [link.never.reshape(-1) for link in between]
        self._never = np.flatnonzero(np.concatenate([np.zeros(0, bool), *nevers]))
        ends = np.cumsum([0, *map(len, flat)]).tolist()
        self._shapes = [
            (slice(a, b), link.never.shape)
            for (a, b), link in zip(pairwise(ends), between, strict=True)
        ]
        of_link = {link: number for number, link in enumerate(between)}
        self._links = [of_link[link] for _, _, link in self.links]

    def priced(self, prices: Floats, weight: float) -> Priced:
        """What everything costs.

        Args:
            prices: [resources] of a whole budget.
            weight: of what a design costs: all its shares of the budget, and what its choices
                cost beside.
        """
        by_resource = prices + weight
        costs = self._amounts @ by_resource + weight * self._costs
        least = np.minimum.reduceat(costs, self._begins[:-1])
        between = self._between @ by_resource
        between[self._never] = NEVER
        kinds = [least[each] for each in self._kinds]
        choices = [costs[each] for each in self._rows]
        links = [between[each].reshape(shape) for each, shape in self._shapes]
        return Priced(
            [kinds[k] for k in self._places],
            [choices[k] for k in self._places],
            [links[k] for k in self._links],
        )

    def cheapest(self, priced: Priced) -> tuple[float, tuple[int, ...]]:
        """The cost of the cheapest design, and its choices."""
        tables, _, total = self._eliminated(priced)
        kinds = [0] * len(self.parts)
        for step, table in zip(reversed(self.steps), reversed(tables), strict=True):
            there: tuple[slice | int, ...] = (slice(None), *(kinds[k] for k in step.rest))
            kinds[step.stage] = int(table[there].argmin())
        found = []
        for stage, (kind, place) in enumerate(zip(kinds, self._places, strict=True)):
            begin, end = self._within[place][kind : kind + 2]
            best = begin + int(priced.choices[stage][begin:end].argmin())
            found.append(int(self._orders[place][best]))
        return total, tuple(found)

    def totals(self, index: Sequence[int]) -> tuple[Floats, float]:
        """[resources] of a design in shares of the budget, and what it costs."""
        pairs = list(zip(self.parts, index, strict=True))
        kinds = [int(part.kinds[k]) for part, k in pairs]
        amounts = [part.amounts[k] for part, k in pairs]
        amounts += [link.amounts[kinds[a], kinds[b]] for a, b, link in self.links]
        total = np.sum(amounts, axis=0)
        return total, float(total.sum()) + sum(float(part.costs[k]) for part, k in pairs)

    def can_be(self, index: Sequence[int]) -> bool:
        """Whether a design has nothing that can't be."""
        kinds = [int(part.kinds[k]) for part, k in zip(self.parts, index, strict=True)]
        return not any(link.never[kinds[a], kinds[b]] for a, b, link in self.links)

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
            parts = [factors[f.number].transpose(f.order)[f.index] for f in step.factors]
            table = sum(parts[1:], parts[0])
            message = np.minimum.reduce(table, axis=0)
            tables.append(table)
            messages.append(message)
            factors.append(message)
            if not step.rest:
                total += float(message)
        return tables, messages, total
