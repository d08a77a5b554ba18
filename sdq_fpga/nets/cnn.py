"""A plain convolutional network: 3x3 convolutions with strides, and one linear layer."""

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn

from sdq_fpga.errors import UserError
from sdq_fpga.nets.checks import check_sizes

__all__ = ["Cnn"]


class Cnn(nn.Module):
    """Blocks of 3x3 convolution, batch norm and ReLU, then a linear classifier.

    Strides take the place of pooling, so that every block is one matrix-vector unit in hardware.
    Modules are ``block1.conv``, ``block1.norm``, ``block1.act``, ``block2.conv``, ...,
    ``flatten``, ``classifier``. No layer has a bias: batch norm carries the offset.

    Args:
        in_channels: channels C of the image.
        image_size: height and width of the image, H = W.
        channels: output channels of each block.
        strides: stride of each block's convolution.
        classes: number of scores.

    Attributes:
        input_shape: (C, H, W), without the batch.
        classes: number of scores.

    Raises:
        UserError: a size is not a whole number above 0, or the lists differ in length.
    """

    def __init__(
        self,
        in_channels: int,
        image_size: int,
        channels: Sequence[int],
        strides: Sequence[int],
        classes: int,
    ) -> None:
        super().__init__()
        check_sizes(
            "cnn",
            {
                "in_channels": in_channels,
                "image_size": image_size,
                "channels": channels,
                "strides": strides,
                "classes": classes,
            },
        )
        if not isinstance(channels, list | tuple) or not isinstance(strides, list | tuple):
            raise UserError(
                f"channels {channels!r} and strides {strides!r} of network 'cnn' must be lists",
                "give one entry for each block",
            )
        if len(channels) != len(strides):
            raise UserError(
                f"network 'cnn' has {len(channels)} channels {list(channels)} "
                f"but {len(strides)} strides {list(strides)}",
                "give one of each for every block",
            )
        self.input_shape: tuple[int, ...] = (in_channels, image_size, image_size)
        self.classes = classes
        fan_in, size = in_channels, image_size
        for index, (width, stride) in enumerate(zip(channels, strides, strict=True), start=1):
            self.add_module(f"block{index}", _block(fan_in, width, stride))
            fan_in, size = width, (size - 1) // stride + 1
        self.flatten = nn.Flatten()
        self.classifier = nn.Linear(fan_in * size * size, classes, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Maps images [N, C, H, W] to raw scores [N, classes]."""
        for module in self.children():
            images = module(images)
        return images


def _block(fan_in: int, width: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(fan_in, width, 3, stride=stride, padding=1, bias=False),
            norm=nn.BatchNorm2d(width),
            act=nn.ReLU(),
        )
    )
