"""What a goal allows: which bits of some choices end a search."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from sdq_fpga.search.choice import Choice

__all__ = ["Costs", "Limit", "confirmed", "settle_all", "spent"]

C = TypeVar("C", bound=Choice)

Costs = Sequence[Sequence[float]]
"""[choices][candidates] what is lost by each; the sum of those chosen is to be small."""


class Limit(ABC, Generic[C]):
    """A goal for the choices that decide it.

    Args:
        choices: those.

    Attributes:
        choices: as given.
        goal: ``measure`` at the goal; below it is within.
        least_span: of start and goal, by which a search measures how far it lags.
        most_tries: how often ``spent`` may ask whether bits are within; None for as often as it
            takes.
    """

    goal: float
    least_span: float
    most_tries: int | None = None

    def __init__(self, choices: Sequence[C]) -> None:
        self.choices = tuple(choices)

    @abstractmethod
    def allows(self, bits: Sequence[int]) -> bool:
        """Whether bits of the choices, in their order, are within."""

    def confirms(self, bits: Sequence[int]) -> bool:
        """Whether bits that ``allows`` accepts stand a closer look, too.

        If not, less is allowed from now on.

        Raises:
            UserError: nothing is left that is allowed.
        """
        del bits
        return True

    @abstractmethod
    def cheapest(self, costs: Costs) -> tuple[int, ...]:
        """The bits within that cost the least, of those that were found.

        Raises:
            StageError: the solver found none in its time.
        """

    @abstractmethod
    def measure(self, shares: Sequence[float]) -> tuple[float, list[float]]:
        """Where the choices are, and its derivatives [all options] by the shares.

        Args:
            shares: [all options] of the options of the first choice, of the second, ...
        """

    def measured(self) -> float:
        """The measure under the probabilities of the choices."""
        return self.measure(type(self.choices[0]).chances(self.choices))[0]

    @abstractmethod
    def look(self) -> None:
        """Has ``measure`` start anew from the bits that the choices are at, where it depends."""

    def state_dict(self) -> dict[str, Any]:
        """All that changes in a search, but for the choices themselves."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from what ``state_dict`` gave, the choices being where they were then."""
        del state

    @property
    def highest(self) -> tuple[int, ...]:
        """The most bits of each choice."""
        return tuple(each.candidates[-1] for each in self.choices)

    @property
    def lowest(self) -> tuple[int, ...]:
        """The fewest bits of each choice."""
        return tuple(each.candidates[0] for each in self.choices)


def spent(limit: Limit[C], bits: Sequence[int], costs: Costs) -> tuple[int, ...]:
    """Raises bits until no choice can have its next higher candidate within the limit.

    Args:
        limit: which allows ``bits``.
        bits: of its choices.
        costs: who gains most by its next candidate is raised first.
    """
    places = [c.candidates.index(b) for c, b in zip(limit.choices, bits, strict=True)]

    def at(places: Sequence[int]) -> tuple[int, ...]:
        return tuple(c.candidates[p] for c, p in zip(limit.choices, places, strict=True))

    def gain(index: int) -> float:
        return costs[index][places[index]] - costs[index][places[index] + 1]

    open_, tries = set(range(len(places))), 0
    while tries != limit.most_tries:
        open_ = {i for i in open_ if places[i] + 1 < len(limit.choices[i].candidates)}
        if not open_:
            break
        raised = max(sorted(open_), key=gain)
        places[raised] += 1
        tries += 1
        if not limit.allows(at(places)):
            places[raised] -= 1
            open_.remove(raised)  # others only take room away
    return at(places)


def confirmed(limit: Limit[C], decide: Callable[[], Sequence[int]]) -> Sequence[int]:
    """The first of the bits that ``decide`` finds within a limit that the limit confirms.

    Raises:
        UserError: as of ``Limit.confirms``.
    """
    bits = decide()
    while not limit.confirms(bits):
        bits = decide()
    return bits


def settle_all(limit: Limit[C], bits: Sequence[int]) -> None:
    """Settles the choices of a limit at bits, in their order."""
    for choice, own in zip(limit.choices, bits, strict=True):
        choice.settle(own)
