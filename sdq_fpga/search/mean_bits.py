"""A goal of mean bits: of all weights, or of all activation values of a frame."""

import math
from collections.abc import Sequence
from operator import mul
from typing import TypeVar

import numpy as np

from sdq_fpga.errors import UserError
from sdq_fpga.search.choice import Choice, option_weights
from sdq_fpga.search.limit import Costs, Limit
from sdq_fpga.search.program import Taken, cheapest_choice

__all__ = ["ROUNDING", "MeanBits"]

C = TypeVar("C", bound=Choice)

ROUNDING = 1e-9
"""Relative error of a mean in floating point."""

_TOLERANCES = (0.0, 2e-6, 1e-5)  # of the budget, by which the solver may miss it


class MeanBits(Limit[C]):
    """Mean bits at or below a number.

    Args:
        what: "weight" or "activation", for messages.
        choices: of every layer, the fixed ones too.
        bits: the wanted mean.

    Attributes:
        budget: bits that all values may have together.

    Raises:
        UserError: no choice among the candidates has this mean, stating the range that has.
    """

    least_span = 1.0

    def __init__(self, what: str, choices: Sequence[C], bits: float) -> None:
        super().__init__(choices)
        _check_reach(what, choices, bits)
        self.goal = bits
        self._options: tuple[tuple[int, ...], ...] | None = None
        self._weights: list[float] = []
        self.budget = int(bits * (1 + ROUNDING) * sum(each.size for each in choices))

    def allows(self, bits: Sequence[int]) -> bool:
        """Whether the mean is at or below the goal."""
        pairs = zip(self.choices, bits, strict=True)
        return sum(each.size * own for each, own in pairs) <= self.budget

    def cheapest(self, costs: Costs) -> tuple[int, ...]:
        """The bits that cost the least; see ``Limit``."""
        taken = [
            Taken((number,), np.array([[each.size * bits] for bits in each.candidates], np.float64))
            for number, each in enumerate(self.choices)
        ]
        for tolerance in _TOLERANCES:
            found = cheapest_choice(costs, taken, [self.budget * (1 - tolerance)])
            if found is None:
                break
            bits = tuple(c.candidates[p] for c, p in zip(self.choices, found, strict=True))
            if self.allows(bits):
                return bits
        return self.lowest  # all that is left, where the budget is that of the fewest bits

    def measure(self, shares: Sequence[float]) -> tuple[float, list[float]]:
        """The expected bits, and their derivatives."""
        options = tuple(each.options() for each in self.choices)
        if options != self._options:  # which change only where a layer drops
            self._options, self._weights = options, option_weights(self.choices)
        return sum(map(mul, self._weights, shares)), self._weights

    def look(self) -> None:
        """Nothing: the measure is exact."""


def _check_reach(what: str, choices: Sequence[Choice], bits: float) -> None:
    total = sum(each.size for each in choices)
    lowest = sum(each.size * each.candidates[0] for each in choices) / total
    highest = sum(each.size * each.candidates[-1] for each in choices) / total
    # Stated to three decimals, and inwards, so that the stated bounds are themselves in reach.
    least = math.ceil(lowest * 1000 - 1e-6) / 1000
    most = max(least, math.floor(highest * 1000 + 1e-6) / 1000)
    if not lowest <= bits <= max(most, highest):
        raise UserError(
            f"target of {bits:g} mean {what} bits is out of reach of the candidates",
            f"give a target from {least:.3f} to {most:.3f}, or other candidates",
        )
