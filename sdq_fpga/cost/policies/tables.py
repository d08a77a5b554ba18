"""Resources of a network as a sum of small tables over the bits of a policy.

What a node takes depends on the bits of few layers: of its weights, of what comes in, of what it
quantizes to. So the resources of any policy are a sum of entries of small tables, one for each set
of variables that decide together. It is exact: the sum is that of all nodes with these bits.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

import numpy as np
import numpy.typing as npt

from sdq_fpga.board import Board
from sdq_fpga.cost.folding.figures import Resources
from sdq_fpga.cost.folding.program import RESOURCES, Floats
from sdq_fpga.cost.node import HardwareGraph, HardwareNode
from sdq_fpga.cost.policies.by_bits import ByBits, Integers
from sdq_fpga.cost.policies.variables import Variable
from sdq_fpga.cost.policies.variants import Variants, key_of
from sdq_fpga.cost.resources import node_resources
from sdq_fpga.cost.streams import CONVERTER, FIFO
from sdq_fpga.errors import UserError

__all__ = [
    "Amounts",
    "FixedFolding",
    "NodeAmounts",
    "PolicyTables",
    "TableGroup",
    "fixed_folding",
]

Amounts = tuple[float, ...]
"""[resources] in order of ``RESOURCES``."""

_AT_ONCE = 1 << 12  # policies, so that what is gathered stays in the cache


@dataclass(frozen=True)
class TableGroup:
    """Tables that depend on the same number of variables.

    Attributes:
        variables: [tables, axes] numbers of the variables.
        values: [tables, bits of the first axis, ..., resources]; along an axis that a variable
            does not fill, its last entry is repeated.
    """

    variables: Integers
    values: Floats


class PolicyTables:
    """Resources of all policies of a network.

    Args:
        variables: of the policies.
        groups: the tables, whose entries at a policy's bits are summed.

    Attributes:
        variables: of the policies.
        groups: the tables.
        width: bits that the variable with the most of them may have.
    """

    def __init__(self, variables: Sequence[Variable], groups: Sequence[TableGroup]) -> None:
        self.variables = tuple(variables)
        self.groups = tuple(groups)
        self.width = _width(variables)

    @classmethod
    def of_parts(
        cls, variables: Sequence[Variable], parts: Iterable[ByBits[Amounts]]
    ) -> "PolicyTables":
        """The tables of a network of parts, such as nodes."""
        return cls(variables, _grouped(_sums(parts), _width(variables)))

    @cached_property
    def lowest(self) -> Integers:
        """[variables] least bits of each."""
        return np.array([each.bits[0] for each in self.variables], np.int64)

    @cached_property
    def highest(self) -> Integers:
        """[variables] most bits of each."""
        return np.array([each.bits[-1] for each in self.variables], np.int64)

    @property
    def now(self) -> Integers:
        """[variables] bits of the graph that the tables were made of."""
        return np.array([each.now for each in self.variables], np.int64)

    def resources(self, policies: npt.ArrayLike) -> Floats:
        """Resources of policies.

        Args:
            policies: [policies, variables] bits.

        Returns:
            [policies, resources] in order of ``RESOURCES``.

        Raises:
            UserError: bits are outside of those of their variable.
        """
        places = self._places(np.asarray(policies))
        found = np.zeros((len(places), len(RESOURCES)))
        for begin in range(0, len(places), _AT_ONCE):
            part = places[begin : begin + _AT_ONCE]
            for variables, flat, powers in self._flat:
                rows = part[:, variables] @ powers
                rows += np.arange(len(variables)) * (flat.shape[0] // len(variables))
                found[begin : begin + _AT_ONCE] += flat.take(rows, axis=0).sum(axis=1)
        return found

    def of(self, policy: Sequence[int]) -> Resources:
        """Resources of one policy; arguments and errors as of ``resources``."""
        amounts = self.resources([policy])[0]
        return Resources(**{n: round(float(a)) for n, a in zip(RESOURCES, amounts, strict=True)})

    def monotone(self, prices: Mapping[str, float]) -> "PolicyTables":
        """Tables by which more bits are never worth less, for a search to descend.

        Some RTL comes out smaller with a bit more; here what has fewer bits takes no more than
        that. An entry is replaced by that of the same or more bits whose resources are worth the
        least, so that every policy is worth as much as before or less.

        Args:
            prices: by resource, what a unit is worth.
        """
        by_resource = np.array([prices.get(name, 0.0) for name in RESOURCES])
        return PolicyTables(self.variables, [_monotone(each, by_resource) for each in self.groups])

    def convex(self, prices: Mapping[str, float]) -> "PolicyTables":
        """Tables by which a bit less is worth what it leads to, for a search that goes by steps.

        Where only several bits less free anything, as where products no longer need DSP slices,
        each of them is given its part of that. Along each variable an entry is replaced by the
        mixture of one of fewer and one of more bits whose resources are worth the least, so that
        every policy is worth as much as before or less.

        Args:
            prices: by resource, what a unit is worth.
        """
        by_resource = np.array([prices.get(name, 0.0) for name in RESOURCES])
        widths = np.array([len(each.bits) for each in self.variables], np.int64)
        return PolicyTables(
            self.variables, [_convex(each, widths, by_resource) for each in self.groups]
        )

    @cached_property
    def _flat(self) -> list[tuple[Integers, Floats, Integers]]:
        """Variables, rows of resources, and by how many rows a bit of each axis is away."""
        found = []
        for group in self.groups:
            axes = group.variables.shape[1]
            powers = self.width ** np.arange(axes - 1, -1, -1, dtype=np.int64)
            found.append((group.variables, group.values.reshape(-1, len(RESOURCES)), powers))
        return found

    def _places(self, policies: Integers) -> Integers:
        if policies.ndim != 2 or policies.shape[1] != len(self.variables):
            raise UserError(
                f"policies of {len(self.variables)} variables can't be of shape {policies.shape}",
                "give [policies, variables]",
            )
        wrong = (policies < self.lowest) | (policies > self.highest)
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            variable = self.variables[column]
            raise UserError(
                f"{variable.name} of policy {row} has {policies[row, column]} bits",
                f"use {variable.bits[0]} to {variable.bits[-1]} bits",
            )
        places: Integers = policies.astype(np.int64, copy=False) - self.lowest
        return places


def _width(variables: Sequence[Variable]) -> int:
    return max((len(each.bits) for each in variables), default=1)


def _monotone(group: TableGroup, prices: Floats) -> TableGroup:
    values = group.values.copy()
    for axis in range(1, values.ndim - 1):
        along = np.moveaxis(values, axis, 0)
        for place in reversed(range(len(along) - 1)):
            cheaper = along[place + 1] @ prices < along[place] @ prices
            along[place][cheaper] = along[place + 1][cheaper]
    return TableGroup(group.variables, values)


def _convex(group: TableGroup, widths: Integers, prices: Floats) -> TableGroup:
    values = group.values
    for axis in range(1, values.ndim - 1):
        along = np.moveaxis(values, axis, 0)
        width = widths[group.variables[:, axis - 1]]
        found = along.copy()
        for place in range(1, len(along) - 1):
            for fewer, more in product(range(place), range(place + 1, len(along))):
                part = (place - fewer) / (more - fewer)
                mixed = along[fewer] + part * (along[more] - along[fewer])
                less = mixed @ prices < found[place] @ prices
                less[more >= width] = False  # there are no such bits
                found[place][less] = mixed[less]
        values = np.moveaxis(found, 0, axis)
    return TableGroup(group.variables, values)


def _sums(parts: Iterable[ByBits[Amounts]]) -> dict[tuple[int, ...], Floats]:
    """A table for each scope that is in no other: what depends on fewer variables is added."""
    found: dict[tuple[int, ...], Floats] = {}
    for part in sorted(parts, key=lambda each: -len(each.scope)):
        scope = next((each for each in found if set(part.scope) <= set(each)), part.scope)
        values = np.array(part.values)[part.over(scope)]
        found[scope] = found[scope] + values if scope in found else values
    return found


def _grouped(tables: dict[tuple[int, ...], Floats], width: int) -> tuple[TableGroup, ...]:
    by_axes: dict[int, list[tuple[int, ...]]] = {}
    for scope in tables:
        by_axes.setdefault(len(scope), []).append(scope)
    groups = []
    for axes, scopes in by_axes.items():
        padded = [
            np.pad(
                tables[scope],
                [*((0, width - size) for size in tables[scope].shape[:-1]), (0, 0)],
                mode="edge",
            )
            for scope in scopes
        ]
        shape = (len(scopes), axes)
        groups.append(TableGroup(np.array(scopes, np.int64).reshape(shape), np.stack(padded)))
    return tuple(groups)


# ---- where the tables come from ----------------------------------------------------------------


def fixed_folding(
    graph: HardwareGraph, board: Board, variables: Sequence[Variable]
) -> PolicyTables:
    """The tables of a network whose folding stays as it is.

    Args:
        graph: as it is folded, with converters and FIFOs or without.
        board: whose DSP slices and LUTs it takes.
        variables: of the policies (``variables_of``).

    Raises:
        UserError: some bits can't be together, or too many decide what a node is.
        StageError: nothing is known of nodes of some type.
    """
    return FixedFolding(board, variables).of(graph)


class FixedFolding:
    """Makes tables of foldings of a network; what they have in common is found once.

    Args:
        board: whose DSP slices and LUTs they take.
        variables: of the policies (``variables_of``).
    """

    def __init__(self, board: Board, variables: Sequence[Variable]) -> None:
        self._variables = variables
        self._variants = Variants(variables)
        self._amounts = NodeAmounts(board)
        self._known: dict[int, tuple[ByBits[HardwareNode], ByBits[Amounts]]] = {}

    def of(self, graph: HardwareGraph) -> PolicyTables:
        """As ``fixed_folding``."""
        nodes = self._variants.of(graph).values()
        return PolicyTables.of_parts(self._variables, [self._taken(each) for each in nodes])

    def between(self, graph: HardwareGraph) -> list[ByBits[Amounts]]:
        """What its converters and FIFOs take, each at all bits."""
        nodes = self._variants.of(graph)
        between = (node.name for node in graph.nodes if node.op in {CONVERTER, FIFO})
        return [self._taken(nodes[name]) for name in between]

    def _taken(self, node: ByBits[HardwareNode]) -> ByBits[Amounts]:
        """What a node takes at all bits; equal ones, of whatever variables, have one index."""
        if id(node.index) not in self._known:
            self._known[id(node.index)] = node, node.map(self._amounts, tuple)
        equal, found = self._known[id(node.index)]
        at = dict(zip(equal.scope, node.scope, strict=True))
        return replace(found, scope=tuple(at[each] for each in found.scope))


class NodeAmounts:
    """Resources of nodes; of equal ones, which networks have many of, they are found once.

    Args:
        board: whose DSP slices and LUTs they take.
    """

    def __init__(self, board: Board) -> None:
        self._dsp = board.dsp
        self._known: dict[object, Amounts] = {}

    def __call__(self, node: HardwareNode) -> Amounts:
        """[resources] in order of ``RESOURCES``; raises as ``node_resources``."""
        key = key_of(node)
        if key not in self._known:
            found = node_resources(node, self._dsp)
            self._known[key] = tuple(float(getattr(found, name)) for name in RESOURCES)
        return self._known[key]
