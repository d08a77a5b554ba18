"""The group of all commands: errors are one sentence, and an exit code."""

import warnings
from typing import Any

import click

from sdq_fpga import __version__
from sdq_fpga.errors import SdqFpgaError

__all__ = ["main"]


class _Sentences(click.Group):
    """A group whose commands end in one sentence instead of a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command; our errors become their exit code, unless --debug is given."""
        try:
            return super().invoke(ctx)
        except SdqFpgaError as error:
            if ctx.params.get("debug"):
                raise
            click.echo(f"error: {error}", err=True)
            ctx.exit(error.exit_code)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            if ctx.params.get("debug"):
                raise
            said = " ".join(str(error).split())
            click.echo(
                f"error: something unforeseen happened ({type(error).__name__}: {said}); run "
                "the command with --debug and report what it prints.",
                err=True,
            )
            ctx.exit(1)


@click.group(cls=_Sentences, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """From a float PyTorch network to a verified mixed-precision FPGA accelerator.

    \b
    Example: sdq-fpga build --board zcu104
    """
    if not debug:
        warnings.simplefilter("ignore")  # of torch and Brevitas, about their own insides
