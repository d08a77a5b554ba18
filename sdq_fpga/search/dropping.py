"""What SDQ does while it is steered: layers of small betas drop to their next candidate."""

from collections.abc import Callable

from sdq_fpga.search.dbp import Dbp
from sdq_fpga.search.limit import Limit
from sdq_fpga.search.steering import Steered

__all__ = ["Dropping"]


class Dropping(Steered[Dbp]):
    """Carries DBPs to a goal.

    Args:
        limit: the goal.
        threshold: a layer drops when its beta is below this.
        steps: length of the search.
    """

    def __init__(self, limit: Limit[Dbp], *, threshold: float, steps: int) -> None:
        super().__init__(limit, steps)
        self._threshold = threshold

    def dropped(self) -> list[Dbp]:
        """Drops the layers whose beta fell under the threshold."""
        found = [d for d in self.choices if not d.deterministic and d.chance < self._threshold]
        for dbp in found:
            dbp.drop()
        return found

    def drop_until(self, enough: Callable[[], bool]) -> None:
        """Drops the layer of the smallest beta, again and again, until the search can settle."""
        while not enough():
            # min takes the first of equals: among equal betas the first layer drops.
            smallest = min((d for d in self.choices if not d.deterministic), key=lambda d: d.chance)
            smallest.drop()
            self.greedy_drops.append(smallest)

    def lower_bits(self) -> tuple[int, ...]:
        """Of all, the fewest bits that they may now settle at."""
        return tuple(dbp.lower_bits for dbp in self.choices)
