"""Chooses how parallel every node of a network is, within a board's budget."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from sdq_fpga.board import Board
from sdq_fpga.cost.folding.figures import Resources, Shares, usable
from sdq_fpga.cost.folding.foldings import Choice
from sdq_fpga.cost.folding.latency import cheapest_within, quickest
from sdq_fpga.cost.folding.network import Known, apply_choice, network_edges, network_stages
from sdq_fpga.cost.folding.program import RESOURCES, Chosen, Floats, Program
from sdq_fpga.cost.node import HardwareGraph
from sdq_fpga.cost.streams import insert_streams
from sdq_fpga.cost.timing.schedule import Pipeline
from sdq_fpga.errors import StageError, UserError

__all__ = ["Need", "Solution", "is_reached", "least_need", "solve"]

_FRAMES = 2  # to time a latency


@dataclass(frozen=True)
class Solution:
    """A folding of a network.

    Attributes:
        chosen: by node, its folding.
        graph: the folded nodes with converters, and FIFOs of the least depth.
        interval: cycles of the slowest node.
        shorter: the next shorter interval that nodes may have; 0 if there is none.
        bound: no folding within the budget has a shorter interval; 0 with a target,
            for which nobody looked.
        gap: by how much, relatively, the shares of the board that it takes, and without a target
            the time to fill the pipeline, may exceed the least at its interval; None with a target
            latency, for which no bound is known.
        prices: by resource, how many cycles of interval one more unit would save.
        resources: of the graph.
    """

    chosen: Mapping[str, Choice]
    graph: HardwareGraph
    interval: int
    shorter: int
    bound: int
    gap: float | None
    prices: Mapping[str, float]
    resources: Resources


def solve(
    graph: HardwareGraph,
    board: Board,
    clock_mhz: float,
    target_fps: float | None,
    shares: Shares,
    target_latency_us: float | None = None,
    known: Known | None = None,
    *,
    thrifty: bool = False,
) -> Solution:
    """Folds a network.

    Without a target, the interval is the least that fits; then the time to fill the pipeline is
    traded with resources (``Program.quickest_at``). With one, it takes the least that reaches it.

    Args:
        graph: the nodes, of any folding, without converters and FIFOs.
        board: whose budget to keep.
        clock_mhz: clock of the accelerator.
        target_fps: frames per second to reach.
        shares: of the board that may be used.
        target_latency_us: microseconds that a frame may take through the empty pipeline, by the
            timing model with FIFOs of any depth.
        known: of the board; whoever folds several networks hands the same over.
        thrifty: whether it takes the least without a target, too, and nothing to fill faster.

    Raises:
        UserError: a target can't be reached, or nothing fits the board.
    """
    program = _program(graph, board, shares, known or Known(board))
    asked = _Asked(graph, board, clock_mhz, program)
    if target_latency_us is not None:
        return _within(asked, target_latency_us, target_fps)
    interval, bound = _interval(program, board, clock_mhz, target_fps)
    chosen = asked.best(interval, for_latency=target_fps is None and not thrifty)
    if chosen is None:
        raise StageError(
            f"a folding with an interval of {interval} cycles was found, and lost",
            "report the network",
        )
    return asked.solution(chosen, bound)


def is_reached(
    graph: HardwareGraph,
    board: Board,
    clock_mhz: float,
    target_fps: float,
    shares: Shares,
    known: Known | None = None,
) -> bool:
    """Whether some folding reaches a frame rate; arguments as of ``solve``.

    It does not look for the best of them, which takes longer.
    """
    program = _program(graph, board, shares, known or Known(board))
    interval = int(clock_mhz * 1e6 / target_fps)
    return interval >= program.intervals[0] and program.any_at(interval) is not None


@dataclass(frozen=True)
class Need:
    """What a network takes at the least to keep an interval.

    Attributes:
        share: how many times the budget; see ``Program.need_at``.
        prices: by resource, what a unit is worth, where the budget is worth 1.
        interval: cycles between frames that are kept.
        graph: the design that is worth the least, with converters and FIFOs of the least depth.
    """

    share: float
    prices: Mapping[str, float]
    interval: int
    graph: HardwareGraph


def least_need(
    graph: HardwareGraph, board: Board, interval: int, shares: Shares, known: Known | None = None
) -> Need:
    """What keeping an interval takes, be it more than there is.

    Args:
        graph: the nodes, of any folding, without converters and FIFOs.
        board: whose budget it is compared with.
        interval: cycles between frames; where no folding has so few, those of the fastest.
        shares: of the board that may be used.
        known: of the board; as of ``solve``.

    Raises:
        StageError: no design keeps the interval.
    """
    program = _program(graph, board, shares, known or Known(board))
    kept = max(interval, int(program.intervals[0]))
    share, prices, chosen = program.need_at(kept)
    folded = _Asked(graph, board, 1.0, program).folded(chosen)
    return Need(share, prices, kept, folded)


def _program(graph: HardwareGraph, board: Board, shares: Shares, known: Known) -> Program:
    stages = network_stages(graph, known)
    edges = network_edges(graph, stages)
    return Program(stages, usable(board, shares), edges, known.wires)


@dataclass(frozen=True)
class _Asked:
    """A network, and the board that it is folded for."""

    graph: HardwareGraph
    board: Board
    clock_mhz: float
    program: Program

    def best(self, interval: int, *, for_latency: bool) -> Chosen | None:
        """The design of an interval; None if none fits."""
        program = self.program
        return program.quickest_at(interval) if for_latency else program.cheapest_at(interval)

    def timed(self, interval: int, *, for_latency: bool) -> "_Timed | None":
        """The design of an interval, timed; None if none fits."""
        chosen = self.best(interval, for_latency=for_latency)
        if chosen is None:
            return None
        pipeline = Pipeline(self.folded(chosen))
        found = pipeline.time(dict.fromkeys(pipeline.fifos, 0), frames=_FRAMES)
        cost = float((self.program.amounts(chosen) * self.program.scale).sum())
        return _Timed(chosen, found.latency, cost)

    def named(self, chosen: Chosen) -> dict[str, Choice]:
        """The choice of each node, by its name."""
        return {
            name: choice
            for stage, index in zip(self.program.stages, chosen.index, strict=True)
            for name, choice in zip(stage.names, stage.foldings[index], strict=True)
        }

    def folded(self, chosen: Chosen) -> HardwareGraph:
        """The folded nodes with converters and FIFOs."""
        named = self.named(chosen)
        nodes = tuple(apply_choice(node, named[node.name]) for node in self.graph.nodes)
        return insert_streams(replace(self.graph, nodes=nodes))

    def solution(self, chosen: Chosen, bound: int) -> Solution:
        """What is told of a choice."""
        folded, program = self.folded(chosen), self.program
        amounts = zip(RESOURCES, program.amounts(chosen).tolist(), strict=True)
        total = Resources(**{name: round(amount) for name, amount in amounts})
        interval, prices = program.interval(chosen), program.prices()
        shorter = int(program.intervals[program.intervals < interval].max(initial=0))
        return Solution(
            chosen=self.named(chosen),
            graph=folded,
            interval=interval,
            shorter=shorter,
            bound=bound,
            gap=chosen.gap,
            prices=prices,
            resources=total,
        )


@dataclass(frozen=True)
class _Timed:
    """A choice that was timed, as ``sdq_fpga.cost.folding.latency`` wants it."""

    chosen: Chosen
    latency: int
    cost: float


def _within(asked: _Asked, target_us: float, target_fps: float | None) -> Solution:
    """The cheapest design that was found within a latency, and at a frame rate if one is wanted."""
    program, most = asked.program, int(target_us * asked.clock_mhz)
    least, _ = _interval(program, asked.board, asked.clock_mhz, None)
    slowest = int(program.intervals[-1])
    if target_fps is not None:
        slowest, _ = _interval(program, asked.board, asked.clock_mhz, target_fps)
    fitting = [int(n) for n in program.intervals if least <= n <= slowest]
    # A frame is at least as long inside as the slowest node needs for it.
    found = cheapest_within([n for n in fitting if n <= most], asked.timed, most)
    if found is None:
        found = quickest(fitting, asked.timed)
    if found is None:
        raise StageError(
            f"no folding with an interval of {least} to {slowest} cycles was found again",
            "report the network",
        )
    if found.latency > most:
        raise UserError(*_too_late(asked, found, target_us))
    return replace(asked.solution(found.chosen, 0), gap=None)


# ---- the choice -------------------------------------------------------------------------------


def _interval(
    program: Program, board: Board, clock_mhz: float, target_fps: float | None
) -> tuple[int, int]:
    """The interval to keep, and a bound: nodes alone can't have a shorter one."""
    hertz = clock_mhz * 1e6
    if target_fps is not None:
        interval = int(hertz / target_fps)
        if interval >= program.intervals[0] and program.any_at(interval) is not None:
            return interval, 0
    best, bound = program.least_interval()
    if best is None:
        short = _short(program, int(program.intervals[-1]))
        raise UserError(
            f"the network does not fit {board.name} even fully folded: {short}",
            "use fewer bits, a smaller network or a larger board",
        )
    if target_fps is None:
        return best, bound
    most = f"ask for at most {int(hertz / best)} frames/s"
    least = int(program.intervals[0])
    if interval < least:
        within = "" if best == least else f"; even {least} do not fit: {_short(program, least)}"
        raise UserError(
            f"no folding reaches {target_fps:,.12g} frames/s at {clock_mhz:g} MHz: "
            f"{_slowest(program)}{within}",
            f"{most}, or raise the clock",
        )
    raise UserError(
        f"{target_fps:,.12g} frames/s do not fit {board.name}: {_short(program, interval)}",
        f"{most}, or use fewer bits or a larger board",
    )


