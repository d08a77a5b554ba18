"""Checks of the numbers that a network is built from."""

from collections.abc import Sequence

from sdq_fpga.errors import UserError

__all__ = ["check_lists", "check_sizes"]


def check_sizes(network: str, sizes: dict[str, int | Sequence[int]]) -> None:
    """Makes sure that every size, and every entry of a list of sizes, is a whole number above 0.

    Args:
        network: kind of the network, for the message.
        sizes: the sizes by the name of their parameter.

    Raises:
        UserError: naming the parameter and its value.
    """
    for name, value in sizes.items():
        entries = list(value) if isinstance(value, list | tuple) else [value]
        # bool is an int to Python, but "classes: true" is a slip.
        if not entries or not all(type(entry) is int and entry > 0 for entry in entries):
            raise UserError(
                f"parameter '{name}' of network '{network}' is {value!r}",
                "give whole numbers above 0",
            )


def check_lists(network: str, lists: dict[str, object]) -> None:
    """Makes sure that every one of ``lists`` is a list.

    Args:
        network: kind of the network, for the message.
        lists: by the name of their parameter.

    Raises:
        UserError: naming the parameter and its value.
    """
    for name, value in lists.items():
        if not isinstance(value, list | tuple) or not value:
            raise UserError(
                f"parameter '{name}' of network '{network}' is {value!r}",
                "give a list with one entry or more",
            )
