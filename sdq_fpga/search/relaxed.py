"""Steers a search whose choices are real numbers, which are rounded in the end."""

from abc import abstractmethod
from functools import partial

import torch

from sdq_fpga.search.choice import Learned
from sdq_fpga.search.limit import spent
from sdq_fpga.search.space import Make
from sdq_fpga.search.steering import Steered
from sdq_fpga.search.task import SearchResult, Task, limits_of
from sdq_fpga.search.training import SearchTraining, search_steps

__all__ = ["Relaxed", "RelaxedChoice", "relaxed_search"]


class RelaxedChoice(Learned):
    """A choice between all candidates, until it is rounded."""

    @property
    def bits(self) -> int:
        """The nearest candidate, until the layer settles."""
        return super().bits if self.deterministic else self.nearest

    @abstractmethod
    def distances(self) -> list[float]:
        """[candidates] how far each is from what was learned."""


class Relaxed(Steered[RelaxedChoice]):
    """Carries choices to a goal, and rounds them when four fifths of the search are over.

    Of the bits within the goal, those are taken whose sum of distances from what was learned is the
    least (``Limit.cheapest``), and then as many more bits as the goal has room for.
    """

    def decided(self) -> tuple[int, ...]:
        """Bits of every layer, as the class says."""
        costs = [each.distances() for each in self.choices]
        return spent(self.limit, self.limit.cheapest(costs), costs)


def relaxed_search(task: Task, make: Make[RelaxedChoice]) -> SearchResult:
    """Trains a network with choices that ``make`` makes, and rounds them in the end.

    Raises:
        UserError: a fixed layer does not exist, or the goal is out of reach.
        StageError: training diverged, or the integer program was not solved in its time.
    """
    space = task.space(make)
    steered = [
        Relaxed(limit, search_steps(task))
        for limit in limits_of(task.flow.search, space, task.goal)
    ]
    # Many tensors of a number or a few.
    return SearchTraining(task, space, steered, partial(torch.optim.Adam, fused=True)).run()
