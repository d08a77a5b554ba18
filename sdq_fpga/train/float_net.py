"""Trains the float network that a search starts from."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from sdq_fpga.data import Dataset, check_fits
from sdq_fpga.flow import Flow
from sdq_fpga.nets import class_count, frame_shape, make_net
from sdq_fpga.progress import Progress
from sdq_fpga.train.loop import fit
from sdq_fpga.train.seeding import seeded

__all__ = ["train_float"]


def train_float(flow: Flow, dataset: Dataset, seed: int, progress: Progress) -> nn.Module:
    """Trains the network of ``flow`` from fresh weights: Adam on the cross-entropy.

    Args:
        flow: says which network, and how to train it.
        dataset: images that fit the network.
        seed: of the weights and of the order of images; nothing else is random.
        progress: is told of every step.

    Returns:
        The network in evaluation mode.

    Raises:
        UserError: the network can't be made, or does not take the images.
        StageError: training diverged.
    """
    with seeded(seed):
        net = make_net(flow.network)
    check_fits(dataset, frame_shape(net), class_count(net))
    spec = flow.train

    def loss(images: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(net(images), labels)

    fit(
        net,
        dataset,
        epochs=spec.epochs,
        batch_size=spec.batch_size,
        optimizer=torch.optim.Adam(
            net.parameters(), lr=spec.learning_rate, weight_decay=spec.weight_decay
        ),
        loss=loss,
        seed=seed,
        label="train",
        progress=progress,
    )
    return net