def _slowest(program: Program) -> str:
    """Says which node can't do with fewer cycles."""
    slowest = max(program.stages, key=lambda stage: int(stage.cycles.min()))
    return (
        f"{slowest.names[-1]} of layer '{slowest.layer}' takes {slowest.cycles.min()} cycles a "
        "frame at its most parallel"
    )


def _too_late(asked: _Asked, best: _Timed, target_us: float) -> tuple[str, str]:
    """Says what the best latency is, and which node and which resource stand in the way."""
    pairs = zip(asked.program.stages, best.chosen.index, strict=True)
    stage, cycles = max(
        ((stage, int(stage.cycles[index])) for stage, index in pairs), key=lambda each: each[1]
    )
    best_us = best.latency / asked.clock_mhz
    prices = asked.program.prices()
    budgets = zip(RESOURCES, asked.program.budget.tolist(), strict=True)
    worth, scarce = max((prices[name] * budget, name) for name, budget in budgets)
    lacks = f", as there is too little {scarce}" if worth > 0 else ""
    return (
        f"no folding within the budget was found with a latency of {target_us:g} us at "
        f"{asked.clock_mhz:g} MHz: the quickest takes {best_us:.4g} us ({best.latency} cycles), "
        f"the most of them {stage.names[-1]} of layer '{stage.layer}', which needs {cycles} "
        f"for a frame{lacks}",
        f"ask for at least {math.ceil(best_us * 1000) / 1000:g} us, use fewer bits or a larger "
        "board, or raise the clock",
    )


def _over(program: Program, amounts: Floats) -> list[tuple[str, int, int]]:
    """Name, amount and budget of each resource that is exceeded."""
    return [
        (name, int(amount), int(budget))
        for name, amount, budget in zip(RESOURCES, amounts, program.budget, strict=True)
        if amount > budget
    ]


def _short(program: Program, interval: int) -> str:
    """Says what there is too little of, and which layer takes the most of it."""
    nearest = program.nearest_at(interval)
    over = _over(program, program.amounts(nearest))
    said = ", ".join(f"{name} ({amount} of {budget} usable)" for name, amount, budget in over)
    column = RESOURCES.index(max(over, key=lambda each: each[1] / max(each[2], 1))[0])
    stage, most = max(
        (
            (stage, float(stage.amounts[index, column]))
            for stage, index in zip(program.stages, nearest.index, strict=True)
        ),
        key=lambda each: each[1],
    )
    return (
        f"too little {said}; layer '{stage.layer}' ({stage.names[-1]}) takes the most "
        f"{RESOURCES[column]}, {most:.0f}"
    )
