"""Runs a finished build on a board."""

import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from sdq_fpga.cli.options import DIRECTORY, cache_option, debug_option, json_option
from sdq_fpga.cli.output import loading, print_plain
from sdq_fpga.console import ConsoleProgress
from sdq_fpga.errors import UserError

__all__ = ["run"]

_THERE = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.command()
@debug_option
@click.argument("run_directory", metavar="RUN", type=DIRECTORY)
@click.option("--board-host", metavar="USER@HOST", help="The board, over SSH.")
@click.option("--local", is_flag=True, help="This is the board's own shell.")
@click.option("--emulate", is_flag=True, help="An emulated board, over SSH on this machine.")
@click.option(
    "--input", "inputs", multiple=True, metavar="[NAME=]FILE", help="Frames, as a .npy file."
)
@click.option("--dataset", is_flag=True, help="Run the test images, and compare every answer.")
@click.option("--throughput", is_flag=True, help="Run batches of growing size.")
@click.option("--watch", is_flag=True, help="Keep a live table.")
@click.option(
    "--images",
    type=click.IntRange(1),
    help="How many test images [all of them; emulated, as many as the build has simulated].",
)
@click.option(
    "--batch",
    type=click.IntRange(1, 2**20),
    default=64,
    show_default=True,
    help="Frames that go to the driver at once; the largest batch of --throughput.",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(1),
    default=600,
    show_default=True,
    help="Seconds without news after which the run is ended.",
)
@click.option("--output", type=DIRECTORY, help="Gets the outputs [default: RUN/board].")
@click.option("--identity", "keys", multiple=True, type=_THERE, help="A private key for SSH.")
@click.option("--known-hosts", type=_THERE, help="Host keys [default: ~/.ssh/known_hosts].")
@click.option("--ask-password", is_flag=True, help="Ask for the password of the board's user.")
@click.option(
    "--board-python", default="python3", show_default=True, help="Command of the board's Python."
)
@cache_option
@json_option
def run(as_json: bool, watch: bool, cache: Path, **stated: Any) -> None:
    """Run a finished build on a board, real or emulated.

    \b
    Examples:
      sdq-fpga run runs/digits-cnn-pynq-z2 --board-host xilinx@192.168.2.99 --input x.npy
      sdq-fpga run runs/digits-cnn-pynq-z2 --emulate --dataset
      sdq-fpga run runs/digits-cnn-pynq-z2 --emulate --throughput --batch 32
    """
    asked, way = _board_run(stated)
    # A board itself has neither torch nor FINN, and needs none of them.
    bare = stated["local"] and not (stated["emulate"] or stated["dataset"])
    progress = ConsoleProgress(Console(stderr=True)) if bare else loading(cache)
    from sdq_fpga.report.board import board_tables, told, watched  # noqa: PLC0415
    from sdq_fpga.stages.on_board import BoardRun, Way, run_on_board  # noqa: PLC0415

    with watched(Console(stderr=True)) if watch else told(progress) as tell:
        figures = run_on_board(
            BoardRun(**asked), Way(**way), cache=cache, progress=progress, tell=tell
        )
    if not (stated["emulate"] or stated["local"]):
        from sdq_fpga.stages.finished import write_page  # noqa: PLC0415

        write_page(stated["run_directory"])
    print_plain(figures, as_json, lambda console: console.print(*board_tables(figures)))
    if figures.match is not None and figures.match.differing:
        sys.exit(1)


def _board_run(stated: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What to run, and how to get to the board, from what was stated."""
    from sdq_fpga.deploy.ssh import Login, parse_login  # noqa: PLC0415

    host = stated["board_host"]
    if (host is not None) + (stated["emulate"] or stated["local"]) != 1:
        raise UserError(
            "one board is needed", "give --board-host USER@HOST, or --emulate, or --local"
        )
    if bool(stated["inputs"]) + stated["dataset"] + stated["throughput"] != 1:
        raise UserError("one thing to run is needed", "give --input, --dataset or --throughput")
    if stated["images"] is not None and not stated["dataset"]:
        raise UserError("--images counts test images", "add --dataset, or leave it out")
    if stated["output"] is not None and stated["throughput"]:
        raise UserError("--throughput keeps no outputs", "leave --output out")
    for name in ("keys", "known_hosts", "ask_password"):
        if stated[name] and host is None:
            option = "identity" if name == "keys" else name.replace("_", "-")
            raise UserError(f"--{option} is about SSH", "add --board-host, or leave it out")
    login = None
    if host is not None:
        user, name, port = parse_login(host)
        password = None
        if stated["ask_password"]:
            password = click.prompt(f"Password on {host}", hide_input=True, err=True)
        login = Login(name, user, port, stated["keys"], stated["known_hosts"], password)
    asked = {"directory": stated["run_directory"], "inputs": stated["inputs"]}
    for name in ("dataset", "images", "throughput", "batch", "timeout_s", "output"):
        asked[name] = stated[name]
    way = {"login": login, "python": stated["board_python"]}
    return asked, way | {name: stated[name] for name in ("emulate", "local")}
