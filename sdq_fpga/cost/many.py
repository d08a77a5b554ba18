"""Arithmetic on a number or on an array of them, so that a model has many foldings at once.

What depends on the parallelism of a unit is written once, for whole numbers and for arrays alike.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "Many", "clog2", "greater", "over"]

Array = npt.NDArray[Any]
Many = int | Array
"""A whole number, or an array of them."""

_LEAST_BITS = 1 << np.arange(62, dtype=np.int64)


def clog2(numbers: Many) -> Many:
    """Address bits of a memory of so many words."""
    if isinstance(numbers, int):
        return max(numbers - 1, 0).bit_length()
    return np.searchsorted(_LEAST_BITS, numbers, side="left")


def greater(left: Many, right: Many) -> Many:
    """The greater of both."""
    if isinstance(left, int) and isinstance(right, int):
        return max(left, right)
    return np.maximum(left, right)


def over(function: Callable[[int], int], numbers: Many) -> Many:
    """A function of each number, called once for equal ones."""
    if isinstance(numbers, int):
        return function(numbers)
    distinct, place = np.unique(numbers, return_inverse=True)
    return np.array([function(each) for each in distinct.tolist()])[place.reshape(numbers.shape)]
