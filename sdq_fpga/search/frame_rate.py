"""Steers a search so that the network it ends at reaches a frame rate on a board.

What is led to its goal is the interval that the board would show, expected under the betas: that of
the best folding at the present bits, and its change by bits at the prices of the folding problem,

    E[interval] = interval(present) + sum of price_r * (E[resource r] - resource r(present)),

since a unit of a resource that bits set free buys price_r cycles. Interval, prices and tables of
resources are those of the present bits, and are made anew as these move.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sdq_fpga.board import Board
from sdq_fpga.cost.bits import with_bits
from sdq_fpga.cost.folding.figures import Shares, usable
from sdq_fpga.cost.folding.solve import Solution, solve
from sdq_fpga.cost.node import HardwareGraph
from sdq_fpga.cost.policies import Variable, fixed_folding, variables_of
from sdq_fpga.errors import UserError
from sdq_fpga.nets.network import Structure
from sdq_fpga.search.candidates import unique
from sdq_fpga.search.dbp import Dbp
from sdq_fpga.search.hardware import HardwareCost
from sdq_fpga.search.steering import Steered, Steering

__all__ = ["BoardGoal", "FrameRate", "check_goal"]

_REFRESHES = 20  # of interval, prices and tables in a search
_MARGIN = 0.95  # of the budget: the depths of FIFOs are known only when the design is timed
_RESTORED = 16  # layers that are tried at their higher bits again in the end


@dataclass(frozen=True)
class BoardGoal:
    """What the user wants of the board.

    Attributes:
        graph: the network's nodes, unfolded, with the same bits everywhere; layers have the paths
            of the modules with the weights, and of those that the quantizers take the place of.
        bits: those.
        board: the board.
        clock_mhz: clock of the accelerator.
        target_fps: frames per second to reach.
        shares: of the board that may be used.
    """

    graph: HardwareGraph
    bits: int
    board: Board
    clock_mhz: float
    target_fps: float
    shares: Shares

    @property
    def interval(self) -> float:
        """Cycles between frames at the target."""
        return self.clock_mhz * 1e6 / self.target_fps


@dataclass(frozen=True)
class _Here:
    """The hardware at the bits that a search is at.

    Attributes:
        bits: of the owners.
        interval: cycles between frames in the best folding.
        worth: cycles, of all that it takes at the prices.
        cost: of all bits near these, at that folding and those prices.
    """

    bits: tuple[int, ...]
    interval: int
    worth: float
    cost: HardwareCost


class FrameRate(Steered):
    """Carries the DBPs of all weights and activations to a frame rate.

    As soon as the best folding of the bits that layers are at or nearest to reaches the target,
    the search *settles*, once and for all: the layers of the smallest betas drop, as few as it
    takes, and of them those come back that need not have. When four fifths of the search are over
    it settles in any case.

    Args:
        goal: what is wanted.
        weights: DBP of the weights of each layer, by its name.
        activations: DBP of the activations of each layer; some may be shared.
        structure: of the network.
        threshold: a layer drops when its beta is below this.
        steps: length of the search.

    Attributes:
        dbps: of weights, then of activations.
        settled: whether every layer's bits are decided.
        greedy_drops: those that had to drop before the search could settle.

    Raises:
        UserError: no choice among the candidates reaches the target; it says which frame rate the
            lowest of them reach.
    """

    def __init__(
        self,
        goal: BoardGoal,
        weights: Mapping[str, Dbp],
        activations: Mapping[str, Dbp],
        structure: Structure,
        *,
        threshold: float,
        steps: int,
    ) -> None:
        super().__init__((*unique(dict(weights)), *unique(dict(activations))), threshold)
        self._goal = goal
        self._every = max(1, steps // _REFRESHES)
        self._variables, self._owners = _variables(goal, weights, activations, structure)
        self._shifts = [variable.now - goal.bits for variable in self._variables]
        check_goal(goal, self._graph([dbp.candidates[0] for dbp in self._owners]))
        self._here = self._look()
        self.steering = Steering(self.measure().item(), 0.0, least_span=0.1, steps=steps)

    def expected_interval(self) -> Tensor:
        """Cycles between frames under the betas; differentiable."""
        shifts = torch.tensor(self._shifts)
        upper = torch.tensor([dbp.bits for dbp in self._owners]) + shifts
        lower = torch.tensor([dbp.lower_bits for dbp in self._owners]) + shifts
        beta = torch.stack([dbp.beta for dbp in self._owners])
        here = self._here
        priced = here.cost.priced(here.cost.between(upper, lower, beta))
        return torch.clamp(here.interval + priced - here.worth, min=1.0)

    def measure(self) -> Tensor:
        """Log of how many times the interval is that of the target."""
        return torch.log(self.expected_interval() / self._goal.interval)

    def reached(self, done: int) -> bool:
        """Whether the expected interval is that of the target, as the hardware now looks."""
        if self.measure().item() > 0 and done % self._every:
            return False
        self._here = self._look()
        return self.measure().item() <= 0

    def settle(self) -> None:
        """Decides every layer's bits, as the class says."""
        self.drop_until(lambda: self._reaches([dbp.lower_bits for dbp in self._owners]))
        undecided = [dbp for dbp in self.dbps if not dbp.deterministic]
        order = sorted(undecided, key=lambda dbp: dbp.beta.item())
        low, high = 0, len(order)  # of the smallest betas; all of them are enough
        while low < high:
            middle = (low + high) // 2
            if self._reaches(self._lowered(order[:middle])):
                high = middle
            else:
                low = middle + 1
        lowered = order[:high]
        for dbp in lowered[: -_RESTORED - 1 : -1][1:]:  # without the last, it was not enough
            fewer = [each for each in lowered if each is not dbp]
            if self._reaches(self._lowered(fewer)):
                lowered = fewer
        for dbp in self.dbps:
            dbp.settle(dbp.lower_bits if dbp in lowered else dbp.bits)
        self.settled = True

    def state_dict(self) -> dict[str, Any]:
        """All that changes in a search, but for the DBPs themselves."""
        return super().state_dict() | {"here": self._here.bits}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from what ``state_dict`` gave, the DBPs being where they were then."""
        super().load_state_dict(state)
        self._here = self._at(state["here"])

    # ---- the hardware --------------------------------------------------------------------------

    def _lowered(self, some: Sequence[Dbp]) -> list[int]:
        """Bits of the owners, where some are at their lower ones."""
        return [dbp.lower_bits if dbp in some else dbp.bits for dbp in self._owners]

    def _reaches(self, bits: Sequence[int]) -> bool:
        return _folded(self._goal, self._graph(bits), self._goal.target_fps) is not None

    def _look(self) -> _Here:
        """The hardware at the present bits or, where these do not fit the board, at fewer."""
        return self._at([d.bits if d.beta.item() >= 0.5 else d.lower_bits for d in self._owners])

    def _at(self, bits: Sequence[int]) -> _Here:
        """The hardware at these bits of the owners or, where these do not fit, at fewer."""
        goal = self._goal
        while (found := _folded(goal, self._graph(bits), None)) is None:
            bits = [_next_lower(dbp, b) for dbp, b in zip(self._owners, bits, strict=True)]
        tables = fixed_folding(found.graph, goal.board, self._variables).monotone(found.prices)
        cost = HardwareCost(tables, found.prices)
        at = torch.tensor(bits) + torch.tensor(self._shifts)
        worth = cost.priced(cost.probabilities(at.float())).item()
        return _Here(tuple(bits), found.interval, worth, cost)

    def _graph(self, bits: Sequence[int]) -> HardwareGraph:
        """The network with bits of each variable's owner."""
        weights: dict[str, int] = {}
        activations: dict[str, int] = {}
        for variable, shift, own in zip(self._variables, self._shifts, bits, strict=True):
            these = weights if variable.weights else activations
            these |= {layer: own + shift + more for layer, more in variable.layers.items()}
        return with_bits(self._goal.graph, weights, activations)


