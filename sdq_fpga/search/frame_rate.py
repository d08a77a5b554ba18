"""Steers SDQ so that the network it ends at reaches a frame rate on a board (``OnBoard``)."""

from collections.abc import Sequence

from sdq_fpga.search.dbp import Dbp
from sdq_fpga.search.dropping import Dropping
from sdq_fpga.search.limit import spent

__all__ = ["FrameRate"]


class FrameRate(Dropping):
    """Carries the DBPs of all weights and activations to a frame rate.

    As soon as the best folding of the bits that layers are at or nearest to reaches the target,
    the search *settles*, once and for all: the layers of the smallest betas drop, as few as it
    takes, and where that leaves room, layers get their next candidates, the largest beta first.
    When four fifths of the search are over it settles in any case.

    Args:
        limit: the wanted frame rate.
        threshold: a layer drops when its beta is below this.
        steps: length of the search.
    """

    def reached(self, done: int, measured: float) -> bool:
        """Whether the target is expected to be within the budget, as the hardware now looks."""
        if measured > 0 and done % self._every:
            return False
        self.limit.look()
        return self.limit.measured() <= 0

    def decided(self) -> tuple[int, ...]:
        """Bits of every layer, as the class says."""
        self.drop_until(lambda: self.limit.allows(self.lower_bits()))
        undecided = [dbp for dbp in self.choices if not dbp.deterministic]
        order = sorted(undecided, key=lambda dbp: dbp.chance)
        low, high = 0, len(order)  # of the smallest betas; all of them are enough
        while low < high:
            middle = (low + high) // 2
            if self.limit.allows(self._lowered(order[:middle])):
                high = middle
            else:
                low = middle + 1
        # What has come down to its last candidate, of beta 1, resisted least.
        gains = [0.0 if dbp.deterministic else dbp.chance for dbp in self.choices]
        costs = [
            [-gain * place for place in range(len(dbp.candidates))]
            for gain, dbp in zip(gains, self.choices, strict=True)
        ]
        return spent(self.limit, self._lowered(order[:high]), costs)

    def _lowered(self, some: Sequence[Dbp]) -> tuple[int, ...]:
        """Bits of all, where some are at their lower ones."""
        return tuple(dbp.lower_bits if dbp in some else dbp.bits for dbp in self.choices)
