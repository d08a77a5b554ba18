"""The tables of a network that is folded anew at each policy, so that it keeps an interval.

Bits don't change cycles, so a network at a fixed folding costs at a policy what its multipliers,
memories and thresholds then take. But another folding may be cheaper at those bits: two-bit
products are cheaper in LUTs, eight-bit ones in DSP slices; shallow memories of wide words in LUT
RAM, deep ones of narrow words in block RAM. Here each stage takes, at each of its bits, the folding
that keeps an interval and whose resources are worth the least, at given prices.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence

import numpy as np

from sdq_fpga.board import Board
from sdq_fpga.cost.folding.choices import stage_choices, stage_nodes, units
from sdq_fpga.cost.folding.figures import Shares, usable
from sdq_fpga.cost.folding.foldings import Choice
from sdq_fpga.cost.folding.program import RESOURCES, Floats
from sdq_fpga.cost.folding.solve import Solution
from sdq_fpga.cost.node import HardwareGraph, HardwareNode
from sdq_fpga.cost.policies.by_bits import ByBits, combine
from sdq_fpga.cost.policies.tables import Amounts, NodeAmounts, PolicyTables
from sdq_fpga.cost.policies.variables import Variable
from sdq_fpga.cost.policies.variants import key_of, variants
from sdq_fpga.cost.streams import CONVERTER, FIFO
from sdq_fpga.errors import UserError

__all__ = ["refolded", "worth"]

_CANDIDATES = 6  # foldings of a stage that are tried at all bits, of each corner of them
_LEAST_WORTH = 0.01  # of all of a resource, in what all of those that are scarce are worth

Nodes = tuple[HardwareNode, ...]


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
    whole = scarce * _LEAST_WORTH
    if not scarce >= solution.interval * _LEAST_WORTH:
        whole, duals = float(solution.interval), dict.fromkeys(RESOURCES, 0.0)
    return {name: max(duals[name], whole / max(limits[name], 1)) for name in RESOURCES}


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
    amounts = NodeAmounts(board)
    found = variants(graph, variables)
    between = variants(folded, variables)
    refold = _Refold(board, interval, np.array([prices[name] for name in RESOURCES]), amounts)
    parts = [
        refold.stage([found[node.name] for node in nodes], nodes) for nodes in stage_nodes(graph)
    ]
    parts += [
        between[node.name].map(amounts, tuple)
        for node in folded.nodes
        if node.op in {CONVERTER, FIFO}
    ]
    return PolicyTables.of_parts(variables, parts)


class _Refold:
    def __init__(self, board: Board, interval: int, prices: Floats, amounts: NodeAmounts) -> None:
        self.board, self.interval, self.prices, self.amounts = board, interval, prices, amounts
        self._ranked: dict[Hashable, list[tuple[Choice, ...]]] = {}

    def stage(self, parts: Sequence[ByBits[HardwareNode]], nodes: Nodes) -> ByBits[Amounts]:
        """What the nodes take at all bits, of foldings that are good at the ends of their ranges.

        Args:
            parts: the nodes at all bits.
            nodes: as they are, for messages.
        """
        what = f"'{nodes[-1].layer}' ({nodes[-1].op})"
        both = combine(parts, lambda *each: each, _keys, what)
        tried: dict[Hashable, tuple[Choice, ...]] = {}
        for number in np.unique(both.index[np.ix_(*([0, -1] for _ in both.scope))]):
            for choice in self.ranked(both.values[number]):
                tried.setdefault(tuple(tuple(each.attributes.items()) for each in choice), choice)
        return both.map(lambda each: self.cheapest(each, tried.values()), tuple)

    def ranked(self, nodes: Nodes) -> list[tuple[Choice, ...]]:
        """The cheapest foldings that keep the interval."""
        key = _keys(nodes)
        if key not in self._ranked:
            found = stage_choices(nodes, self.board)
            kept = np.flatnonzero(found.cycles <= self.interval)
            if not len(kept):
                raise UserError(
                    f"no folding of layer '{nodes[-1].layer}' has an interval of "
                    f"{self.interval} cycles",
                    "ask for more",
                )
            worth = found.amounts[kept] @ self.prices
            best = kept[np.argsort(worth, kind="stable")[:_CANDIDATES]]
            self._ranked[key] = [found[k] for k in best.tolist()]
        return self._ranked[key]

    def cheapest(self, nodes: Nodes, tried: Iterable[tuple[Choice, ...]]) -> Amounts:
        """[resources] of the nodes in the folding that is worth the least."""
        options = np.array(
            [
                np.sum([self.amounts(each) for each in made], axis=0)
                for choice in tried
                for made in _made(nodes, choice)
            ]
        )
        return tuple(map(float, options[np.argmin(options @ self.prices)]))


def _made(nodes: Nodes, choice: tuple[Choice, ...]) -> list[Nodes]:
    """The nodes with a folding, of all units that do the same."""
    if len(nodes) == 1:
        return [(unit.with_attributes(choice[0].attributes),) for unit in units(nodes[0])]
    return [
        tuple(
            node.with_attributes(each.attributes) for node, each in zip(nodes, choice, strict=True)
        )
    ]


def _keys(nodes: Nodes) -> Hashable:
    return tuple(map(key_of, nodes))
