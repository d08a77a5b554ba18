"""Ctrl-C at a place that can bear it.

Python raises KeyboardInterrupt wherever the main thread is. In the midst of waiting for another
thread that can be between the release of a lock and taking it again, and then it comes out as
another error.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["kept_interrupts"]


@contextmanager
def kept_interrupts() -> Iterator[Callable[[], None]]:
    """Keeps an interrupt until it is asked for; a second one is raised at once.

    Where interrupts do something else than usual, or outside of the main thread, nothing changes.

    Yields:
        A function that raises KeyboardInterrupt if one has come.
    """
    came = False

    def note(*_: object) -> None:
        nonlocal came
        if came:
            raise KeyboardInterrupt
        came = True

    def look() -> None:
        if came:
            raise KeyboardInterrupt

    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not usual or threading.current_thread() is not threading.main_thread():
        yield look
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield look
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
