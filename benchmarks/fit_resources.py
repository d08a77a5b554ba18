"""Synthesises random nodes and fits the hardware model's resources on them.

    python benchmarks/fit_resources.py --family xcup --count 600 --work runs/resources \
        --out sdq_fpga/cost/data --networks runs/table --docs docs/resources.md

Nodes are synthesised many in one design, with a boundary around each. What was found is kept in
``WORK/FAMILY.jsonl``, and a run that is cut off goes on where it was.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np
from random_nodes import DrawnNode, draw_node, graph_of

from sdq_fpga.cost.measured import Amounts, MeasuredNode, append_measured, read_measured
from sdq_fpga.errors import SdqFpgaError
from sdq_fpga.synth.figures import Resources as Synthesised
from sdq_fpga.synth.figures import SynthesisFigures
from sdq_fpga.synth.yosys import Family, family_of, synthesise_nodes

PARTS = {"xcup": "xczu7ev-ffvc1156-2-e", "xc7": "xc7z020clg400-1"}
CLOCK_MHZ = 200
# What one design has: more of what networks have more of, and of what has more shapes.
MIX = (
    ("MVAU_rtl", 4), ("SdqMvuLut_rtl", 4), ("Thresholding_rtl", 4),
    ("ConvolutionInputGenerator_rtl", 4), ("StreamingFIFO_rtl", 3),
    ("StreamingDataWidthConverter_rtl", 3), ("SdqDepthwise_rtl", 2), ("SdqPad_rtl", 1),
    ("SdqCrop_rtl", 1), ("SdqPool_rtl", 2), ("SdqGlobalPool_rtl", 1), ("SdqDuplicate_rtl", 1),
    ("SdqElementwise_rtl", 2), ("SdqConcat_rtl", 1), ("SdqSplit_rtl", 1), ("SdqUpsample_rtl", 1),
    ("SdqLabelSelect_rtl", 1), ("SdqAffine_rtl", 2), ("SdqRequant_rtl", 2),
)  # fmt: skip
DESIGN = sum(count for _, count in MIX)
MEMORY = "_memstream_wrapper"


def drawn_design(number: int, seed: int, family: Family) -> list[DrawnNode]:
    """The nodes of a design; a seed gives the same ones for either family, but for narrow weights.

    DSP48E1 needs weights without the most negative value.
    """
    from sdq_fpga.lower.finn_session import finn_session  # noqa: PLC0415  # imports FINN

    rng = np.random.default_rng([seed, number])
    with TemporaryDirectory() as folder, finn_session(Path(folder), Path(folder) / "finn.log"):
        return [
            draw_node(op, rng, narrow=family == "xc7") for op, count in MIX for _ in range(count)
        ]


def measure(drawn: list[DrawnNode], origin: str, family: Family, work: Path) -> list[MeasuredNode]:
    """Synthesises nodes side by side."""
    from sdq_fpga.rtl.generate import generate  # noqa: PLC0415  # imports FINN

    with TemporaryDirectory(dir=work) as folder:
        scratch, rtl = Path(folder) / "finn", Path(folder) / "rtl"
        scratch.mkdir()
        rtl.mkdir()
        model = graph_of(drawn)
        part = PARTS[family]
        design = generate(model, part, CLOCK_MHZ, scratch, rtl, work / "finn.log")
        figures = synthesise_nodes(
            [rtl / name for name in design.sources], design.top, family, work, memories=rtl
        )
        return list(measured_nodes(model, figures, origin))


def measured_nodes(model: object, figures: SynthesisFigures, origin: str) -> Iterator[MeasuredNode]:
    """Puts together the nodes of a graph and what the synthesis found."""
    from sdq_fpga.lower.describe import describe  # noqa: PLC0415  # imports FINN

    for node in describe(model).nodes:
        memory = figures.nodes.get(f"{node.name}{MEMORY}")
        yield MeasuredNode.of(
            origin, node, amounts(figures.nodes[node.name]), memory and amounts(memory)
        )


def amounts(found: Synthesised) -> Amounts:
    """Of a synthesis, what the model predicts."""
    return Amounts(lut=found.lut, ff=found.ff, dsp=found.dsp, bram18=found.bram18, uram=found.uram)


def collect(family: Family, count: int, seed: int, work: Path) -> list[MeasuredNode]:
    """Synthesises designs until there are ``count`` nodes."""
    kept = work / f"{family}.jsonl"
    found = [node for node in read_measured(kept) if node.origin.startswith("drawn-")]
    done = {node.origin for node in found}
    number = 0
    while len(found) < count:
        origin = f"drawn-{seed}-{number}"
        number += 1
        if origin in done:
            continue
        try:
            nodes = measure(drawn_design(number - 1, seed, family), origin, family, work)
        except SdqFpgaError as error:
            click.echo(f"{origin}: {error}", err=True)
            continue
        append_measured(kept, nodes)
        found += nodes
        click.echo(f"{origin}: {len(found)} nodes", err=True)
    return found


def networks(family: Family, folders: Path, work: Path) -> list[MeasuredNode]:
    """Synthesises the networks that have been generated for parts of a family."""
    from qonnx.core.modelwrapper import ModelWrapper  # noqa: PLC0415  # imports torch

    from sdq_fpga.board import load_board  # noqa: PLC0415
    from sdq_fpga.rtl.design import RtlDesign  # noqa: PLC0415
    from sdq_fpga.stages.settings import read_plain  # noqa: PLC0415

    kept = work / f"{family}.jsonl"
    found = [node for node in read_measured(kept) if not node.origin.startswith("drawn-")]
    done = {node.origin for node in found}
    for row in sorted(folders.glob("*/row.json")):
        data = json.loads(row.read_text(encoding="utf-8"))
        name, run = f"{data['network']}-{data['board']}", row.parent / "run"
        if name in done or family_of(load_board(data["board"]).part) != family:
            continue
        if data["synthesis"] is not None:
            figures = SynthesisFigures.model_validate(data["synthesis"])
        else:
            rtl = run / "generate" / "rtl"
            design = read_plain(RtlDesign, run / "generate" / "design.json")
            sources = [rtl / source for source in design.sources]
            figures = synthesise_nodes(sources, design.top, family, work, memories=rtl)
        model = ModelWrapper(str(run / "size" / "folded.onnx"))
        nodes = list(measured_nodes(model, figures, name))
        append_measured(kept, nodes)
        found += nodes
        click.echo(f"{name}: {len(nodes)} nodes in {figures.seconds:.0f} s", err=True)
    return found


if __name__ == "__main__":
    import sys

    family, count, seed, work = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    work.mkdir(parents=True, exist_ok=True)
    collect(family, count, seed, work)
