"""The folding program as an integer program, for what bounds do not decide; HiGHS solves it."""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array, csr_array

from sdq_fpga.cost.folding.relaxed import Floats, Integers, Relaxed
from sdq_fpga.errors import StageError

__all__ = ["solve_exactly"]

_NODES = 2_000  # of the search tree: unlike a time, they are the same on every machine
_SECONDS = 120.0  # only against a solver that hangs
_INFEASIBLE = 2  # status of scipy.optimize


def solve_exactly(
    relaxed: Relaxed, limits: Floats, kept: Sequence[Integers], gap: float, *, any_design: bool
) -> tuple[int, ...] | None:
    """Finds the cheapest design within the budget.

    Choices are binary; for each link and each pair of kinds on its sides, a further variable is 1
    where both are taken.

    Args:
        relaxed: the stages.
        limits: [resources] budget, in shares of it.
        kept: of each stage, choices that may be taken.
        gap: relative gap with which a solution will do.
        any_design: whether any design will do.

    Returns:
        A choice for each stage; None if there is no design.

    Raises:
        StageError: the solver has found neither.
    """
    sizes = [len(each) for each in kept]
    if not all(sizes):
        return None
    begins = np.cumsum([0, *sizes])
    weight = 0.0 if any_design else 1.0
    amounts = [part.amounts[k] for part, k in zip(relaxed.parts, kept, strict=True)]
    beside = [part.costs[k] for part, k in zip(relaxed.parts, kept, strict=True)]
    stage_of = np.repeat(np.arange(len(kept)), sizes)
    entries = [(stage_of, np.arange(begins[-1]), np.ones(begins[-1]))]
    right = [np.ones(len(kept))]
    row, column = len(kept), int(begins[-1])
    for source, sink, link in relaxed.links:
        (of_source, at_source), (of_sink, at_sink) = (
            np.unique(relaxed.parts[k].kinds[kept[k]], return_inverse=True) for k in (source, sink)
        )
        here = np.ix_(of_source, of_sink)
        first, second = np.nonzero(~link.never[here])
        count = len(first)
        beside.append(np.zeros(count))
        amounts.append(link.amounts[here][first, second])
        pairs = np.arange(column, column + count)
        for stage, at, side, kinds in (
            (source, at_source, first, len(of_source)),
            (sink, at_sink, second, len(of_sink)),
        ):
            choices = np.arange(begins[stage], begins[stage + 1])
            entries.append((row + at, choices, np.ones(len(choices))))
            entries.append((row + side, pairs, -np.ones(count)))
            right.append(np.zeros(kinds))
            row += kinds
        column += count
    where, which, what = (np.concatenate(each) for each in zip(*entries, strict=True))
    shares = np.concatenate(amounts)
    found = milp(
        weight * (np.concatenate(beside) + shares.sum(axis=1)),
        integrality=np.arange(column) < begins[-1],
        bounds=Bounds(0, 1),
        constraints=[
            LinearConstraint(
                csr_array(coo_array((what, (where, which)), (row, column))),
                np.concatenate(right),
                np.concatenate(right),
            ),
            LinearConstraint(csr_array(shares.T), -np.inf, limits),
        ],
        options={"time_limit": _SECONDS, "mip_rel_gap": gap, "node_limit": _NODES},
    )
    if found.status == _INFEASIBLE:
        return None
    if found.x is None:
        raise StageError("no folding was found in time", "ask for another frame rate")
    return tuple(
        int(where[np.argmax(found.x[begin : begin + size])])
        for where, begin, size in zip(kept, begins[:-1], sizes, strict=True)
    )
