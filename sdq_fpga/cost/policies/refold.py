"""The tables of a network that is folded anew at each policy, so that it keeps an interval.

Bits don't change cycles, so a network at a fixed folding costs at a policy what its multipliers,
memories and thresholds then take. But another folding may be cheaper at those bits: two-bit
products are cheaper in LUTs, eight-bit ones in DSP slices; shallow memories of wide words in LUT
RAM, deep ones of narrow words in block RAM. Here each stage takes, at each of its bits, the folding
that keeps an interval and whose resources are worth the least, at given prices.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sdq_fpga.board import Board
from sdq_fpga.cost.folding.choices import stage_nodes
from sdq_fpga.cost.folding.figures import Shares, usable
from sdq_fpga.cost.folding.foldings import Foldings
from sdq_fpga.cost.folding.network import Known
from sdq_fpga.cost.folding.program import RESOURCES, Floats
from sdq_fpga.cost.folding.solve import Solution
from sdq_fpga.cost.node import HardwareGraph, HardwareNode
from sdq_fpga.cost.policies.by_bits import ByBits, combine
from sdq_fpga.cost.policies.tables import Amounts, FixedFolding, PolicyTables
from sdq_fpga.cost.policies.variables import Variable
from sdq_fpga.cost.policies.variants import key_of, variants
from sdq_fpga.errors import UserError

__all__ = ["Refolding", "refolded", "with_least", "worth"]

_LEAST_WORTH = 0.01  # of all of a resource, in what all of those that are scarce are worth


def worth(solution: Solution, board: Board, shares: Shares) -> dict[str, float]:
    """Prices with which foldings may be compared: cycles of interval by one unit of a resource.

    They are those of the folding program, but at least so much that 1 % of what all scarce
    resources are worth is given for all of another: what is free would be wasted. Where all scarce
    ones together are worth less than 1 % of the interval, all of each is worth an interval.

    Args:
        solution: a folding of the network.
        board: whose budget it keeps.
        shares: of the board that may be used.
    """
    limits = usable(board, shares)
    duals = {name: max(0.0, solution.prices[name]) for name in RESOURCES}
    scarce = sum(duals[name] * limits[name] for name in RESOURCES)
    if scarce >= solution.interval * _LEAST_WORTH:
        return with_least(duals, limits)
    return {name: solution.interval / max(limits[name], 1) for name in RESOURCES}


def with_least(prices: Mapping[str, float], limits: Mapping[str, float]) -> dict[str, float]:
    """Prices by which 1 % of what a budget is worth, at least, is given for all of any resource.

    Args:
        prices: by resource, what a unit is worth.
        limits: by resource, what may be used.
    """
    least = _LEAST_WORTH * sum(prices[name] * limits[name] for name in RESOURCES)
    return {name: max(prices[name], least / max(limits[name], 1)) for name in RESOURCES}


def refolded(
    graph: HardwareGraph,
    folded: HardwareGraph,
    board: Board,
    interval: int,
    prices: Mapping[str, float],
    variables: Sequence[Variable],
) -> PolicyTables:
    """The tables of a network whose stages keep an interval as cheaply as they can.

    Converters and FIFOs are those of ``folded``: they depend on both sides' folding, and change
    with bits alone.

    Args:
        graph: the nodes, of any folding, without converters and FIFOs.
        folded: the same as it is folded, with converters and FIFOs.
        board: whose DSP slices and LUTs it takes.
        interval: cycles between frames that every stage keeps.
        prices: by resource, what a unit is worth (``worth``).
        variables: of the policies.

    Raises:
        UserError: some stage can't keep the interval, some bits can't be together, or too many
            decide what a node is.
        StageError: nothing is known of nodes of some type.
    """
    beside = FixedFolding(board, variables).between(folded)
    return Refolding(graph, variables, Known(board)).tables(interval, prices, beside)


class Refolding:
    """All foldings of the stages of a network, at all bits.

    They are found when they are first asked for, which takes seconds.

    Args:
        graph: the nodes, of any folding, without converters and FIFOs.
        variables: of the policies.
        known: of the board that it is for.
    """

    def __init__(self, graph: HardwareGraph, variables: Sequence[Variable], known: Known) -> None:
        self._graph, self._variables, self._known = graph, tuple(variables), known

    @cached_property
    def _stages(self) -> "list[_Stage]":
        found = variants(self._graph, self._variables)
        return [
            _Stage.of([found[node.name] for node in nodes], nodes, self._known)
            for nodes in stage_nodes(self._graph)
        ]

    def tables(
        self,
        interval: int,
        prices: Mapping[str, float],
        beside: Iterable[ByBits[Amounts]] = (),
    ) -> PolicyTables:
        """What policies take whose stages keep an interval in the foldings that are worth least.

        Args:
            interval: cycles between frames that every stage keeps.
            prices: by resource, what a unit is worth.
            beside: what is taken beside the stages.

        Raises:
            UserError: some stage can't keep the interval, some bits can't be together, or too many
                decide what a node is.
            StageError: nothing is known of nodes of some type.
        """
        by_resource = np.array([prices[name] for name in RESOURCES])
        parts = [each.cheapest(interval, by_resource) for each in self._stages]
        return PolicyTables.of_parts(self._variables, [*parts, *beside])


@dataclass(frozen=True)
class _Stage:
    """The foldings of what is folded together.

    Attributes:
        layer: whose it is, for messages.
        foldings: at all bits.
    """

    layer: str
    foldings: ByBits[Foldings]

    @classmethod
    def of(
        cls, parts: Sequence[ByBits[HardwareNode]], nodes: Sequence[HardwareNode], known: Known
    ) -> "_Stage":
        """That of nodes.

        Args:
            parts: the nodes at all bits.
            nodes: as they are, for messages.
            known: of the board.
        """
        what = f"'{nodes[-1].layer}' ({nodes[-1].op})"
        both = combine(parts, lambda *each: each, _keys, what)
        return cls(nodes[-1].layer, both.map(known.foldings, id))

    def amounts(self, number: int, interval: int) -> Floats:
        """[foldings, resources] of those that keep an interval."""
        found = self.foldings.values[number]
        kept: Floats = found.amounts[found.cycles <= interval]
        if not len(kept):
            raise UserError(
                f"no folding of layer '{self.layer}' has an interval of {interval} cycles",
                "ask for more",
            )
        return kept

    def cheapest(self, interval: int, prices: Floats) -> ByBits[Amounts]:
        """[resources] of the foldings that keep an interval and are worth the least."""
        found = []
        for number in range(len(self.foldings.values)):
            amounts = self.amounts(number, interval)
            found.append(tuple(map(float, amounts[np.argmin(amounts @ prices)])))
        return ByBits.of(self.foldings.scope, self.foldings.index, found, tuple)


def _keys(nodes: Sequence[HardwareNode]) -> Hashable:
    return tuple(map(key_of, nodes))
