"""Compares a frontier of several designs with as many searches of their own.

    python benchmarks/frontier_cost.py --board pynq-z2 --budget lut=30%,dsp=30% --count 4

Prints processor seconds of this process, frames/s, and accuracies on the training images that are
held back, as the searches left the networks; the float network is trained first, and not counted.
"""

import copy
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import click
from torch import nn

from sdq_fpga.board import load_board
from sdq_fpga.cost.folding import parse_shares
from sdq_fpga.data.dataset import Dataset
from sdq_fpga.flow import load_flow
from sdq_fpga.lower.brevitas_net import to_brevitas
from sdq_fpga.progress import SilentProgress
from sdq_fpga.search import SearchResult, normalised_state, search
from sdq_fpga.search.board_goal import BoardGoal
from sdq_fpga.search.frontier import Frontier
from sdq_fpga.stages.goal import goal_of
from sdq_fpga.stages.settings import Settings, dataset_of
from sdq_fpga.train import train_float
from sdq_fpga.train.accuracy import accuracy

T = TypeVar("T")


@click.command()
@click.option("--flow", "flow_name", default="digits-cnn", show_default=True)
@click.option("--board", "board_name", required=True)
@click.option("--budget", default="", help="Shares of the board, such as lut=30%.")
@click.option("--data", type=click.Path(path_type=Path), help="Directory of the dataset.")
@click.option("--count", type=click.IntRange(2), default=4, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
def main(
    flow_name: str, board_name: str, budget: str, data: Path | None, count: int, seed: int
) -> None:
    """Measures both, and prints a table in Markdown."""
    flow, board, progress = load_flow(flow_name), load_board(board_name), SilentProgress()
    settings = Settings(
        flow=flow,
        board=board,
        clock_mhz=board.clock_mhz.default,
        seed=seed,
        target_bits=None,
        pareto=count,
        data=None if data is None else str(data),
        shares=parse_shares(budget) if budget else {},
    )
    goal, dataset = goal_of(settings), dataset_of(settings)
    if not isinstance(goal, BoardGoal):
        raise TypeError("a frontier is searched for a board")
    net = train_float(flow, dataset, seed, progress)
    setup, frontier = _timed(lambda: Frontier(flow, net, dataset, goal, seed, progress))
    click.echo(f"| frames/s | frontier, s | accuracy | own search, s | accuracy |\n{'|---' * 5}|")
    warm = setup
    cold = 0.0
    for target in frontier.targets(count):
        seconds, design = _timed(lambda target=target: frontier.at(target))
        # A rate that was computed from a whole interval must not ask for a shorter one.
        alone = replace(goal, target_fps=0.9999 * target)
        own, found = _timed(lambda alone=alone: search(flow, net, dataset, alone, seed, progress))
        warm, cold = warm + seconds, cold + own
        click.echo(
            f"| {target:,.0f} | {seconds:.1f} | {_accuracy(net, design.result, dataset):.2%} "
            f"| {own:.1f} | {_accuracy(net, found, dataset):.2%} |"
        )
    click.echo(f"| all | {warm:.1f} | | {cold:.1f} | |")


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    began = time.process_time()
    made = work()
    return time.process_time() - began, made


def _accuracy(net: nn.Module, found: SearchResult, dataset: Dataset) -> float:
    images, labels = dataset.validation_images, dataset.validation_labels
    if images is None or labels is None:
        raise ValueError("no images are held back")
    searched = copy.deepcopy(net)
    searched.load_state_dict(found.state)
    return accuracy(
        to_brevitas(normalised_state(searched, found.policy), found.policy), images, labels
    )


if __name__ == "__main__":
    main()
