"""What a search is given, and what it finds."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from torch import Tensor, nn

from sdq_fpga.data import Dataset
from sdq_fpga.flow import Flow, SearchSpec
from sdq_fpga.policy import Policy
from sdq_fpga.progress import Progress
from sdq_fpga.search.board_goal import BoardGoal
from sdq_fpga.search.choice import Choice
from sdq_fpga.search.history import EpochRecord
from sdq_fpga.search.limit import Limit
from sdq_fpga.search.mean_bits import MeanBits
from sdq_fpga.search.on_board import OnBoard
from sdq_fpga.search.ranges import unit_ranges
from sdq_fpga.search.space import Make, Space, unique
from sdq_fpga.train import Devices, Rig, make_fabric

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["Goal", "SearchResult", "Task", "limits_of", "untrained_result"]

C = TypeVar("C", bound=Choice)

Goal = float | BoardGoal
"""Mean bits of a weight, or a speed on a board."""


@dataclass(frozen=True)
class Task:
    """What a search is given.

    Attributes:
        flow: says which candidates, and how to search.
        net_float: the trained network; it is not to be changed.
        dataset: its training images are used.
        goal: mean bits of a weight, or a speed on a board.
        seed: of everything that is drawn.
        progress: is told of every step.
        rig: devices, checkpoints and curves of a search that trains.
        after: another search, of an easier goal, that this one goes on from: it begins with the
            network and the bits of that one, and no layer gets more bits.
    """

    flow: Flow
    net_float: nn.Module
    dataset: Dataset
    goal: Goal
    seed: int
    progress: Progress
    rig: Rig = field(default_factory=Rig)
    after: "SearchResult | None" = None

    @cached_property
    def fabric(self) -> "Fabric":
        """Devices and processes."""
        return self.rig.fabric or make_fabric(Devices())

    def unit_net(self) -> nn.Module:
        """A copy of the network whose activations fill their ranges, for the most bits of all.

        After another search, it has the weights that the other one ended with.
        """
        widest = self.flow.search.activation_bits[-1]
        self.fabric.to_device(self.net_float)
        net = unit_ranges(self.net_float, self.dataset.train_images, widest).to("cpu")
        self.net_float.to("cpu")
        if self.after is not None:
            net.load_state_dict(self.after.state)
        return net

    def space(self, make: Make[C]) -> Space[C]:
        """The choices of the network.

        Raises:
            UserError: a fixed layer does not exist, or the network is a single layer.
        """
        most = None if self.after is None else self.after.policy
        return Space.of(self.flow.search, self.net_float, make, most)


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
        policy: bits of every layer.
        history: one record for each epoch of training; none where nothing was trained.
        greedy_drops: layers, with "weight" or "activation", that had to drop because the search
            came to its end without reaching its goal, smallest beta first; usually empty.
        state: ``state_dict`` of the float network as the search left it, activations in [0, 1);
            finetuning starts from it.
    """

    policy: Policy
    history: tuple[EpochRecord, ...]
    greedy_drops: tuple[str, ...]
    state: dict[str, Tensor]


def limits_of(spec: SearchSpec, space: Space[C], goal: Goal) -> tuple[Limit[C], ...]:
    """What a goal allows: a speed on a board, or mean bits of weights and of activations.

    Of mean bits, one number is meant for both, as near as the candidates of activations get.

    Raises:
        UserError: the goal is out of reach; what is in reach is said.
    """
    if isinstance(goal, BoardGoal):
        return (OnBoard(goal, space, spec.cost),)
    lowest, highest = spec.activation_bits[0], spec.activation_bits[-1]
    return (
        MeanBits("weight", unique(space.weights), goal),
        MeanBits("activation", unique(space.activations), min(max(goal, lowest), highest)),
    )


def untrained_result(task: Task, space: Space[C]) -> SearchResult:
    """The result of a method that trains nothing, once all choices are settled."""
    return SearchResult(
        policy=Policy(network=task.flow.name, layers=space.layer_bits()),
        history=(),
        greedy_drops=(),
        state={key: value.detach().clone() for key, value in task.unit_net().state_dict().items()},
    )
