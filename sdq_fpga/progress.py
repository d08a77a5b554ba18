"""How a stage tells how far it is, without knowing who listens."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

__all__ = ["Progress", "SilentProgress"]


class Progress(Protocol):
    """A listener for long work. The command line draws bars; tests pass ``SilentProgress``."""

    def task(self, label: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
        """Opens one bar of ``total`` steps; the callable it yields advances it by n steps."""
        ...

    def note(self, text: str) -> None:
        """Says one line that stays on the screen."""
        ...


class SilentProgress:
    """A ``Progress`` that says nothing."""

    @contextmanager
    def task(self, label: str, total: int) -> Iterator[Callable[[int], None]]:
        """Accepts and drops every step."""
        yield lambda steps: None

    def note(self, text: str) -> None:
        """Drops the line."""
