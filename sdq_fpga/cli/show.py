"""What is known and installed."""

import json
import sys
from pathlib import Path

import click
from rich.table import Table

from sdq_fpga.board import load_boards
from sdq_fpga.cli.options import DIRECTORY, debug_option, json_option
from sdq_fpga.cli.output import stdout

__all__ = ["boards", "doctor"]


@click.command()
@debug_option
@json_option
def boards(as_json: bool) -> None:
    """List the boards that ship with this package.

    \b
    Example: sdq-fpga boards --json
    """
    known = load_boards()
    if as_json:
        click.echo(json.dumps([board.model_dump(mode="json") for board in known], indent=1))
        return
    table = Table()
    table.add_column("board", no_wrap=True)
    for heading in ("part", "DSP", "LUT", "FF", "BRAM18", "URAM", "DSPs", "MHz"):
        table.add_column(heading, overflow="fold")
    for board in known:
        budget = [f"{value:,}" for value in board.budget.model_dump().values()]
        table.add_row(
            board.name, board.part, str(board.dsp), *budget, f"{board.clock_mhz.default:g}"
        )
    stdout().print(table)


@click.command()
@debug_option
@click.option("--vivado", type=DIRECTORY, help="Directory that holds bin/vivado.")
@json_option
def doctor(vivado: Path | None, as_json: bool) -> None:
    """Show what is installed, what is missing, and what each missing thing would enable.

    \b
    Example: sdq-fpga doctor
    """
    from sdq_fpga.doctor import examine  # noqa: PLC0415

    findings = examine(vivado)
    if as_json:
        click.echo(json.dumps([each.model_dump(mode="json") for each in findings], indent=1))
    else:
        table = Table()
        for heading in ("what", "found", "for", "how to get it"):
            table.add_column(heading, overflow="fold")
        for each in findings:
            table.add_row(
                each.name,
                each.found or ("MISSING" if each.required else "not installed"),
                each.enables,
                "" if each.found else each.how,
            )
        stdout().print(table)
    if any(each.found is None and each.required for each in findings):
        sys.exit(1)
