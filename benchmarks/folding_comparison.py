"""Compares our folding with FINN's automatic one and with published hand-made ones.

    python benchmarks/folding_comparison.py --out docs/folding.md

Networks, bits, clock and board are the same on both sides, and so are the models that give the
interval (``sdq_fpga/cost/timing``) and the resources (``sdq_fpga/cost/resources``).
"""

import copy
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click
from finn_examples import Design, Designs, hand_made, in_ultra_ram, read_designs
from finn_folding import asked_automatic, best_automatic
from folding_case import NAMES, RESOURCES, Case, Missing, Row
from folding_networks import hardware_of
from qonnx.core.modelwrapper import ModelWrapper

from sdq_fpga.board import Board, load_board
from sdq_fpga.cost.folding import Resources
from sdq_fpga.errors import UserError
from sdq_fpga.lower.finn_session import finn_session
from sdq_fpga.lower.parallelism import choices
from sdq_fpga.lower.streams import insert_streams

_ONLY_HERE = Path(__file__).parent / "data"  # boards that do not ship
_NEAR = 1.01  # the interval of a network is a few cycles longer than its slowest node takes
_SEVEN_FPS = 3000.0
_SEVEN_MHZ = 100.0


def _fits(found: Resources, budget: Resources) -> bool:
    return all(getattr(found, name) <= getattr(budget, name) for name in RESOURCES)


# ---- the comparisons --------------------------------------------------------------------------


def _against_hand(case: Case, design: Design) -> list[Row | Missing]:
    """The hand-made design, and ours with what it takes."""
    folded = insert_streams(hand_made(case.model, design))
    theirs = case.row("hand-made (finn-examples)", folded, case.usable())
    budget = theirs.found.model_copy(update={"ff": case.usable().ff})
    return [theirs, _our_row(case, "ours, at what hand-made takes", theirs, budget)]


def _against_automatic(case: Case) -> list[Row | Missing]:
    """FINN's automatic folding, and ours, for the usable share of the board."""
    usable = case.usable()

    def fits(folded: ModelWrapper) -> bool:
        return _fits(case.resources(insert_streams(copy.deepcopy(folded))), usable)

    found = best_automatic(case.model, fits)
    if found is None:
        whose = "SetFolding, whole board"
        theirs: Row | Missing = case.missing(whose, "None of its foldings fits the board.")
    else:
        whose = f"SetFolding, whole board ({found.setting})"
        theirs = case.row(whose, insert_streams(copy.deepcopy(found.model)), usable)
    return [theirs, _our_row(case, "ours, whole board", theirs, usable)]


def _asked(case: Case, fps: float) -> list[Row | Missing]:
    """FINN's automatic folding and ours, both for a rate: what it takes is the question."""
    usable = case.usable()
    rows: list[Row | Missing] = [
        case.row(f"SetFolding, {fps:,.0f} frames/s asked ({each.setting})", folded, usable)
        for each in asked_automatic(case.model, int(case.clock_mhz * 1e6 / fps))
        for folded in (insert_streams(copy.deepcopy(each.model)),)
    ]
    ours = case.ours(usable, fps)
    return [*rows, case.row(f"ours, {fps:,.0f} frames/s asked", ours, usable)]


def _our_row(case: Case, whose: str, theirs: Row | Missing, budget: Resources) -> Row | Missing:
    try:
        folded = case.ours(budget)
    except UserError as error:
        return case.missing(whose, f"None is found: {error}")
    row = case.row(whose, folded, budget)
    if isinstance(theirs, Missing):
        return row
    row = replace(row, ratio=row.fps / theirs.fps)
    return replace(row, why=_why(case, row)) if row.fps <= theirs.fps else row


def _why(case: Case, row: Row) -> str:
    """What holds our folding, where theirs is as fast or faster."""
    name, share = row.limit()
    scratch = copy.deepcopy(case.model)
    node = next((each for each in scratch.graph.node if each.name == row.bottleneck), None)
    if node is not None:
        least = min(each.cycles for each in choices(scratch, node, case.board))
        if least * _NEAR >= row.interval:
            return f"{row.bottleneck} is as parallel as it can be, and bounds both."
    return (
        f"Ours takes {share:.0%} of the {NAMES[name]} that it may; {row.bottleneck} is its "
        "slowest node."
    )


# ---- the table --------------------------------------------------------------------------------


