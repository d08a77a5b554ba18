"""DBP: the differentiable bitwidth parameter of one layer, for its weights or its activations.

Source: Huang et al., "SDQ: Stochastic Differentiable Quantization with Mixed Precision", ICML
2022. A layer is at candidate b_i and quantizes with b_i at probability beta, with the next lower
candidate b_(i-1) otherwise.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["START_BETA", "Dbp", "draw_gate"]

# A beta starts here and never rises above, so that the way down to a drop is as long for a layer
# that was held up for many steps as for one that has just dropped.
START_BETA = 0.9
_START_LOGIT = float(torch.logit(torch.tensor(START_BETA)))


def draw_gate(logit: Tensor, temperature: float) -> Tensor:
    """Draws 1 with probability sigmoid(logit), else 0, with a gradient to ``logit``.

    Straight-through Gumbel-softmax of two classes (Jang, Gu and Poole, ICLR 2017, section 2.2):
    the difference of two Gumbel variables is logistic, so the relaxed sample is
    sigmoid((logit + noise) / temperature); forward rounds it, backward does not.

    Args:
        logit: of any shape, each drawn for itself.
        temperature: above 0; the lower, the less the gradient is biased and the more it varies.

    Returns:
        Exactly 0 or 1, of the same shape.
    """
    uniform = torch.rand_like(logit).clamp(min=torch.finfo(torch.float32).eps)
    relaxed = torch.sigmoid((logit + torch.logit(uniform)) / temperature)
    return (relaxed > 0.5).to(logit.dtype) + (relaxed - relaxed.detach())


class Dbp:
    """Where one layer stands among its candidate bits.

    Args:
        name: the layer's.
        candidates: bits, ascending; the layer starts at the highest. A single one is fixed.
        size: how many weights, or activation values of one frame, have these bits.

    Attributes:
        logit: beta = sigmoid(logit); a leaf tensor to be trained.
        temperature: of the next draw.
    """

    def __init__(self, name: str, candidates: Sequence[int], size: int) -> None:
        self.name = name
        self.candidates = tuple(candidates)
        self.size = size
        self.logit = torch.tensor(_START_LOGIT, requires_grad=True)
        self.temperature = 1.0
        self._position = len(self.candidates) - 1
        self._settled = False

    @property
    def bits(self) -> int:
        """The candidate b_i that the layer is at."""
        return self.candidates[self._position]

    @property
    def lower_bits(self) -> int:
        """The candidate b_(i-1), or b_i itself at the lowest."""
        return self.candidates[max(self._position - 1, 0)]

    @property
    def deterministic(self) -> bool:
        """Whether the layer always quantizes with ``bits``: nothing is left to decide."""
        return self._settled or self._position == 0

    @property
    def beta(self) -> Tensor:
        """Probability of ``bits`` against ``lower_bits``; 1 where that is settled."""
        return torch.ones(()) if self.deterministic else torch.sigmoid(self.logit)

    @property
    def expected_bits(self) -> Tensor:
        """Mean bits under beta, differentiable."""
        return self.lower_bits + self.beta * (self.bits - self.lower_bits)

    def draw(self) -> Tensor:
        """1 for ``bits``, 0 for ``lower_bits``; see ``draw_gate``."""
        return torch.ones(()) if self.deterministic else draw_gate(self.logit, self.temperature)

    def bound(self) -> None:
        """Keeps beta at or below its start, after an optimizer's step."""
        with torch.no_grad():
            self.logit.clamp_(max=_START_LOGIT)

    def drop(self) -> None:
        """Goes to the next lower candidate, where beta starts again.

        Raises:
            ValueError: the layer is settled or at its lowest candidate.
        """
        if self.deterministic:
            raise ValueError(f"'{self.name}' can't drop from {self.bits} bits")
        self._position -= 1
        with torch.no_grad():
            self.logit.fill_(_START_LOGIT)

    def settle(self, bits: int) -> None:
        """Settles the layer at one of its candidates.

        Raises:
            ValueError: ``bits`` is not a candidate.
        """
        if bits not in self.candidates:
            raise ValueError(f"{bits} bits are no candidate of '{self.name}' {self.candidates}")
        self._position = self.candidates.index(bits)
        self._settled = True

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