def check_goal(goal: BoardGoal, lowest: HardwareGraph) -> None:
    """Makes sure that a frame rate is in reach.

    Args:
        goal: the frame rate.
        lowest: the network with the fewest bits that it may have.

    Raises:
        UserError: it is not; what is in reach is said.
    """
    if _folded(goal, lowest, goal.target_fps) is None:
        best = solve(lowest, goal.board, goal.clock_mhz, None, _within(goal))
        fps = goal.clock_mhz * 1e6 / best.interval
        raise UserError(
            f"{goal.target_fps:g} frames/s are out of reach on {goal.board.name} even with the "
            f"fewest bits of all candidates, which reach {math.floor(fps):,}",
            "ask for fewer, or give fewer bits as candidates",
        )


def _within(goal: BoardGoal) -> dict[str, float]:
    """Shares of the board, with some room for FIFOs."""
    whole = goal.board.budget.model_dump()
    limits = usable(goal.board, goal.shares)
    return {name: _MARGIN * limits[name] / whole[name] for name in whole if whole[name]}


def _folded(goal: BoardGoal, graph: HardwareGraph, target_fps: float | None) -> Solution | None:
    """The network as it is folded; None if nothing within the budget does."""
    try:
        return solve(graph, goal.board, goal.clock_mhz, target_fps, _within(goal))
    except UserError:
        return None


def _next_lower(dbp: Dbp, bits: int) -> int:
    return max((each for each in dbp.candidates if each < bits), default=bits)


def _variables(
    goal: BoardGoal,
    weights: Mapping[str, Dbp],
    activations: Mapping[str, Dbp],
    structure: Structure,
) -> tuple[tuple[Variable, ...], tuple[Dbp, ...]]:
    """The variables of the tables, and the DBP that decides each."""
    owner: dict[str, Dbp] = {layer.weight: weights[layer.name] for layer in structure.layers}
    tied: dict[str, list[str]] = {}
    fixed = []
    for quantizer in structure.quantizers:
        if quantizer.layer is None:
            fixed.append(quantizer.path)
            continue
        owner[quantizer.path] = activations[quantizer.layer]
        tied.setdefault(quantizer.layer, []).append(quantizer.path)
    candidates = [bits for dbp in owner.values() for bits in dbp.candidates]
    variables = variables_of(
        goal.graph,
        range(min(candidates), min(max(candidates) + 1, 8) + 1),
        fixed=fixed,
        tied=list(tied.values()),
    )
    return variables, tuple(owner[next(iter(each.layers))] for each in variables)
