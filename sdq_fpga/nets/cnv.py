"""A network in the shape of VGG: padded or unpadded 3x3 convolutions, max pools, linear layers."""

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn

from sdq_fpga.errors import UserError
from sdq_fpga.nets.blocks import conv_block, linear_block
from sdq_fpga.nets.checks import check_lists, check_sizes

__all__ = ["Cnv"]


class Cnv(nn.Module):
    """Groups of 3x3 convolutions, each ended by a 2x2 max pool but the last; then linear layers.

    With groups [[64, 64], [128, 128], [256, 256]], hidden [512, 512] and no padding it is the CNV
    of BNN-PYNQ (Umuroglu et al., "FINN", FPGA 2017). Modules are ``group1.block1.conv``, ...,
    ``group1.pool``, ``flatten``, ``hidden1.linear``, ..., ``classifier``.

    Args:
        in_channels: channels C of the image.
        image_size: height and width of the image, H = W.
        groups: output channels of each convolution, group by group.
        hidden: width of each hidden linear layer.
        classes: number of scores.
        padding: of every convolution, 0 or 1.

    Attributes:
        input_shape: (C, H, W), without the batch.

    Raises:
        UserError: a size is out of range, or too small for the pools and convolutions.
    """

    def __init__(
        self,
        in_channels: int,
        image_size: int,
        groups: Sequence[Sequence[int]],
        hidden: Sequence[int],
        classes: int,
        padding: int = 0,
    ) -> None:
        super().__init__()
        check_lists("cnv", {"groups": groups, "hidden": hidden})
        check_sizes(
            "cnv",
            {
                "in_channels": in_channels,
                "image_size": image_size,
                **{f"groups[{index}]": each for index, each in enumerate(groups)},
                "hidden": hidden,
                "classes": classes,
            },
        )
        if padding not in (0, 1):
            raise UserError(f"padding of network 'cnv' is {padding!r}", "give 0 or 1")
        self.input_shape: tuple[int, ...] = (in_channels, image_size, image_size)
        fan_in, size = in_channels, image_size
        for index, widths in enumerate(groups, start=1):
            parts: OrderedDict[str, nn.Module] = OrderedDict()
            for block, width in enumerate(widths, start=1):
                parts[f"block{block}"] = conv_block(fan_in, width, 3, padding=padding)
                fan_in, size = width, size - 2 * (1 - padding)
            if index < len(groups):
                parts["pool"] = nn.MaxPool2d(2)
                size //= 2
            self.add_module(f"group{index}", nn.Sequential(parts))
        if size < 1:
            raise UserError(
                f"images of {image_size}x{image_size} are too small for network 'cnv'",
                "give larger images, fewer groups, or padding: 1",
            )
        self.flatten = nn.Flatten()
        fan_in *= size * size
        for index, width in enumerate(hidden, start=1):
            self.add_module(f"hidden{index}", linear_block(fan_in, width))
            fan_in = width
        self.classifier = nn.Linear(fan_in, classes, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Maps images [N, C, H, W] to raw scores [N, classes]."""
        for module in self.children():
            images = module(images)
        return images
