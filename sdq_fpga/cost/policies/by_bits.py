"""Something that depends on the bits of a few variables: a value for each of their combinations."""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from sdq_fpga.errors import UserError

__all__ = ["ByBits", "Integers", "combine"]

_MOST = 8**6  # combinations; seconds to evaluate, and a few megabytes

Integers = npt.NDArray[np.int64]
T = TypeVar("T")
S = TypeVar("S")


@dataclass(frozen=True)
class ByBits(Generic[T]):
    """A value for each combination of some variables' bits.

    Attributes:
        scope: numbers of the variables that it depends on, ascending.
        index: [bits of the first variable, bits of the second, ...] number of the value.
        values: that there are.
    """

    scope: tuple[int, ...]
    index: Integers
    values: tuple[T, ...]

    @classmethod
    def always(cls, value: T) -> "ByBits[T]":
        """A value that depends on nothing."""
        return cls((), np.zeros((), np.int64), (value,))

    @classmethod
    def of(
        cls,
        scope: Sequence[int],
        index: Integers,
        values: Sequence[T],
        key: Callable[[T], Hashable],
    ) -> "ByBits[T]":
        """Leaves out variables that make no difference, and values that are equal by ``key``."""
        numbers: dict[Hashable, int] = {}
        firsts: list[T] = []
        of_value = np.empty(len(values), np.int64)
        for number, value in enumerate(values):
            of_value[number] = numbers.setdefault(key(value), len(numbers))
            if len(firsts) < len(numbers):
                firsts.append(value)
        found, kept = of_value[index], list(scope)
        for axis in reversed(range(len(kept))):
            one = found.take([0], axis=axis)
            if (found == one).all():
                found = one.squeeze(axis)
                del kept[axis]
        return cls(tuple(kept), found, tuple(firsts))

    def map(self, make: Callable[[T], S], key: Callable[[S], Hashable]) -> "ByBits[S]":
        """What is made of each value."""
        return ByBits.of(self.scope, self.index, [make(each) for each in self.values], key)

    def over(self, scope: Sequence[int]) -> Integers:
        """The index with an axis for each variable of a larger scope, some of length 1."""
        lengths = iter(self.index.shape)
        return self.index.reshape([next(lengths) if v in self.scope else 1 for v in scope])


def combine(
    parts: Sequence[ByBits[Any]], make: Callable[..., T], key: Callable[[T], Hashable], what: str
) -> ByBits[T]:
    """What is made of one value of each part, evaluated once for each distinct combination.

    Args:
        parts: in order of the arguments of ``make``.
        make: makes a value.
        key: equal values have equal keys.
        what: names the result in messages.

    Raises:
        UserError: it depends on too many variables; and what ``make`` raises.
    """
    scope = sorted({variable for part in parts for variable in part.scope})
    indices = [part.over(scope) for part in parts]
    shape = np.broadcast_shapes(*(index.shape for index in indices))
    if math.prod(shape) > _MOST:
        raise UserError(
            f"{what} depends on the bits of {len(scope)} variables, which are "
            f"{math.prod(shape):,} combinations",
            "tie some activations to each other, or leave some of them as they are",
        )
    sizes = [len(part.values) for part in parts]
    code = np.zeros(shape, np.int64)
    for index, size in zip(indices, sizes, strict=True):
        code = code * size + index
    distinct, index = np.unique(code, return_inverse=True)
    which = np.unravel_index(distinct, sizes) if sizes else ()
    made = [
        make(*(part.values[number] for part, number in zip(parts, row, strict=True)))
        for row in zip(*which, strict=True)
    ]
    return ByBits.of(scope, index.reshape(shape).astype(np.int64), made, key)
