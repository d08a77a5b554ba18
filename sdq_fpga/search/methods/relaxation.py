"""A softmax over all candidates of each layer, whose most probable bits are taken in the end.

Source: Cai and Vasconcelos, "Rethinking Differentiable Search for Mixed-Precision Neural Networks"
(EdMIPS), CVPR 2020: weights and activations are sums of what all candidates quantize to, by their
probabilities. The temperature falls as in Wu et al., "Mixed Precision Quantization of ConvNets via
Differentiable Neural Architecture Search" (DNAS), 2018, but nothing is drawn. The price of a bit is
steered as for SDQ, in place of a weight that the user would have to try.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from sdq_fpga.search.relaxed import RelaxedChoice, relaxed_search
from sdq_fpga.search.task import SearchResult, Task

__all__ = ["Mixture", "relaxation"]


class Mixture(RelaxedChoice):
    """All candidates at once, each by its probability.

    Args:
        name: the layer's.
        candidates: bits, ascending; all are equally probable in the beginning.
        size: how many weights, or activation values of one frame, have these bits.

    Attributes:
        logit: [candidates]; the probabilities are softmax(logit / temperature).
    """

    def __init__(self, name: str, candidates: Sequence[int], size: int) -> None:
        super().__init__(name, candidates, size, torch.zeros(len(candidates), requires_grad=True))

    @property
    def nearest(self) -> int:
        """The candidate nearest to the expected bits, the lower one halfway."""
        mean = self.expected_bits.item()
        return min(self.candidates, key=lambda bits: abs(bits - mean))

    def options(self) -> tuple[int, ...]:
        """All candidates, until the layer settles."""
        return (super().bits,) if self.deterministic else self.candidates

    def probabilities(self) -> Tensor:
        """[options] of each."""
        if self.deterministic:
            return torch.ones(1)
        return torch.softmax(self.logit / self.temperature, dim=0)

    def bound(self) -> None:
        """Keeps the logits around 0, which changes no probability."""
        with torch.no_grad():
            self.logit.sub_(self.logit.mean())

    def distances(self) -> list[float]:
        """[candidates] -log of their probabilities: the sum's least is the likeliest policy."""
        with torch.no_grad():
            logs = torch.log_softmax(self.logit / self.temperature, dim=0)
        return [-each for each in logs.tolist()]


def relaxation(task: Task) -> SearchResult:
    """Searches by a softmax relaxation.

    Raises:
        UserError: a fixed layer does not exist, or the goal is out of reach.
        StageError: training diverged.
    """
    return relaxed_search(task, Mixture)
