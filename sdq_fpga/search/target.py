"""Steers a search so that it ends at the mean bits that the user wants.

The mean bits E expected under the betas follow a reference r that falls along a straight line to
the target. The term in the loss is the augmented Lagrangian of the constraint h = (E - r) / span
<= 0 (Nocedal and Wright, "Numerical Optimization", 2nd edition, section 17.4), whose multiplier
rises while the search lags behind the reference, and falls while it leads: a PI controller. So
the price of a bit is as high as the target needs, and the layers that lose least by a drop pay
first.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from sdq_fpga.errors import UserError
from sdq_fpga.search.dbp import Dbp
from sdq_fpga.search.rounding import round_bits

__all__ = ["Target", "mean_bits"]

# Shares of the search after which the reference is at the target, and after which the search
# settles in any case; what is left of it trains the settled bits.
_RAMP = 0.7
_HARD_END = 0.8
# How strongly the price of a bit answers to the lag (proportional), and to the sum of lags over
# the whole search (integral).
_PENALTY = 10.0
_DUAL_RATE = 100.0
_ROUNDING = 1e-9


def mean_bits(dbps: Sequence[Dbp]) -> float:
    """Mean bits of the candidates that layers are at, over all values."""
    return sum(dbp.size * dbp.bits for dbp in dbps) / sum(dbp.size for dbp in dbps)


class Target:
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
        multiplier: the price of a bit, lambda_H.
        settled: whether every layer's bits are decided.
        greedy_drops: names of the layers that had to drop before the search could settle.

    Raises:
        UserError: no choice among the candidates has this mean, stating the range that has.
    """

    def __init__(
        self, what: str, dbps: Sequence[Dbp], bits: float, *, threshold: float, steps: int
    ) -> None:
        _check_reach(what, dbps, bits)
        self.dbps = tuple(dbps)
        self.bits = bits
        self.multiplier = 0.0
        self.settled = False
        self.greedy_drops: list[str] = []
        self._threshold = threshold
        self._steps = steps
        self._reference = self._start = self.expected_bits().item()
        self._span = max(self._start - bits, 1.0)
        self._budget = int(bits * (1 + _ROUNDING) * sum(dbp.size for dbp in dbps))
        if sum(dbp.size * dbp.bits for dbp in dbps) <= self._budget:
            self.settle()

    def expected_bits(self) -> Tensor:
        """Mean bits under the betas, over all values; differentiable."""
        parts = [dbp.size * dbp.expected_bits for dbp in self.dbps]
        return torch.stack(parts).sum() / sum(dbp.size for dbp in self.dbps)

    def term(self) -> Tensor:
        """What the constraint adds to the loss; its gradient by h is max(0, lambda + c h)."""
        if self.settled:
            return torch.zeros(())
        pressure = torch.relu(self.multiplier + _PENALTY * self._lag())
        return (pressure.square() - self.multiplier**2) / (2 * _PENALTY)

    def step(self, done: int) -> list[Dbp]:
        """Drops the layers whose beta fell under the threshold, and moves price and reference.

        Args:
            done: steps of the search so far.

        Returns:
            The DBPs whose betas made them drop, for their optimizer to start afresh.
        """
        if self.settled:
            return []
        lag = self._lag().item()
        self.multiplier = max(0.0, self.multiplier + _DUAL_RATE / self._steps * lag)
        share = min(1.0, done / (_RAMP * self._steps))
        self._reference = self._start + (self.bits - self._start) * share
        reached = self.expected_bits().item() <= self.bits * (1 + _ROUNDING)
        if reached or done >= _HARD_END * self._steps:
            self.settle()
            return []
        dropped = []
        for dbp in self.dbps:
            if not dbp.deterministic and dbp.beta.item() < self._threshold:
                dbp.drop()
                dropped.append(dbp)
        return dropped

    def settle(self) -> None:
        """Decides every layer's bits, as the class says."""
        while sum(dbp.size * dbp.lower_bits for dbp in self.dbps) > self._budget:
            undecided = (dbp for dbp in self.dbps if not dbp.deterministic)
            # min takes the first of equals: among equal betas the first layer drops.
            smallest = min(undecided, key=lambda dbp: dbp.beta.item())
            smallest.drop()
            self.greedy_drops.append(smallest.name)
        within_reach = [
            [bits for bits in dbp.candidates if bits >= dbp.lower_bits] for dbp in self.dbps
        ]
        rounded = round_bits(within_reach, [dbp.size for dbp in self.dbps], self._budget)
        for dbp, bits in zip(self.dbps, rounded, strict=True):
            dbp.settle(bits)
        self.settled = True

    def _lag(self) -> Tensor:
        return (self.expected_bits() - self._reference) / self._span


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
