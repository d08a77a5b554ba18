"""In which order the stages of a network are eliminated, and what each has a part in then.

See ``sdq_fpga.cost.folding.relaxed``; it depends on who is linked to whom alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Step", "elimination"]


@dataclass(frozen=True)
class _Factor:
    """A table that a stage has a part in.

    Attributes:
        number: of the table.
        order: of its axes among those of the stage and its neighbours.
        index: gives it an axis for each of these.
    """

    number: int
    order: tuple[int, ...]
    index: tuple[slice | None, ...]


@dataclass(frozen=True)
class Step:
    """Eliminates a stage.

    Attributes:
        stage: the stage.
        rest: its neighbours at that time, ascending.
        factors: the tables that it has a part in.
    """

    stage: int
    rest: tuple[int, ...]
    factors: tuple[_Factor, ...]


def elimination(stages: int, links: Sequence[tuple[int, int]]) -> list[Step]:
    """In which order stages are eliminated, those with few neighbours first.

    Args:
        stages: how many.
        links: the stages on either side of each.
    """
    scopes: list[tuple[int, ...]] = [(stage,) for stage in range(stages)]
    scopes += [tuple(each) for each in links]
    touching: list[set[int]] = [set() for _ in range(stages)]
    for number, scope in enumerate(scopes):
        for stage in scope:
            touching[stage].add(number)
    left = set(range(stages))
    steps = []

    def neighbours(stage: int) -> set[int]:
        return {each for number in touching[stage] for each in scopes[number]} - {stage}

    around = {stage: neighbours(stage) for stage in left}
    while left:
        stage = min(left, key=lambda each: (len(around[each]), each))
        rest = tuple(sorted(around[stage]))
        axes = {each: axis for axis, each in enumerate((stage, *rest))}
        factors = tuple(
            _factor(number, [axes[each] for each in scopes[number]], len(axes))
            for number in sorted(touching[stage])
        )
        steps.append(Step(stage, rest, factors))
        for number in touching[stage]:
            for each in scopes[number]:
                if each != stage:
                    touching[each].discard(number)
        message = len(scopes)
        scopes.append(rest)
        left.discard(stage)
        for each in rest:
            touching[each].add(message)
            around[each] = neighbours(each)
    return steps


def _factor(number: int, axes: Sequence[int], count: int) -> _Factor:
    """A table with some of the axes of a step, in any order."""
    order = tuple(sorted(range(len(axes)), key=lambda k: axes[k]))
    index = tuple(slice(None) if axis in axes else None for axis in range(count))
    return _Factor(number, order, index)
