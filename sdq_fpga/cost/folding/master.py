"""The prices at which the least of some planes is the greatest: the program of cutting planes.

It is solved by the primal simplex method on its dual, in which a plane is a column, so that each
new plane starts from the last basis. The basis is of one row for each price and one more, which
NumPy solves in less time than it takes to hand such a program over to a solver.
"""

import numpy as np

from sdq_fpga.cost.folding.relaxed import Floats
from sdq_fpga.errors import StageError

__all__ = ["Master"]

_TOLERANCE = 1e-10
_FAST = 50  # exchanges after which the order decides, so that they come to an end
_MOST = 5_000


class Master:
    """Finds prices p from 0 to their limits at which the least of all planes is the greatest.

    In its dual, planes of slopes g and heights h have weights that sum to 1; one row for each price
    says that sum(weight * g) is at most what its limit's variable and, for a fixed sum, another one
    make up for.

    Args:
        most: [prices] that they may be.
        total: what they sum to; None for any.
    """

    def __init__(self, most: Floats, total: float | None) -> None:
        count = len(most)
        ones = np.ones((1, count))
        unit, none = np.eye(count), np.zeros((1, count))
        columns = [np.r_[unit, none], np.r_[-unit, none]]
        costs = [most, np.zeros(count)]
        if total is not None:
            columns.append(np.c_[np.r_[ones.T, [[0.0]]], np.r_[-ones.T, [[0.0]]]])
            costs.append(np.array([total, -total]))
        self._columns = np.concatenate(columns, axis=1)
        self._costs = np.concatenate(costs)
        self._basis: list[int] = []
        self._right = np.r_[np.zeros(count), 1.0]

    def cut(self, slopes: Floats, height: float) -> tuple[float, Floats]:
        """Adds the plane ``slopes @ p + height``.

        Returns:
            The greatest value, and the prices.

        Raises:
            StageError: they were not found.
        """
        self._columns = np.c_[self._columns, np.r_[-slopes, 1.0]]
        self._costs = np.r_[self._costs, height]
        if not self._basis:
            count = len(slopes)
            # Of each price its limit, or what is left below 0.
            self._basis = [k if slopes[k] > 0 else count + k for k in range(count)]
            self._basis.append(len(self._costs) - 1)
        for step in range(_MOST):
            basis = self._columns[:, self._basis]
            solution = np.linalg.solve(basis.T, self._costs[self._basis])
            reduced = self._costs - solution @ self._columns
            reduced[self._basis] = 0.0
            below = np.flatnonzero(reduced < -_TOLERANCE)
            if not len(below):
                return float(solution[-1]), np.maximum(solution[:-1], 0.0)
            enters = int(below[0] if step > _FAST else reduced.argmin())
            both = np.linalg.solve(basis, np.c_[self._right, self._columns[:, enters]])
            amounts, rates = both.T
            rising = np.flatnonzero(rates > _TOLERANCE)
            if not len(rising):
                break
            ratios = np.maximum(amounts[rising], 0.0) / rates[rising]
            first = rising[ratios <= ratios.min() + _TOLERANCE]
            leaves = min(first, key=lambda row: self._basis[row])
            self._basis[leaves] = enters
        raise StageError("the prices of resources were not found", "report the network")
