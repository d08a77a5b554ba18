"""Steers SDQ so that it ends at the mean bits that the user wants.

The mean of bits that is expected under the betas is led to the target (``Steering``).
"""

from collections.abc import Sequence

from sdq_fpga.search.dbp import Dbp
from sdq_fpga.search.dropping import Dropping
from sdq_fpga.search.mean_bits import ROUNDING, MeanBits
from sdq_fpga.search.rounding import round_bits

__all__ = ["Target"]


class Target(Dropping):
    """Carries the DBPs of all weights, or of all activations, to a mean of bits.

    As soon as the expected mean is at or below the target, the search *settles*, once and for
    all: every layer gets the bits it is at, or the next lower, or (where that leaves room) higher
    ones, as ``round_bits`` finds best. When four fifths of the search are over it settles in any
    case: layers drop first, the smallest beta before others, until the target is in reach. So
    the mean of the settled bits is at or below the target, and no layer could have its next
    higher candidate within it.

    Args:
        limit: the wanted mean.
        threshold: a layer drops when its beta is below this.
        steps: length of the search.
    """

    def __init__(self, limit: MeanBits[Dbp], *, threshold: float, steps: int) -> None:
        super().__init__(limit, threshold=threshold, steps=steps)
        self._budget = limit.budget

    def reached(self, done: int, measured: float) -> bool:
        """Whether the expected bits are at or below the target."""
        del done
        return measured <= self.limit.goal * (1 + ROUNDING)

    def decided(self) -> tuple[int, ...]:
        """Bits of every layer, as the class says."""
        self.drop_until(lambda: self.limit.allows(self.lower_bits()))
        within_reach: list[Sequence[int]] = [
            [bits for bits in dbp.candidates if bits >= dbp.lower_bits] for dbp in self.choices
        ]
        return round_bits(within_reach, [dbp.size for dbp in self.choices], self._budget)
