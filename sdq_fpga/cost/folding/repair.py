"""Brings a design that exceeds the budget a little within it.

Choices are exchanged for others of their kind, such as another memory or products of LUTs instead
of DSP slices, of which no other stage sees anything: one at a time, whichever leaves the least
excess, as long as that gets less.
"""

from collections.abc import Sequence

import numpy as np

from sdq_fpga.cost.folding.relaxed import Floats, Relaxed

__all__ = ["repaired"]

_TOLERANCE = 1e-9


def repaired(relaxed: Relaxed, index: Sequence[int], limits: Floats) -> tuple[int, ...] | None:
    """The design within the budget; None if that was not found.

    Args:
        relaxed: the stages.
        index: of each stage, its choice.
        limits: [resources] budget, in shares of it.
    """
    others = [
        np.flatnonzero(part.kinds == part.kinds[k])
        for part, k in zip(relaxed.parts, index, strict=True)
    ]
    stage_of = np.repeat(np.arange(len(others)), [len(each) for each in others])
    choice_of = np.concatenate(others)
    amounts = np.concatenate(
        [part.amounts[each] for part, each in zip(relaxed.parts, others, strict=True)]
    )
    chosen = np.array(index)
    excess = relaxed.totals(index)[0] - limits
    at = np.flatnonzero(choice_of == chosen[stage_of])
    while excess.max() > _TOLERANCE:
        tried = excess + amounts - amounts[at[stage_of]]
        over = np.maximum(tried, 0.0).sum(axis=1)
        best = int(over.argmin())
        if over[best] >= np.maximum(excess, 0.0).sum() - _TOLERANCE:
            return None
        excess = tried[best]
        chosen[stage_of[best]] = choice_of[best]
        at[stage_of[best]] = best
    return tuple(chosen.tolist())
