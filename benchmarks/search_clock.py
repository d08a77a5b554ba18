"""What the parts of a search cost, in processor time."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Semaphore, get_ident
from typing import Any

import numpy as np
import numpy.typing as npt

from sdq_fpga.progress import SilentProgress
from sdq_fpga.search.steering import Steered

__all__ = ["Clock", "Floats", "alternated", "timed_hardware"]

_MANY = 1_000_000  # turns: more than anything takes

Floats = npt.NDArray[np.float64]


class Clock(SilentProgress):
    """Takes the processor time of the steps of a task, in its thread.

    Args:
        after: called after each step; what it takes does not count.

    Attributes:
        marks: [steps + 1] seconds at the beginning, and after each step.
    """

    def __init__(self, after: Callable[[], None] | None = None) -> None:
        self.marks: list[float] = []
        self._after = after
        self._paused = 0.0

    @contextmanager
    def task(self, label: str, total: int) -> Iterator[Callable[[int], None]]:
        """Begins to take the time of a task."""
        self.marks = [self._now()]
        yield self._mark

    @property
    def steps(self) -> Floats:
        """[steps] seconds of each."""
        return np.diff(self.marks)

    @property
    def step(self) -> float:
        """Seconds of a step, the first excepted, which warms up."""
        return float(self.steps[1:].mean())

    def _now(self) -> float:
        return time.thread_time() - self._paused

    def _mark(self, _: int) -> None:
        self.marks.append(self._now())
        if self._after is not None:
            began = time.thread_time()
            self._after()
            self._paused += time.thread_time() - began


def alternated(
    one: Callable[[Clock], object], other: Callable[[Clock], object], every: int
) -> tuple[Clock, Clock]:
    """Runs two trainings by turns, so that both meet the same machine; each with its clock.

    Args:
        one: the first.
        other: the second, in a thread; only one of them runs at any time.
        every: steps of a turn.
    """
    mine, others = Semaphore(0), Semaphore(0)

    def turn(own: Semaphore, its: Semaphore) -> Callable[[], None]:
        count = 0

        def after() -> None:
            nonlocal count
            count += 1
            if count % every == 0:
                its.release()
                own.acquire()

        return after

    clocks = Clock(turn(mine, others)), Clock(turn(others, mine))

    def second() -> None:
        others.acquire()
        try:
            other(clocks[1])
        finally:
            mine.release(_MANY)

    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(second)
        try:
            one(clocks[0])
        finally:
            others.release(_MANY)
        found.result()
    return clocks


@contextmanager
def timed_hardware() -> Iterator[list[float]]:
    """Lists the seconds of all that steers, with its gradient.

    Only in the thread that asks for it.
    """
    spent: list[float] = []
    term, step, thread = Steered.term, Steered.step, get_ident()

    def timed_term(self: Steered[Any]) -> float:
        if get_ident() != thread:
            return term(self)
        began = time.thread_time()
        value = term(self)
        spent.append(time.thread_time() - began)
        return value

    def timed_step(self: Steered[Any], done: int) -> list[Any]:
        if get_ident() != thread:
            return step(self, done)
        began = time.thread_time()
        dropped = step(self, done)
        spent.append(time.thread_time() - began)
        return dropped

    Steered.term, Steered.step = timed_term, timed_step  # type: ignore[method-assign]
    try:
        yield spent
    finally:
        Steered.term, Steered.step = term, step  # type: ignore[method-assign]
