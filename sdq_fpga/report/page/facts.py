"""What the page of a run says, as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass

from sdq_fpga.cost.folding import FoldedNode, Folding, Resources
from sdq_fpga.cost.roofline import Roofline
from sdq_fpga.cost.streams import FIFO
from sdq_fpga.cost.timing.sizing import FifoSizes
from sdq_fpga.deploy.figures import BoardFigures
from sdq_fpga.report.summary import Report, ResourceRow
from sdq_fpga.run import Run
from sdq_fpga.synth.figures import SynthesisFigures
from sdq_fpga.synth.vivado_reports import Achieved

__all__ = [
    "COUNTED",
    "ComparedFacts",
    "LayerFacts",
    "PageFacts",
    "ResourceFacts",
    "compared",
    "layers_of",
    "resources_of",
]

COUNTED = {"lut": "LUT", "ff": "FF", "dsp": "DSP", "bram18": "BRAM18", "uram": "UltraRAM"}
"""The resources that are shown, and what they are called."""


@dataclass(frozen=True)
class LayerFacts:
    """All nodes of one layer of the model.

    Attributes:
        name: of the layer.
        weight_bits: of its weights; 0 if it has none.
        input_bits: of what it multiplies them with; 0 if it has none.
        op: type of its slowest node.
        pe: of that node.
        simd: of that node.
        cycles: of that node, for a frame.
        busy: share of the simulated interval for which that node works.
        estimated: resources by the hardware model.
        synthesised: by Yosys; None where that was not run.
    """

    name: str
    weight_bits: int
    input_bits: int
    op: str
    pe: int
    simd: int
    cycles: int
    busy: float
    estimated: Resources
    synthesised: Resources | None


@dataclass(frozen=True)
class ResourceFacts:
    """One resource of the whole design.

    Attributes:
        name: of the resource.
        estimated: by the hardware model.
        synthesised: by Yosys; None where that was not run.
        placed: by Vivado, with the shell and its DMAs; None where there is no bitstream.
        usable: what the folding had to keep within.
        available: on the part; 0 where the board has none.
    """

    name: str
    estimated: int
    synthesised: int | None
    placed: int | None
    usable: int
    available: int


@dataclass(frozen=True)
class ComparedFacts:
    """One figure of the whole design as each stage has it; None where it has none.

    Attributes:
        name: of the figure, with its unit.
        digits: to show behind the point.
        predicted: before any RTL was made.
        simulated: in Verilator.
        synthesised: by Vivado, placed and routed.
        measured: on the board.
    """

    name: str
    digits: int
    predicted: float | None = None
    simulated: float | None = None
    synthesised: float | None = None
    measured: float | None = None


@dataclass(frozen=True)
class PageFacts:
    """Everything on the page.

    Attributes:
        report: the figures of the build.
        fifos: depths of FIFOs.
        synthesis: what Yosys found; None where that was not run.
        measured: what a real board showed of this bitstream; None where none has.
        manifest: the stages and the hashes of their files.
        roofline: of the board, for the usable share of it.
        layers: in order of the data.
        resources: of the whole design.
    """

    report: Report
    fifos: FifoSizes
    synthesis: SynthesisFigures | None
    measured: BoardFigures | None
    manifest: Run
    roofline: Roofline
    layers: tuple[LayerFacts, ...]
    resources: tuple[ResourceFacts, ...]


def compared(report: Report, measured: BoardFigures | None) -> tuple[ComparedFacts, ...]:
    """What was predicted beside what was simulated, synthesised and measured.

    Args:
        report: of the build.
        measured: by a real board; None where none has run it.
    """
    made, achieved = report.accelerator, report.bitstream.achieved
    simulation, asked = made.simulation, made.clock_mhz
    real = None if achieved is None else achieved.timing.clock_mhz or asked
    rates = () if measured is None else measured.throughput
    rate = max((row.frames_per_second for row in rates), default=None)
    watts = max((row.watts for row in rates if row.watts is not None), default=None)
    latency = None
    if measured is not None:
        rate, watts = rate or measured.frames_per_second, watts or measured.watts
        latency = None if measured.latency_s is None else measured.latency_s * 1e6
    accuracies: tuple[ComparedFacts, ...] = ()
    if simulation.quantized_accuracy is not None and simulation.rtl_accuracy is not None:
        match = None if measured is None else measured.match
        shown = None if match is None or match.accuracy is None else 100 * match.accuracy
        accuracies = (
            ComparedFacts(
                "accuracy, %",
                2,
                100 * simulation.quantized_accuracy,
                100 * simulation.rtl_accuracy,
                measured=shown,
            ),
        )
    sustained: tuple[ComparedFacts, ...] = ()
    if made.sustained_interval is not None:
        name = "interval after the first frames, cycles"
        sustained = (ComparedFacts(name, 0, made.sustained_interval),)
    return (
        *accuracies,
        ComparedFacts("interval, cycles", 0, made.predicted_interval, simulation.interval),
        *sustained,
        ComparedFacts("latency, cycles", 0, made.predicted_latency, simulation.latency),
        ComparedFacts(
            "frames/s",
            0,
            asked * 1e6 / made.predicted_interval,
            made.frames_per_second,
            None if real is None else real * 1e6 / simulation.interval,
            rate,
        ),
        ComparedFacts(
            "latency, µs",
            2,
            made.predicted_latency / asked,
            made.latency_us,
            None if real is None else simulation.latency / real,
            latency,
        ),
        ComparedFacts(
            "fastest clock, MHz",
            1,
            made.foretold_mhz,
            synthesised=None if achieved is None else achieved.timing.fastest_mhz,
        ),
        ComparedFacts("power, W", 2, measured=watts),
    )


def layers_of(
    folding: Folding,
    interval: float,
    synthesis: SynthesisFigures | None,
    names: Mapping[str, str] | None = None,
) -> tuple[LayerFacts, ...]:
    """Puts nodes together by the layer that they come from.

    Args:
        folding: the nodes.
        interval: cycles between frames, simulated.
        synthesis: of the nodes, by name; None where that was not run.
        names: what to call layers, by their names in the model; the others keep those.
    """
    names = names or {}
    by_layer: dict[str, list[FoldedNode]] = {}
    for node in folding.nodes:
        by_layer.setdefault(names.get(node.layer, node.layer), []).append(node)
    return tuple(_layer(name, nodes, interval, synthesis) for name, nodes in by_layer.items())


def _layer(
    name: str, nodes: list[FoldedNode], interval: float, synthesis: SynthesisFigures | None
) -> LayerFacts:
    slowest = max((n for n in nodes if n.op != FIFO), key=lambda n: n.cycles, default=nodes[0])
    return LayerFacts(
        name=name,
        weight_bits=max(node.weight_bits for node in nodes),
        input_bits=max(node.input_bits for node in nodes),
        op=slowest.op,
        pe=slowest.pe,
        simd=slowest.simd,
        cycles=slowest.cycles,
        busy=slowest.cycles / interval,
        estimated=_total([node.resources for node in nodes]),
        synthesised=None
        if synthesis is None
        else _total([_counted(synthesis, node.name) for node in nodes]),
    )


def _counted(synthesis: SynthesisFigures, node: str) -> Resources:
    """What a node took; nothing where optimisation has dissolved it."""
    found = synthesis.nodes.get(node)
    return Resources(**{name: getattr(found, name, 0) for name in COUNTED})


def _total(parts: list[Resources]) -> Resources:
    return sum(parts, Resources(lut=0, bram18=0, uram=0, dsp=0))


def resources_of(
    rows: tuple[ResourceRow, ...],
    synthesis: SynthesisFigures | None,
    placed: Achieved | None = None,
) -> tuple[ResourceFacts, ...]:
    """Each resource of the whole design beside what the part has.

    Args:
        rows: of the report.
        synthesis: of the design; None where that was not run.
        placed: by Vivado; None where there is no bitstream.
    """
    return tuple(
        ResourceFacts(
            name=COUNTED[row.name],
            estimated=row.used,
            synthesised=None if synthesis is None else getattr(synthesis, row.name),
            placed=None if placed is None else getattr(placed, row.name),
            usable=row.usable,
            available=row.available,
        )
        for row in rows
    )
