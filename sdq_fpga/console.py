"""What the user sees: bars with the time left in a terminal, plain lines everywhere else."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

__all__ = ["ConsoleProgress"]

_PLAIN_EVERY_S = 10.0


class ConsoleProgress:
    """A ``Progress`` on a rich console."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def task(self, label: str, total: int) -> Iterator[Callable[[int], None]]:
        """One bar in a terminal; elsewhere a line now and then, and one at the end."""
        if self._console.is_terminal:
            columns = (
                TextColumn("{task.description:<28}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
            )
            # What others print while a bar is shown is not for the screen: FINN's goes to a log.
            bars = Progress(
                *columns, console=self._console, redirect_stdout=False, redirect_stderr=False
            )
            with bars as bar:
                task = bar.add_task(label, total=total)
                yield lambda steps: bar.advance(task, steps)
        else:
            counter = _PlainCounter(self._console, label, total)
            yield counter.advance
            counter.finish()

    def note(self, text: str) -> None:
        """Prints one line."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)


class _PlainCounter:
    def __init__(self, console: Console, label: str, total: int) -> None:
        self.console = console
        self.label = label
        self.total = total
        self.done = 0
        self.start = self.said = time.monotonic()

    def advance(self, steps: int) -> None:
        self.done += steps
        now = time.monotonic()
        if now - self.said >= _PLAIN_EVERY_S and 0 < self.done < self.total:
            self.said = now
            left = (now - self.start) * (self.total - self.done) / self.done
            self._print(f"{self.label}: {self.done} of {self.total}, {_duration(left)} left")

    def finish(self) -> None:
        elapsed = time.monotonic() - self.start
        self._print(f"{self.label}: {self.done} of {self.total} in {elapsed:.1f} s")

    def _print(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)


def _duration(seconds: float) -> str:
    """Seconds as a user thinks of them."""
    if seconds < 180:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
