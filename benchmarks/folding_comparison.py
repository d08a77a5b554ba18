"""Compares our folding with FINN's automatic one and with published hand-made ones.

    python benchmarks/folding_comparison.py --out docs/folding.md

Networks, bits, clock and board are the same on both sides, and so are the models that give the
interval (``sdq_fpga/cost/timing``) and the resources (``sdq_fpga/cost/resources``).
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import TextIO

import click
from finn_examples import Design, Designs, hand_made, in_ultra_ram, read_designs
from finn_folding import asked_automatic, best_automatic
from folding_case import NAMES, RESOURCES, Case, Missing, Row, Rows
from folding_networks import hardware_of
from qonnx.core.modelwrapper import ModelWrapper

from sdq_fpga.board import Board, load_board
from sdq_fpga.cost.folding import Resources
from sdq_fpga.cost.folding.solve import Solution
from sdq_fpga.cost.node import HardwareGraph
from sdq_fpga.cost.streams import insert_streams
from sdq_fpga.errors import UserError
from sdq_fpga.lower.describe import describe
from sdq_fpga.lower.finn_session import finn_session

_ONLY_HERE = Path(__file__).parent / "data"  # boards that do not ship
_NEAR = 1.01  # the interval of a network is a few cycles longer than its slowest node takes
_SEVEN = "seven-layer"
_SEVEN_BITS = 2, 2
_SEVEN_FPS = 3000.0
_SEVEN_MHZ = 100.0

Lines = list[Row | Missing]


def _fits(found: Resources, budget: Resources) -> bool:
    return all(getattr(found, name) <= getattr(budget, name) for name in RESOURCES)


# ---- the comparisons --------------------------------------------------------------------------


def _against_hand(case: Case, design: Design) -> Lines:
    """The hand-made design, and ours with what it takes."""
    folded = insert_streams(hand_made(case.graph, design))
    theirs = case.row("hand-made (finn-examples)", folded, case.usable())
    budget = theirs.found.model_copy(update={"ff": case.usable().ff})
    return [theirs, _our_row(case, "ours, at what hand-made takes", theirs, budget)]


def _against_automatic(case: Case) -> Lines:
    """FINN's automatic folding, and ours, for the usable share of the board."""
    usable = case.usable()

    def fits(folded: HardwareGraph) -> bool:
        return _fits(case.resources(insert_streams(folded)), usable)

    began = time.monotonic()
    found = best_automatic(case.model, case.graph, fits)
    seconds = time.monotonic() - began
    whose = "SetFolding, whole board"
    if found is None:
        theirs: Row | Missing = case.missing(whose, "None of its foldings fits the board.")
    else:
        folded = insert_streams(found.graph)
        theirs = case.row(f"{whose} ({found.setting})", folded, usable, seconds)
    return [theirs, _our_row(case, "ours, whole board", theirs, usable)]


def _asked(case: Case, fps: float) -> Lines:
    """FINN's automatic folding and ours, both for a rate: what it takes is the question."""
    usable = case.usable()
    target = int(case.clock_mhz * 1e6 / fps)
    asked = f"{fps:,.0f} frames/s asked"
    rows: Lines = [
        case.row(f"SetFolding, {asked} ({each.setting})", insert_streams(each.graph), usable)
        for each in asked_automatic(case.model, case.graph, target)
    ]
    began = time.monotonic()
    solution = case.ours(usable, fps)
    seconds = time.monotonic() - began
    return [*rows, case.row(f"ours, {asked}", solution.graph, usable, seconds)]


def _our_row(case: Case, whose: str, theirs: Row | Missing, budget: Resources) -> Row | Missing:
    began = time.monotonic()
    try:
        solution = case.ours(budget)
    except UserError as error:
        return case.missing(whose, f"None is found: {error}")
    row = case.row(whose, solution.graph, budget, time.monotonic() - began)
    if isinstance(theirs, Missing):
        return row
    why = _why(row, solution) if row.fps <= theirs.fps else ""
    return row.model_copy(update={"ratio": row.fps / theirs.fps, "why": why})


