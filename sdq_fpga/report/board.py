"""Prints what a run on a board showed, at its end and while it goes."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from sdq_fpga.deploy.figures import BoardFigures, Cycles, Match
from sdq_fpga.progress import Progress

__all__ = ["board_tables", "told", "watched"]

_EVERY_S = 10.0

Tell = Callable[[Mapping[str, Any]], None]


def board_tables(figures: BoardFigures) -> list[Table]:
    """The figures of a run, one row a figure; and a throughput test, one row a batch."""
    kind = "emulated " if figures.emulated else ""
    title = f"{kind}{figures.board} at {figures.where}"
    if figures.throughput:
        return [_throughput(figures, title)]
    table = Table(title=title, show_header=False, title_justify="left")
    table.add_column("figure")
    table.add_column("value", overflow="fold")
    table.add_row("frames", f"{figures.frames:,}")
    if figures.cycles is not None:
        for name, value in _cycle_rows(figures.cycles):
            table.add_row(name, value)
    # An emulated board's seconds are those of the simulation, and say nothing of a real one.
    clock = " (time of the simulation)" if figures.emulated else ""
    if figures.latency_s is not None:
        table.add_row("latency", f"{figures.latency_s * 1e6:,.1f} us{clock}")
    if figures.frames_per_second is not None:
        table.add_row("throughput", f"{figures.frames_per_second:,.1f} frames/s, packed{clock}")
    table.add_row("power", _power(figures.watts))
    if figures.match is not None:
        for name, value in _match_rows(figures.match):
            table.add_row(name, value)
    return [table]


def _cycle_rows(cycles: Cycles) -> list[tuple[str, str]]:
    us = cycles.latency / cycles.clock_mhz
    at = f"at {cycles.clock_mhz:g} MHz"
    rows = [("simulated latency", f"{cycles.latency} cycles, {us:.2f} us {at}")]
    if cycles.interval is not None:
        fps = cycles.clock_mhz * 1e6 / cycles.interval
        text = f"{cycles.interval:g} cycles, {fps:,.0f} frames/s {at}"
        rows.append(("simulated interval", text))
    return rows


def _match_rows(match: Match) -> list[tuple[str, str]]:
    rows = []
    if match.accuracy is not None and match.expected_accuracy is not None:
        rows.append(("accuracy", f"{match.accuracy:.2%} (expected {match.expected_accuracy:.2%})"))
    verdict = f"all {match.values} values are as expected"
    if match.differing:
        verdict = f"{match.differing} of {match.values} values DIFFER"
        verdict += f", in {match.answers_differing} answers"
    return [*rows, ("answers", verdict)]


def _throughput(figures: BoardFigures, title: str) -> Table:
    table = Table(title=title, title_justify="left")
    for heading in ("batch", "ms", "frames/s", "pack ms", "unpack ms", "power", "simulated"):
        if heading != "simulated" or figures.emulated:
            table.add_column(heading, justify="right")
    for row in figures.throughput:
        cells = [
            str(row.batch),
            f"{row.seconds * 1e3:.3f}",
            f"{row.frames_per_second:,.1f}",
            f"{row.pack_s * 1e3:.3f}",
            f"{row.unpack_s * 1e3:.3f}",
            _power(row.watts),
        ]
        if row.cycles is not None:
            fps = row.batch * row.cycles.clock_mhz * 1e6 / row.cycles.total
            cells.append(f"{row.cycles.total:,} cycles, {fps:,.0f} frames/s")
        table.add_row(*cells)
    return table


def _power(watts: float | None) -> str:
    return "no PMBus rails" if watts is None else f"{watts:.2f} W"


@contextmanager
def told(progress: Progress) -> Iterator[Tell]:
    """Says now and then how far a run is."""
    said = time.monotonic()

    def tell(event: Mapping[str, Any]) -> None:
        nonlocal said
        if "of" in event:
            now = time.monotonic()
            if event["frames"] < event["of"] and now - said < _EVERY_S:
                return
            said = now
            progress.note(f"{event['frames']} of {event['of']} frames")
        elif "batch" in event:
            progress.note(f"batch of {event['batch']}: {event['frames_per_second']:,.1f} frames/s")
        elif "loading" in event:
            progress.note(f"the driver loads {event['loading']}")

    yield tell


@contextmanager
def watched(console: Console) -> Iterator[Tell]:
    """Keeps a live table of a run; where there is no terminal, it is printed at the end."""
    seen: dict[str, Any] = {}

    def table() -> Table:
        shown = Table(show_header=False, title="on the board", title_justify="left")
        rate = seen["frames"] / seen["seconds"] if seen.get("seconds") and "of" in seen else None
        rows = {
            "frames": f"{seen['frames']} of {seen['of']}" if "of" in seen else "",
            "batch": str(seen.get("batch", "")),
            "frames/s": f"{rate or seen.get('frames_per_second') or 0:,.1f}",
            "power": _power(seen.get("watts")),
        }
        for name, value in rows.items():
            if value:
                shown.add_row(name, value)
        return shown

    with Live(table(), console=console, auto_refresh=False) as live:

        def tell(event: Mapping[str, Any]) -> None:
            seen.update(event)
            live.update(table(), refresh=True)

        yield tell
