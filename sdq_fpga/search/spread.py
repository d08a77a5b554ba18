"""Probabilities of the options of choices, as those of the bits of variables."""

from collections.abc import Sequence

import torch
from torch import Tensor

from sdq_fpga.search.hardware import HardwareCost

__all__ = ["Spread"]


class Spread:
    """What the options of choices are to the variables of tables that they decide.

    Args:
        options: of each choice, its bits.
        owners: of each variable, the number of the choice that decides it.
        shifts: of each variable, how many bits more than that choice it has.
        cost: of the tables; None where there are none.

    Attributes:
        options: as given.
        means: [choices, all options] the bits of those that are a choice's own.
    """

    def __init__(
        self,
        options: tuple[tuple[int, ...], ...],
        owners: Sequence[int],
        shifts: Sequence[int],
        cost: HardwareCost | None,
    ) -> None:
        self.options = options
        bits = torch.tensor([each for own in options for each in own], dtype=torch.float32)
        choice = torch.tensor([number for number, own in enumerate(options) for _ in own])
        self.means = bits * (choice == torch.arange(len(options))[:, None])
        if cost is not None:
            # [all options, variables, width]
            of_each = cost.probabilities(bits[:, None] + torch.tensor(shifts, dtype=torch.float32))
            own = (choice[:, None] == torch.tensor(owners))[..., None]
            self._variables = len(owners)
            self._of_options = (of_each * own).flatten(1).T.contiguous()

    def mixed(self, shares: Tensor) -> Tensor:
        """[variables, width] probabilities of bits, as ``HardwareCost.priced`` takes them.

        Args:
            shares: [all options] their probabilities, those of each choice summing to 1.
        """
        return (self._of_options @ shares).view(self._variables, -1)
