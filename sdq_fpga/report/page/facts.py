"""What the page of a run says, as plain data."""

from dataclasses import dataclass

from sdq_fpga.cost.folding import FoldedNode, Folding, Resources
from sdq_fpga.cost.streams import FIFO
from sdq_fpga.cost.timing.sizing import FifoSizes
from sdq_fpga.report.summary import Report, ResourceRow
from sdq_fpga.run import Run
from sdq_fpga.synth.figures import SynthesisFigures

__all__ = ["COUNTED", "LayerFacts", "PageFacts", "ResourceFacts", "layers_of", "resources_of"]

COUNTED = {"lut": "LUT", "ff": "FF", "dsp": "DSP", "bram18": "BRAM18", "uram": "UltraRAM"}
"""The resources that are shown, and what they are called."""


@dataclass(frozen=True)
class LayerFacts:
    """All nodes of one layer of the model.

    Attributes:
        name: of the layer.
        op: type of its slowest node.
        pe: of that node.
        simd: of that node.
        cycles: of that node, for a frame.
        busy: share of the simulated interval for which that node works.
        estimated: resources by the hardware model.
        synthesised: by Yosys; None where that was not run.
    """

    name: str
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
        available: on the part; 0 where the board has none.
    """

    name: str
    estimated: int
    synthesised: int | None
    available: int


@dataclass(frozen=True)
class PageFacts:
    """Everything on the page.

    Attributes:
        report: the figures of the build.
        fifos: depths of FIFOs.
        synthesis: what Yosys found; None where that was not run.
        manifest: the stages and the hashes of their files.
        layers: in order of the data.
        resources: of the whole design.
    """

    report: Report
    fifos: FifoSizes
    synthesis: SynthesisFigures | None
    manifest: Run
    layers: tuple[LayerFacts, ...]
    resources: tuple[ResourceFacts, ...]


def layers_of(
    folding: Folding, interval: float, synthesis: SynthesisFigures | None
) -> tuple[LayerFacts, ...]:
    """Puts nodes together by the layer that they come from.

    Args:
        folding: the nodes.
        interval: cycles between frames, simulated.
        synthesis: of the nodes, by name; None where that was not run.
    """
    by_layer: dict[str, list[FoldedNode]] = {}
    for node in folding.nodes:
        by_layer.setdefault(node.layer, []).append(node)
    return tuple(_layer(name, nodes, interval, synthesis) for name, nodes in by_layer.items())


def _layer(
    name: str, nodes: list[FoldedNode], interval: float, synthesis: SynthesisFigures | None
) -> LayerFacts:
    slowest = max((n for n in nodes if n.op != FIFO), key=lambda n: n.cycles, default=nodes[0])
    return LayerFacts(
        name=name,
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
    rows: tuple[ResourceRow, ...], synthesis: SynthesisFigures | None
) -> tuple[ResourceFacts, ...]:
    """Each resource of the whole design beside what the part has.

    Args:
        rows: of the report.
        synthesis: of the design; None where that was not run.
    """
    return tuple(
        ResourceFacts(
            name=COUNTED[row.name],
            estimated=row.used,
            synthesised=None if synthesis is None else getattr(synthesis, row.name),
            available=row.available,
        )
        for row in rows
    )
