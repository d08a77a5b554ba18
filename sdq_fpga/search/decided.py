"""Which bits of the hardware the choices of a search decide."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self, TypeVar

from sdq_fpga.cost.bits import QUANTIZER, with_bits
from sdq_fpga.cost.node import HardwareGraph
from sdq_fpga.cost.policies import Variable, variables_of
from sdq_fpga.search.board_goal import BoardGoal
from sdq_fpga.search.choice import Choice
from sdq_fpga.search.space import Space

__all__ = ["Decided"]

C = TypeVar("C", bound=Choice)


@dataclass(frozen=True)
class Decided:
    """The variables of a network's tables of resources, and what decides each.

    Attributes:
        network: its nodes, unfolded.
        variables: bits that differ in the tables.
        owners: of each, the number of the choice that decides it.
        shifts: of each, how many bits more than that choice it has.
    """

    network: HardwareGraph
    variables: tuple[Variable, ...]
    owners: tuple[int, ...]
    shifts: tuple[int, ...]

    @classmethod
    def of(cls, goal: BoardGoal, space: Space[C]) -> Self:
        """Those of the network of a goal, decided by the choices of a space."""
        structure = space.structure
        owner: dict[str, C] = {
            layer.weight: space.weights[layer.name] for layer in structure.layers
        }
        tied: dict[str, list[str]] = {}
        # The mean of a power of two of values is exact, and not quantized.
        there = {node.layer for node in goal.graph.nodes if node.op == QUANTIZER}
        fixed = []
        for quantizer in structure.quantizers:
            if quantizer.layer is None:
                if quantizer.path in there:
                    fixed.append(quantizer.path)
                continue
            owner[quantizer.path] = space.activations[quantizer.layer]
            tied.setdefault(quantizer.layer, []).append(quantizer.path)
        candidates = [bits for each in owner.values() for bits in each.candidates]
        variables = variables_of(
            goal.graph,
            range(min(candidates), min(max(candidates) + 1, 8) + 1),
            fixed=fixed,
            tied=list(tied.values()),
        )
        owners = [owner[next(iter(each.layers))] for each in variables]
        shifts = tuple(each.now - goal.bits for each in variables)
        return cls(
            network=goal.graph,
            variables=tuple(map(_narrowed, variables, owners, shifts)),
            owners=tuple(map(space.choices.index, owners)),
            shifts=shifts,
        )

    def graph(self, bits: Sequence[int]) -> HardwareGraph:
        """The network with bits of the choices, in their order."""
        weights: dict[str, int] = {}
        activations: dict[str, int] = {}
        for variable, own in zip(self.variables, self.at(bits), strict=True):
            these = weights if variable.weights else activations
            these |= {layer: own + more for layer, more in variable.layers.items()}
        return with_bits(self.network, weights, activations)

    def at(self, bits: Sequence[int]) -> list[int]:
        """The bits of each variable at bits of the choices."""
        pairs = zip(self.owners, self.shifts, strict=True)
        return [bits[owner] + shift for owner, shift in pairs]


def _narrowed(variable: Variable, choice: Choice, shift: int) -> Variable:
    """The variable with the bits that its choice has candidates for: tables are smaller."""
    low, high = (choice.candidates[end] + shift for end in (0, -1))
    kept = range(max(variable.bits[0], low), min(variable.bits[-1], high) + 1)
    return replace(variable, bits=kept) if kept else variable
