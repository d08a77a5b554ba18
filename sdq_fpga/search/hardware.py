"""What a policy costs in hardware, differentiable: the hardware term of a search's loss.

The tables of ``sdq_fpga.cost.policies`` have an entry for each combination of bits that decide
together what some nodes take. Under independent probabilities of the bits of each variable, the
expected resources are multilinear in them, and are computed exactly; at certain bits they are those
of the policy. Expected bits between two neighbours stand for a choice between these two.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from sdq_fpga.cost.folding.program import RESOURCES
from sdq_fpga.cost.policies import PolicyTables
from sdq_fpga.search.polynomial import Floats, Integers

__all__ = ["HardwareCost"]


class HardwareCost:
    """Expected resources of a network, and what they are worth.

    Args:
        tables: of the network, at one folding or folded anew for an interval.
        prices: by resource, cycles of interval that a unit is worth; 0 where none is given.
        dtype: of probabilities and results; float32 has resources to 1 in 10 million.

    Attributes:
        variables: names of the tables' variables, in order.
    """

    def __init__(
        self,
        tables: PolicyTables,
        prices: Mapping[str, float],
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.variables = tuple(each.name for each in tables.variables)
        self._width = tables.width
        self._lowest = torch.from_numpy(tables.lowest).to(dtype)
        self._highest = torch.from_numpy(tables.highest).to(dtype)
        self._places = torch.arange(tables.width, dtype=dtype)
        by_resource = np.array([prices.get(name, 0.0) for name in RESOURCES])
        groups = [(torch.from_numpy(each.variables), each.values) for each in tables.groups]
        self._amounts = [(axes, torch.from_numpy(a).to(dtype)) for axes, a in groups]
        self._exact = [(each.variables, each.values @ by_resource) for each in tables.groups]
        self._worth = [
            (axes, torch.from_numpy(worth)[..., None].to(dtype))
            for (axes, _), (_, worth) in zip(groups, self._exact, strict=True)
        ]

    def probabilities(self, bits: Tensor) -> Tensor:
        """Of each number of bits, where two neighbours share what expected bits lie between them.

        Args:
            bits: [..., variables] expected bits; those outside of a variable's are taken for the
                nearest that it may have, with no gradient.

        Returns:
            [..., variables, width], from the least bits of each variable on.
        """
        inside = torch.minimum(torch.maximum(bits, self._lowest), self._highest)
        distance = ((inside - self._lowest)[..., None] - self._places).abs()
        return torch.relu(1 - distance)

    def resources(self, probabilities: Tensor) -> Tensor:
        """Expected resources.

        Args:
            probabilities: [..., variables, width], each row summing to 1, of independent bits;
                such as ``probabilities`` gives.

        Returns:
            [..., resources] in order of ``RESOURCES``.
        """
        return _expected(self._amounts, probabilities)

    def priced(self, probabilities: Tensor) -> Tensor:
        """[...] what the expected resources are worth, in cycles; arguments as ``resources``."""
        return _expected(self._worth, probabilities)[..., 0]

    def worth(self) -> Sequence[tuple[Integers, Floats]]:
        """Of tables of as many variables, [tables, axes] these and [tables, bits...] the worth."""
        return self._exact


def _expected(tables: list[tuple[Tensor, Tensor]], probabilities: Tensor) -> Tensor:
    """[..., amounts] sum of all tables, [tables, width, ..., amounts] each group."""
    *several, _, width = probabilities.shape
    found = probabilities.new_zeros((*several, tables[0][1].shape[-1]))
    for variables, values in tables:
        weights = probabilities[..., variables, :]
        left = values.flatten(1)
        for axis in range(variables.shape[1]):
            left = left.reshape(*left.shape[:-1], width, -1)
            left = (weights[..., axis, None, :] @ left).squeeze(-2)
        found = found + left.sum(dim=-2)
    return found
