"""Sizes the FIFOs of networks: bits before and after, seconds, and whether they are enough.

    python benchmarks/fifo_sizing.py --only resnet20 --random 50

By occupancy: what a sizing takes that makes each FIFO as deep as its greatest occupancy, with FIFOs
of any depth and frames at the interval.
"""

import time
from collections.abc import Callable, Iterator

import click
from onnx import ModelProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.util.cleanup import cleanup_model

from sdq_fpga import zoo
from sdq_fpga.board import Board, load_board
from sdq_fpga.cost.folding.solve import solve
from sdq_fpga.cost.timing.schedule import Pipeline
from sdq_fpga.cost.timing.sizing import size_fifos
from sdq_fpga.flow import SimulateSpec
from sdq_fpga.lower.describe import describe
from sdq_fpga.lower.hardware import to_hardware
from sdq_fpga.lower.read.model import read_qonnx
from sdq_fpga.progress import SilentProgress
from sdq_fpga.zoo.random_net import random_network

_FRAMES = 6
_TOLERANCE = 1.001

NETWORKS: dict[str, tuple[Callable[[], ModelProto], str, int, float]] = {
    "tfc": (lambda: zoo.tfc(None, 1), "zcu104", 1, 50_000),
    "cnv": (lambda: zoo.cnv(None, 1), "zcu104", 1, 3_000),
    "resnet8": (lambda: zoo.resnet8(None, 2), "zcu104", 1, 4_000),
    "resnet20": (lambda: zoo.resnet20(None, 3), "zcu104", 1, 4_000),
    "vgg10": (lambda: zoo.vgg10(None, 4, length=1024), "zcu104", 1, 4_000),
    # More memory than any board here has.
    "resnet50": (lambda: zoo.resnet50((4, 4)), "u50", 4, 1_000),
}
"""What makes each network, the board, how many of them, and the frames a second to fold for."""


def _row(name: str, model: ModelProto, board: Board, fps: float | None) -> str:
    network, _ = read_qonnx(cleanup_model(ModelWrapper(model)))
    graph = describe(to_hardware(network, board.dsp))
    folded = solve(graph, board, board.clock_mhz.default, fps, {}).graph
    pipeline = Pipeline(folded, ultra=board.budget.uram > 0)
    began = time.process_time()
    sizes = size_fifos(pipeline, SimulateSpec().fifo_trials, SilentProgress())
    seconds = time.process_time() - began
    checked = pipeline.time(sizes.depths, frames=_FRAMES).interval
    enough = checked <= _TOLERANCE * max(sizes.unlimited_interval, 1)
    cells = (
        name, f"{sizes.unlimited_interval:,.0f}", f"{checked:,.0f}", "yes" if enough else "**NO**",
        f"{sizes.occupancy_bits:,}", f"{sizes.bits:,}", sizes.trials, f"{seconds:.1f}",
    )  # fmt: skip
    return "| " + " | ".join(map(str, cells)) + " |"


def _boards(name: str, count: int) -> Board:
    board = load_board(name)
    budget = {name: count * amount for name, amount in board.budget.model_dump().items()}
    return board.model_copy(update={"budget": board.budget.model_copy(update=budget)})


def _chosen(only: tuple[str, ...], count: int) -> Iterator[str]:
    for name, (make, board, boards, fps) in NETWORKS.items():
        if not only or name in only:
            yield _row(name, make(), _boards(board, boards), fps)
    for seed in range(count):
        yield _row(f"random {seed}", random_network(seed), load_board("zcu104"), None)


@click.command()
@click.option("--only", multiple=True, help="Names of networks; 'none' for random ones alone.")
@click.option("--random", "count", default=0, show_default=True, help="How many random ones.")
def main(only: tuple[str, ...], count: int) -> None:
    """Prints a table of what the sizing of FIFOs finds."""
    heads = (
        "network", "interval", "with these FIFOs", "enough", "bits by occupancy", "bits",
        "trials", "CPU s",
    )  # fmt: skip
    click.echo("| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))
    for row in _chosen(only, count):
        click.echo(row)


if __name__ == "__main__":
    main()
