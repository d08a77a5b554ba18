"""Random policies that meet the goal: what any search has to be better than."""

from functools import partial

import torch

from sdq_fpga.search.choice import Choice
from sdq_fpga.search.limit import Costs, Limit, confirmed, settle_all, spent
from sdq_fpga.search.task import SearchResult, Task, limits_of, untrained_result

__all__ = ["random_bits"]


def random_bits(task: Task) -> SearchResult:
    """Draws bits of every layer; nothing is trained.

    Where they are beyond the goal, layers drawn at random go to their next lower candidate, one
    after the other, until they are not; then layers go to their next higher ones, in a random
    order, until no layer can.

    Raises:
        UserError: a fixed layer does not exist, or the goal is out of reach.
    """
    spec = task.flow.search
    space = task.space(Choice)
    for limit in limits_of(spec, space, task.goal):
        settle_all(limit, confirmed(limit, partial(_drawn, limit)))
    return untrained_result(task, space)


def _drawn(limit: Limit[Choice]) -> tuple[int, ...]:
    """Bits within a limit, by torch's generator."""
    candidates = [choice.candidates for choice in limit.choices]
    places = [int(torch.randint(len(each), ())) for each in candidates]
    downs = [index for index, place in enumerate(places) for _ in range(place)]
    downs = [downs[index] for index in torch.randperm(len(downs)).tolist()]

    def after(count: int) -> tuple[int, ...]:
        gone = downs[:count]
        return tuple(each[places[i] - gone.count(i)] for i, each in enumerate(candidates))

    low, high = 0, len(downs)  # of the steps down; all of them lead to the lowest bits
    while low < high:
        middle = (low + high) // 2
        if limit.allows(after(middle)):
            high = middle
        else:
            low = middle + 1
    costs: Costs = [
        [-rank * place for place in range(len(each))]
        for rank, each in zip(torch.rand(len(candidates)).tolist(), candidates, strict=True)
    ]
    return spent(limit, after(high), costs)
