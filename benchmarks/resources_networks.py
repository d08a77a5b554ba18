"""Compares what networks take in synthesis with what the hardware model says they take.

    python benchmarks/network_table.py --runs runs/table
    python benchmarks/resources_networks.py --runs runs/table --out docs/resources-networks.md

The networks are those of ``network_table`` that have been synthesised; nothing is made here.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import click
import numpy as np
from network_table import NETWORKS, Row
from qonnx.core.modelwrapper import ModelWrapper

from sdq_fpga.board import load_board
from sdq_fpga.cost.fitted import read_model
from sdq_fpga.cost.resources import total_resources
from sdq_fpga.lower.describe import describe
from sdq_fpga.stages.settings import read_plain
from sdq_fpga.synth.figures import SynthesisFigures
from sdq_fpga.synth.yosys import family_of

# What of the model's and of the synthesis' figures, and by how much they may differ.
_KINDS = {"lut": ("LUT", 0.10), "ff": ("FF", 0.15), "dsp": ("DSP", 0), "bram18": ("BRAM18", 0.05)}


def compared(runs: Path) -> Iterator[tuple[Row, dict[str, int], SynthesisFigures]]:
    """Each synthesised network, with what the model says.

    Of a network that the model was fitted on, it is what the fit without it says.
    """
    for name, network in NETWORKS.items():
        for board in network.fps:
            folder = runs / f"{name}-{board}"
            if not (folder / "row.json").is_file():
                continue
            row = read_plain(Row, folder / "row.json")
            if row.synthesis is None:
                continue
            family = family_of(load_board(board).part)
            unseen = read_model(family).networks.get(f"{name}:{board}")
            if unseen is not None:
                said = {kind: getattr(unseen, kind)[0] for kind in _KINDS}
            else:
                graph = describe(ModelWrapper(str(folder / "run" / "size" / "folded.onnx")))
                total = total_resources(graph.nodes, family)
                said = {kind: getattr(total, kind) for kind in _KINDS}
            yield row, said, row.synthesis


def _error(said: float, found: float) -> float:
    """Of the found, or of a single piece where none was found."""
    return (said - found) / max(found, 1)


def _table(runs: Path) -> str:
    kinds = "".join(f" | {title} | model" for title, _ in _KINDS.values())
    lines = [
        "# Networks: the resource model compared with synthesis",
        "",
        "Made by `python benchmarks/resources_networks.py`: the networks of docs/networks.md as",
        "Yosys maps them, out of context and before placement, and the error of the model. In bold",
        "what differs by more than was aimed at: 10 % of LUTs, 15 % of flip-flops, 5 % of block",
        "RAMs, any DSP slice. The model of each row was fitted without any node of that network on",
        "either board (docs/resources.md); the one that ships has seen them.",
        "",
        f"| network | bits | board{kinds} |",
        "|" + "---|" * (3 + 2 * len(_KINDS)),
    ]
    errors: dict[str, list[float]] = {kind: [] for kind in _KINDS}
    for row, said, found in compared(runs):
        cells = [row.title, row.bits, row.board]
        for kind, (_, aim) in _KINDS.items():
            error = _error(said[kind], getattr(found, kind))
            errors[kind].append(abs(error))
            text = f"{error:+.1%}"
            cells += [f"{getattr(found, kind):,}", f"**{text}**" if abs(error) > aim else text]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| error | mean | worst |", "|---|---|---|"]
    lines += [
        f"| {_KINDS[kind][0]} | {np.mean(some):.1%} | {max(some):.1%} |"
        for kind, some in errors.items()
        if some
    ]
    return "\n".join(lines) + "\n"


@click.command()
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs/table"))
@click.option(
    "--out", type=click.File("w", "utf-8"), default="-", help="Markdown file [standard output]."
)
def main(runs: Path, out: TextIO) -> None:
    """Writes the table."""
    click.echo(_table(runs), out, nl=False)


if __name__ == "__main__":
    main()
