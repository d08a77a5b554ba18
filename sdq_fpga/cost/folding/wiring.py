"""Stages with what stands between them, at any interval.

What other stages see of a choice is the width of its streams: choices with the same widths are of
one kind. What stands on a stream between two stages then depends on their kinds alone. A stream
that comes in, goes out or stays within a stage depends on one choice, whose cost it is added to.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sdq_fpga.cost.folding.choices import Choice
from sdq_fpga.cost.folding.edges import Between, Edge
from sdq_fpga.cost.folding.figures import RESOURCES
from sdq_fpga.cost.folding.relaxed import Floats, Integers, Link, Part, Relaxed
from sdq_fpga.cost.ports import Port

__all__ = ["Instance", "Stage", "Wiring"]


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


@dataclass(frozen=True, eq=False)
class _Own:
    """A stage with the streams that are its own; equal ones are one.

    Attributes:
        amounts: [choices, resources].
        cycles: [choices] of the slowest node.
        kinds: [choices] number of the kind.
        widths: [kinds, streams to other stages] values in a beat.
        fill: as of the stage.
    """

    amounts: Floats
    cycles: Integers
    kinds: Integers
    widths: Integers
    fill: float


@dataclass(frozen=True, eq=False)
class _Stream:
    """A stream between two stages; equal ones are one.

    Attributes:
        amounts: [kinds of the source, kinds of the sink, resources].
        cycles: [kinds of the source, kinds of the sink] of the slowest of what stands there.
    """

    amounts: Floats
    cycles: Integers


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


class Wiring:
    """Stages with their streams.

    Args:
        stages: of a network.
        edges: all streams.
        between: what stands on them.
    """

    def __init__(self, stages: Sequence[Stage], edges: Sequence[Edge], between: Between) -> None:
        ports: list[list[tuple[int, ...]]] = [[] for _ in stages]
        alone: list[list[tuple[Port, tuple[int, ...], tuple[int, ...]]]] = [[] for _ in stages]
        crossing = []
        for edge in edges:
            source, sink = edge.source, edge.sink
            if source is not None and sink is not None and source != sink:
                places = len(ports[source]), len(ports[sink])
                ports[source].append(edge.given)
                ports[sink].append(edge.taken)
                crossing.append((source, sink, edge.port, *places))
                continue
            own_stream = edge.port, edge.given or edge.taken, edge.taken or edge.given
            alone[_number(source, sink)].append(own_stream)
        known: dict[object, _Own] = {}
        self.own: list[_Own] = []
        for stage, outer, inner in zip(stages, ports, alone, strict=True):
            # Equal stages share their choices, and the widths of these.
            key = id(stage.choices), tuple(map(id, outer)), tuple((p, id(g)) for p, g, _ in inner)
            if key not in known:
                known[key] = _own(stage, outer, inner, between)
            self.own.append(known[key])
        streams: dict[object, _Stream] = {}
        self.streams: list[tuple[int, int, _Stream]] = []
        for source, sink, port, gives, takes in crossing:
            given, taken = self.own[source].widths[:, gives], self.own[sink].widths[:, takes]
            stream = port, given.tobytes(), taken.tobytes()
            if stream not in streams:
                streams[stream] = _stream(port, given, taken, between)
            self.streams.append((source, sink, streams[stream]))

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
        scale: Floats,
        limits: Floats,
        filling: Callable[[float, Integers], Floats],
    ) -> Instance | None:
        """What keeps an interval and is not beyond the budget alone; None if some stage has none.

        Args:
            interval: to keep.
            scale: [resources] what an amount is multiplied by.
            limits: [resources] of amounts so scaled.
            filling: cost of choices beside what they take, from the stage's ``fill`` and [choices]
                their cycles.
        """
        kept = {
            own: np.flatnonzero(
                (own.cycles <= interval) & (own.amounts * scale <= limits).all(axis=1)
            )
            for own in set(self.own)
        }
        if not all(map(len, kept.values())):
            return None
        parts: dict[_Own, Part] = {}
        kinds: dict[_Own, Integers] = {}
        for own, where in kept.items():
            kinds[own], inverse = np.unique(own.kinds[where], return_inverse=True)
            beside = filling(own.fill, own.cycles[where])
            parts[own] = Part(own.amounts[where] * scale, beside, inverse)
        links: dict[tuple[_Stream, _Own, _Own], Link] = {}
        linked = []
        for source, sink, stream in self.streams:
            ends = self.own[source], self.own[sink]
            key = stream, *ends
            if key not in links:
                here = np.ix_(kinds[ends[0]], kinds[ends[1]])
                links[key] = Link(stream.amounts[here] * scale, stream.cycles[here] > interval)
            linked.append((source, sink, links[key]))
        relaxed = Relaxed([parts[own] for own in self.own], linked)
        return Instance(relaxed, [kept[own] for own in self.own])


def _number(source: int | None, sink: int | None) -> int:
    """Of the one stage that a stream belongs to."""
    if source is None and sink is None:
        raise ValueError("a stream belongs to no stage")
    return max(-1 if each is None else each for each in (source, sink))


def _own(
    stage: Stage,
    outer: Sequence[tuple[int, ...]],
    inner: Sequence[tuple[Port, tuple[int, ...], tuple[int, ...]]],
    between: Between,
) -> _Own:
    amounts, cycles = stage.amounts, stage.cycles
    for port, given, taken in inner:
        pairs = {pair: between.of(port, *pair) for pair in set(zip(given, taken, strict=True))}
        found = [pairs[pair] for pair in zip(given, taken, strict=True)]
        amounts = amounts + np.array([each for each, _ in found])
        cycles = np.maximum(cycles, [each for _, each in found])
    seen = np.array(outer, np.int64).reshape(len(outer), len(stage.choices)).T
    widths, kinds = np.unique(seen, axis=0, return_inverse=True)
    return _Own(amounts, cycles, kinds.reshape(-1), widths, stage.fill)


def _stream(port: Port, given: Integers, taken: Integers, between: Between) -> _Stream:
    gives, from_given = np.unique(given, return_inverse=True)
    takes, from_taken = np.unique(taken, return_inverse=True)
    found = [[between.of(port, g, t) for t in takes.tolist()] for g in gives.tolist()]
    here = np.ix_(from_given.reshape(-1), from_taken.reshape(-1))
    amounts = np.array([[each for each, _ in row] for row in found])
    cycles = np.array([[each for _, each in row] for row in found], np.int64)
    return _Stream(amounts[here], cycles[here])
