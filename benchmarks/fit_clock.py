"""Finds the longest paths of random nodes and fits the clock model on them.

    python benchmarks/fit_clock.py --count 4 --seed 9 --work runs/clock --out sdq_fpga/cost/data \
        --docs docs/clock.md

Nodes of every operator are synthesised side by side, small ones, as paths do not depend on how
often something is there. What was found is kept in ``WORK/paths.jsonl``, and a run that is cut off
goes on where it was.

    python benchmarks/fit_clock.py --measured xcup.clocks.jsonl --out sdq_fpga/cost/data \
        --docs docs/clock.md

corrects the fit that there is by the clocks of designs that Vivado has placed and routed, as
``sdq-fpga learn`` keeps them; all files of such clocks are to be given each time.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np
import yaml
from fit_resources import CLOCK_MHZ, MEMORY, PARTS, YOSYS
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.util.cleanup import cleanup_model
from random_nodes import DrawnNode, draw_node, graph_of

from sdq_fpga.board import load_board, load_boards
from sdq_fpga.cost.clock import ClockModel, clock_limit, grade_scale, read_clock_model
from sdq_fpga.cost.clock_fit import TimedNode, fit_clock
from sdq_fpga.cost.clock_measured import MeasuredClock, corrected
from sdq_fpga.cost.measured import read_clocks
from sdq_fpga.cost.resources import node_resources
from sdq_fpga.synth.paths import LogicPaths
from sdq_fpga.synth.yosys import synthesise_nodes

FAMILY = "xcup"
EXAMPLES = Path(__file__).parent / "data" / "finn_examples.yaml"
NETWORK = "cnv-w1a1"
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
MOST_LUTS = 700  # of a node
TRIES = 60  # to draw one that small
# Operators that are synthesised in one design: those that take long, and the others.
GROUPS = (
    (
        "MVAU_rtl", "SdqMvuLut_rtl", "SdqDepthwise_rtl", "Thresholding_rtl",
        "ConvolutionInputGenerator_rtl", "StreamingFIFO_rtl", "StreamingDataWidthConverter_rtl",
        "SdqAffine_rtl",
    ),
    (
        "SdqPad_rtl", "SdqCrop_rtl", "SdqPool_rtl", "SdqGlobalPool_rtl", "SdqDuplicate_rtl",
        "SdqElementwise_rtl", "SdqConcat_rtl", "SdqSplit_rtl", "SdqUpsample_rtl",
        "SdqLabelSelect_rtl", "SdqRequant_rtl",
    ),
)  # fmt: skip


def drawn_nodes(operators: tuple[str, ...], count: int, seed: int, number: int) -> list[DrawnNode]:
    """Draws small nodes of some operators, ``count`` of each."""
    from sdq_fpga.lower.describe import describe  # noqa: PLC0415  # imports FINN
    from sdq_fpga.lower.finn_session import finn_session  # noqa: PLC0415

    rng = np.random.default_rng([seed, number])
    found: list[DrawnNode] = []
    with TemporaryDirectory() as folder, finn_session(Path(folder), Path(folder) / "finn.log"):
        for operator in operators:
            small = 0
            for _ in range(TRIES):
                drawn = draw_node(operator, rng, narrow=False)
                (node,) = describe(graph_of([drawn])).nodes
                if node_resources(node, FAMILY).lut <= MOST_LUTS:
                    found.append(drawn)
                    small += 1
                if small == count:
                    break
    return found


def measured(drawn: list[DrawnNode], work: Path) -> Iterator[TimedNode]:
    """Synthesises nodes side by side and finds their longest paths."""
    from sdq_fpga.lower.describe import describe  # noqa: PLC0415  # imports FINN
    from sdq_fpga.rtl.generate import generate  # noqa: PLC0415

    with TemporaryDirectory(dir=work) as folder:
        scratch, rtl = Path(folder) / "finn", Path(folder) / "rtl"
        scratch.mkdir()
        rtl.mkdir()
        model = graph_of(drawn)
        design = generate(model, PARTS[FAMILY], CLOCK_MHZ, scratch, rtl, work / "finn.log")
        figures = synthesise_nodes(
            [rtl / name for name in design.sources], design.top, FAMILY, work, memories=rtl,
            with_paths=True,
        )  # fmt: skip
        for node in describe(model).nodes:
            yield TimedNode(
                op=node.op,
                attributes=dict(node.attributes),
                inputs=len(node.inputs),
                outputs=len(node.outputs),
                narrow=node.narrow,
                **_with_memory(node.name, figures.paths).model_dump(),
            )


def _with_memory(name: str, paths: Mapping[str, LogicPaths]) -> LogicPaths:
    """The paths of a node, with those of the memory beside it as its own."""
    own, memory = paths[name], paths.get(f"{name}{MEMORY}")
    if memory is None:
        return own
    inner = max(own.inner, memory.inner, memory.out + own.into, own.out + memory.into)
    return own.model_copy(update={"inner": inner})


def read(path: Path) -> list[tuple[str, TimedNode]]:
    """Reads what was found: by design, nodes."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [
        (data["design"], TimedNode.from_data(data["node"], str(path)))
        for data in map(json.loads, lines)
    ]


