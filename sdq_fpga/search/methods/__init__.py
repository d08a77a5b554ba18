"""The methods of search, each a function from a task to what it found."""

from collections.abc import Mapping
from typing import Protocol

from torch import nn

from sdq_fpga.data import Dataset, check_fits
from sdq_fpga.flow import Flow, MethodName
from sdq_fpga.nets import class_count, frame_shape, make_net
from sdq_fpga.progress import Progress
from sdq_fpga.search.choice import Choice
from sdq_fpga.search.methods.fractional import fractional
from sdq_fpga.search.methods.random_bits import random_bits
from sdq_fpga.search.methods.relaxation import relaxation
from sdq_fpga.search.methods.sdq import sdq
from sdq_fpga.search.methods.sensitivity import sensitivity
from sdq_fpga.search.methods.uniform import uniform
from sdq_fpga.search.space import Space
from sdq_fpga.search.task import Goal, SearchResult, Task, limits_of
from sdq_fpga.train import Rig, seeded

__all__ = ["METHODS", "TRAINING", "Method", "check_search", "search"]


class Method(Protocol):
    """A method of search, which draws from torch's generator alone."""

    def __call__(self, task: Task) -> SearchResult:
        """Finds bits of every layer that meet the goal.

        Raises:
            UserError: a fixed layer does not exist, or the goal is out of reach.
            StageError: training diverged, or a solver found nothing in its time.
        """


METHODS: Mapping[MethodName, Method] = {
    "sdq": sdq,
    "uniform": uniform,
    "sensitivity": sensitivity,
    "relaxation": relaxation,
    "fractional": fractional,
    "random": random_bits,
}
"""By their names in a flow."""

TRAINING: frozenset[MethodName] = frozenset({"sdq", "relaxation", "fractional"})
"""Those that train the network while they search."""


def search(
    flow: Flow,
    net_float: nn.Module,
    dataset: Dataset,
    goal: Goal,
    seed: int,
    progress: Progress,
    rig: Rig | None = None,
    after: SearchResult | None = None,
) -> SearchResult:
    """Searches weight and activation bits, starting from a trained float network.

    With a number as the goal, mean weight bits (over all weights) end at or below it, and no layer
    could have its next higher candidate within it, unless the bits are uniform. Mean activation
    bits (over all activation values of a frame) end at the same number, or the nearest that their
    candidates reach. With a speed on a board, weights and activations end at bits with which some
    folding reaches it.

    Args:
        flow: says which method and which candidates, and how to search.
        net_float: the trained network; it is not changed.
        dataset: its training images are used.
        goal: mean bits of a weight, or a speed on a board.
        seed: of everything that is drawn.
        progress: is told of every step.
        rig: devices, checkpoints and curves; None for the CPU, without either.
        after: another search, of an easier goal, that this one goes on from.

    Raises:
        UserError: a fixed layer does not exist, or the goal is out of reach.
        StageError: training diverged, or a solver found nothing in its time.
    """
    check_fits(dataset, frame_shape(net_float), class_count(net_float))
    with seeded(seed):
        task = Task(flow, net_float, dataset, goal, seed, progress, rig or Rig(), after)
        return METHODS[flow.search.method](task)


def check_search(flow: Flow, goal: Goal) -> None:
    """Makes sure, before anything is trained, that a search can end at its goal.

    All methods reach the same: what the fewest bits of all candidates do.

    Args:
        flow: says which network and which candidates.
        goal: mean bits of a weight, or a speed on a board.

    Raises:
        UserError: a fixed layer does not exist, or the goal is out of reach.
    """
    with seeded(0):
        net = make_net(flow.network)
    limits_of(flow.search, Space.of(flow.search, net, Choice), goal)
