"""A choice: the bits of one layer, of its weights or its activations, while a search decides."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor

__all__ = ["Choice", "Learned", "expected_bits", "mean_bits", "option_weights"]


class Choice:
    """Which of its candidates one layer has.

    Args:
        name: the layer's.
        candidates: bits, ascending; the layer starts at the highest. A single one is fixed.
        size: how many weights, or activation values of one frame, have these bits.
    """

    def __init__(self, name: str, candidates: Sequence[int], size: int) -> None:
        self.name = name
        self.candidates = tuple(candidates)
        self.size = size
        self._position = len(self.candidates) - 1
        self._settled = False

    @property
    def bits(self) -> int:
        """The candidate that the layer is at."""
        return self.candidates[self._position]

    @property
    def nearest(self) -> int:
        """The candidate that the layer would have if it had to settle alone."""
        return self.bits

    @property
    def deterministic(self) -> bool:
        """Whether the layer always quantizes with ``bits``: nothing is left to decide."""
        return self._settled or len(self.candidates) == 1

    def options(self) -> tuple[int, ...]:
        """The candidates between which the layer now is."""
        return (self.bits,)

    def probabilities(self) -> Tensor:
        """[options] of each, summing to 1; differentiable."""
        return torch.ones(1)

    @classmethod
    def together(cls, choices: Sequence[Self]) -> Tensor:
        """[options of the first, those of the second, ...] probabilities of several choices."""
        return torch.cat([each.probabilities() for each in choices])

    @classmethod
    def chances(cls, choices: Sequence[Self]) -> list[float]:
        """``together`` as numbers."""
        with torch.no_grad():
            found: list[float] = cls.together(choices).tolist()
        return found

    def shares(self) -> Tensor:
        """[options] with which the next step mixes what they quantize to; differentiable."""
        return self.probabilities()

    @classmethod
    def drawn(cls, choices: Sequence[Self]) -> Sequence[Tensor]:
        """[choices][options] shares of several choices, some of which may be the same."""
        return [each.shares() for each in choices]

    @property
    def expected_bits(self) -> Tensor:
        """Mean bits under the probabilities; differentiable."""
        return (self.probabilities() * torch.tensor(self.options(), dtype=torch.float32)).sum()

    def settle(self, bits: int) -> None:
        """Settles the layer at one of its candidates.

        Raises:
            ValueError: ``bits`` is not a candidate.
        """
        if bits not in self.candidates:
            raise ValueError(f"{bits} bits are no candidate of '{self.name}' {self.candidates}")
        self._position = self.candidates.index(bits)
        self._settled = True


class Learned(Choice, ABC):
    """A choice that training moves.

    Args:
        name: as of ``Choice``; so are the others.
        candidates: as there.
        size: as there.
        logit: a leaf tensor to be trained.

    Attributes:
        logit: as given.
        temperature: of the search, which falls while it goes on.
    """

    def __init__(self, name: str, candidates: Sequence[int], size: int, logit: Tensor) -> None:
        super().__init__(name, candidates, size)
        self.logit = logit
        self.temperature = 1.0

    def state_dict(self) -> dict[str, Any]:
        """All that changes in a search."""
        return {
            "logit": self.logit,
            "temperature": self.temperature,
            "position": self._position,
            "settled": self._settled,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from what ``state_dict`` gave."""
        with torch.no_grad():
            self.logit.copy_(state["logit"])
        self.temperature = state["temperature"]
        self._position, self._settled = state["position"], state["settled"]

    @classmethod
    def push(
        cls, choices: Sequence[Self], shares: Sequence[float], slopes: Sequence[float]
    ) -> None:
        """Adds to the gradients of logits those of what has the slopes [...] by ``together``.

        Args:
            choices: some of these.
            shares: their ``chances``.
            slopes: by each of them.
        """
        del shares
        found = cls.together(choices)
        if found.requires_grad:
            found.backward(torch.tensor(slopes))  # type: ignore[no-untyped-call]

    @abstractmethod
    def bound(self) -> None:
        """Keeps ``logit`` in its range, after an optimizer's step."""


def mean_bits(choices: Sequence[Choice]) -> float:
    """Mean bits of the candidates that layers are at, over all values."""
    return sum(each.size * each.bits for each in choices) / sum(each.size for each in choices)


def expected_bits(choices: Sequence[Choice]) -> Tensor:
    """Mean bits under the probabilities, over all values; differentiable."""
    return torch.tensor(option_weights(choices)) @ type(choices[0]).together(choices)


def option_weights(choices: Sequence[Choice]) -> list[float]:
    """[options of the first, those of the second, ...] bits by the share of values that has them.

    The sum of these by the probabilities is the mean of bits over all values.
    """
    total = sum(each.size for each in choices)
    return [each.size * bits / total for each in choices for bits in each.options()]