def published(model: ClockModel) -> Iterator[str]:
    """Rows of a table: clocks that FINN's builds of CNV ask for, and what a model says of ours.

    The network is the same, the folding is our fastest, and the nodes are our own or FINN's RTL.
    """
    from sdq_fpga import zoo  # noqa: PLC0415  # imports torch
    from sdq_fpga.cost.folding.solve import solve  # noqa: PLC0415
    from sdq_fpga.lower.describe import describe  # noqa: PLC0415
    from sdq_fpga.lower.hardware import to_hardware  # noqa: PLC0415
    from sdq_fpga.lower.read.model import read_qonnx  # noqa: PLC0415

    designs = yaml.safe_load(EXAMPLES.read_text(encoding="utf-8"))["designs"]
    (design,) = (each for each in designs if each["name"] == NETWORK)
    network, _ = read_qonnx(cleanup_model(ModelWrapper(zoo.cnv(tuple(design["bits"])))))
    for name, asked in design["clock_mhz"].items():
        board = load_board(name)
        graph = describe(to_hardware(network, board.dsp))
        folded = solve(graph, board, board.clock_mhz.default, None, {}).graph
        limit = clock_limit(folded.nodes, board.part, model)
        yield f"| {NETWORK} | {name} | {asked} | {limit.mhz:.0f} | {limit.op} |"


def placed(model: ClockModel, clocks: Sequence[MeasuredClock]) -> Iterator[str]:
    """Lines about designs that Vivado has placed and routed."""
    yield from (
        "## Designs that were placed and routed",
        "",
        "`sdq-fpga learn RUN --data FILE.jsonl` keeps the clock that Vivado found in",
        "FILE.clocks.jsonl: that of the run's bitstream, or of a report that `--timing` names,",
        "such as a build that misses its clock leaves in RUN/vivado. `benchmarks/fit_clock.py",
        "--measured` takes such files. A design that is slower than it was asked to be, and slower",
        "than foretold, makes all delays of its family longer, by the factor that it takes for the",
        "model to foretell no more for it than was found; of several designs the largest counts. A",
        "design that reaches what was asked says nothing: Vivado does not look for more. No design",
        "makes the model faster.",
        "",
    )
    if not clocks:
        yield "There is none: Vivado was not at hand."
        return
    yield "| design | part | asked, MHz | achieved | fit alone | corrected |"
    yield "|---|---|---|---|---|---|"
    fitted = model.model_copy(update={"measured": {}})
    for clock in clocks:
        yield (
            f"| {clock.origin} | {clock.part} | {clock.target_mhz:g} | {clock.achieved_mhz:g} | "
            f"{clock.by(fitted):.0f} | {clock.by(model):.0f} |"
        )


