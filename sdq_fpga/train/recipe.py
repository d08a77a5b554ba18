"""Optimizer, learning rate and loss, as a recipe states them."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    LinearLR,
    LRScheduler,
    SequentialLR,
)

from sdq_fpga.flow import Recipe

__all__ = ["classification_loss", "make_optimizer", "make_schedule"]


def make_optimizer(recipe: Recipe, parameters: Iterable[nn.Parameter]) -> Optimizer:
    """The optimizer of a recipe, at its highest learning rate."""
    rate, decay = recipe.learning_rate, recipe.weight_decay
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=rate, momentum=recipe.momentum, weight_decay=decay)
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(parameters, lr=rate, weight_decay=decay)
    return torch.optim.Adam(parameters, lr=rate, weight_decay=decay)


def make_schedule(recipe: Recipe, optimizer: Optimizer, steps: int) -> LRScheduler:
    """The learning rate over a training, to be moved on after every step.

    The cosine without restarts is that of Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent
    with Warm Restarts", ICLR 2017, equation 5; the warm-up that of Goyal et al., "Accurate, Large
    Minibatch SGD: Training ImageNet in 1 Hour" (2017), section 2.2.

    Args:
        recipe: of the training.
        optimizer: whose rate is moved.
        steps: of one epoch.
    """
    rising = recipe.warmup_epochs * steps
    after: LRScheduler
    if recipe.schedule == "cosine":
        after = CosineAnnealingLR(optimizer, T_max=recipe.epochs * steps - rising)
    else:
        after = ConstantLR(optimizer, factor=1.0, total_iters=0)
    if not rising:
        return after
    rise = LinearLR(optimizer, start_factor=1 / rising, total_iters=rising)
    return SequentialLR(optimizer, [rise, after], [rising])


def classification_loss(recipe: Recipe, scores: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of scores [B, classes] with labels [B], smoothed as the recipe says.

    Source of the smoothing: Szegedy et al., "Rethinking the Inception Architecture for Computer
    Vision", CVPR 2016, section 7.
    """
    return functional.cross_entropy(scores, labels, label_smoothing=recipe.label_smoothing)
