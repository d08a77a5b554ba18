"""What a design will be like, before anything is trained: the table of ``sdq-fpga simulate``."""

from collections.abc import Iterable, Mapping

from pydantic import Field

from sdq_fpga.board import Board
from sdq_fpga.cost.clock import ClockLimit, clock_limit
from sdq_fpga.cost.cycles import node_cycles
from sdq_fpga.cost.features.weights import weight_style
from sdq_fpga.cost.folding.figures import Resources, Shares, usable
from sdq_fpga.cost.folding.program import RESOURCES
from sdq_fpga.cost.folding.solve import Solution, solve
from sdq_fpga.cost.node import HardwareGraph, HardwareNode
from sdq_fpga.cost.ports import input_ports
from sdq_fpga.cost.rebit import WEIGHTED
from sdq_fpga.cost.resources import total_resources
from sdq_fpga.cost.roofline import Roofline, roofline, weight_bits
from sdq_fpga.cost.streams import FIFO
from sdq_fpga.cost.timing.schedule import Pipeline
from sdq_fpga.plain import Plain

__all__ = ["Estimate", "Estimates", "LayerEstimate", "Simulated", "Sweep", "estimate"]

_FRAMES = 2  # to time a latency


class LayerEstimate(Plain):
    """All nodes of one layer.

    Attributes:
        layer: name of the layer.
        weight_bits: of its weights; 0 if it has none.
        activation_bits: of the values that come in.
        unit: "DSP" or "LUT", what its products are made of; "" if it has none.
        memory: what its weights are kept in: "distributed", "block" or "ultra"; "" if it keeps
            none, or a single word.
        pe: of the node with the products, or of the slowest.
        simd: likewise.
        cycles: of its slowest node, for a frame.
        busy: share of the network's interval for which that node works.
        resources: of all its nodes.
        mhz: clock that all its nodes may reach, FIFOs and converters included.
        share: of what is usable of whatever it takes the most of.
        takes: the resource of which it takes that share.
    """

    layer: str
    weight_bits: int
    activation_bits: int
    unit: str
    memory: str
    pe: int
    simd: int
    cycles: int
    busy: float
    resources: Resources
    mhz: float
    share: float
    takes: str


class Estimate(Plain):
    """A design that has not been built.

    Attributes:
        board: name of the board.
        clock_mhz: clock of the accelerator.
        layers: in order of the data.
        interval: cycles between frames, once the first ones have passed, with FIFOs that are deep
            enough: those of the slowest node.
        latency: cycles of a frame through the empty pipeline, by the timing model, likewise.
        frames_per_second: at that clock.
        bound: no folding within the budget has a shorter interval; 0 with a target,
            for which nobody looked.
        gap: by how much, relatively, what the design takes may exceed the least at its interval,
            as of ``Solution``; None where no bound is known.
        resources: of everything, with FIFOs of the least depth.
        usable: of each resource.
        prices: cycles of interval that one more unit of each would save.
        clock: what limits the clock, by the clock model.
        roofline: what the board could do.
        advice: what to change first.
    """

    board: str
    clock_mhz: float
    layers: tuple[LayerEstimate, ...]
    interval: float
    latency: int
    frames_per_second: float
    bound: int
    gap: float | None
    resources: Resources
    usable: Mapping[str, int]
    prices: Mapping[str, float]
    clock: ClockLimit
    roofline: Roofline
    advice: tuple[str, ...] = Field(default=())


class Simulated(Plain):
    """The RTL of a design in simulation, its FIFOs as shallow as they may be.

    Attributes:
        interval: cycles between frames.
        foretold_interval: of the same frames, which are among the first, by the timing model.
        latency: cycles of a frame through the empty pipeline.
        bit_exact: whether every output is that of the model.
        seconds: that it took to size, generate, compile and simulate it.
    """

    interval: float
    foretold_interval: float
    latency: int
    bit_exact: bool
    seconds: float


class Estimates(Plain):
    """A design, and what it would be with other bits.

    Attributes:
        as_it_is: the design.
        what_if: the design with the changes.
        changes: by layer, bits.
        rtl: what the RTL of the design shows in simulation, where that was asked for.
    """

    as_it_is: Estimate
    what_if: Estimate | None = None
    changes: Mapping[str, int] = Field(default_factory=dict)
    rtl: Simulated | None = None


class Sweep(Plain):
    """A network at several bits of all layers.

    Attributes:
        board: name of the board.
        network: name of the flow or the model.
        by_bits: None where there can be no such design.
        reasons: why not, where there is none.
    """

    board: str
    network: str
    by_bits: Mapping[int, Estimate | None]
    reasons: Mapping[int, str] = Field(default_factory=dict)


