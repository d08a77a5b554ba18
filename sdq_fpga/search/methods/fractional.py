"""One real number of bits for each layer, between two candidates, rounded in the end.

Source: Yang and Jin, "FracBits: Mixed Precision Quantization via Fractional Bit-Widths", AAAI 2021:
a layer of 3.3 bits is 0.7 of what 3 bits quantize to and 0.3 of what 4 do, so that the gradient of
the bits is that of the loss along the difference of both. AdaQAT (Gernigon et al., 2024) takes the
difference of two losses for it. The price of a bit is steered as for SDQ.
"""

import bisect
from collections.abc import Sequence

import torch
from torch import Tensor

from sdq_fpga.search.relaxed import RelaxedChoice, relaxed_search
from sdq_fpga.search.task import SearchResult, Task

__all__ = ["Fraction", "fractional"]


class Fraction(RelaxedChoice):
    """A real number of bits.

    Args:
        name: the layer's.
        candidates: bits, ascending; the layer starts at the highest.
        size: how many weights, or activation values of one frame, have these bits.

    Attributes:
        logit: the bits.
    """

    def __init__(self, name: str, candidates: Sequence[int], size: int) -> None:
        start = torch.tensor(float(candidates[-1]), requires_grad=True)
        super().__init__(name, candidates, size, start)

    @property
    def nearest(self) -> int:
        """The nearest candidate, the lower one halfway."""
        now = self.logit.item()
        return min(self.candidates, key=lambda bits: abs(bits - now))

    def options(self) -> tuple[int, ...]:
        """The candidates above and below."""
        if self.deterministic:
            return (self.bits,)
        above = bisect.bisect_left(self.candidates, self.logit.item(), lo=1)
        above = min(above, len(self.candidates) - 1)
        return self.candidates[above], self.candidates[above - 1]

    def probabilities(self) -> Tensor:
        """[options] by which the bits are their mean."""
        if self.deterministic:
            return torch.ones(1)
        above, below = self.options()
        share = (self.logit - below) / (above - below)
        return torch.stack([share, 1 - share])

    def bound(self) -> None:
        """Keeps the bits between the lowest and the highest candidate."""
        with torch.no_grad():
            self.logit.clamp_(self.candidates[0], self.candidates[-1])

    def distances(self) -> list[float]:
        """[candidates] squared differences of bits."""
        now = self.logit.item()
        return [(bits - now) ** 2 for bits in self.candidates]


def fractional(task: Task) -> SearchResult:
    """Searches by fractional bits.

    Raises:
        UserError: a fixed layer does not exist, or the goal is out of reach.
        StageError: training diverged.
    """
    return relaxed_search(task, Fraction)
