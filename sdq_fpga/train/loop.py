"""The one training loop, for float networks, searches and finetuning alike."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from sdq_fpga.data import Dataset
from sdq_fpga.errors import StageError
from sdq_fpga.flow import Recipe
from sdq_fpga.progress import Progress
from sdq_fpga.train.accuracy import accuracy, to_input
from sdq_fpga.train.augment import augmented, check_augment, draw_changes
from sdq_fpga.train.average import Average
from sdq_fpga.train.checkpoint import check_tensors
from sdq_fpga.train.devices import (
    Devices,
    check_share,
    image_layout,
    make_fabric,
    mean_over,
    share_of,
)
from sdq_fpga.train.recipe import make_optimizer, make_schedule
from sdq_fpga.train.rig import Rig
from sdq_fpga.train.seeding import seeded

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["Companion", "Loss", "check_recipe", "fit", "steps_per_epoch"]

Loss = Callable[[Callable[[Tensor], Tensor], Tensor, Tensor], Tensor]
"""From the network as it is to be called, images [B, ...] in [0, 1) and labels [B] to the scalar
that is to be minimised."""

_SHOWN = 2000  # test images that the curve of the accuracy is measured on


class Companion(Protocol):
    """What is trained beside a network, and belongs into its checkpoints."""

    def state_dict(self) -> dict[str, Any]:
        """All that changes: nested mappings, lists and tuples of tensors and plain values."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from what ``state_dict`` gave."""
        ...


