"""Blocks that several networks are made of."""

from collections import OrderedDict

from torch import nn

__all__ = ["conv_block", "linear_block"]


def conv_block(
    fan_in: int,
    width: int,
    kernel: int,
    *,
    stride: int = 1,
    padding: int | None = None,
    groups: int = 1,
    relu: bool = True,
) -> nn.Sequential:
    """``conv`` without bias, batch ``norm`` and, unless the block is linear, ``act``, a ReLU.

    Args:
        fan_in: input channels.
        width: output channels.
        kernel: height and width of the kernel.
        stride: of the convolution.
        padding: on each side; None for as much as keeps the size at stride 1.
        groups: ``fan_in`` for a depthwise convolution.
        relu: whether there is a ReLU.
    """
    pad = kernel // 2 if padding is None else padding
    parts: OrderedDict[str, nn.Module] = OrderedDict(
        conv=nn.Conv2d(
            fan_in, width, kernel, stride=stride, padding=pad, groups=groups, bias=False
        ),
        norm=nn.BatchNorm2d(width),
    )
    if relu:
        parts["act"] = nn.ReLU()
    return nn.Sequential(parts)


def linear_block(fan_in: int, width: int) -> nn.Sequential:
    """Linear layer without bias, batch norm and ReLU: ``linear``, ``norm``, ``act``."""
    return nn.Sequential(
        OrderedDict(
            linear=nn.Linear(fan_in, width, bias=False),
            norm=nn.BatchNorm1d(width),
            act=nn.ReLU(),
        )
    )
