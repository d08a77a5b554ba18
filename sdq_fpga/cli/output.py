"""What commands print and write."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console

from sdq_fpga.console import ConsoleProgress
from sdq_fpga.errors import UserError
from sdq_fpga.plain import Plain

__all__ = ["check_writable", "loading", "print_plain", "stdout", "write_file"]


def print_plain(found: Plain, as_json: bool, show: Callable[[Console], None]) -> None:
    """Prints a result to standard output, as JSON or as ``show`` does."""
    if as_json:
        click.echo(found.to_bytes().decode(), nl=False)
    else:
        show(stdout())


def loading(cache: Path) -> ConsoleProgress:
    """Prepares for the import of the stages, and says that it takes a while."""
    # torch makes a directory for its compiler when it is imported; /tmp is not ours to write in.
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache / "torch"))
    progress = ConsoleProgress(Console(stderr=True))
    progress.note("loading torch, Brevitas and FINN, which takes some seconds")
    return progress


def check_writable(path: Path) -> None:
    """Makes sure, before what takes long, that a file that the user named can be written.

    Raises:
        UserError: it can't be.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        return  # a pipe, whose reader would take the opening for all that comes
    try:
        there = path.exists()
        with path.open("ab"):
            pass
        if not there:
            path.unlink()
    except OSError as error:
        raise _unwritable(path, error) from error


def write_file(path: Path, data: bytes) -> None:
    """Writes a file that the user named.

    Raises:
        UserError: it can't be written.
    """
    try:
        path.write_bytes(data)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> UserError:
    return UserError(f"{path} can't be written ({error.strerror})", "give another file")


def stdout() -> Console:
    """Where tables are printed."""
    # Into a file or a pipe, tables are as wide as they need to be.
    return Console(highlight=False, width=None if sys.stdout.isatty() else 160)
