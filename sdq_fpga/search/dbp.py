"""DBP: the differentiable bitwidth parameter of one layer, for its weights or its activations.

Source: Huang et al., "SDQ: Stochastic Differentiable Quantization with Mixed Precision", ICML
2022. A layer is at candidate b_i and quantizes with b_i at probability beta, with the next lower
candidate b_(i-1) otherwise.
"""

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from sdq_fpga.search.choice import Learned

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


class Dbp(Learned):
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
        super().__init__(name, candidates, size, torch.tensor(_START_LOGIT, requires_grad=True))

    @property
    def lower_bits(self) -> int:
        """The candidate b_(i-1), or b_i itself at the lowest."""
        return self.candidates[max(self._position - 1, 0)]

    @property
    def nearest(self) -> int:
        """The likelier of b_i and b_(i-1)."""
        return self.bits if self.beta.item() >= 0.5 else self.lower_bits

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

    def options(self) -> tuple[int, ...]:
        """b_i, and b_(i-1) where that is open."""
        return (self.bits,) if self.deterministic else (self.bits, self.lower_bits)

    def probabilities(self) -> Tensor:
        """[options] beta and 1 - beta."""
        return _both(self.beta, self.options())

    @classmethod
    def together(cls, choices: Sequence[Self]) -> Tensor:
        """[options of the first, those of the second, ...] probabilities of several choices."""
        places: list[int] = []
        logits = [each.logit for each in choices if not each.deterministic]
        count, seen = len(logits), 0
        for each in choices:
            if each.deterministic:
                places.append(2 * count)
                continue
            places += [seen, count + seen]
            seen += 1
        if not logits:
            return torch.ones(len(places))
        betas = torch.sigmoid(torch.stack(logits))
        return torch.cat([betas, 1 - betas, torch.ones(1)])[places]

    def shares(self) -> Tensor:
        """[options] 1 for the one that is drawn, else 0."""
        return _both(self.draw(), self.options())

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


def _both(upper: Tensor, options: tuple[int, ...]) -> Tensor:
    return upper[None] if len(options) == 1 else torch.stack([upper, 1 - upper])
