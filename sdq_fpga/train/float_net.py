"""Trains the float network that a search starts from."""

from collections.abc import Callable

from torch import Tensor, nn

from sdq_fpga.data import Dataset, check_classes, check_fits
from sdq_fpga.flow import Flow
from sdq_fpga.nets import class_count, frame_shape, make_net
from sdq_fpga.progress import Progress
from sdq_fpga.train.loop import fit
from sdq_fpga.train.recipe import classification_loss
from sdq_fpga.train.rig import Rig
from sdq_fpga.train.seeding import seeded

__all__ = ["train_float"]


def train_float(
    flow: Flow, dataset: Dataset, seed: int, progress: Progress, rig: Rig | None = None
) -> nn.Module:
    """Trains the network of ``flow`` from fresh weights, on the cross-entropy.

    Args:
        flow: says which network, and how to train it.
        dataset: images that fit the network.
        seed: of the weights and of the order of images and their augmentation.
        progress: is told of every step.
        rig: devices, checkpoints and curves; None for the CPU, without either.

    Returns:
        The network in evaluation mode.

    Raises:
        UserError: the network can't be made, or does not take the images; or there are none of a
            class.
        StageError: training diverged.
    """
    with seeded(seed):
        net = make_net(flow.network)
    check_fits(dataset, frame_shape(net), class_count(net))
    check_classes(dataset, class_count(net))
    spec = flow.train

    def loss(forward: Callable[[Tensor], Tensor], images: Tensor, labels: Tensor) -> Tensor:
        return classification_loss(spec, forward(images), labels)

    fit(
        net,
        dataset,
        recipe=spec,
        loss=loss,
        seed=seed,
        label="train",
        progress=progress,
        rig=rig,
    )
    return net
