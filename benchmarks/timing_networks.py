"""Times reference networks at three foldings each, beside the timing model and FINN's estimates.

    python benchmarks/timing_networks.py --runs runs/timing --out docs/timing-networks.md

The networks are those of ``network_table``, for the frames/s of that table, a third and a tenth of
them; where these come to the same folding, for more frames/s than the table's, until there are
three. What is there already is not built again.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import click
import numpy as np
from finn.analysis.fpgadataflow.dataflow_performance import dataflow_performance
from finn.transformation.fpgadataflow.annotate_cycles import AnnotateCycles
from network_table import NETWORKS, Row, build_row
from qonnx.core.modelwrapper import ModelWrapper

import sdq_fpga.ops  # noqa: F401  # FINN has to know our operators
from sdq_fpga.cost.folding import Folding
from sdq_fpga.errors import UserError
from sdq_fpga.plain import Plain
from sdq_fpga.stages.settings import read_plain

_FOLDINGS = 3
# Of the frames/s of the table, in the order in which they are tried.
_RATES = {"1": 1.0, "1/3": 1 / 3, "1/10": 0.1, "3/2": 1.5, "2": 2.0, "4": 4.0}
_FOLDERS = {"1": ".", "1/3": "slower-3", "1/10": "slower-10"}


class Timed(Plain):
    """A network at one folding.

    Attributes:
        rate: what was asked for, of the frames/s of the table.
        row: what was built, simulated and foretold.
        finn_interval: cycles of FINN's slowest node.
        finn_latency: cycles of all nodes on FINN's longest path.
    """

    rate: str
    row: Row
    finn_interval: int
    finn_latency: int


def foldings(name: str, board: str, runs: Path) -> list[Timed]:
    """A network at different foldings, the fastest first."""
    found: dict[tuple[object, ...], Timed] = {}
    for rate in _RATES:
        try:
            each = timed(name, board, rate, runs)
        except UserError as error:  # no folding is that fast
            click.echo(str(error), err=True)
            continue
        folding = read_plain(Folding, _run(name, board, rate, runs) / "size" / "folding.json")
        nodes = tuple((node.name, node.op, node.pe, node.simd) for node in folding.nodes)
        found.setdefault(nodes, each)
        if len(found) == _FOLDINGS:
            break
    return sorted(found.values(), key=lambda each: each.row.interval)


def _run(name: str, board: str, rate: str, runs: Path) -> Path:
    folder = runs / _FOLDERS.get(rate, f"faster-{rate.replace('/', '-')}")
    return folder / f"{name}-{board}" / "run"


def timed(name: str, board: str, rate: str, runs: Path) -> Timed:
    """Builds a network, unless it is there, and takes FINN's estimates of the same folding."""
    network = NETWORKS[name]
    asked = replace(network, fps={board: network.fps[board] * _RATES[rate]})
    run = _run(name, board, rate, runs)
    kept = run.with_name("row.json")
    if kept.is_file():
        row = Row.model_validate(json.loads(kept.read_text(encoding="utf-8")))
    else:
        click.echo(f"{name} for {board}, {rate} of the frames/s", err=True)
        row = build_row(name, asked, board, run.parent.parent)
        kept.write_bytes(row.to_bytes())
    folded = run / "size" / "folded.onnx"
    finn = dataflow_performance(ModelWrapper(str(folded)).transform(AnnotateCycles()))
    return Timed(
        rate=rate,
        row=row,
        finn_interval=int(finn["max_cycles"]),
        finn_latency=int(finn["critical_path_cycles"]),
    )


def _error(said: float, seen: float) -> float:
    return said / seen - 1


def _table(found: Sequence[Timed]) -> str:
    heads = (
        "network", "bits", "board", "rate", "interval", "model", "FINN", "latency", "model",
        "FINN", "bit-exact",
    )  # fmt: skip
    lines = [
        "# Networks: the timing model compared with simulation",
        "",
        "Made by `python benchmarks/timing_networks.py`: the networks of docs/networks.md, for the",
        "frames/s of that table (*rate* 1) and for less; where that comes to the same folding, for",
        "more. Cycles are of the simulated RTL, without stalls; beside them the errors of the",
        "timing model, and of FINN's analytic estimates (slowest node, sum over the longest path)",
        "of the same folded graph. Operators that FINN lacks give it cycles of their own.",
        "",
        "| " + " | ".join(heads) + " |",
        "|" + "---|" * len(heads),
    ]
    errors: dict[str, list[float]] = {}
    for each in found:
        row = each.row
        cells = [row.title, row.bits, row.board, each.rate]
        for what, said, finn in (
            ("interval", row.predicted_interval, each.finn_interval),
            ("latency", row.predicted_latency, each.finn_latency),
        ):
            seen = getattr(row, what)
            ours, theirs = _error(said, seen), _error(finn, seen)
            errors.setdefault(f"{what}, model", []).append(abs(ours))
            errors.setdefault(f"{what}, FINN", []).append(abs(theirs))
            cells += [f"{seen:,.0f}", f"{ours:+.2%}", f"{theirs:+.1%}"]
        lines.append(f"| {' | '.join([*cells, 'yes' if row.exact else '**NO**'])} |")
    lines += ["", "| error | mean | worst |", "|---|---|---|"]
    lines += [
        f"| {name} | {np.mean(some):.2%} | {max(some):.2%} |" for name, some in errors.items()
    ]
    return "\n".join(lines) + "\n"


@click.command()
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs/timing"))
@click.option("--only", multiple=True, help="Names of networks, or NAME:BOARD.")
@click.option(
    "--out", type=click.File("w", "utf-8"), default="-", help="Markdown file [standard output]."
)
def main(runs: Path, only: tuple[str, ...], out: TextIO) -> None:
    """Builds and times networks, and writes the table."""
    found = [
        each
        for name, network in NETWORKS.items()
        for board in network.fps
        if not only or name in only or f"{name}:{board}" in only
        for each in foldings(name, board, runs)
    ]
    text = _table(found)
    click.echo(text, out, nl=False)


if __name__ == "__main__":
    main()
