"""What stands between stages: converters and FIFOs, whose cost depends on both sides' folding.

The integer program knows nodes alone. From its solution, stages and pairs of neighbours change
their choice as long as that makes the whole cheaper, what stands between them included.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sdq_fpga.board import DspGeneration
from sdq_fpga.cost.folding.cycles import node_cycles
from sdq_fpga.cost.folding.program import RESOURCES, Chosen, Program
from sdq_fpga.cost.node import HardwareNode
from sdq_fpga.cost.ports import Port
from sdq_fpga.cost.resources import node_resources
from sdq_fpga.cost.streams import converter, fifo

__all__ = ["Between", "Edge", "improve"]

_SWEEPS = 12
_OVER = 1e3  # weight of what exceeds the budget, in shares of it
_CANDIDATES = 8  # of each side of a pair
_LEAST_GAIN = 1e-9
_TOO_SLOW = 1e7

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Edge:
    """A stream between two nodes, mostly of two stages, or between one and the outside.

    Attributes:
        source: number of the stage that gives it, None for an input of the network.
        sink: number of the stage that takes it, None for an output; it may be the same.
        port: what goes through, of any width.
        given: for each choice of the source, values in a beat.
        taken: for each choice of the sink, likewise.
    """

    source: int | None
    sink: int | None
    port: Port
    given: tuple[int, ...] = ()
    taken: tuple[int, ...] = ()

    def nodes(self, given: int, taken: int) -> list[HardwareNode]:
        """What stands there."""
        have, wanted = replace(self.port, elements=given), replace(self.port, elements=taken)
        found = [fifo("fifo", "in", have if given > taken else wanted, "")]
        if given != taken:
            found.append(converter("dwc", "in", have, wanted, ""))
        return found


class Between:
    """What stands on edges, by their kind and widths: the same is asked for many times.

    Args:
        dsp: DSP slices of the board.
    """

    def __init__(self, dsp: DspGeneration) -> None:
        self._dsp = dsp
        self._known: dict[tuple[Port, int, int], tuple[Floats, int]] = {}

    def of(self, edge: Edge, given: int, taken: int) -> tuple[Floats, int]:
        """[resources] in order of ``RESOURCES``, and cycles of a frame."""
        key = edge.port, given, taken
        if key not in self._known:
            nodes = edge.nodes(given, taken)
            found = [node_resources(node, self._dsp) for node in nodes]
            amounts = [sum(getattr(each, name) for each in found) for name in RESOURCES]
            self._known[key] = np.array(amounts, np.float64), max(map(node_cycles, nodes))
        return self._known[key]


def improve(
    program: Program,
    edges: Sequence[Edge],
    chosen: Chosen,
    interval: int,
    between: Between,
    *,
    for_latency: bool,
) -> tuple[Chosen, Floats]:
    """Makes a choice cheaper, with all that stands between stages.

    Args:
        program: the stages and the budget.
        edges: between the stages.
        chosen: where to begin.
        interval: to keep.
        between: what stands on edges.
        for_latency: whether to fill the pipeline sooner, too, as ``Program.quickest_at`` does.

    Returns:
        The choice, and the resources of everything in order of ``RESOURCES``, which may exceed the
        budget.
    """
    search = _Search(program, edges, chosen, interval, between, for_latency=for_latency)
    before = np.inf
    for _ in range(_SWEEPS):
        for stage in range(len(program.stages)):
            search.change(stage)
        for number in range(len(edges)):
            search.change_both(number)
        after = search.cost()
        if after > before - _LEAST_GAIN:
            break
        before = after
    return Chosen(search.index), search.total


class _Search:
    """A choice that changes, and what it costs. Choices are numbered among those that keep up."""

    def __init__(
        self,
        program: Program,
        edges: Sequence[Edge],
        chosen: Chosen,
        interval: int,
        between: Between,
        *,
        for_latency: bool,
    ) -> None:
        self.program, self.interval, self.between = program, interval, between
        self.rows: dict[tuple[int, bool, int], Floats] = {}
        stages = program.stages
        self.kept = [np.flatnonzero(stage.cycles <= interval) for stage in stages]
        self.at = [
            int(np.searchsorted(kept, index))
            for kept, index in zip(self.kept, chosen.index, strict=True)
        ]
        self.amounts = [s.amounts[kept] for s, kept in zip(stages, self.kept, strict=True)]
        self.filling = [
            program.filling(stage, interval)[kept] * for_latency
            for stage, kept in zip(stages, self.kept, strict=True)
        ]
        self.edges = [_Side.both(edge, self.kept) for edge in edges]
        self.around: list[list[int]] = [[] for _ in stages]
        for number, edge in enumerate(edges):
            for stage in {edge.source, edge.sink} - {None}:
                self.around[stage].append(number)  # type: ignore[index]
        self.total = np.sum([a[k] for a, k in zip(self.amounts, self.at, strict=True)], axis=0)
        for number in range(len(edges)):
            self.total = self.total + self._between(number, *self._widths(number))

    @property
    def index(self) -> tuple[int, ...]:
        """The choice, numbered among all of each stage."""
        return tuple(int(kept[k]) for kept, k in zip(self.kept, self.at, strict=True))

    def cost(self) -> float:
        """What is minimised."""
        filling = sum(float(f[k]) for f, k in zip(self.filling, self.at, strict=True))
        return float(self._priced(self.total)) + filling

    def change(self, stage: int) -> None:
        """Takes the best choice of a stage, all others staying as they are."""
        candidates = self._with(stage, self.around[stage])
        rest = self.total - candidates[self.at[stage]]
        costs = self._priced(rest + candidates) + self.filling[stage]
        self.at[stage] = int(np.argmin(costs))
        self.total = rest + candidates[self.at[stage]]

    def change_both(self, number: int) -> None:
        """Takes the best pair of choices on either side of an edge that has a converter."""
        source, sink = self.edges[number]
        given, taken = self._widths(number)
        if source.stage is None or sink.stage is None or source.stage == sink.stage:
            return
        if given == taken:
            return
        shared = [each for each in self.around[source.stage] if each in self.around[sink.stage]]
        left, right = (
            self._with(stage, [each for each in self.around[stage] if each not in shared])
            for stage in (source.stage, sink.stage)
        )
        now = self.at[source.stage], self.at[sink.stage]
        rows, columns = self._cheapest(source.stage, left), self._cheapest(sink.stage, right)
        both = left[rows][:, None] + right[columns][None]
        for each in shared:
            first, second = self.edges[each]
            ways = (rows, columns) if first.stage == source.stage else (columns, rows)
            between = np.array(
                [
                    [self._between(each, int(first.of[i]), int(second.of[j])) for j in ways[1]]
                    for i in ways[0]
                ]
            )
            both = both + (between if ways[0] is rows else between.swapaxes(0, 1))
        rest = self.total - left[now[0]] - right[now[1]]
        for each in shared:
            rest = rest - self._between(each, *self._widths(each))
        costs = self._priced(rest + both) + self.filling[source.stage][rows][:, None]
        costs = costs + self.filling[sink.stage][columns][None]
        i, j = np.unravel_index(int(np.argmin(costs)), costs.shape)
        self.at[source.stage], self.at[sink.stage] = int(rows[i]), int(columns[j])
        self.total = rest + both[i, j]

    def _cheapest(self, stage: int, amounts: Floats) -> Integers:
        """The choice that is taken, and some that are good for the stage alone."""
        costs = self._priced(amounts) + self.filling[stage]
        order = np.argsort(costs, kind="stable")[:_CANDIDATES]
        return np.append(order, self.at[stage])

    def _priced(self, totals: Floats) -> Floats:
        """Shares of the budget, and what exceeds it, of [..., resources]."""
        shares = totals * self.program.scale
        over = np.maximum(shares - self.program.limits, 0)
        found: Floats = shares.sum(axis=-1) + _OVER * over.sum(axis=-1)
        return found

    def _widths(self, number: int) -> tuple[int, int]:
        """Values in a beat on either side of an edge."""
        given, taken = (
            0 if side.stage is None else int(side.of[self.at[side.stage]])
            for side in self.edges[number]
        )
        return given or taken, taken or given

    def _with(self, stage: int, edges: Sequence[int]) -> Floats:
        """[choices, resources] of a stage and of edges that touch it."""
        found = self.amounts[stage]
        for number in edges:
            source, sink = self.edges[number]
            if source.stage == sink.stage:
                found = found + self._inside(number)
                continue
            gives = source.stage == stage
            own, other = (source, sink) if gives else (sink, source)
            there = 0 if other.stage is None else int(other.of[self.at[other.stage]])
            key = number, gives, there
            if key not in self.rows:
                pairs = [(int(width), there or int(width)) for width in own.widths]
                self.rows[key] = np.array(
                    [self._between(number, *(pair if gives else pair[::-1])) for pair in pairs]
                )
            found = found + self.rows[key][own.which]
        return found

    def _inside(self, number: int) -> Floats:
        """[choices, resources] of what stands on an edge between two nodes of one stage."""
        key = number, True, 0
        if key not in self.rows:
            source, sink = self.edges[number]
            pairs = zip(source.of, sink.of, strict=True)
            self.rows[key] = np.array([self._between(number, int(g), int(t)) for g, t in pairs])
        return self.rows[key]

    def _between(self, number: int, given: int, taken: int) -> Floats:
        """[resources] of what stands on an edge; more than any board has if it is too slow."""
        amounts, cycles = self.between.of(self.edges[number][0].edge, given, taken)
        return amounts if cycles <= self.interval else amounts + _TOO_SLOW


@dataclass(frozen=True, eq=False)
class _Side:
    """One side of an edge.

    Attributes:
        edge: the edge.
        stage: on this side; None for the outside.
        of: [choices that keep up] values in a beat.
        widths: those that there are.
        which: [choices that keep up] number of the width.
    """

    edge: Edge
    stage: int | None
    of: Integers
    widths: Integers
    which: Integers

    @classmethod
    def both(cls, edge: Edge, kept: Sequence[Integers]) -> "tuple[_Side, _Side]":
        """Both sides: the source, then the sink."""

        def side(stage: int | None, elements: Sequence[int]) -> _Side:
            of = np.array(elements, np.int64)
            of = of if stage is None else of[kept[stage]]
            return cls(edge, stage, of, *np.unique(of, return_inverse=True))

        return side(edge.source, edge.given), side(edge.sink, edge.taken)
