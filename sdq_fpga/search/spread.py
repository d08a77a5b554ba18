"""What the options of choices are to the variables of tables that they decide."""

from collections.abc import Sequence

import numpy as np
import torch

from sdq_fpga.search.hardware import HardwareCost
from sdq_fpga.search.polynomial import Floats, Integers, Polynomial

__all__ = ["Spread"]


class Spread:
    """Tables over variables, and bits, as functions of the shares of options.

    Args:
        options: of each choice, its bits.
        owners: of each variable, the number of the choice that decides it.
        shifts: of each variable, how many bits more than that choice it has.
        cost: of the tables; None where there are none.

    Attributes:
        options: as given.
        cost: likewise.
        means: [choices, all options] the bits of those that are a choice's own.
        priced: of the shares [all options] of options, those of each choice summing to 1, what the
            resources are worth that are expected where variables are independent.
    """

    def __init__(
        self,
        options: tuple[tuple[int, ...], ...],
        owners: Sequence[int],
        shifts: Sequence[int],
        cost: HardwareCost | None,
    ) -> None:
        self.options, self.cost = options, cost
        bits = torch.tensor([each for own in options for each in own], dtype=torch.float32)
        choice = torch.tensor([number for number, own in enumerate(options) for _ in own])
        self.means = bits * (choice == torch.arange(len(options))[:, None])
        if cost is None:
            return
        # [all options, variables, width]
        of_each = cost.probabilities(bits[:, None].double() + torch.tensor(shifts))
        first = np.cumsum([0, *map(len, options)])
        # [variables, options of the owner] numbers of the options, -1 where it has fewer.
        most = max(map(len, options))
        numbers = np.full((len(owners), most), -1)
        for variable, owner in enumerate(owners):
            numbers[variable, : len(options[owner])] = np.arange(first[owner], first[owner + 1])
        at_bits = of_each.numpy()[numbers, np.arange(len(owners))[:, None]]
        parts = [_products(*each, at_bits, numbers) for each in cost.worth()]
        self.priced = Polynomial(int(first[-1]), parts)


def _products(
    variables: Integers, values: Floats, at_bits: Floats, numbers: Integers
) -> tuple[Floats, Integers]:
    """Entries of tables by options, and which options these are.

    Args:
        variables: [tables, axes] of each table.
        values: [tables, width of the first axis, ...] worth at bits.
        at_bits: [variables, options, width] what each option is in bits.
        numbers: [variables, options] of the options; -1 where there is none.
    """
    tables, axes = variables.shape
    most = numbers.shape[1]
    left = values
    for axis in range(axes):
        # The axis of bits in front becomes one of options at the end.
        rows = left.reshape(tables, at_bits.shape[-1], -1)
        left = np.swapaxes(at_bits[variables[:, axis]] @ rows, 1, 2)
    shape = (tables, *([most] * axes))
    which = np.stack(
        [
            np.broadcast_to(
                numbers[variables[:, axis]].reshape(
                    tables, *(most if each == axis else 1 for each in range(axes))
                ),
                shape,
            )
            for axis in range(axes)
        ]
        or [np.zeros((*shape, 0), np.int64)],
        axis=-1,
    ).reshape(-1, axes)
    there = (which >= 0).all(axis=1)
    return left.reshape(-1)[there], which[there]
