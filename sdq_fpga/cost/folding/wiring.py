"""Stages with what stands between them, at any interval.

What other stages see of a choice is the width of its streams: choices with the same widths are of
one kind. What stands on a stream between two stages then depends on their kinds alone. A stream
that comes in, goes out or stays within a stage depends on one choice, whose cost it is added to.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sdq_fpga.cost.folding.edges import Edge, Own, Stream, Wires
from sdq_fpga.cost.folding.elimination import elimination
from sdq_fpga.cost.folding.foldings import Foldings
from sdq_fpga.cost.folding.relaxed import Floats, Integers, Link, Part, Relaxed
from sdq_fpga.cost.ports import Port

__all__ = ["Instance", "Stage", "Wiring"]

_LITTLE = 1e-3  # so that resources without a price are not wasted


@dataclass(frozen=True)
class Stage:
    """Nodes that are folded together, because no width converter may stand between them.

    Attributes:
        names: of the nodes.
        layer: name of the layer that they come from.
        foldings: of the nodes together.
        fill: share of the stage's cycles that goes by before it gives its first output.
    """

    names: tuple[str, ...]
    layer: str
    foldings: Foldings
    fill: float

    @property
    def cycles(self) -> Integers:
        """[choices] cycles between frames."""
        return self.foldings.cycles

    @property
    def amounts(self) -> Floats:
        """[choices, resources] in order of ``RESOURCES``."""
        return self.foldings.amounts


@dataclass(frozen=True)
class Instance:
    """The stages at an interval.

    Attributes:
        relaxed: the choices that keep it, in shares of the budget.
        kept: of each stage, their numbers among all choices.
    """

    relaxed: Relaxed
    kept: Sequence[Integers]

    def chosen(self, index: Sequence[int]) -> tuple[int, ...]:
        """The choices of a design, numbered among all."""
        return tuple(int(kept[k]) for kept, k in zip(self.kept, index, strict=True))

    def numbered(self, index: Sequence[int], prices: Floats | None = None) -> tuple[int, ...]:
        """The choices of a design, numbered among those that are kept.

        Args:
            index: of each stage, its choice among all.
            prices: [resources] at which the cheapest takes the place of one that is not kept; None
                where all are.
        """
        found = []
        for part, kept, k in zip(self.relaxed.parts, self.kept, index, strict=True):
            here = int(np.searchsorted(kept, k))
            if prices is not None and (here == len(kept) or kept[here] != k):
                here = int(part.priced(prices, _LITTLE).argmin())
            found.append(here)
        return tuple(found)


class Wiring:
    """Stages with their streams.

    Args:
        stages: of a network.
        edges: all streams.
        wires: what stands on them.
        scale: [resources] what amounts are multiplied by.
    """

    def __init__(
        self, stages: Sequence[Stage], edges: Sequence[Edge], wires: Wires, scale: Floats
    ) -> None:
        ports: list[list[Integers]] = [[] for _ in stages]
        alone: list[list[tuple[Port, Integers, Integers]]] = [[] for _ in stages]
        crossing = []
        for edge in edges:
            source, sink = edge.source, edge.sink
            given = edge.taken if edge.given is None else edge.given
            taken = edge.given if edge.taken is None else edge.taken
            if given is None or taken is None:
                raise ValueError("a stream belongs to no stage")
            if source is not None and sink is not None and source != sink:
                places = len(ports[source]), len(ports[sink])
                ports[source].append(given)
                ports[sink].append(taken)
                crossing.append((source, sink, edge.port, *places))
                continue
            alone[_number(source, sink)].append((edge.port, given, taken))
        self.own: list[Own] = []
        for stage, outer, inner in zip(stages, ports, alone, strict=True):
            key = (
                stage.foldings,
                stage.fill,
                *(each.tobytes() for each in outer),
                *((p.datatype, p.shape, g.tobytes(), t.tobytes()) for p, g, t in inner),
            )
            if key not in wires.own:
                wires.own[key] = _own(stage, outer, inner, wires)
            self.own.append(wires.own[key])
        self.streams: list[tuple[int, int, Stream]] = []
        for source, sink, port, gives, takes in crossing:
            given, taken = self.own[source].widths[:, gives], self.own[sink].widths[:, takes]
            self.streams.append((source, sink, wires.between(port, given, taken)))
        self._scale = scale
        self._scaled: dict[Own | Stream, Floats] = {}
        self._steps = elimination(len(stages), [(a, b) for a, b, _ in self.streams])

    @cached_property
    def intervals(self) -> Integers:
        """All intervals that a design may have, ascending; some stage can't do with less."""
        least = max(int(each.cycles.min()) for each in self.own)
        cycles = [each.cycles for each in set(self.own)]
        cycles += [each.cycles.reshape(-1) for _, _, each in self.streams]
        found = np.unique(np.concatenate(cycles))
        return found[found >= least]

    def interval(self, index: Sequence[int]) -> int:
        """Cycles of the slowest node of a design, of what stands between included."""
        pairs = list(zip(self.own, index, strict=True))
        kinds = [int(own.kinds[k]) for own, k in pairs]
        cycles = [int(own.cycles[k]) for own, k in pairs]
        cycles += [int(each.cycles[kinds[a], kinds[b]]) for a, b, each in self.streams]
        return max(cycles)

    def amounts(self, index: Sequence[int]) -> Floats:
        """[resources] of a design."""
        pairs = list(zip(self.own, index, strict=True))
        kinds = [int(own.kinds[k]) for own, k in pairs]
        amounts = [own.amounts[k] for own, k in pairs]
        amounts += [each.amounts[kinds[a], kinds[b]] for a, b, each in self.streams]
        found: Floats = np.sum(amounts, axis=0)
        return found

    def at(
        self,
        interval: int,
        limits: Floats,
        filling: Callable[[float, Integers], Floats],
    ) -> Instance | None:
        """What keeps an interval and is not beyond the budget alone; None if some stage has none.

        Args:
            interval: to keep.
            limits: [resources] of scaled amounts.
            filling: cost of choices beside what they take, from the stage's ``fill`` and [choices]
                their cycles.
        """
        kept: dict[Own, Integers] = {}
        parts: dict[Own, Part] = {}
        kinds: dict[Own, Integers] = {}
        for own in dict.fromkeys(self.own):
            scaled = self._in_scale(own)
            where = np.flatnonzero((own.cycles <= interval) & (scaled <= limits).all(axis=1))
            if not len(where):
                return None
            there = own.kinds[where]
            present = np.bincount(there, minlength=len(own.widths)) > 0
            kept[own], kinds[own] = where, np.flatnonzero(present)
            beside = filling(own.fill, own.cycles[where])
            parts[own] = Part(scaled[where], beside, (np.cumsum(present) - 1)[there])
        links: dict[tuple[Stream, Own, Own], Link] = {}
        linked = []
        for source, sink, stream in self.streams:
            ends = self.own[source], self.own[sink]
            key = stream, *ends
            if key not in links:
                amounts, never = self._in_scale(stream), stream.cycles > interval
                if any(len(kinds[end]) < len(end.widths) for end in ends):
                    first, second = (kinds[end] for end in ends)
                    amounts, never = amounts[first][:, second], never[first][:, second]
                links[key] = Link(amounts, never)
            linked.append((source, sink, links[key]))
        relaxed = Relaxed([parts[own] for own in self.own], linked, self._steps)
        return Instance(relaxed, [kept[own] for own in self.own])

    def _in_scale(self, what: Own | Stream) -> Floats:
        if what not in self._scaled:
            self._scaled[what] = what.amounts * self._scale
        return self._scaled[what]


def _number(source: int | None, sink: int | None) -> int:
    """Of the one stage that a stream belongs to."""
    if source is None and sink is None:
        raise ValueError("a stream belongs to no stage")
    return max(-1 if each is None else each for each in (source, sink))


def _own(
    stage: Stage,
    outer: Sequence[Integers],
    inner: Sequence[tuple[Port, Integers, Integers]],
    wires: Wires,
) -> Own:
    amounts, cycles = stage.amounts, stage.cycles
    for port, given, taken in inner:
        more, slow = wires.along(port, given, taken)
        amounts, cycles = amounts + more, np.maximum(cycles, slow)
    seen = np.array(outer, np.int64).reshape(len(outer), len(cycles)).T
    widths, kinds = np.unique(seen, axis=0, return_inverse=True)
    return Own(amounts, cycles, kinds.reshape(-1), widths, stage.fill)
