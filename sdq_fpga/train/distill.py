"""Knowledge distillation: the float network as a teacher, and finetuning with it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from sdq_fpga.data import Dataset
from sdq_fpga.flow import FinetuneSpec, Taught
from sdq_fpga.progress import Progress
from sdq_fpga.train.accuracy import to_input
from sdq_fpga.train.bins import network_bins
from sdq_fpga.train.devices import Devices, image_layout, make_fabric
from sdq_fpga.train.loop import fit
from sdq_fpga.train.recipe import classification_loss
from sdq_fpga.train.rig import Rig

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["Teacher", "distillation_loss", "finetune"]


def distillation_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    temperature: float,
    weight: float,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Knowledge distillation: weight * T^2 * KL(teacher || student) + (1 - weight) * CE.

    Source: Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network" (2015),
    section 2; the factor T^2 keeps the size of the soft gradient independent of T.

    Args:
        student_logits: [B, classes].
        teacher_logits: [B, classes].
        labels: classes [B].
        temperature: T of both softmaxes, above 0.
        weight: share of the teacher, from 0 to 1; the rest is cross-entropy with the labels.
        label_smoothing: share of the labels' target that is spread over all classes.

    Returns:
        The scalar mean over the batch.
    """
    divergence = functional.kl_div(
        functional.log_softmax(student_logits / temperature, dim=1),
        functional.log_softmax(teacher_logits / temperature, dim=1),
        reduction="batchmean",
        log_target=True,
    )
    hard = functional.cross_entropy(student_logits, labels, label_smoothing=label_smoothing)
    return weight * temperature**2 * divergence + (1 - weight) * hard


class Teacher:
    """A float network that a training learns from, on the devices of that training.

    Args:
        net: used in evaluation mode, and not changed; it stays on the device until ``dismiss``.
        recipe: says how much it has to say. Where that is nothing, it is not asked.
        fabric: devices and processes.
    """

    def __init__(self, net: nn.Module, recipe: Taught, fabric: Fabric) -> None:
        self.net, self._recipe, self._fabric = net.eval(), recipe, fabric
        fabric.to_device(net).to(memory_format=image_layout(fabric.device))  # type: ignore[call-overload]

    def loss(self, scores: Tensor, images: Tensor, labels: Tensor) -> Tensor:
        """The loss of a student's scores [B, classes] of images [B, ...] with labels [B]."""
        recipe = self._recipe
        if not recipe.kd_weight:
            return classification_loss(recipe, scores, labels)
        with torch.no_grad(), self._fabric.autocast():
            taught = self.net(images).float()
        return distillation_loss(
            scores, taught, labels, recipe.kd_temperature, recipe.kd_weight, recipe.label_smoothing
        )

    def dismiss(self) -> None:
        """Brings the network back to the CPU."""
        self.net.to("cpu", memory_format=torch.contiguous_format)  # type: ignore[call-overload]


def finetune(
    student: nn.Module,
    teacher: nn.Module,
    spec: FinetuneSpec,
    dataset: Dataset,
    seed: int,
    progress: Progress,
    rig: Rig | None = None,
) -> None:
    """Trains ``student`` in place by distillation and EBR, and leaves it in evaluation mode.

    A quantized network's scores are known only up to a positive factor: its last weights live on
    a grid within [-1, 1]. Within the loss they are multiplied by a factor that starts where the
    student's scores spread as wide as the teacher's and is then trained along; it has no
    effect on which class wins, and is dropped at the end.

    Args:
        student: any network that maps images to scores, usually quantized.
        teacher: the float network; it is used in evaluation mode and not changed.
        spec: epochs, learning rate, temperature and weight of the teacher, weight of EBR.
        dataset: its training images are used.
        seed: of the order of images.
        progress: is told of every step.
        rig: devices, checkpoints and curves; None for the CPU, without either.

    Raises:
        StageError: training diverged.
    """
    rig = rig or Rig()
    fabric = rig.fabric or make_fabric(Devices())
    tutor = Teacher(teacher, spec, fabric)
    fabric.to_device(student)
    scaled = _Scaled(student, _log_spread_ratio(student, teacher, dataset, fabric.device))

    def loss(forward: Callable[[Tensor], Tensor], images: Tensor, labels: Tensor) -> Tensor:
        task = tutor.loss(forward(images), images, labels)
        return task + spec.ebr_weight * network_bins(student) if spec.ebr_weight else task

    fit(
        scaled,
        dataset,
        recipe=spec,
        loss=loss,
        seed=seed,
        label="finetune",
        progress=progress,
        rig=replace(rig, fabric=fabric),
    )
    tutor.dismiss()


class _Scaled(nn.Module):
    """A student whose scores are multiplied by a factor that is trained along."""

    def __init__(self, student: nn.Module, log_factor: float) -> None:
        super().__init__()
        self.student = student
        self.log_factor = nn.Parameter(torch.tensor(log_factor))

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.student(images) * self.log_factor.exp()
        return scores


def _log_spread_ratio(
    student: nn.Module, teacher: nn.Module, dataset: Dataset, device: torch.device
) -> float:
    """Logarithm of how much wider the teacher's scores spread than the student's."""
    # Few of them where images are large, for the memory that their activations take.
    most = min(1000, max(1, (1 << 22) // dataset.train_images[0].size))
    # Spread evenly: image folders come class by class.
    every = max(1, len(dataset.train_images) // most)
    images = to_input(torch.from_numpy(dataset.train_images[::every][:most]).to(device))
    student.eval()
    with torch.no_grad():
        wanted, given = teacher(images).std().item(), student(images).std().item()
    return math.log(wanted / given) if wanted > 0 and given > 0 else 0.0
