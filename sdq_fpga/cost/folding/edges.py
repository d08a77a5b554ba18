"""What stands between stages: converters and FIFOs, whose cost depends on both sides' folding.

The integer program knows nodes alone. From its solution, stages and pairs of neighbours change
their choice as long as that makes the whole cheaper, what stands between them included.
"""

import itertools
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

__all__ = ["Edge", "improve"]

_SWEEPS = 12
_OVER = 1e3  # weight of what exceeds the budget, in shares of it
_CANDIDATES = 8  # of each side of a pair
_LEAST_GAIN = 1e-9
_TOO_SLOW = 1e7

Floats = npt.NDArray[np.float64]


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

    def elements(self, index: Sequence[int]) -> tuple[int, int]:
        """Values in a beat on either side, for the choices of all stages."""
        given = 0 if self.source is None else self.given[index[self.source]]
        taken = 0 if self.sink is None else self.taken[index[self.sink]]
        return given or taken, taken or given

    def nodes(self, given: int, taken: int) -> list[HardwareNode]:
        """What stands there."""
        have, wanted = replace(self.port, elements=given), replace(self.port, elements=taken)
        found = [fifo("fifo", "in", have if given > taken else wanted, "")]
        if given != taken:
            found.append(converter("dwc", "in", have, wanted, ""))
        return found


def improve(
    program: Program,
    edges: Sequence[Edge],
    chosen: Chosen,
    interval: int,
    dsp: DspGeneration,
    *,
    for_latency: bool,
) -> tuple[Chosen, bool]:
    """Makes a choice cheaper, with all that stands between stages.

    Args:
        program: the stages and the budget.
        edges: between the stages.
        chosen: where to begin.
        interval: to keep.
        dsp: of the board.
        for_latency: whether to fill the pipeline sooner, too, as ``Program.quickest_at`` does.

    Returns:
        The choice, and whether it is within the budget.
    """
    search = _Search(program, edges, chosen, interval, dsp, for_latency=for_latency)
    before = np.inf
    for _ in range(_SWEEPS):
        for stage in range(len(program.stages)):
            search.change(stage)
        for edge in edges:
            search.change_both(edge)
        after = search.cost()
        if after > before - _LEAST_GAIN:
            break
        before = after
    fits = bool((search.total <= program.budget).all())
    return Chosen(tuple(search.index), chosen.gap), fits


class _Search:
    """A choice that changes, and what it costs."""

    def __init__(
        self,
        program: Program,
        edges: Sequence[Edge],
        chosen: Chosen,
        interval: int,
        dsp: DspGeneration,
        *,
        for_latency: bool,
    ) -> None:
        self.program, self.interval, self.dsp = program, interval, dsp
        self.index = list(chosen.index)
        self.known: dict[tuple[Port, int, int], Floats] = {}
        self.kept = [np.flatnonzero(s.cycles <= interval) for s in program.stages]
        self.filling = [program.filling(stage, interval) * for_latency for stage in program.stages]
        self.around: list[list[Edge]] = [[] for _ in program.stages]
        for edge in edges:
            for stage in {edge.source, edge.sink}:
                if stage is not None:
                    self.around[stage].append(edge)
        self.total = program.amounts(chosen)
        for edge in edges:
            self.total = self.total + self._beside(edge)

    def cost(self) -> float:
        """What is minimised."""
        filling = sum(float(f[i]) for f, i in zip(self.filling, self.index, strict=True))
        return float(self._priced(self.total)) + filling

    def change(self, stage: int) -> None:
        """Takes the best choice of a stage, all others staying as they are."""
        choices = self.kept[stage]
        rest = self.total - self._touching([stage])
        candidates = self.program.stages[stage].amounts[choices].copy()
        for edge in self.around[stage]:
            for row, choice in enumerate(choices):
                self.index[stage] = int(choice)
                candidates[row] += self._beside(edge)
        costs = self._priced(rest + candidates) + self.filling[stage][choices]
        best = int(np.argmin(costs))
        self.index[stage] = int(choices[best])
        self.total = rest + candidates[best]

    def change_both(self, edge: Edge) -> None:
        """Takes the best pair of choices on either side of an edge that has a converter."""
        given, taken = edge.elements(self.index)
        if edge.source is None or edge.sink is None or given == taken:
            return
        pair = (edge.source, edge.sink)
        rest = self.total - self._touching(pair)
        best, found = np.inf, (self.index[edge.source], self.index[edge.sink])
        sides = self._cheapest(edge.source), self._cheapest(edge.sink)
        for both in itertools.product(*sides):
            self.index[edge.source], self.index[edge.sink] = both
            cost = float(self._priced(rest + self._touching(pair)))
            cost += sum(float(self.filling[stage][self.index[stage]]) for stage in pair)
            if cost < best:
                best, found = cost, both
        self.index[edge.source], self.index[edge.sink] = found
        self.total = rest + self._touching(pair)

    def _cheapest(self, stage: int) -> list[int]:
        """The choice that is taken, and some that are good for the stage alone."""
        choices = self.kept[stage]
        costs = self._priced(self.program.stages[stage].amounts[choices])
        order = np.argsort(costs + self.filling[stage][choices], kind="stable")[:_CANDIDATES]
        return [self.index[stage], *(int(each) for each in choices[order])]

    def _priced(self, totals: Floats) -> Floats:
        """Shares of the budget, and what exceeds it, of [..., resources]."""
        shares = totals * self.program.scale
        over = np.maximum(shares - self.program.limits, 0)
        found: Floats = shares.sum(axis=-1) + _OVER * over.sum(axis=-1)
        return found

    def _touching(self, stages: Sequence[int]) -> Floats:
        """[resources] of stages and of the edges that touch them."""
        edges = {id(edge): edge for stage in stages for edge in self.around[stage]}
        own = [self.program.stages[stage].amounts[self.index[stage]] for stage in stages]
        found: Floats = np.sum([*own, *map(self._beside, edges.values())], axis=0)
        return found

    def _beside(self, edge: Edge) -> Floats:
        """[resources] of what stands on an edge; more than any board has if it is too slow."""
        key = edge.port, *edge.elements(self.index)
        if key not in self.known:
            nodes = edge.nodes(*key[1:])
            found = [node_resources(node, self.dsp) for node in nodes]
            amounts = [sum(getattr(each, name) for each in found) for name in RESOURCES]
            slow = any(node_cycles(node) > self.interval for node in nodes)
            self.known[key] = np.array(amounts, np.float64) + slow * _TOO_SLOW
        return self.known[key]
