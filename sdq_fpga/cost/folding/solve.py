"""Chooses how parallel every node of a network is, within a board's budget."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sdq_fpga.board import Board
from sdq_fpga.cost.folding.choices import Choice, lut_unit, stage_choices, stage_nodes
from sdq_fpga.cost.folding.edges import Between, Edge, improve
from sdq_fpga.cost.folding.figures import Resources, Shares, usable
from sdq_fpga.cost.folding.program import RESOURCES, Chosen, Floats, Program, Stage
from sdq_fpga.cost.folding.windows import fill_of_windows
from sdq_fpga.cost.node import HardwareGraph, HardwareNode
from sdq_fpga.cost.ports import input_ports, output_ports
from sdq_fpga.cost.resources import total_resources
from sdq_fpga.cost.streams import insert_streams
from sdq_fpga.errors import UserError

__all__ = ["Solution", "apply_choice", "solve"]

_WHOLE_FRAME = frozenset({"SdqGlobalPool_rtl", "SdqLabelSelect_rtl"})  # give when all has come in


@dataclass(frozen=True)
class Solution:
    """A folding of a network.

    Attributes:
        chosen: by node, its folding.
        graph: the folded nodes with converters, and FIFOs of the least depth.
        interval: cycles of the slowest node.
        bound: no folding of the nodes within the budget has a shorter interval; 0 with a target,
            for which nobody looked.
        prices: by resource, how many cycles of interval one more unit would save.
        resources: of the graph.
    """

    chosen: Mapping[str, Choice]
    graph: HardwareGraph
    interval: int
    bound: int
    prices: Mapping[str, float]
    resources: Resources


def solve(
    graph: HardwareGraph,
    board: Board,
    clock_mhz: float,
    target_fps: float | None,
    shares: Shares,
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

    Raises:
        UserError: the target can't be reached, or nothing fits the board.
    """
    stages = _stages(graph, board)
    edges = _edges(graph, stages)
    program = Program(stages, usable(board, shares))
    interval, bound = _interval(program, board, clock_mhz, target_fps)
    for_latency, between = target_fps is None, Between(board.dsp)
    # What stands between nodes takes room, too: it may be that the next interval has to do.
    for each in (interval, *(int(n) for n in program.intervals if n > interval)):
        start = program.quickest_at(each) if for_latency else program.cheapest_at(each)
        if start is None:
            continue
        chosen, total = improve(program, edges, start, each, between, for_latency=for_latency)
        if (total <= program.budget).all():
            return _solution(graph, board, program, chosen, bound)
        if target_fps is not None:
            break
    wanted = "even fully folded" if target_fps is None else f"at {target_fps:g} frames/s"
    said = ", ".join(
        f"{name} ({amount} of {most} usable)" for name, amount, most in _over(program, total)
    )
    raise UserError(
        f"the network does not fit {board.name} {wanted}: with the converters and FIFOs between "
        f"its nodes, too little {said}",
        "ask for fewer frames/s, use fewer bits or a larger board",
    )


def _solution(
    graph: HardwareGraph, board: Board, program: Program, chosen: Chosen, bound: int
) -> Solution:
    named = {
        name: choice
        for stage, index in zip(program.stages, chosen.index, strict=True)
        for name, choice in zip(stage.names, stage.choices[index], strict=True)
    }
    folded = insert_streams(
        replace(graph, nodes=tuple(apply_choice(n, named[n.name]) for n in graph.nodes))
    )
    total = total_resources(folded.nodes, board.dsp)
    return Solution(named, folded, program.interval(chosen), bound, program.prices(), total)


def apply_choice(node: HardwareNode, choice: Choice) -> HardwareNode:
    """The node as it is chosen."""
    unit = node if choice.op == node.op else lut_unit(node)
    return unit.with_attributes(choice.attributes)


# ---- stages -----------------------------------------------------------------------------------


