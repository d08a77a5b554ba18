"""Quantizing on a CPU in one pass over the values, and one back: compiled loops for ``several``.

Kernel after kernel, values of a large layer go through memory some twenty times for two options of
bits with their errors, which is what a search's step then takes. Here a piece of them stays in the
cache until all options are done, and nothing but the values is kept for the way back.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numba
import numpy as np
import numpy.typing as npt

__all__ = ["Floats", "Grids", "mix", "pull_back"]

Floats = npt.NDArray[np.float32]
Sums = npt.NDArray[np.float64]

_PIECE = 2048  # values of a piece: with those of gradient and result, it fits the smallest caches
# Values that a thread takes at once. Sums are those of slices, however many threads there are.
_SLICE = 1 << 17


@dataclass(frozen=True)
class Grids:
    """Levels of all options, code * step, and with which shares they are mixed.

    Attributes:
        steps: [options, rows] between two levels.
        least: [options] the lowest code.
        most: [options] the highest.
        shares: [options].
    """

    steps: Floats
    least: Floats
    most: Floats
    shares: Floats


def mix(values: Floats, grids: Grids, total: Floats, *, measured: bool, threads: int) -> Sums:
    """Rounds to the nearest levels of each option, half to even, and sums by shares.

    Args:
        values: [rows, columns].
        grids: the options.
        total: [rows, columns] where the sum goes.
        measured: whether squared errors are wanted.
        threads: how many may work.

    Returns:
        [options + 1] sums of squared errors of each option, and that of squared values; zeros
        unless measured.
    """

    def work(some: slice) -> Sums:
        sums = np.zeros(len(grids.least) + 1)
        levels = grids.steps, grids.least, grids.most, grids.shares
        _mix(values[:, some], *levels, measured, total[:, some], sums)
        return sums

    return _in_slices(work, values, threads, apart=len(values) == 1)


def pull_back(
    values: Floats,
    grids: Grids,
    means: Floats,
    gradient: Floats,
    of_sums: Sums,
    found: Floats,
    *,
    threads: int,
) -> Sums:
    """The gradients that go back through ``mix``, as ``several`` says.

    Args:
        values: those of ``mix``, and so are the next.
        grids: there.
        means: [rows] of absolute values that steps follow, 0 for those that have no slope; of no
            rows where steps are fixed.
        gradient: [rows, columns] of the sum.
        of_sums: [options + 1] of what ``mix`` returned.
        found: [rows, columns] where that of the values goes.
        threads: how many may work.

    Returns:
        [options] that of the shares.
    """
    pulls = (2 * of_sums[:-1]).astype(np.float32)
    own = np.float32(2 * of_sums.sum())

    def work(some: slice) -> Sums:
        of_shares = np.zeros(len(grids.least))
        levels = grids.steps, grids.least, grids.most, grids.shares
        pieces = values[:, some], gradient[:, some], found[:, some]
        _pull_back(pieces[0], *levels, means, pieces[1], pulls, own, pieces[2], of_shares)
        return of_shares

    return _in_slices(work, values, threads, apart=len(values) == 1 and not means.size)


def _in_slices(work: Callable[[slice], Sums], values: Floats, threads: int, *, apart: bool) -> Sums:
    """The sum of what slices of columns come to; all columns are one unless they may be apart."""
    columns = values.shape[1]
    each = _SLICE if apart else max(columns, 1)
    slices = [slice(first, first + each) for first in range(0, max(columns, 1), each)]
    several = threads > 1 and len(slices) > 1
    found = _pool(threads).map(work, slices) if several else map(work, slices)
    total: Sums = np.sum(list(found), axis=0)
    return total


@lru_cache
def _pool(threads: int) -> ThreadPoolExecutor:
    # Kept, as threads take longer to start than to do a slice.
    return ThreadPoolExecutor(threads)


# Sums in any order may go several at a time; nothing else may, and what is not a number stays so.
_compiled = numba.njit(cache=True, nogil=True, fastmath={"reassoc", "nsz"}, error_model="numpy")


# mypy: disable-error-code="no-untyped-def,no-untyped-call,misc"
@_compiled
def _mix(values, steps, least, most, shares, measured, total, sums):  # noqa: ANN001, ANN202
    zero = np.float32(0)
    for row in range(values.shape[0]):
        for first in range(0, values.shape[1], _PIECE):
            piece = values[row, first : first + _PIECE]
            mixed = total[row, first : first + _PIECE]
            mixed[:] = zero
            if measured:
                power = zero
                for i in range(piece.size):
                    power += piece[i] * piece[i]
                sums[-1] += power
            for option in range(steps.shape[0]):
                step, share = steps[option, row], shares[option]
                low, high = least[option], most[option]
                if not measured and share == zero:
                    continue
                away = zero
                for i in range(piece.size):
                    code = np.rint(piece[i] / step)
                    code = low if code < low else code
                    code = high if code > high else code
                    quantized = code * step
                    error = piece[i] - quantized
                    away += error * error
                    mixed[i] += share * quantized
                if measured:
                    sums[option] += away


@_compiled
def _pull_back(  # noqa: ANN202
    values, steps, least, most, shares, means, gradient, pulls, own, found, of_shares  # noqa: ANN001
):  # fmt: skip
    zero = np.float32(0)
    for row in range(values.shape[0]):
        of_step = 0.0
        for first in range(0, values.shape[1], _PIECE):
            piece = values[row, first : first + _PIECE]
            its = gradient[row, first : first + _PIECE]
            back = found[row, first : first + _PIECE]
            for i in range(piece.size):
                back[i] = own * piece[i]
            for option in range(steps.shape[0]):
                step, share, pull = steps[option, row], shares[option], pulls[option]
                low, high = least[option], most[option]
                by_share, by_value = zero, zero
                for i in range(piece.size):
                    at = piece[i] / step
                    code = np.rint(at)
                    code = low if code < low else code
                    code = high if code > high else code
                    quantized = code * step
                    by_share += quantized * its[i]
                    passed = share * its[i] if (at >= low) & (at <= high) else zero
                    by_value += passed * piece[i]
                    back[i] += passed - pull * quantized
                of_shares[option] += by_share
                of_step += share * by_share - by_value
        if means.size and means[row] > zero:
            slope = np.float32(of_step / values.shape[1] / means[row])
            for i in range(values.shape[1]):
                value = values[row, i]
                found[row, i] += slope if value > zero else -slope if value < zero else zero
