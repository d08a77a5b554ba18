"""Measures how long `sdq-fpga simulate` takes once it is imported.

    python benchmarks/simulate_time.py --out docs/simulate-time.md

Each command runs in a process of its own, which has imported what the command needs.
"""

import contextlib
import io
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click
from pages import write_page

from sdq_fpga.cli import main as command
from sdq_fpga.cost.folding.solve import Solution
from sdq_fpga.errors import UserError

CASES = (
    ("mnist-mlp", "pynq-z2", 4),
    ("mnist-mlp", "zcu104", 4),
    ("cifar10-cnv", "pynq-z2", 2),
    ("cifar10-cnv", "pynq-z2", 3),
    ("cifar10-cnv", "zcu104", 4),
    ("cifar10-resnet20", "pynq-z2", 4),
    ("cifar10-resnet20", "zcu104", 4),
    ("cifar10-mobilenetv2", "zcu104", 4),
    ("speech-commands-vgg", "zcu104", 4),
    ("imagenet-mobilenetv2", "zcu104", 2),
    ("imagenet-resnet18", "u50", 4),
    ("imagenet-mobilenetv2", "u50", 4),
)


@dataclass(frozen=True)
class Taken:
    """Of one command.

    Attributes:
        seconds: by the clock.
        processor: seconds of processor time.
        folding: of these, for the choice of the folding.
        again: for the same choice again, when all is loaded.
        said: the frame rate, or that there is no design.
    """

    seconds: float
    processor: float
    folding: float
    again: float
    said: str


def run(arguments: Sequence[str]) -> Taken:
    """Runs the command, after all imports."""
    import sdq_fpga.report.estimate  # noqa: PLC0415
    import sdq_fpga.stages.foretell  # noqa: F401, PLC0415
    from sdq_fpga.cost import estimate  # noqa: PLC0415

    solve, folding, asked = estimate.solve, [0.0], [()]

    def timed(*arguments: Any) -> Solution:
        began, asked[0] = time.process_time(), arguments
        try:
            return solve(*arguments)
        finally:
            folding[0] = time.process_time() - began

    estimate.solve = timed
    printed, told = io.StringIO(), io.StringIO()
    clock, processor = time.perf_counter(), time.process_time()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(told):
        command(["simulate", *arguments], standalone_mode=False)
    found = (line for line in printed.getvalue().splitlines() if "frames/s at" in line)
    # What does not fit is told in one sentence: error: what: why; what to do
    said = next(found, None) or told.getvalue().splitlines()[-1].split(":")[1].strip()
    spent = time.process_time() - processor
    taken, began = time.perf_counter() - clock, time.process_time()
    with contextlib.suppress(UserError):
        solve(*asked[0])
    return Taken(taken, spent, folding[0], time.process_time() - began, said)


def apart(arguments: Sequence[str]) -> Taken:
    """Runs the command in a process of its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(run, arguments).result()


@click.command()
@click.option("--times", default=3, show_default=True, help="How often each command is run.")
@click.option("--only", help="Cases whose flow or board has this in its name.")
@click.option("--out", type=click.Path(path_type=Path), help="Markdown file [standard output].")
def main(times: int, only: str | None, out: Path | None) -> None:
    """Prints the table."""
    lines = [
        "# How long `simulate` takes",
        "",
        "Made by `python benchmarks/simulate_time.py --out docs/simulate-time.md`. Each command",
        f"runs in a process of its own (runs: {times}); its time begins when all is imported:",
        "reading the flow, lowering the network, folding, timing, and printing. Medians. Folding",
        "loads the compiled timing model first, for some tenths of a second; *folded again* is the",
        "same once more, in the same process.",
        "",
        "| `sdq-fpga simulate ...` | seconds | of processor time | of these folding | folded again "
        "| it says |",
        "|---|---|---|---|---|---|",
    ]
    for flow, board, bits in CASES:
        if only is not None and only not in f"{flow}:{board}":
            continue
        arguments = ["--flow", flow, "--board", board, "--bits", str(bits)]
        taken = [apart(arguments) for _ in range(times)]
        seconds = statistics.median(each.seconds for each in taken)
        processor = statistics.median(each.processor for each in taken)
        folding = statistics.median(each.folding for each in taken)
        again = statistics.median(each.again for each in taken)
        words = " ".join(arguments)
        figures = f"{seconds:.1f} | {processor:.1f} | {folding:.2f} | {again:.2f}"
        lines.append(f"| `{words}` | {figures} | {taken[0].said} |")
        click.echo(lines[-1], err=True)
    write_page("\n".join(lines) + "\n", out)


if __name__ == "__main__":
    main()
