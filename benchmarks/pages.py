"""Pages of docs: what a benchmark makes of them, above what is written by hand."""

from pathlib import Path

import click

__all__ = ["write_page"]

_BY_HAND = "<!-- By hand from here on; what makes the page leaves it as it is. -->"


def write_page(text: str, out: Path | None) -> None:
    """Writes what a benchmark makes of a page, or prints it where there is no file for it.

    Of a file that is there, what stands below the line of ``_BY_HAND`` stays.
    """
    if out is None:
        click.echo(text, nl=False)
        return
    old = out.read_text(encoding="utf-8") if out.is_file() else ""
    _, line, by_hand = old.partition(_BY_HAND)
    kept = f"\n{line}{by_hand}" if line else ""
    out.write_text(text + kept, encoding="utf-8")
