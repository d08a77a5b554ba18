"""Foldings of nodes as arrays: what they take, how long, and how wide their streams are."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sdq_fpga.cost.folding.figures import RESOURCES, Resources
from sdq_fpga.cost.folding.relaxed import Floats, Integers
from sdq_fpga.cost.node import Value

__all__ = ["Choice", "Foldings", "NodeFoldings"]


@dataclass(frozen=True)
class Choice:
    """One folding of one node.

    Attributes:
        op: type of the node; a matrix-vector unit may be of DSP slices or of LUTs.
        attributes: its folding attributes.
        cycles: cycles of a frame.
        resources: what it takes.
    """

    op: str
    attributes: Mapping[str, Value]
    cycles: int
    resources: Resources


@dataclass(frozen=True, eq=False)
class NodeFoldings:
    """Foldings of one node.

    Attributes:
        ops: [foldings] type of the node.
        attributes: by the name of a folding attribute, [foldings] its value; None where it keeps
            that of the node.
        cycles: [foldings] cycles of a frame.
        amounts: [foldings, resources] in order of ``RESOURCES``.
        taken: [foldings, input streams] values in a beat.
        given: [foldings, output streams] values in a beat.
    """

    ops: Sequence[str]
    attributes: Mapping[str, Sequence[Value | None]]
    cycles: Integers
    amounts: Floats
    taken: Integers
    given: Integers

    @classmethod
    def joined(cls, parts: Sequence["NodeFoldings"]) -> "NodeFoldings":
        """Those of several, which have the same attributes, one after the other."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            [op for each in parts for op in each.ops],
            {
                name: [value for each in parts for value in each.attributes[name]]
                for name in parts[0].attributes
            },
            *(
                np.concatenate([getattr(each, name) for each in parts])
                for name in ("cycles", "amounts", "taken", "given")
            ),
        )

    def __iter__(self) -> Iterator[Choice]:
        return (self.choice(index) for index in range(len(self.cycles)))

    def choice(self, index: int) -> Choice:
        """One of them."""
        named = {name: values[index] for name, values in self.attributes.items()}
        amounts = zip(RESOURCES, self.amounts[index].tolist(), strict=True)
        return Choice(
            self.ops[index],
            {name: value for name, value in named.items() if value is not None},
            int(self.cycles[index]),
            Resources(**{name: round(amount) for name, amount in amounts}),
        )


@dataclass(frozen=True, eq=False)
class Foldings:
    """Foldings of nodes that are folded together.

    Attributes:
        nodes: of each node, its part of every folding.
    """

    nodes: tuple[NodeFoldings, ...]

    @cached_property
    def cycles(self) -> Integers:
        """[foldings] cycles between frames, of the slowest node."""
        found: Integers = np.max([each.cycles for each in self.nodes], axis=0)
        return found

    @cached_property
    def amounts(self) -> Floats:
        """[foldings, resources] in order of ``RESOURCES``."""
        found: Floats = np.sum([each.amounts for each in self.nodes], axis=0)
        return found

    @cached_property
    def undominated(self) -> Integers:
        """Numbers of those of which no other takes at most as much of everything; equal ones once.

        Cycles count as well.
        """
        what = np.c_[self.cycles, self.amounts]
        order = np.lexsort(what.T[::-1])  # what a row is dominated by comes before it
        what = what[order]
        below = np.ones((len(what), len(what)), bool)
        for column in what.T:
            below &= column[:, None] <= column
        found: Integers = np.sort(order[~np.triu(below, 1).any(axis=0)])
        return found

    def __len__(self) -> int:
        return len(self.cycles)

    def __getitem__(self, index: int) -> tuple[Choice, ...]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return tuple(each.choice(index) for each in self.nodes)

    def __iter__(self) -> Iterator[tuple[Choice, ...]]:
        return (self[index] for index in range(len(self)))
