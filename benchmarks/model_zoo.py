"""Builds and verifies models that others have made: every QONNX file of a directory.

    git clone https://github.com/fastmachinelearning/qonnx_model_zoo zoo
    python benchmarks/model_zoo.py zoo/models --board pynq-z2 --target-fps 100000 \
        --input-type 'qkeras_jettagging=FIXED<16,6>' --out docs/model_zoo.md

A model that can't be built has the reason in its row. A run that is there is not made again.
"""

from pathlib import Path
from typing import TextIO

import click
from rich.console import Console

from sdq_fpga.board import load_board
from sdq_fpga.console import ConsoleProgress
from sdq_fpga.errors import SdqFpgaError
from sdq_fpga.flow import SimulateSpec
from sdq_fpga.report.summary import AcceleratorFigures
from sdq_fpga.run import open_run

_CACHE = Path.home() / ".cache" / "sdq-fpga"
_IMAGES = 100
_HEADS = (
    "model", "input", "nodes", "interval", "latency", "frames/s", "DSP", "LUT", "scores compared",
    "verdict",
)  # fmt: skip


def _build(model: Path, run_directory: Path, board: str, settings: dict[str, object]) -> list[str]:
    from sdq_fpga.stages.model_build import ModelBuild  # noqa: PLC0415  # imports torch and FINN
    from sdq_fpga.stages.target import ModelSettings, Target  # noqa: PLC0415

    loaded = load_board(board)
    target = Target(
        board=loaded,
        clock_mhz=loaded.clock_mhz.default,
        target_fps=settings["fps"],
        seed=0,
        simulate=SimulateSpec(images=_IMAGES, stall=0.3),
    )
    stated = ModelSettings(name=model.name, target=target, input_type=settings["input_type"])
    progress = ConsoleProgress(Console(stderr=True))
    with open_run(run_directory) as run:
        return _cells(ModelBuild(stated, model, run, _CACHE, progress).everything(None).accelerator)


def _cells(figures: AcceleratorFigures) -> list[str]:
    simulated, verdict = figures.simulation, figures.simulation.verdict
    estimated = {row.name: f"{row.used:,.0f}" for row in figures.resources}
    return [
        str(figures.nodes),
        f"{simulated.interval:,.0f}",
        f"{simulated.latency:,}",
        f"{figures.frames_per_second:,.0f}",
        estimated["dsp"],
        estimated["lut"],
        f"{verdict.values:,}",
        "bit-exact" if verdict.bit_exact else "**DIFFERS**",
    ]


@click.command()
@click.argument("models", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--board", default="pynq-z2", show_default=True)
@click.option("--target-fps", type=float, default=100_000, show_default=True)
@click.option("--input-type", multiple=True, help="MODEL=TYPE, where the file has none.")
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs/zoo"))
@click.option(
    "--out", type=click.File("w", "utf-8"), default="-", help="Markdown file [standard output]."
)
def main(
    models: Path,
    board: str,
    target_fps: float,
    input_type: tuple[str, ...],
    runs: Path,
    out: TextIO,
) -> None:
    """Builds every QONNX file below MODELS."""
    types = dict(each.split("=", 1) for each in input_type)
    rows = []
    for model in sorted(models.rglob("*.onnx")):
        click.echo(model.stem, err=True)
        stated = types.get(model.stem)
        try:
            settings = {"fps": target_fps, "input_type": stated}
            cells = _build(model, runs / f"{model.stem}-{board}", board, settings)
        except SdqFpgaError as error:
            cells = ["", "", "", "", "", "", "", str(error)]
        rows.append([model.stem, stated or "as the file says", *cells])
    lines = [
        "# Models of the QONNX model zoo",
        "",
        f"Built for {board} and at least {target_fps:,.0f} frames/s by `benchmarks/model_zoo.py`;",
        f"{_IMAGES} random frames each, without stalls and with 30 % stalls on every port.",
        "Interval and latency are cycles of the simulated RTL, DSP and LUT estimates.",
        "",
        *("| " + " | ".join(cells) + " |" for cells in (_HEADS, ["---"] * len(_HEADS), *rows)),
    ]
    text = "\n".join(lines) + "\n"
    click.echo(text, out, nl=False)


if __name__ == "__main__":
    main()
