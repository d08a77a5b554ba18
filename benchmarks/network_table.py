"""Builds, verifies and synthesises every reference network, and writes the table in the docs.

    python benchmarks/network_table.py --runs runs/table --out docs/networks.md

Weights are random, bits are drawn for each layer unless the row says which; layers have their full
size unless the row says otherwise. A run that is already there is not made again.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
from onnx import ModelProto
from pages import write_page
from pydantic import Field
from rich.console import Console

from sdq_fpga import zoo
from sdq_fpga.board import load_board
from sdq_fpga.console import ConsoleProgress
from sdq_fpga.flow import SimulateSpec
from sdq_fpga.plain import Plain
from sdq_fpga.run import open_run
from sdq_fpga.synth.figures import SynthesisFigures

_CACHE = Path.home() / ".cache" / "sdq-fpga"


@dataclass(frozen=True)
class Network:
    """One row of the table for each board.

    Attributes:
        title: what it is.
        bits: which bits.
        make: makes the model.
        fps: frames per second to fold for, by board.
    """

    title: str
    bits: str
    make: Callable[[], ModelProto]
    fps: dict[str, float]


def _both(fps: float) -> dict[str, float]:
    return {"zcu104": fps, "pynq-z2": fps}


NETWORKS = {
    "tfc-w1a1": Network("TFC, 28x28", "1/1", lambda: zoo.tfc((1, 1)), _both(100_000)),
    "tfc-mixed": Network("TFC, 28x28", "mixed 1..4", lambda: zoo.tfc(None, 1), _both(50_000)),
    "lfc-w1a2": Network("LFC, 28x28", "1/2", lambda: zoo.lfc((1, 2)), _both(5_000)),
    "cnv-w1a1": Network("CNV, 32x32x3", "1/1", lambda: zoo.cnv((1, 1)), _both(3_000)),
    "cnv-mixed": Network(
        "CNV, 32x32x3", "mixed 1..4", lambda: zoo.cnv(None, 1), {"zcu104": 3_000}
    ),
    # Most draws have more weights than the block RAMs of a pynq-z2 hold.
    "cnv-mixed-few": Network(
        "CNV, 32x32x3", "mixed 1..4, few", lambda: zoo.cnv(None, 17), {"pynq-z2": 1_000}
    ),
    "cnn7": Network(
        "CNN of 7 layers, 32x32x3", "2/2", zoo.cnn7, _both(3_000)
    ),
    "resnet8": Network(
        "ResNet-8, 32x32x3", "mixed", lambda: zoo.resnet8(None, 2),
        {"zcu104": 4_000, "pynq-z2": 1_500},
    ),
    "resnet20": Network(
        "ResNet-20, 32x32x3", "mixed", lambda: zoo.resnet20(None, 3),
        {"zcu104": 4_000, "pynq-z2": 1_000},
    ),
    "resnet18": Network(
        "ResNet-18, 1/8 width, 32x32x3", "mixed",
        lambda: zoo.resnet18(None, 3, width=0.125, image_size=32, classes=100), _both(2_000),
    ),
    "mobilenetv1": Network(
        "MobileNetV1, 1/4 width, 32x32x3", "mixed",
        lambda: zoo.mobilenet_v1(None, 3, width=0.25, image_size=32, classes=100), _both(2_000),
    ),
    "mobilenetv2": Network(
        "MobileNetV2, 1/4 width, 32x32x3", "mixed",
        lambda: zoo.mobilenet_v2(None, 4, width=0.25, image_size=32, classes=100),
        {"zcu104": 2_000},
    ),
    "mobilenetv2-eighth": Network(
        "MobileNetV2, 1/8 width, 32x32x3", "mixed",
        lambda: zoo.mobilenet_v2(None, 4, width=0.125, image_size=32, classes=100),
        {"pynq-z2": 2_000},
    ),
    "vgg10": Network(
        "VGG10 1-D, 2x1024", "mixed", lambda: zoo.vgg10(None, 4, length=1024), _both(4_000)
    ),
    "yolo-tiny": Network(
        "YOLO-tiny, 1/4 width, 64x64x3", "mixed",
        lambda: zoo.yolo_tiny(None, 5, width=0.25, image_size=64), _both(500),
    ),
}  # fmt: skip


class Row(Plain):
    """One row of the table, as it is kept beside its run."""

    network: str
    title: str
    bits: str
    board: str
    nodes: int
    interval: float
    latency: int
    predicted_interval: float
    predicted_latency: int
    cycles: int
    exact: bool
    fifo_bits: int = Field(ge=0)
    occupancy_bits: int = Field(ge=0)
    build_seconds: float
    synthesis: SynthesisFigures | None = None


def build_row(name: str, network: Network, board_name: str, runs: Path) -> Row:
    """Builds and verifies a network; the run is in ``runs``."""
    from sdq_fpga.stages.model_build import ModelBuild  # noqa: PLC0415  # imports torch and FINN
    from sdq_fpga.stages.target import ModelSettings, Target  # noqa: PLC0415

    folder = runs / f"{name}-{board_name}"
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / f"{name}.onnx"
    model.write_bytes(network.make().SerializeToString(deterministic=True))
    board = load_board(board_name)
    progress = ConsoleProgress(Console(stderr=True))
    target = Target(
        board=board,
        clock_mhz=board.clock_mhz.default,
        target_fps=network.fps[board_name],
        seed=0,
        simulate=SimulateSpec(images=4, stall=0.3),
    )
    began = time.monotonic()
    with open_run(folder / "run") as run:
        settings = ModelSettings(name=model.name, target=target)
        report = ModelBuild(settings, model, run, _CACHE, progress).everything(None)
    figures = report.accelerator
    return Row(
        network=name,
        title=network.title,
        bits=network.bits,
        board=board_name,
        nodes=figures.nodes,
        interval=figures.simulation.interval,
        latency=figures.simulation.latency,
        predicted_interval=figures.predicted_interval,
        predicted_latency=figures.predicted_latency,
        cycles=figures.simulation.cycles,
        exact=figures.simulation.verdict.bit_exact,
        fifo_bits=figures.fifo_bits,
        occupancy_bits=figures.fifo_occupancy_bits,
        build_seconds=time.monotonic() - began,
    )


def _synthesis(name: str, board_name: str, runs: Path) -> SynthesisFigures:
    from sdq_fpga.stages.finished import synthesise_run  # noqa: PLC0415  # imports torch and FINN

    progress = ConsoleProgress(Console(stderr=True))
    return synthesise_run(runs / f"{name}-{board_name}" / "run", _CACHE, progress)


def _table(rows: list[Row]) -> str:
    heads = (
        "network", "bits", "board", "nodes", "interval", "model", "latency", "model",
        "cycles simulated",
        "bit-exact", "FIFO kbit", "by occupancy", "build s", "LUT", "FF", "DSP", "BRAM18",
        "synthesis s",
    )  # fmt: skip
    lines = [
        "# Reference networks",
        "",
        "Made by `python benchmarks/network_table.py`. Bit-exact: every output of the simulated",
        "RTL equals the integer network and QONNX's own execution, without stalls and with 30 %",
        "stalls on every port, assertions on. Weights are random. Interval and latency are cycles",
        "of the RTL; right of each is what the timing model foretold. FIFO memory is after",
        "sizing, and as it would be if each FIFO held its greatest occupancy, as FINN sizes them:",
        "by the timing model, whose occupancies docs/fifo-sizes.md compares with the RTL's. LUT,",
        "FF, DSP and BRAM18 are of Yosys (out of context, before placement), not estimates. Times",
        "depend on the machine and on what else it does; these were taken on 2 shared cores, much",
        "of them while other work ran. Rows that are missing, and columns that say so, have not",
        "been run.",
        "",
        "| " + " | ".join(heads) + " |",
        "|" + "---|" * len(heads),
    ]
    for row in rows:
        cells = (
            row.title, row.bits, row.board, row.nodes, f"{row.interval:,.0f}",
            f"{row.predicted_interval:,.0f}", f"{row.latency:,}", f"{row.predicted_latency:,}",
            f"{row.cycles:,}", "yes" if row.exact else "**NO**",
            f"{row.fifo_bits / 1000:,.1f}", f"{row.occupancy_bits / 1000:,.1f}",
            f"{row.build_seconds:.0f}", *_synthesis_cells(row.synthesis),
        )  # fmt: skip
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


def _synthesis_cells(figures: SynthesisFigures | None) -> tuple[object, ...]:
    if figures is None:
        return ("not run",) * 5
    counts = f"{figures.lut:,}", f"{figures.ff:,}", figures.dsp, figures.bram18
    return (*counts, f"{figures.seconds:.0f}")


@click.command()
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs/table"))
@click.option("--out", type=click.Path(path_type=Path), help="Markdown file [standard output].")
@click.option("--only", multiple=True, help="Names of networks, or NAME:BOARD.")
@click.option("--synthesis/--no-synthesis", default=True, show_default=True)
@click.option("--made-only", is_flag=True, help="Print what is there; make nothing.")
def main(
    runs: Path, out: Path | None, only: tuple[str, ...], synthesis: bool, made_only: bool
) -> None:
    """Makes the table of reference networks."""
    rows, failed = [], False
    for name, network in NETWORKS.items():
        for board in network.fps:
            if only and name not in only and f"{name}:{board}" not in only:
                continue
            kept = runs / f"{name}-{board}" / "row.json"
            if kept.is_file():
                row = Row.model_validate(json.loads(kept.read_text(encoding="utf-8")))
            elif made_only:
                continue
            else:
                click.echo(f"{name} for {board}", err=True)
                row = build_row(name, network, board, runs)
                kept.write_bytes(row.to_bytes())
            if synthesis and row.synthesis is None and not made_only:
                row = row.model_copy(update={"synthesis": _synthesis(name, board, runs)})
                kept.write_bytes(row.to_bytes())
            failed |= not row.exact
            rows.append(row)
    text = _table(rows)
    write_page(text, out)
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
