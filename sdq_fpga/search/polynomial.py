"""A sum of tables over choices, as a polynomial of the shares of their options.

A table over several choices has an entry for each combination of their options, which counts by
the product of their shares. Value and gradient take a handful of array operations over all entries
of all tables, however many tables there are: what each step of a search asks for.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["Floats", "Integers", "Polynomial"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class Polynomial:
    """Sum of products of shares.

    Args:
        count: of shares.
        parts: coefficients [products], and of each product the numbers of its shares
            [products, shares].
    """

    def __init__(self, count: int, parts: Sequence[tuple[Floats, Integers]]) -> None:
        degree = max((which.shape[1] for _, which in parts), default=0)
        self._count = count
        self._coefficients = np.concatenate([np.zeros(0), *(each for each, _ in parts)])
        # Products of fewer shares are filled up with one that is always 1.
        whole = [
            np.pad(which, ((0, 0), (0, degree - which.shape[1])), constant_values=count)
            for _, which in parts
        ]
        which = np.concatenate([np.zeros((0, degree), np.int64), *whole])
        self._factors = [np.ascontiguousarray(each) for each in which.T]
        self._flat = np.concatenate([np.zeros(0, np.int64), *self._factors])

    def at(self, shares: Floats) -> tuple[float, Floats]:
        """The value at shares [count], and its gradient [count]."""
        extended = np.append(shares, 1.0)
        factors = [extended[each] for each in self._factors]
        before = [self._coefficients]  # products of all factors before each
        for each in factors:
            before.append(before[-1] * each)
        slopes: list[Floats] = []
        after: Floats | None = None  # and of all behind it
        for product, each in zip(reversed(before[:-1]), reversed(factors), strict=True):
            slopes.append(product if after is None else product * after)
            after = each if after is None else after * each
        weights = np.concatenate([np.zeros(0), *reversed(slopes)])
        gradient: Floats = np.bincount(self._flat, weights, self._count + 1).astype(np.float64)
        return float(before[-1].sum()), gradient[: self._count]
