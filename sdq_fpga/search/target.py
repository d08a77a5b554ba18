"""Steers a search so that it ends at the mean bits that the user wants.

The mean of bits that is expected under the betas is led to the target (``Steering``).
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from sdq_fpga.errors import UserError
from sdq_fpga.search.dbp import Dbp
from sdq_fpga.search.rounding import round_bits
from sdq_fpga.search.steering import Steered, Steering

__all__ = ["Target", "expected_bits", "mean_bits"]

_ROUNDING = 1e-9


def mean_bits(dbps: Sequence[Dbp]) -> float:
    """Mean bits of the candidates that layers are at, over all values."""
    return sum(dbp.size * dbp.bits for dbp in dbps) / sum(dbp.size for dbp in dbps)


def expected_bits(dbps: Sequence[Dbp]) -> Tensor:
    """Mean bits under the betas, over all values; differentiable."""
    parts = [dbp.size * dbp.expected_bits for dbp in dbps]
    return torch.stack(parts).sum() / sum(dbp.size for dbp in dbps)


class Target(Steered):
    """Carries the DBPs of all weights, or of all activations, to a mean of bits.

    As soon as the expected mean is at or below the target, the search *settles*, once and for
    all: every layer gets the bits it is at, or the next lower, or (where that leaves room) higher
    ones, as ``round_bits`` finds best. When four fifths of the search are over it settles in any
    case: layers drop first, the smallest beta before others, until the target is in reach. So
    the mean of the settled bits is at or below the target, and no layer could have its next
    higher candidate within it.

    Args:
        what: "weight" or "activation", for messages.
        dbps: of every layer, the fixed ones too.
        bits: the wanted mean.
        threshold: a layer drops when its beta is below this.
        steps: length of the search.

    Attributes:
        settled: whether every layer's bits are decided.
        greedy_drops: those that had to drop before the search could settle.

    Raises:
        UserError: no choice among the candidates has this mean, stating the range that has.
    """

    def __init__(
        self, what: str, dbps: Sequence[Dbp], bits: float, *, threshold: float, steps: int
    ) -> None:
        _check_reach(what, dbps, bits)
        super().__init__(dbps, threshold)
        self.bits = bits
        start = self.expected_bits().item()
        self.steering = Steering(start, bits, least_span=1.0, steps=steps)
        self._budget = int(bits * (1 + _ROUNDING) * sum(dbp.size for dbp in dbps))
        if sum(dbp.size * dbp.bits for dbp in dbps) <= self._budget:
            self.settle()

    def expected_bits(self) -> Tensor:
        """Mean bits under the betas, over all values; differentiable."""
        return expected_bits(self.dbps)

    @property
    def multiplier(self) -> float:
        """The price of a bit, lambda_H."""
        return self.steering.multiplier

    def measure(self) -> Tensor:
        """The expected bits."""
        return self.expected_bits()

    def reached(self, done: int) -> bool:
        """Whether the expected bits are at or below the target."""
        return self.expected_bits().item() <= self.bits * (1 + _ROUNDING)

    def settle(self) -> None:
        """Decides every layer's bits, as the class says."""
        self.drop_until(lambda: sum(dbp.size * dbp.lower_bits for dbp in self.dbps) <= self._budget)
        within_reach = [
            [bits for bits in dbp.candidates if bits >= dbp.lower_bits] for dbp in self.dbps
        ]
        rounded = round_bits(within_reach, [dbp.size for dbp in self.dbps], self._budget)
        for dbp, bits in zip(self.dbps, rounded, strict=True):
            dbp.settle(bits)
        self.settled = True


def _check_reach(what: str, dbps: Sequence[Dbp], bits: float) -> None:
    lowest = sum(dbp.size * dbp.candidates[0] for dbp in dbps) / sum(dbp.size for dbp in dbps)
    # Stated to three decimals, and inwards, so that the stated bounds are themselves in reach.
    least = math.ceil(lowest * 1000 - 1e-6) / 1000
    most = max(least, math.floor(mean_bits(dbps) * 1000 + 1e-6) / 1000)
    if not lowest <= bits <= max(most, mean_bits(dbps)):
        raise UserError(
            f"target of {bits:g} mean {what} bits is out of reach of the candidates",
            f"give a target from {least:.3f} to {most:.3f}, or other candidates",
        )
