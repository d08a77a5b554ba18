"""What the processes of a build do that are not its first."""

import sys
from pathlib import Path
from typing import Any

import click

__all__ = ["follow_unless_first"]


def follow_unless_first(settings: Any, directory: Path) -> None:
    """In every process but the first of those that train together, trains along and exits.

    Args:
        settings: of the build.
        directory: of the run.
    """
    from sdq_fpga.stages.team import follow, leads  # noqa: PLC0415

    if leads(settings.devices):
        return
    from sdq_fpga.stages.steps import TRAINING  # noqa: PLC0415

    follow(settings, directory.resolve(), TRAINING, lambda text: click.echo(text, err=True))
    sys.exit(0)
