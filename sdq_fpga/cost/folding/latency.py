"""Looks for the cheapest design within a latency, by the timing model.

The latency of a folding has no closed form, but it falls with the interval that the folding keeps.
So the greatest interval is looked for by bisection, at which a design is still quick enough.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from typing import Protocol, TypeVar

__all__ = ["Timed", "cheapest_within", "quickest"]

_LEAST = 6  # intervals that fit, of whose designs the quickest is taken
_FINE = 1.01  # ratio of intervals between which nobody looks further


class Timed(Protocol):
    """A design that was timed.

    Attributes:
        latency: cycles of a frame through the empty pipeline.
        cost: what it takes, as a sum of shares of the budget.
    """

    @property
    def latency(self) -> int: ...  # noqa: D102

    @property
    def cost(self) -> float: ...  # noqa: D102


TimedT = TypeVar("TimedT", bound=Timed)
TimedT_co = TypeVar("TimedT_co", bound=Timed, covariant=True)


class Design(Protocol[TimedT_co]):
    """Gives the design that keeps an interval; None if it does not fit.

    It is the cheapest or, ``for_latency``, one that fills the pipeline soon.
    """

    def __call__(self, interval: int, *, for_latency: bool) -> TimedT_co | None: ...


def cheapest_within(intervals: Sequence[int], design: Design[TimedT], most: int) -> TimedT | None:
    """The cheapest design that was found within a latency; None if there is none.

    Args:
        intervals: to try, in cycles, ascending.
        design: gives designs.
        most: cycles that the latency may have.
    """
    found: list[TimedT] = []
    begin = 0
    for soon in (False, True):
        # One that fills the pipeline sooner may have a greater interval.
        best, begin = _bisect(intervals, partial(design, for_latency=soon), most, begin)
        if best is not None:
            found.append(best)
    return min(found, key=lambda each: each.cost, default=None)


def _bisect(
    intervals: Sequence[int], design: Callable[[int], TimedT | None], most: int, begin: int
) -> tuple[TimedT | None, int]:
    """The design of the greatest interval within a latency, and the number of that interval.

    Of too small an interval designs do not fit, of too great a one they are too slow.
    """
    found, at = None, begin
    low, high = begin, len(intervals)
    while low < high:
        if found is not None and intervals[high - 1] < intervals[at] * _FINE:
            break
        middle = (low + high) // 2
        made = design(intervals[middle])
        if made is not None and made.latency > most:
            high = middle
            continue
        low = middle + 1
        if made is not None:
            found, at = made, middle
    return found, at


def quickest(intervals: Sequence[int], design: Design[TimedT]) -> TimedT | None:
    """The quickest design of the least intervals that fit; arguments as of ``cheapest_within``.

    The least of all may leave so little room that a greater one fills the pipeline sooner.
    """
    fitting = (made for each in intervals if (made := design(each, for_latency=True)) is not None)
    return min(islice(fitting, _LEAST), key=lambda made: made.latency, default=None)