def _table(rows: list[Row | Missing], designs: Designs) -> str:
    heads = (
        "network", "board", "bits", "MHz", "folding", "interval", "frames/s", "LUT", "FF", "DSP",
        "BRAM18", "URAM", "limit", "ours/theirs", "where we are not ahead",
    )  # fmt: skip
    lines = [
        *_INTRODUCTION.format(repository=designs.repository, commit=designs.commit).splitlines(),
        "",
        "| " + " | ".join(heads) + " |",
        "|" + "---|" * len(heads),
    ]
    for row in rows:
        labels = row.network, row.board, row.bits, f"{row.clock_mhz:g}", row.whose
        if isinstance(row, Missing):
            lines.append("| " + " | ".join((*labels, *("-",) * 9, row.why)) + " |")
            continue
        name, share = row.limit()
        cells = (
            *labels,
            f"{row.interval:,.0f}", f"{row.fps:,.0f}",
            *(f"{getattr(row.found, each):,}" for each in RESOURCES),
            f"{NAMES[name]} {share:.0%}", "" if row.ratio is None else f"{row.ratio:.2f}", row.why,
        )  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


_INTRODUCTION = """\
# Folding compared

Made by `python benchmarks/folding_comparison.py`. Ours is compared with FINN's automatic
folding (SetFolding of finn-plus) and with the foldings that {repository}
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
  the board, which is ours to take as well. The best of eight settings is shown: units of
  DSP slices, or of LUTs up to 4 bits, with each of four limits of the width of weights.
  Operators that FINN lacks get the least parallelism that keeps up with its target.
- *limit* is the resource of which a folding takes the largest share of its budget: of 80 %
  of the board, or of what the hand-made design takes.
- Layers whose weights the published design keeps in UltraRAM (three of MobileNetV1 on
  zcu104) keep them there in all foldings of that network and board.
- VGG10 is there twice: as the repository has it now, and as it was when its README's 230,000
  frames/s were measured, with window generators that gave a whole window in each cycle.
- The published MobileNetV1 does not pad its first convolution; ours does, on both sides.
- The seven layers are 3x3 convolutions of 32, 32, 64, 64, 128 and 256 channels with strides
  1, 1, 2, 1, 2 and 2, a global average and a linear layer.
"""


@click.command()
@click.option("--out", type=click.Path(path_type=Path), help="Markdown file to write as well.")
@click.option("--only", multiple=True, help="Names of designs, or NAME:BOARD; seven-layer.")
@click.option("--against", type=click.Choice(["both", "hand", "automatic"]), default="both")
def main(out: Path | None, only: tuple[str, ...], against: str) -> None:
    """Makes the table of foldings."""
    designs = read_designs()
    rows: list[Row | Missing] = []

    def compare(name: str, board: str, what: Callable[[Path, Path], list[Row | Missing]]) -> None:
        if only and name not in only and f"{name}:{board}" not in only:
            return
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as directory:
            scratch = Path(directory)
            found = what(scratch, scratch / "finn.log")
        click.echo(f"{name} for {board}: {time.monotonic() - began:.0f} s", err=True)
        rows.extend(found)

    for design in designs.designs:
        for board_name, clock in design.clock_mhz.items():
            board = _board(board_name)

            def published(
                scratch: Path,
                log: Path,
                design: Design = design,
                board: Board = board,
                clock: float = clock,
            ) -> list[Row | Missing]:
                model = hardware_of(design.network, design.bits, board, scratch, log)
                in_ultra_ram(model, design)
                case = Case.of(design.title, design.bits, board, clock, model)
                rows: list[Row | Missing] = []
                with finn_session(scratch, log):
                    if against in {"both", "hand"}:
                        rows += _against_hand(case, design)
                    if against in {"both", "automatic"}:
                        rows += _against_automatic(case)
                return rows

            compare(design.name, board_name, published)

    def seven(scratch: Path, log: Path) -> list[Row | Missing]:
        board = load_board("zcu104")
        model = hardware_of("seven", (2, 2), board, scratch, log)
        case = Case.of("seven-layer CNN, 32x32x3", (2, 2), board, _SEVEN_MHZ, model)
        with finn_session(scratch, log):
            return _asked(case, _SEVEN_FPS)

    compare("seven-layer", "zcu104", seven)
    text = _table(rows, designs)
    click.echo(text)
    if out is not None:
        out.write_text(text, encoding="utf-8")


def _board(name: str) -> Board:
    own = _ONLY_HERE / f"{name}.yaml"
    return load_board(str(own) if own.is_file() else name)


if __name__ == "__main__":
    main()