def _why(row: Row, solution: Solution) -> str:
    """What holds our folding, where theirs is as fast or faster."""
    if not any(solution.prices.values()):
        return f"{row.bottleneck} is as parallel as it can be, and bounds both."
    name, share = row.limit()
    taken = f"{row.bottleneck} is its slowest node, and it takes {share:.0%} of the {NAMES[name]}."
    if solution.bound * _NEAR >= row.interval:
        return f"Within 1 % of the bound of this budget, {solution.bound:,} cycles. {taken}"
    return f"No folding below {solution.bound:,} cycles fits. {taken}"


# ---- the table --------------------------------------------------------------------------------


def _table(rows: list[Row | Missing], designs: Designs) -> str:
    heads = (
        "network", "board", "bits", "MHz", "folding", "interval", "frames/s", "LUT", "FF", "DSP",
        "BRAM18", "URAM", "limit", "s", "ours/theirs", "where we are not ahead",
    )  # fmt: skip
    ratios = [row.ratio for row in rows if isinstance(row, Row) and row.ratio is not None]
    lines = [
        *_INTRODUCTION.format(repository=designs.repository, commit=designs.commit).splitlines(),
        "",
        f"Of {len(ratios)} rows of ours that have one of theirs to compare, "
        f"{sum(each > _NEAR for each in ratios)} are more than 1 % faster and "
        f"{sum(each < 1 / _NEAR for each in ratios)} more than 1 % slower. Where a rate is asked",
        "for, what a folding takes is to be compared: ours takes the least sum of shares of the",
        "board's resources, which may be more LUTs than another's and fewer block RAMs.",
        "",
        "| " + " | ".join(heads) + " |",
        "|" + "---|" * len(heads),
    ]
    for row in rows:
        labels = row.network, row.board, row.bits, f"{row.clock_mhz:g}", row.whose
        if isinstance(row, Missing):
            lines.append("| " + " | ".join((*labels, *("-",) * 10, row.why)) + " |")
            continue
        name, share = row.limit()
        cells = (
            *labels,
            f"{row.interval:,.0f}", f"{row.fps:,.0f}",
            *(f"{getattr(row.found, each):,}" for each in RESOURCES),
            f"{NAMES[name]} {share:.0%}", f"{row.seconds:.1f}" if row.seconds else "",
            "" if row.ratio is None else f"{row.ratio:.2f}", row.why,
        )  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


_INTRODUCTION = """\
# Folding compared

Made by `python benchmarks/folding_comparison.py --out docs/folding.md`. Ours is compared with
FINN's automatic folding (SetFolding of finn-plus) and with the foldings that {repository}
publishes (commit {commit}, or as
`benchmarks/data/finn_examples.yaml` says, where the numbers are). Both sides have the same
network, bits, board and clock, are made of the same nodes, and are judged by the same
models: the interval by our timing model with FIFOs of any depth, resources by our fitted
model, with width converters and with FIFOs of the least depth. Neither figure is FINN's
estimate, nor what FINN's own HLS nodes would take. Weights are random.

- *Hand-made*: PE and SIMD of matrix-vector units, window generators, padding and
  thresholds as published, in DSP slices or LUTs as published. Where FINN has thresholds
  inside the matrix-vector unit, ours behind it have its PE. Where our graph has nodes of
  which the published folding says nothing (max pools, padding of the first layer, thresholds
  of the global average), they get the least parallelism that does not slow the rest. Ours
  gets as its budget what that design takes by our model of LUT, DSP, BRAM18 and URAM; of
  flip-flops, 80 % of the board, as these come with the LUTs.
- *SetFolding* is driven by bisection of its target to the fastest folding that fits 80 % of
  the board, which is ours to take as well. The best of its settings is shown: units
  of DSP slices, of LUTs up to 4 bits, or of LUTs wherever ours may have them (4 bits by 8),
  with each of four limits of the width of weights.
  Operators that FINN lacks get the least parallelism that keeps up with its target.
- *limit* is the resource of which a folding takes the largest share of its budget: of 80 %
  of the board, or of what the hand-made design takes.
- *s* is the time in which our program folded the network, and in which SetFolding and our
  search over its targets and settings did, on shared cores.
- Layers whose weights the published design keeps in UltraRAM (three of MobileNetV1 on
  zcu104) keep them there in all foldings of that network and board.
- VGG10 is there twice: as the repository has it now, and as it was when its README's 230,000
  frames/s were measured, with window generators that gave a whole window in each cycle.
- The published MobileNetV1 does not pad its first convolution; ours does, on both sides.
- The seven layers are 3x3 convolutions of 32, 32, 64, 64, 128 and 256 channels with strides
  1, 1, 2, 1, 2 and 2, a global average and a linear layer.
"""


