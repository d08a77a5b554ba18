"""Residual networks: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016."""

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn

from sdq_fpga.errors import UserError
from sdq_fpga.nets.blocks import conv_block
from sdq_fpga.nets.checks import check_lists, check_sizes

__all__ = ["ResNet"]

_EXPANSION = 4  # of a bottleneck


class ResNet(nn.Module):
    """A stem, stages of residual blocks, an average over all positions, and a linear classifier.

    Modules are ``stem.conv``, ..., ``stage1.block1.first.conv``, ``stage1.block1.second.conv``,
    ``stage2.block1.shortcut.conv`` (where the shape changes), ..., ``classifier``. Bottlenecks
    have a ``third`` and their stride in the 3x3 convolution.

    Args:
        in_channels: channels C of the image.
        image_size: height and width of the image, H = W.
        channels: of each stage; a bottleneck puts out four times as many.
        blocks: how many blocks each stage has.
        classes: number of scores.
        bottleneck: whether blocks are 1x1, 3x3, 1x1 convolutions instead of two of 3x3.
        large: whether the stem is that for ImageNet, a 7x7 convolution of stride 2 and a 3x3 max
            pool of stride 2, instead of a 3x3 convolution.

    Attributes:
        input_shape: (C, H, W), without the batch.

    Raises:
        UserError: a size is not a whole number above 0, or the lists differ in length.
    """

    def __init__(
        self,
        in_channels: int,
        image_size: int,
        channels: Sequence[int],
        blocks: Sequence[int],
        classes: int,
        bottleneck: bool = False,
        large: bool = False,
    ) -> None:
        super().__init__()
        check_lists("resnet", {"channels": channels, "blocks": blocks})
        check_sizes(
            "resnet",
            {
                "in_channels": in_channels,
                "image_size": image_size,
                "channels": channels,
                "blocks": blocks,
                "classes": classes,
            },
        )
        if len(channels) != len(blocks):
            raise UserError(
                f"network 'resnet' has {len(channels)} channels {list(channels)} but "
                f"{len(blocks)} blocks {list(blocks)}",
                "give one of each for every stage",
            )
        self.input_shape: tuple[int, ...] = (in_channels, image_size, image_size)
        fan_in = channels[0]
        self.stem = conv_block(in_channels, fan_in, 7 if large else 3, stride=2 if large else 1)
        if large:
            self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        for stage, (width, count) in enumerate(zip(channels, blocks, strict=True), start=1):
            parts: OrderedDict[str, nn.Module] = OrderedDict()
            for block in range(1, count + 1):
                stride = 2 if stage > 1 and block == 1 else 1
                made = _Block(fan_in, width, stride, bottleneck=bottleneck)
                parts[f"block{block}"], fan_in = made, made.width
            self.add_module(f"stage{stage}", nn.Sequential(parts))
        self.average = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.classifier = nn.Linear(fan_in, classes, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Maps images [N, C, H, W] to raw scores [N, classes]."""
        for module in self.children():
            images = module(images)
        return images


class _Block(nn.Module):
    """Convolutions and a shortcut, the identity or 1x1; the ReLU comes after their sum."""

    def __init__(self, fan_in: int, width: int, stride: int, *, bottleneck: bool) -> None:
        super().__init__()
        if bottleneck:
            self.width = _EXPANSION * width
            self.first = conv_block(fan_in, width, 1)
            self.second = conv_block(width, width, 3, stride=stride)
            self.third = conv_block(width, self.width, 1, relu=False)
        else:
            self.width = width
            self.first = conv_block(fan_in, width, 3, stride=stride)
            self.second = conv_block(width, width, 3, relu=False)
        self.shortcut = (
            conv_block(fan_in, self.width, 1, stride=stride, relu=False)
            if stride != 1 or fan_in != self.width
            else nn.Identity()
        )
        self.bottleneck = bottleneck
        self.act = nn.ReLU()

    def forward(self, images: Tensor) -> Tensor:
        arm = self.second(self.first(images))
        if self.bottleneck:
            arm = self.third(arm)
        joined: Tensor = self.act(arm + self.shortcut(images))
        return joined
