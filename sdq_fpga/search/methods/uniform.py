"""Uniform bits: all free layers have one width, the largest that meets the goal."""

from sdq_fpga.search.choice import Choice
from sdq_fpga.search.limit import settle_all
from sdq_fpga.search.task import SearchResult, Task, limits_of, untrained_result

__all__ = ["uniform"]


def uniform(task: Task) -> SearchResult:
    """Gives all weights and activations one width; nothing is trained.

    Where a layer's candidates lack the width, it has the nearest below, or else its lowest.

    Raises:
        UserError: a fixed layer does not exist, or the goal is out of reach.
    """
    spec = task.flow.search
    space = task.space(Choice)
    limits = limits_of(spec, space, task.goal)
    for width in sorted({*spec.weight_bits, *spec.activation_bits}, reverse=True):
        bits = [[_at_most(choice, width) for choice in limit.choices] for limit in limits]
        if all(
            limit.allows(own) and limit.confirms(own)
            for limit, own in zip(limits, bits, strict=True)
        ):
            break
    else:
        raise ValueError("the lowest candidates of all were found to be in reach")
    for limit, own in zip(limits, bits, strict=True):
        settle_all(limit, own)
    return untrained_result(task, space)


def _at_most(choice: Choice, width: int) -> int:
    return max((b for b in choice.candidates if b <= width), default=choice.candidates[0])
