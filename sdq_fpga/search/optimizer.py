"""The optimizer of DBPs: Adam, but with one scale of gradients for all of them.

Adam divides each gradient by how large that one usually is (Kingma and Ba, "Adam: A Method for
Stochastic Optimization", ICLR 2015, algorithm 1), so that all betas move alike, however much their
layers gain or lose. Layers of few candidates are then down at the last of them before others have
made half of their way, be their bits worth nothing to the board. Divided by what is usual among
all, the layers move first whose bits cost the most beside what they are good for.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

__all__ = ["CommonScaleAdam"]

_MEAN, _SQUARE = 0.9, 0.999  # how much of both is kept in a step, as Adam does by default
_TINY = 1e-8


class CommonScaleAdam(torch.optim.Optimizer):
    """Adam whose second moment is the mean over all parameters.

    A parameter whose state is removed starts afresh, the scale excepted.

    Args:
        logits: leaf tensors of one number each.
        lr: the step of a parameter whose gradient is as large as is usual.
    """

    def __init__(self, logits: Iterable[Tensor], lr: float) -> None:
        # What is common is in the group, so that it is saved with it.
        super().__init__(list(logits), {"lr": lr, "square": 0.0, "steps": 0})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # takes none
        """Moves all that have a gradient."""
        del closure
        for group in self.param_groups:
            moved = [each for each in group["params"] if each.grad is not None]
            if not moved:
                continue
            gradients = torch.stack([each.grad for each in moved]).tolist()
            usual = sum(each * each for each in gradients) / len(gradients)
            group["steps"] += 1
            group["square"] = _SQUARE * group["square"] + (1 - _SQUARE) * usual
            scale = (group["square"] / (1 - _SQUARE ** group["steps"])) ** 0.5 + _TINY
            for each, gradient in zip(moved, gradients, strict=True):
                own = self.state[each]
                own["steps"] = own.get("steps", 0) + 1
                own["mean"] = _MEAN * own.get("mean", 0.0) + (1 - _MEAN) * gradient
                mean = own["mean"] / (1 - _MEAN ** own["steps"])
                each.add_(-group["lr"] * mean / scale)