def steps_per_epoch(frames: int, batch_size: int) -> int:
    """Steps of one epoch: whole batches only.

    What is left over waits for another epoch's shuffle: a last batch of one frame would have no
    variance for batch norm.
    """
    return max(1, frames // batch_size)


def check_recipe(recipe: Recipe, dataset: Dataset, processes: int) -> None:
    """Makes sure that a dataset can be trained on as a recipe says.

    Args:
        recipe: batches and augmentation.
        dataset: its training images.
        processes: how many train together.

    Raises:
        UserError: frames can't be augmented, or a batch can't be shared.
    """
    check_augment(recipe.augment, dataset.train_images.shape[1:])
    check_share(min(recipe.batch_size, len(dataset.train_images)), processes)


def fit(
    net: nn.Module,
    dataset: Dataset,
    *,
    recipe: Recipe,
    loss: Loss,
    seed: int,
    label: str,
    progress: Progress,
    rig: Rig | None = None,
    companion: Companion | None = None,
    after_step: Callable[[int], None] | None = None,
    after_epoch: Callable[[int, float], Mapping[str, float]] | None = None,
) -> None:
    """Trains ``net`` in place, and leaves it on the CPU, in evaluation mode.

    Everything random is drawn from ``seed``, the same in all processes. With checkpoints, a
    training that was cut goes on after the last epoch that was saved, and ends in the same bits
    (on a CPU) as one that was not.

    Args:
        net: what is trained.
        dataset: its training images are used, each once an epoch, in shuffled order.
        recipe: epochs, batches, optimizer and what else is done.
        loss: what is minimised.
        seed: of the shuffle, the augmentation, and of whatever the network or the loss draws.
        label: what the progress bar and a failure call this training.
        progress: is told of every step.
        rig: devices, checkpoints and curves; None for the CPU, without either.
        companion: what else is trained, by ``after_step``.
        after_step: called with the number of steps done, after each.
        after_epoch: called with the index of the epoch and its mean loss, after each; gives
            figures for the curves.

    Raises:
        UserError: frames can't be augmented, a batch can't be shared among the processes, or the
            checkpoint is of another training.
        StageError: the loss or a weight is not finite, naming ``label`` and the epoch; or the
            checkpoint is damaged.
    """
    rig = rig or Rig()
    fabric = rig.fabric or make_fabric(Devices())
    check_recipe(recipe, dataset, fabric.world_size)
    with seeded(seed, fabric.device):
        training = _Training(net, dataset, recipe, loss, seed, label, rig, fabric, companion)
        training.resume(progress)
        left = (recipe.epochs - training.epoch) * training.steps
        with progress.task(label, left) as advance:
            while training.epoch < recipe.epochs:
                mean = training.run_epoch(advance, after_step)
                figures = after_epoch(training.epoch - 1, mean) if after_epoch else {}
                training.tell({"loss": mean, **figures})
                training.save()
        training.end()


class _Training:
    """A training that is under way.

    Attributes:
        epoch: epochs done.
        steps: of one epoch.
    """

    def __init__(
        self,
        net: nn.Module,
        dataset: Dataset,
        recipe: Recipe,
        loss: Loss,
        seed: int,
        label: str,
        rig: Rig,
        fabric: Fabric,
        companion: Companion | None,
    ) -> None:
        self._net, self._dataset, self._recipe, self._loss = net, dataset, recipe, loss
        self._label, self._rig, self._fabric, self._companion = label, rig, fabric, companion
        self._images = torch.from_numpy(dataset.train_images)
        self._labels = torch.from_numpy(dataset.train_labels)
        self._batch = min(recipe.batch_size, len(self._images))
        self._share = share_of(fabric, self._batch)
        self.epoch = 0
        self.steps = steps_per_epoch(len(self._images), recipe.batch_size)
        self._layout = image_layout(fabric.device)
        net.to(memory_format=self._layout)  # type: ignore[call-overload]
        self._optimizer = make_optimizer(recipe, net.parameters())
        self._schedule = make_schedule(recipe, self._optimizer, self.steps)
        self._forward, self._step = fabric.setup(net, self._optimizer)
        self._average = Average(net, recipe.ema_decay) if recipe.ema_decay else None
        # Generators of their own: the same order and changes whatever the network draws.
        self._shuffle = torch.Generator().manual_seed(seed)
        self._changes = torch.Generator().manual_seed(seed + 1)

    # ---- training ------------------------------------------------------------------------------

    def run_epoch(
        self, advance: Callable[[int], None], after_step: Callable[[int], None] | None
    ) -> float:
        """Trains one more epoch; the mean loss of its steps."""
        total = 0.0
        self._net.train()
        for step, batch in enumerate(self._batches()):
            self._optimizer.zero_grad()
            value = self._loss(self._forward, *batch)
            found = mean_over(self._fabric, value).item()
            if not math.isfinite(found):
                raise self._diverged(f"the loss of stage '{self._label}' became {found}")
            self._fabric.backward(value)
            self._step.step()
            self._schedule.step()
            if self._average is not None:
                self._average.update()
            total += found
            advance(1)
            if after_step:
                after_step(self.epoch * self.steps + step + 1)
        self._check_weights()
        self.epoch += 1
        return total / self.steps

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """This process's part of every batch of an epoch."""
        augment, device = self._recipe.augment, self._fabric.device
        order = torch.randperm(len(self._images), generator=self._shuffle)
        for step in range(self.steps):
            mine = order[step * self._batch : (step + 1) * self._batch][self._share]
            images = self._images[mine].to(device)
            if augment.changes:
                # Drawn for the whole batch, so that it does not depend on who has which part.
                drawn = draw_changes(augment, self._batch, self._changes)
                top, left, mirrored = (each[self._share].to(device) for each in drawn)
                images = augmented(images, (top, left, mirrored), augment.padding)
            values = to_input(images)
            if values.dim() == 4:
                values = values.contiguous(memory_format=self._layout)
            yield values, self._labels[mine].to(device)

    def _check_weights(self) -> None:
        bad = next(
            (
                name
                for name, value in self._net.state_dict().items()
                if value.is_floating_point() and not bool(torch.isfinite(value).all())
            ),
            None,
        )
        # All processes end, or none: the others would wait for this one.
        if mean_over(self._fabric, torch.tensor(0.0 if bad is None else 1.0)).item():
            raise self._diverged(f"'{bad or 'a weight'}' of stage '{self._label}' is not finite")

    def _diverged(self, what: str) -> StageError:
        return StageError(
            f"{what} in epoch {self.epoch + 1}", "lower the learning rate of this stage in the flow"
        )

    def tell(self, figures: Mapping[str, float]) -> None:
        """Adds to the curves of the epoch that has just ended."""
        curves, data = self._rig.curves, self._dataset
        if curves is None or self._fabric.global_rank:
            return
        some = slice(None, None, -(-len(data.test_images) // _SHOWN))
        if self._average is not None:
            self._average.swap()
        found = accuracy(self._net, data.test_images[some], data.test_labels[some])
        if self._average is not None:
            self._average.swap()
        rate = self._optimizer.param_groups[0]["lr"]
        curves.add(self.epoch - 1, {"accuracy": found, "learning rate": rate, **figures})

    def end(self) -> None:
        """Leaves the network as it is to be used."""
        if self._average is not None:
            self._average.swap()
        self._net.to("cpu", memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]

    # ---- checkpoints ---------------------------------------------------------------------------

    def resume(self, progress: Progress) -> None:
        """Goes on from the last checkpoint, if there is one."""
        kept = self._rig.checkpoints
        if kept is None:
            return
        state = kept.load()
        if state is not None:
            check_tensors(self._net, state["net"], kept.path, kept.fix)
            self._load(state)
            done, epochs = self.epoch, self._recipe.epochs
            progress.note(f"{self._label}: goes on after epoch {done} of {epochs}")
        self._fabric.barrier()  # the first process must not write while another reads

    def save(self) -> None:
        """Writes a checkpoint, if it is time for one."""
        kept = self._rig.checkpoints
        if kept is None or self._fabric.global_rank:
            return
        if not kept.due(ended=self.epoch == self._recipe.epochs):
            return
        kept.save(
            {
                "epoch": self.epoch,
                "net": self._net.state_dict(),
                "optimizer": self._optimizer.state_dict(),
                "schedule": self._schedule.state_dict(),
                "average": self._average.state_dict() if self._average else None,
                "companion": self._companion.state_dict() if self._companion else None,
                "random": {
                    "cpu": torch.get_rng_state(),
                    "device": _device_rng(self._fabric.device),
                    "shuffle": self._shuffle.get_state(),
                    "changes": self._changes.get_state(),
                },
            }
        )

    def _load(self, state: Mapping[str, Any]) -> None:
        self.epoch = state["epoch"]
        self._net.load_state_dict(state["net"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])
        if self._average is not None:
            self._average.load_state_dict(state["average"])
        if self._companion is not None:
            self._companion.load_state_dict(state["companion"])
        random = state["random"]
        torch.set_rng_state(random["cpu"])
        if random["device"] is not None:
            torch.cuda.set_rng_state(random["device"], self._fabric.device)
        self._shuffle.set_state(random["shuffle"])
        self._changes.set_state(random["changes"])


def _device_rng(device: torch.device) -> Tensor | None:
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else None