@click.command()
@click.option(
    "--runs", type=click.Path(path_type=Path), default=Path("runs/folding"), show_default=True,
    help="Where finished comparisons are kept; they are not made again.",
)  # fmt: skip
@click.option(
    "--out", type=click.File("w", "utf-8"), default="-", help="Markdown file [standard output]."
)
@click.option("--only", multiple=True, help="Names of designs, or NAME:BOARD; seven-layer.")
@click.option("--made-only", is_flag=True, help="Print what is there; make nothing.")
def main(runs: Path, out: TextIO, only: tuple[str, ...], made_only: bool) -> None:
    """Makes the table of foldings."""
    designs = read_designs()
    runs.mkdir(parents=True, exist_ok=True)
    rows: Lines = []
    for name, board, opened, comparisons in _comparisons(designs):
        if only and name not in only and f"{name}:{board}" not in only:
            continue
        kept = {each: runs / f"{name}-{board}-{each}.json" for each in comparisons}
        left = [] if made_only else [each for each, path in kept.items() if not path.is_file()]
        if left:
            with opened() as case:
                for each in left:
                    began = time.monotonic()
                    kept[each].write_bytes(Rows(rows=tuple(comparisons[each](case))).to_bytes())
                    click.echo(f"{kept[each].stem}: {time.monotonic() - began:.0f} s", err=True)
        for path in kept.values():
            if path.is_file():
                rows += Rows.from_yaml(path).rows
    text = _table(rows, designs)
    click.echo(text, out, nl=False)


Comparisons = dict[str, Callable[[Case], Lines]]


def _comparisons(
    designs: Designs,
) -> Iterator[tuple[str, str, Callable[[], AbstractContextManager[Case]], Comparisons]]:
    """Of each network and board: the names of both, the case, and what is compared."""
    for design in designs.designs:
        for board in design.clock_mhz:
            yield (
                design.name,
                board,
                partial(_published, design, board),
                {"hand": partial(_against_hand, design=design), "automatic": _against_automatic},
            )
    yield _SEVEN, "zcu104", _seven, {"asked": partial(_asked, fps=_SEVEN_FPS)}


@contextmanager
def _published(design: Design, board_name: str) -> Iterator[Case]:
    board = _board(board_name)
    with _lowered(design.network, design.bits, board) as (model, graph):
        clock = design.clock_mhz[board_name]
        placed = in_ultra_ram(graph, design)
        yield Case(design.title, design.bits, board, clock, model, placed)


@contextmanager
def _seven() -> Iterator[Case]:
    board = load_board("zcu104")
    with _lowered("seven", _SEVEN_BITS, board) as (model, graph):
        yield Case("seven-layer CNN, 32x32x3", _SEVEN_BITS, board, _SEVEN_MHZ, model, graph)


@contextmanager
def _lowered(
    network: str, bits: tuple[int, int], board: Board
) -> Iterator[tuple[ModelWrapper, HardwareGraph]]:
    """The graph of a network before folding, as FINN has it and as plain nodes; FINN may work."""
    with tempfile.TemporaryDirectory() as directory:
        scratch = Path(directory)
        log = scratch / "finn.log"
        model = hardware_of(network, bits, board, scratch, log)
        with finn_session(scratch, log):
            yield model, describe(model)


def _board(name: str) -> Board:
    own = _ONLY_HERE / f"{name}.yaml"
    return load_board(str(own) if own.is_file() else name)


if __name__ == "__main__":
    main()
