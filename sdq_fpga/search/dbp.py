"""DBP: the differentiable bitwidth parameter of one layer, for its weights or its activations.

Source: Huang et al., "SDQ: Stochastic Differentiable Quantization with Mixed Precision", ICML
2022. A layer is at candidate b_i and quantizes with b_i at probability beta, with the next lower
candidate b_(i-1) otherwise.
"""

import math
from collections.abc import Sequence
from typing import Protocol, Self

import torch
from torch import Tensor

from sdq_fpga.search.choice import Learned

__all__ = ["START_BETA", "Dbp", "draw_gate"]

# A beta starts here and never rises above, so that the way down to a drop is as long for a layer
# that was held up for many steps as for one that has just dropped.
START_BETA = 0.9
_FAR = 700.0  # of a logit, beyond which an exponential is none of double precision
_START_LOGIT = float(torch.logit(torch.tensor(START_BETA)))


def draw_gate(logit: Tensor, temperature: float | Tensor) -> Tensor:
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
    found: Tensor = _Gate.apply(logit, temperature)  # type: ignore[no-untyped-call]
    return found


class _GateContext(Protocol):
    slope: Tensor


class _Gate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: _GateContext, logit: Tensor, temperature: float | Tensor) -> Tensor:
        uniform = torch.rand_like(logit).clamp_(min=torch.finfo(torch.float32).eps)
        relaxed = uniform.logit_().add_(logit).div_(temperature).sigmoid_()
        ctx.slope = relaxed * (1 - relaxed) / temperature
        return (relaxed > 0.5).to(logit.dtype)

    @staticmethod
    def backward(ctx: _GateContext, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient * ctx.slope, None


class _BothContext(Protocol):
    betas: list[float]
    places: list[int]


class _Both(torch.autograd.Function):
    """beta and 1 - beta of several choices, in plain numbers: tensors of one number are slow."""

    @staticmethod
    def forward(ctx: _BothContext, places: list[int], *logits: Tensor) -> Tensor:
        ctx.betas = [_sigmoid(each.item()) for each in logits]
        ctx.places = places
        found, own = [1.0] * places[-1], iter(ctx.betas)
        for place in places[:-1]:
            beta = next(own)
            found[place : place + 2] = beta, 1 - beta
        return torch.tensor(found)

    @staticmethod
    def backward(ctx: _BothContext, gradient: Tensor) -> tuple[Tensor | None, ...]:
        slopes = gradient.tolist()
        found = [
            beta * (1 - beta) * (slopes[place] - slopes[place + 1])
            for beta, place in zip(ctx.betas, ctx.places[:-1], strict=True)
        ]
        return None, *torch.tensor(found).unbind()


def _sigmoid(logit: float) -> float:
    return 0.0 if logit < -_FAR else 1 / (1 + math.exp(-logit))


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
        return self.bits if self.chance >= 0.5 else self.lower_bits

    @property
    def deterministic(self) -> bool:
        """Whether the layer always quantizes with ``bits``: nothing is left to decide."""
        return self._settled or self._position == 0

    @property
    def beta(self) -> Tensor:
        """Probability of ``bits`` against ``lower_bits``; 1 where that is settled."""
        return torch.ones(()) if self.deterministic else torch.sigmoid(self.logit)

    @property
    def chance(self) -> float:
        """``beta`` as a number."""
        return 1.0 if self.deterministic else _sigmoid(self.logit.item())

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
        places, count = [], 0  # of the betas of those that are open, and how many options
        for each in choices:
            if not each.deterministic:
                places.append(count)
            count += 1 if each.deterministic else 2
        logits = [each.logit for each in choices if not each.deterministic]
        if not logits:
            return torch.ones(count)
        found: Tensor = _Both.apply([*places, count], *logits)  # type: ignore[no-untyped-call]
        return found

    @classmethod
    def chances(cls, choices: Sequence[Self]) -> list[float]:
        """``together`` as numbers; tensors of one number are slow."""
        found = []
        for each in choices:
            beta = each.chance
            found += [beta] if each.deterministic else [beta, 1 - beta]
        return found

    @classmethod
    def push(
        cls, choices: Sequence[Self], shares: Sequence[float], slopes: Sequence[float]
    ) -> None:
        """Adds to the gradients of logits those of what has the slopes [...] by ``together``."""
        pairs = zip(shares, slopes, strict=True)
        logits, found = [], []
        for each in choices:
            beta, slope = next(pairs)
            if not each.deterministic:
                _, other = next(pairs)
                logits.append(each.logit)
                found.append(beta * (1 - beta) * (slope - other))
        for logit, own in zip(logits, torch.tensor(found).unbind(), strict=True):
            logit.grad = own if logit.grad is None else logit.grad + own

    def shares(self) -> Tensor:
        """[options] 1 for the one that is drawn, else 0."""
        return _both(self.draw(), self.options())

    @classmethod
    def drawn(cls, choices: Sequence[Self]) -> Sequence[Tensor]:
        """[choices][options] 1 for the one that is drawn, else 0; each draws for itself."""
        if any(each.deterministic for each in choices):
            return [each.shares() for each in choices]
        if not choices:
            return ()
        temperatures = torch.tensor([each.temperature for each in choices])
        gates = draw_gate(torch.stack([each.logit for each in choices]), temperatures)
        return torch.stack([gates, 1 - gates], dim=1).unbind()

    def draw(self) -> Tensor:
        """1 for ``bits``, 0 for ``lower_bits``; see ``draw_gate``."""
        return torch.ones(()) if self.deterministic else draw_gate(self.logit, self.temperature)

    def bound(self) -> None:
        """Keeps beta at or below its start, after an optimizer's step."""
        if self.logit.item() > _START_LOGIT:
            with torch.no_grad():
                self.logit.fill_(_START_LOGIT)

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
