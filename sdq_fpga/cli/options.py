"""Options that several commands share."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import click

from sdq_fpga.board import Board
from sdq_fpga.cost.folding import parse_shares
from sdq_fpga.errors import UserError
from sdq_fpga.flow import MethodName

__all__ = [
    "CACHE",
    "DIRECTORY",
    "FILE",
    "board_and_flow",
    "cache_option",
    "clock_of",
    "debug_option",
    "goal_options",
    "json_option",
    "options",
    "own_options",
    "training_options",
    "what_to_build",
]

CACHE = Path.home() / ".cache" / "sdq-fpga"
DIRECTORY = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False)

Command = Callable[..., Any]


def options(*these: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Several options as one decorator."""

    def apply(command: Command) -> Command:
        for option in reversed(these):
            command = option(command)
        return command

    return apply


def _note_debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.find_root().params["debug"] = True


debug_option = click.option(
    "--debug",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_note_debug,
    help="Show the traceback of an error.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON to standard output.")
cache_option = click.option(
    "--cache",
    type=DIRECTORY,
    default=CACHE,
    show_default="~/.cache/sdq-fpga",
    help="Where compiled simulations are kept.",
)
board_and_flow = options(
    click.option(
        "--board", "board_name", required=True, help="A board's name, or a path to your own YAML."
    ),
    click.option(
        "--flow",
        "flow_name",
        default="digits-cnn",
        show_default=True,
        help="A flow's name, or a path to your own YAML.",
    ),
)
own_options = options(
    click.option(
        "--net",
        "own_net",
        metavar="MODULE:FUNCTION",
        help="A function of your own that makes a torch module, instead of the flow's network.",
    ),
    click.option(
        "--dataset",
        "own_dataset",
        metavar="MODULE:FUNCTION",
        help="A function of your own that makes (train, test), instead of the flow's dataset.",
    ),
)


def _percent(_: click.Context, __: click.Parameter, said: str | None) -> float | None:
    if said is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)%", said.strip())
    if match is None or not 0 < float(match[1]) < 100:
        raise UserError(f"'{said}' is no drop in accuracy", "write such as 1% or 0.5%")
    return float(match[1]) / 100


goal_options = options(
    click.option(
        "--target-fps",
        type=click.FloatRange(min=0, min_open=True),
        help="Frames per second to reach [default: the most that fits the board].",
    ),
    click.option(
        "--target-latency",
        type=click.FloatRange(min=0, min_open=True),
        metavar="MICROSECONDS",
        help="Microseconds that a frame may take from first input to last output, in an empty "
        "pipeline [default: any].",
    ),
    click.option(
        "--clock-mhz",
        type=click.FloatRange(min=0, min_open=True),
        help="Clock of the accelerator [default: the board's].",
    ),
    click.option(
        "--budget",
        "shares",
        metavar="SHARES",
        callback=lambda _, __, said: {} if said is None else parse_shares(said),
        help="What may be used of the board, such as dsp=40%,lut=50% [80% of each]; what the shell "
        "takes is taken off.",
    ),
)
training_options = options(
    click.option(
        "--accelerator",
        type=click.Choice(["cpu", "cuda"]),
        help="What networks are trained on [default: cpu].",
    ),
    click.option(
        "--devices", type=click.IntRange(1), help="CPU processes or GPUs, on each node [1]."
    ),
    click.option(
        "--nodes",
        type=click.IntRange(1),
        help="Machines; each starts this command and sees the run directory [1].",
    ),
    click.option(
        "--precision",
        type=click.Choice(["32-true", "bf16-mixed"]),
        help="Numbers of the training [default: 32-true].",
    ),
    click.option(
        "--checkpoint-every",
        type=click.FloatRange(0),
        metavar="SECONDS",
        help="Time between two checkpoints, which are made at the end of an epoch [60].",
    ),
)
what_to_build = options(
    board_and_flow,
    own_options,
    click.option("--data", type=DIRECTORY, help="Directory of the dataset."),
    click.option(
        "--target-bits",
        type=float,
        help="Mean weight bits that the search ends at [default: what --target-fps and "
        "--target-latency take, or else the flow's].",
    ),
    click.option(
        "--method",
        type=click.Choice(get_args(MethodName)),
        help="How bits are searched [default: the flow's, which is sdq unless it says other].",
    ),
    click.option(
        "--accuracy-drop",
        metavar="PERCENT",
        callback=_percent,
        help="Search the fastest design that keeps the float network's accuracy less this, such "
        "as 1%, on training images that are held back.",
    ),
    click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True),
    click.option(
        "--run", "run_directory", type=DIRECTORY, help="Run directory [default: runs/FLOW-BOARD]."
    ),
    cache_option,
    json_option,
)


def clock_of(stated: dict[str, Any], board: Board) -> float:
    """The clock that was stated in MHz, or else the board's.

    Raises:
        UserError: the board can't do it.
    """
    return board.clock_at(stated.get("clock_mhz"))
