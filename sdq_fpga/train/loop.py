"""The one training loop, for float networks, searches and finetuning alike."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from sdq_fpga.data import Dataset
from sdq_fpga.errors import StageError
from sdq_fpga.progress import Progress
from sdq_fpga.train.accuracy import to_input
from sdq_fpga.train.seeding import seeded

__all__ = ["fit", "steps_per_epoch"]


def steps_per_epoch(frames: int, batch_size: int) -> int:
    """Steps of one epoch: whole batches only.

    What is left over waits for another epoch's shuffle: a last batch of one frame would have no
    variance for batch norm.
    """
    return max(1, frames // batch_size)


def fit(
    net: nn.Module,
    dataset: Dataset,
    *,
    epochs: int,
    batch_size: int,
    optimizer: torch.optim.Optimizer,
    loss: Callable[[Tensor, Tensor], Tensor],
    seed: int,
    label: str,
    progress: Progress,
    after_step: Callable[[int], None] | None = None,
    after_epoch: Callable[[int, float], None] | None = None,
) -> None:
    """Trains ``net`` in place, with a learning rate that falls to zero along a cosine.

    Everything random is drawn from ``seed``; the network is left in evaluation mode.

    Args:
        net: what is trained; only its mode is touched here.
        dataset: its training images are used, each once an epoch, in shuffled order.
        epochs: passes over the training images.
        batch_size: frames of one step.
        optimizer: over the parameters to train; its learning rate is that of the first step.
        loss: from images [B, ...] in [0, 1) and labels [B] to the scalar to be minimised.
        seed: of the shuffle, and of whatever the network or the loss draws.
        label: what the progress bar and a failure call this training.
        progress: is told of every step.
        after_step: called with the number of steps done, after each.
        after_epoch: called with the index of the epoch and its mean loss, after each.

    Raises:
        StageError: the loss is not finite, naming ``label`` and the epoch.
    """
    images = torch.from_numpy(dataset.train_images)
    labels = torch.from_numpy(dataset.train_labels)
    steps = steps_per_epoch(len(images), batch_size)
    schedule = CosineAnnealingLR(optimizer, T_max=epochs * steps)
    # The shuffle has a generator of its own: the same order whatever the network draws.
    shuffle = torch.Generator().manual_seed(seed)
    done = 0
    net.train()
    with seeded(seed), progress.task(label, epochs * steps) as advance:
        for epoch in range(epochs):
            total = 0.0
            for batch in _batches(len(images), batch_size, shuffle):
                optimizer.zero_grad()
                value = loss(to_input(images[batch]), labels[batch])
                if not math.isfinite(value.item()):
                    raise StageError(
                        f"the loss of stage '{label}' became {value.item()} in epoch {epoch + 1}",
                        "lower the learning rate of this stage in the flow",
                    )
                torch.autograd.backward(value)
                optimizer.step()
                schedule.step()
                total += value.item()
                done += 1
                advance(1)
                if after_step:
                    after_step(done)
            if after_epoch:
                after_epoch(epoch, total / steps)
    net.eval()


def _batches(frames: int, batch_size: int, shuffle: torch.Generator) -> Iterator[Tensor]:
    order = torch.randperm(frames, generator=shuffle)
    for step in range(steps_per_epoch(frames, batch_size)):
        yield order[step * batch_size : (step + 1) * batch_size]