def _stages(graph: HardwareGraph, board: Board) -> list[Stage]:
    """The stages with all their foldings, which equal ones share."""
    known: dict[object, tuple[tuple[Choice, ...], ...]] = {}
    stages = []
    for nodes in stage_nodes(graph):
        key = tuple((each.op, tuple(each.attributes.items()), each.narrow) for each in nodes)
        if key not in known:
            known[key] = tuple(stage_choices(nodes, board))
        names = tuple(each.name for each in nodes)
        stages.append(Stage(names, nodes[-1].layer, known[key], _fill(nodes[0])))
    return stages


def _edges(graph: HardwareGraph, stages: Sequence[Stage]) -> list[Edge]:
    """All streams, also those within a stage: these have a FIFO, too."""
    nodes = {node.name: node for node in graph.nodes}
    stage_of = {name: number for number, stage in enumerate(stages) for name in stage.names}
    widths: dict[tuple[int, int, bool], list[tuple[int, ...]]] = {}

    def elements(name: str, port: int, *, out: bool) -> tuple[int, ...]:
        """Of each choice of the node's stage."""
        stage = stages[stage_of[name]]
        key = id(stage.choices), stage.names.index(name), out
        if key not in widths:
            ports = output_ports if out else input_ports
            folded = (apply_choice(nodes[name], choice[key[1]]) for choice in stage.choices)
            widths[key] = list(zip(*([p.elements for p in ports(n)] for n in folded), strict=True))
        return widths[key][port]

    makers = {stream: (n.name, k) for n in graph.nodes for k, stream in enumerate(n.outputs)}
    edges = []
    for node in graph.nodes:
        for index, (stream, port) in enumerate(zip(node.inputs, input_ports(node), strict=True)):
            taken = elements(node.name, index, out=False)
            sink = stage_of[node.name]
            if stream not in makers:
                edges.append(Edge(None, sink, port, taken=taken))
                continue
            name, k = makers[stream]
            source = stage_of[name]
            edges.append(Edge(source, sink, port, elements(name, k, out=True), taken))
        for index, (stream, port) in enumerate(zip(node.outputs, output_ports(node), strict=True)):
            if stream in graph.outputs:
                given = elements(node.name, index, out=True)
                edges.append(Edge(stage_of[node.name], None, port, given))
    return edges


def _fill(node: HardwareNode) -> float:
    """Share of a node's frame that goes by before its first output."""
    match node.op:
        case "ConvolutionInputGenerator_rtl":
            return fill_of_windows(node)
        case "MVAU_rtl":
            return 1 / node.product("numInputVectors")
        case "SdqMvuLut_rtl":
            return 1 / node.product("shape")
        case _:
            return float(node.op in _WHOLE_FRAME)


# ---- the choice -------------------------------------------------------------------------------


def _interval(
    program: Program, board: Board, clock_mhz: float, target_fps: float | None
) -> tuple[int, int]:
    """The interval to keep, and a bound: nodes alone can't have a shorter one."""
    hertz = clock_mhz * 1e6
    if target_fps is not None:
        interval = int(hertz / target_fps)
        if interval < program.intervals[0]:
            raise UserError(*_too_fast(program, hertz, clock_mhz, target_fps))
        if program.any_at(interval) is not None:
            return interval, 0
    best, bound = program.least_interval()
    if best is None:
        short = _short(program, int(program.intervals[-1]))
        raise UserError(
            f"the network does not fit {board.name} even fully folded: {short}",
            "use fewer bits, a smaller network or a larger board",
        )
    if target_fps is not None:
        raise UserError(
            f"{target_fps:g} frames/s do not fit {board.name}: {_short(program, interval)}",
            f"ask for at most {int(hertz / best)} frames/s, or use fewer bits or a larger board",
        )
    return best, bound


def _too_fast(
    program: Program, hertz: float, clock_mhz: float, target_fps: float
) -> tuple[str, str]:
    slowest = max(program.stages, key=lambda stage: int(stage.cycles.min()))
    cycles = int(slowest.cycles.min())
    return (
        f"no folding reaches {target_fps:g} frames/s at {clock_mhz:g} MHz: {slowest.names[-1]} of "
        f"layer '{slowest.layer}' takes {cycles} cycles a frame at its most parallel",
        f"ask for at most {int(hertz / cycles)} frames/s, or raise the clock",
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