def document(model: ClockModel, clocks: Sequence[MeasuredClock]) -> str:
    """The page about the model."""
    lines = [
        "# Clock model",
        "",
        "Made by `python benchmarks/fit_clock.py`. The hardware model foretells the clock that",
        "each node may reach, and with it the design's (`sdq_fpga/cost/clock.py`). Yosys maps",
        "random nodes; `sdq_fpga/synth/paths.py` finds their longest paths, as picoseconds of a",
        "7-series part of the slowest grade; these are fitted on attributes with non-negative",
        "coefficients. To what is fitted, as much is added as a node was beyond a fit of the",
        "others at the most.",
        "",
        "Published: delays of cells, from prjxray as Yosys's `techlibs/xilinx/cells_sim.v` has",
        "them; greatest frequencies, for other families and grades, of DS925 and DS189.",
        "",
        "Assumed: 0.7 ns for a net, 15 % more for each doubling of its pins; 0.2 ns of skew and",
        "jitter; that prjxray's figures are of the slowest grade; that all delays of UltraScale+",
        "are to those of the 7 series as the clock trees' greatest frequencies are, and those of",
        "its grades to each other as the DSP slices'. Block RAM and UltraRAM have no output",
        "register unless the netlist has it. Reset is left out: it is spread in other ways.",
        "",
        "Not known: what placement and routing of a whole, nearly full part add, but for the",
        "designs that are listed below; nothing here is measured on a board.",
        "",
        f"{model.tool}, random nodes of seeds {', '.join(map(str, model.seeds))}. *slower*:",
        "held-out nodes whose path is longer than predicted; *over*: mean of",
        "predicted / found - 1.",
        "",
        "| node | fitted on | held out | slower | over | margin, ns |",
        "|---|---|---|---|---|---|",
    ]
    for op, fit in model.parts.items():
        lines.append(
            f"| {op} | {fit.nodes} | {fit.held_out} | {fit.held_out_slower} | {fit.over:+.0%} | "
            f"{fit.margin / 1000:.2f} |"
        )
    lines += [
        "",
        "Delays of the boards' parts, as a share of the reference:",
        "",
        "| board | part | share |",
        "|---|---|---|",
    ]
    for board in load_boards():
        lines.append(f"| {board.name} | {board.part} | {grade_scale(board.part):.2f} |")
    lines += [
        "",
        "Clocks in MHz that published builds ask for (`benchmarks/data/finn_examples.yaml`), and",
        "the model's of our design of the same network. That it stays below what others build with",
        "is what it is for; by how much says how far it may be from the truth.",
        "",
        "| network | board | published | model | limited by |",
        "|---|---|---|---|---|",
        *published(model),
        "",
        *placed(model, clocks),
    ]
    return "\n".join(lines) + "\n"


@click.command()
@click.option("--count", type=click.IntRange(1), default=4, help="Nodes of each operator.")
@click.option("--seed", type=click.IntRange(0), default=9)
@click.option("--work", type=click.Path(file_okay=False, path_type=Path), help="Fits again.")
@click.option("--measured", "files", type=FILE, multiple=True, help="Clocks that Vivado found.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--docs", type=click.Path(dir_okay=False, path_type=Path))
def main(
    count: int,
    seed: int,
    work: Path | None,
    files: tuple[Path, ...],
    out: Path | None,
    docs: Path | None,
) -> None:
    """Synthesises, fits, corrects and writes."""
    clocks = [clock for file in files for clock in read_clocks(file)]
    fitted = read_clock_model() if work is None else fitted_on(count, seed, work)
    model = corrected(fitted, clocks)
    if out is not None:
        (out / "clock.json").write_bytes(model.to_bytes())
    if docs is not None:
        docs.write_text(document(model, clocks), encoding="utf-8")
    for op, fit in model.parts.items():
        click.echo(f"{op}: {fit.over:+.0%} on average", err=True)
    for family, factor in model.measured.items():
        click.echo(f"{family}: delays times {factor:.2f}, by what Vivado found", err=True)


def fitted_on(count: int, seed: int, work: Path) -> ClockModel:
    """Synthesises what is not done yet, and fits."""
    work.mkdir(parents=True, exist_ok=True)
    kept = work / "paths.jsonl"
    done = {design for design, _ in read(kept)}
    for number, operators in enumerate(GROUPS, 1):
        design = f"{seed}-{number}"
        if design in done:
            continue
        nodes = list(measured(drawn_nodes(operators, count, seed, number), work))
        with kept.open("a", encoding="utf-8") as file:
            for node in nodes:
                file.write(json.dumps({"design": design, "node": node.model_dump()}) + "\n")
        click.echo(f"{design}: {len(nodes)} nodes", err=True)
    found = read(kept)
    seeds = sorted({int(design.split("-")[0]) for design, _ in found})
    return fit_clock([node for _, node in found], f"Yosys {version(YOSYS)}", seeds)


if __name__ == "__main__":
    main()