def estimate(
    graph: HardwareGraph,
    board: Board,
    clock_mhz: float,
    target_fps: float | None,
    shares: Shares,
    target_latency_us: float | None = None,
) -> Estimate:
    """Folds a network and times it.

    Args:
        graph: the nodes, of any folding, without converters and FIFOs.
        board: whose budget to keep.
        clock_mhz: clock of the accelerator.
        target_fps: frames per second to reach; None for the fastest that fits.
        shares: of the board that may be used.
        target_latency_us: microseconds that a frame may take; None for any.

    Raises:
        UserError: a target can't be reached, or nothing fits the board.
    """
    solution = solve(graph, board, clock_mhz, target_fps, shares, target_latency_us)
    interval, pipeline = float(solution.interval), Pipeline(solution.graph)
    schedule = pipeline.time(dict.fromkeys(pipeline.fifos, 0), frames=_FRAMES)
    limits = usable(board, shares)
    targeted = target_fps is not None or target_latency_us is not None
    layers = _layers(solution.graph, board, limits, interval)
    hertz = clock_mhz * 1e6
    advice = _advice(solution, layers, limits, targeted=targeted)
    return Estimate(
        board=board.name,
        clock_mhz=clock_mhz,
        layers=layers,
        interval=interval,
        latency=schedule.latency,
        frames_per_second=hertz / interval,
        bound=solution.bound,
        gap=solution.gap,
        resources=solution.resources,
        usable=limits,
        prices=dict(solution.prices),
        clock=clock_limit(solution.graph.nodes, board.part),
        roofline=roofline(solution.graph, board, limits, hertz, interval),
        advice=tuple(advice),
    )


def _layers(
    graph: HardwareGraph, board: Board, limits: Mapping[str, int], interval: float
) -> tuple[LayerEstimate, ...]:
    by_layer: dict[str, list[HardwareNode]] = {}
    for node in graph.nodes:
        by_layer.setdefault(node.layer, []).append(node)
    return tuple(_layer(name, nodes, board, limits, interval) for name, nodes in by_layer.items())


def _layer(
    name: str,
    nodes: list[HardwareNode],
    board: Board,
    limits: Mapping[str, int],
    interval: float,
) -> LayerEstimate:
    total = total_resources(nodes, board.dsp)
    shares = {each: getattr(total, each) / limits[each] for each in RESOURCES if limits[each]}
    takes = max(shares, key=lambda each: shares[each])
    slowest = max((n for n in nodes if n.op != FIFO), key=node_cycles, default=nodes[0])
    matrix = next((node for node in nodes if node.op in WEIGHTED), None)
    shown = matrix or slowest
    return LayerEstimate(
        layer=name,
        weight_bits=weight_bits(matrix) if matrix else 0,
        activation_bits=input_ports(shown)[0].bits,
        unit=_unit(matrix) if matrix else "",
        memory=weight_style(matrix) if matrix else "",
        pe=shown.integer("PE", 1),
        simd=shown.integer("SIMD", 1),
        cycles=node_cycles(slowest),
        busy=node_cycles(slowest) / interval,
        resources=total,
        mhz=clock_limit(nodes, board.part).mhz,
        share=shares[takes],
        takes=takes,
    )


def _unit(node: HardwareNode) -> str:
    if node.op == "SdqDepthwise_rtl":
        return "DSP" if node.text("resType") == "dsp" else "LUT"
    return "DSP" if node.op == "MVAU_rtl" else "LUT"


def _advice(
    solution: Solution,
    layers: tuple[LayerEstimate, ...],
    limits: Mapping[str, int],
    *,
    targeted: bool,
) -> Iterable[str]:
    slowest = max(layers, key=lambda each: each.cycles)
    if targeted:
        scarce = max(
            (name for name in RESOURCES if limits[name]),
            key=lambda name: getattr(solution.resources, name) / limits[name],
        )
        share = getattr(solution.resources, scarce) / limits[scarce]
        most = max(layers, key=lambda each: getattr(each.resources, scarce))
        yield (
            f"the target takes {share:.0%} of the usable {scarce}, layer '{most.layer}' the most "
            "of it; without a target the design is as fast as the board allows"
        )
        return
    worth = {name: solution.prices[name] * limits[name] for name in RESOURCES}
    scarce = max(worth, key=lambda name: worth[name])
    if not worth[scarce] > 0:
        yield (
            f"no resource holds the design up: layer '{slowest.layer}' is as parallel as it can "
            f"be, at {slowest.cycles:,} cycles a frame"
        )
        return
    most = max(layers, key=lambda each: getattr(each.resources, scarce))
    amount = getattr(most.resources, scarce)
    yield (
        f"{scarce} holds the design up: 1 % more of it would save about "
        f"{worth[scarce] / 100 / solution.interval:.1%} of the interval; layer '{most.layer}' "
        f"takes the most, {amount:,} of {limits[scarce]:,} usable"
    )
    if most.weight_bits > 1:
        yield (
            f"try fewer bits there first: its {most.weight_bits}-bit weights and "
            f"{most.activation_bits}-bit inputs decide what a product costs"
        )
    if solution.shorter:
        yield (
            f"frames/s rise in steps: the next interval is {solution.shorter:,} cycles instead of "
            f"{solution.interval:,}, and what is saved before it fits makes nothing faster"
        )
