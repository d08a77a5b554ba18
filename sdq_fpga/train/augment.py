"""Augmentation: images that are shifted and mirrored at random.

Source: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2: zeros are
padded on every side, and a crop of the image's size is taken at random, or of its mirror image.
"""

import torch
from torch import Tensor
from torch.nn import functional

from sdq_fpga.errors import UserError
from sdq_fpga.flow import Augment

__all__ = ["Changes", "augmented", "check_augment", "draw_changes"]

Changes = tuple[Tensor, Tensor, Tensor]
"""Of each image: first row and first column of the crop, and whether it is mirrored."""


def check_augment(augment: Augment, frame: tuple[int, ...]) -> None:
    """Makes sure that frames can be augmented.

    Raises:
        UserError: they are no images.
    """
    if augment.changes and len(frame) != 3:
        raise UserError(
            f"augment crops and mirrors images of [C, H, W], but frames have shape {list(frame)}",
            "leave augment out of the flow",
        )


def draw_changes(augment: Augment, images: int, generator: torch.Generator) -> Changes:
    """Draws the changes of a batch.

    Args:
        augment: what is done.
        images: of the batch.
        generator: gives all that is random.
    """
    offsets = torch.randint(0, 2 * augment.padding + 1, (2, images), generator=generator)
    mirrored = torch.rand(images, generator=generator) < (0.5 if augment.flip else 0.0)
    return offsets[0], offsets[1], mirrored


def augmented(images: Tensor, changes: Changes, padding: int) -> Tensor:
    """Changes images, each in its own way.

    Args:
        images: [B, C, H, W], of any type.
        changes: [B] each, on the same device.
        padding: zeros around each.

    Returns:
        [B, C, H, W].
    """
    top, left, mirrored = changes
    batch, channels, height, width = images.shape
    device = images.device
    padded = functional.pad(images, (padding, padding, padding, padding))
    rows = top[:, None] + torch.arange(height, device=device)
    columns = torch.arange(width, device=device).expand(batch, width)
    columns = left[:, None] + torch.where(mirrored[:, None], width - 1 - columns, columns)
    return padded[
        torch.arange(batch, device=device)[:, None, None, None],
        torch.arange(channels, device=device)[None, :, None, None],
        rows[:, None, :, None],
        columns[:, None, None, :],
    ]
