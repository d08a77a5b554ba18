"""Shadow prices: what one more unit of each resource would save of a network's interval."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_array, hstack, vstack

from sdq_fpga.cost.folding.foldings import Foldings
from sdq_fpga.cost.folding.relaxed import Floats

__all__ = ["shadow_prices"]

_OPTIMAL = 0  # status of scipy.optimize


def shadow_prices(stages: Sequence[Foldings], scale: Floats, limits: Floats) -> list[float]:
    """Duals of the budget in the linear program in which a stage may be a mixture of foldings.

    What stands between stages is not in it.

    Args:
        stages: the foldings of each.
        scale: [resources] share of the budget that one unit is.
        limits: [resources] budget, in shares of it.

    Returns:
        Of each resource, cycles of interval that one more unit saves; NaN where the program was
        not solved.
    """
    # Equal stages may as well be mixed equally.
    count = Counter(stages)
    times = np.array(list(count.values()))
    kept = [each.undominated for each in count]
    rows, sizes = len(count), [len(each) for each in kept]
    columns = sum(sizes)
    stage_of = np.repeat(np.arange(rows), sizes)
    pairs = list(zip(count, kept, strict=True))
    cycles = np.concatenate([each.cycles[k] for each, k in pairs])
    amounts = np.concatenate([each.amounts[k] for each, k in pairs]) * times[stage_of, None]
    least = float(cycles.min(initial=1)) or 1.0
    one = csr_array((np.ones(columns), (stage_of, np.arange(columns))))
    slowest = csr_array(-np.ones((rows, 1)))
    speed = csr_array((cycles / least, (stage_of, np.arange(columns))), (rows, columns))
    shares = csr_array((amounts * scale).T)
    none = csr_array((len(limits), 1))
    found = linprog(
        np.r_[np.zeros(columns), 1.0],
        A_ub=vstack([hstack([speed, slowest]), hstack([shares, none])]),
        b_ub=np.r_[np.zeros(rows), limits],
        A_eq=hstack([one, csr_array((rows, 1))]),
        b_eq=np.ones(rows),
        method="highs",
    )
    if found.status != _OPTIMAL:
        return [math.nan] * len(limits)
    duals = -np.asarray(found.ineqlin.marginals)[rows:] * least * scale
    return [max(0.0, float(dual)) for dual in duals]
