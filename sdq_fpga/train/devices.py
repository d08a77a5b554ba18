"""What training runs on: one CPU, or GPUs and several processes through Lightning Fabric."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

import torch
from pydantic import Field

from sdq_fpga.errors import UserError
from sdq_fpga.plain import Plain

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["Devices", "check_share", "image_layout", "make_fabric", "mean_over", "share_of"]

# How long processes wait for each other, such as for the first one between two trainings.
_PATIENCE = timedelta(minutes=30)


class Devices(Plain):
    """What training runs on.

    Attributes:
        accelerator: kind of device.
        devices: how many on each node, with a process each.
        nodes: how many machines.
        precision: "32-true", or bfloat16 where Fabric finds it safe.
    """

    accelerator: Literal["cpu", "cuda"] = "cpu"
    devices: int = Field(default=1, ge=1)
    nodes: int = Field(default=1, ge=1)
    precision: Literal["32-true", "bf16-mixed"] = "32-true"

    @property
    def processes(self) -> int:
        """How many train together."""
        return self.devices * self.nodes


def make_fabric(devices: Devices) -> Fabric:
    """What places networks and data, and sums gradients over processes.

    Several processes train by distributed data parallelism: each has a share of every batch.

    Raises:
        UserError: there are not so many devices of this kind.
    """
    # It takes a second to import, which only what trains should pay.
    from lightning_fabric import Fabric  # noqa: PLC0415
    from lightning_fabric.strategies.ddp import DDPStrategy  # noqa: PLC0415

    # It says in lines of its own who takes part, and with which precision.
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    found = torch.cuda.device_count()
    if devices.accelerator == "cuda" and found < devices.devices:
        raise UserError(
            f"training is to run on {devices.devices} GPUs, but torch {torch.__version__} finds "
            f"{found} here",
            "give fewer with --devices, or --accelerator cpu",
        )
    return Fabric(
        accelerator=devices.accelerator,
        devices=devices.devices,
        num_nodes=devices.nodes,
        precision=devices.precision,
        strategy="auto" if devices.processes == 1 else DDPStrategy(timeout=_PATIENCE),
    )


def image_layout(device: torch.device) -> torch.memory_format:
    """Layout of weights and images in which convolutions are fastest on a device.

    GPUs multiply matrices whose rows are the channels of a pixel; images of another layout are
    brought into that one and back around every convolution (ResNet-20 takes twice as long).
    """
    # On CPUs it would be somewhat faster, too, but torch 2.13 aborts there in the gradients of some
    # convolutions (seen with a small ResNet).
    return torch.channels_last if device.type == "cuda" else torch.contiguous_format


def check_share(batch: int, processes: int) -> None:
    """Makes sure that processes can share a batch evenly, with two frames or more for each.

    Raises:
        UserError: they can't.
    """
    if processes > 1 and (batch % processes or batch < 2 * processes):
        raise UserError(
            f"a batch of {batch} frames can't be shared among {processes} processes",
            "give a batch_size in the flow that is a multiple of theirs, with two frames for each",
        )


def share_of(fabric: Fabric, batch: int) -> slice:
    """This process's part of a batch.

    Raises:
        UserError: it can't be shared.
    """
    check_share(batch, fabric.world_size)
    size = batch // fabric.world_size
    return slice(fabric.global_rank * size, (fabric.global_rank + 1) * size)


def mean_over(fabric: Fabric, value: torch.Tensor) -> torch.Tensor:
    """Mean over all processes of what each of them has; on the device of the training."""
    if fabric.world_size == 1:
        return value
    mean = fabric.all_reduce(value.detach().to(fabric.device), reduce_op="mean")
    if not isinstance(mean, torch.Tensor):
        raise TypeError(f"the mean of a tensor is a {type(mean).__name__}")
    return mean
