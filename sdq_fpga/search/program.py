"""The integer program of bits: the cheapest candidate of each choice, within what they may take.

What a policy takes is a sum of entries of small tables over the choices that decide together
(``sdq_fpga.cost.policies``). A table over several choices comes in by one variable for each of its
entries, whose sums along each choice are the variables of that choice's candidates: with whole
numbers there, exactly one entry is 1.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from sdq_fpga.errors import StageError
from sdq_fpga.search.limit import Costs

__all__ = ["Taken", "cheapest_choice"]

Floats = npt.NDArray[np.float64]

_SECONDS = 30.0
_INFEASIBLE = 2  # status of scipy.optimize
_SCALE = 1e3  # of the largest cost: far above the solver's absolute gap, 1e-6


@dataclass(frozen=True)
class Taken:
    """What some choices take together.

    Attributes:
        choices: numbers of the choices; none for what is always taken.
        amounts: [candidates of the first, ..., resources].
    """

    choices: tuple[int, ...]
    amounts: Floats


def cheapest_choice(
    costs: Costs, taken: Sequence[Taken], limits: Sequence[float]
) -> tuple[int, ...] | None:
    """Chooses a candidate of each choice with the least sum of costs.

    Args:
        costs: [choices][candidates].
        taken: what they take, which adds up.
        limits: [resources] the most that may be taken in all.

    Returns:
        The place of each choice among its candidates; None if nothing is within the limits.

    Raises:
        StageError: the solver found none in its time.
    """
    sizes = [len(each) for each in costs]
    begins = np.cumsum([0, *sizes])
    count = int(begins[-1])
    scale = np.array([1 / most if most > 0 else 1.0 for most in limits])
    rows: list[Floats] = []  # [columns, resources] of each table
    links: list[tuple[int, int, float]] = []  # row, column, value: sums of entries by candidate
    fixed = np.zeros(len(limits))
    of_candidates = np.zeros((count, len(limits)))
    link = entries = 0
    for table in taken:
        if not table.choices:
            fixed += table.amounts
        elif len(table.choices) == 1:
            (own,) = table.choices
            of_candidates[begins[own] : begins[own + 1]] += table.amounts
        else:
            shape = table.amounts.shape[:-1]
            rows.append(table.amounts.reshape(-1, len(limits)))
            for number, where in enumerate(np.ndindex(shape)):
                base = link
                for place, size in zip(where, shape, strict=True):
                    links.append((base + place, count + entries + number, 1.0))
                    base += size
            for own, size in zip(table.choices, shape, strict=True):
                links += [(link + p, int(begins[own]) + p, -1.0) for p in range(size)]
                link += size
            entries += math.prod(shape)
    columns = count + entries
    amounts = np.concatenate([of_candidates, *rows]) * scale
    where, column, value = zip(*links, strict=True) if links else ((), (), ())
    one = csr_array(
        (np.ones(count), (np.repeat(np.arange(len(sizes)), sizes), np.arange(count))),
        (len(sizes), columns),
    )
    constraints = [
        LinearConstraint(one, 1, 1),
        LinearConstraint(amounts.T, -np.inf, (np.array(limits) - fixed) * scale),
    ]
    if link:
        constraints.append(
            LinearConstraint(csr_array((value, (where, column)), (link, columns)), 0, 0)
        )
    least = [min(each) for each in costs]
    flat = np.array([cost - low for each, low in zip(costs, least, strict=True) for cost in each])
    flat *= _SCALE / max(float(flat.max(initial=0.0)), 1e-300)
    found = milp(
        np.r_[flat, np.zeros(entries)],
        integrality=np.arange(columns) < count,
        bounds=Bounds(0, 1),
        constraints=constraints,
        options={"time_limit": _SECONDS, "mip_rel_gap": 0.0},
    )
    if found.status == _INFEASIBLE:
        return None
    if found.x is None:
        raise StageError(
            f"no bits within the goal were found in {_SECONDS:g} s",
            "ask for a goal that is easier to reach, or give fewer candidates",
        )
    return tuple(int(np.argmax(found.x[begin:end])) for begin, end in pairwise(begins))
