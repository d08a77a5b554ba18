"""MobileNetV2: Sandler et al., "Inverted Residuals and Linear Bottlenecks", CVPR 2018."""

from collections.abc import Sequence

from torch import Tensor, nn

from sdq_fpga.errors import UserError
from sdq_fpga.nets.blocks import conv_block
from sdq_fpga.nets.checks import check_lists, check_sizes

__all__ = ["MobileNetV2"]


class MobileNetV2(nn.Module):
    """A 3x3 stem, inverted residuals, a 1x1 head, an average, and a linear classifier.

    An inverted residual is a 1x1 convolution that expands, a depthwise 3x3, and a linear 1x1 that
    projects; its input is added where the shape allows. Modules are ``stem.conv``, ...,
    ``residual2.expand.conv``, ``residual2.depthwise.conv``, ``residual2.project.conv``, ...,
    ``head.conv``, ``classifier``. ReLU takes the place of ReLU6: a quantizer bounds activations.

    Args:
        in_channels: channels C of the image.
        image_size: height and width of the image, H = W.
        stem: channels of the stem.
        stem_stride: its stride.
        residuals: [expansion, channels, how many, stride of the first], as in table 2 of the
            paper.
        head: channels of the head.
        classes: number of scores.

    Attributes:
        input_shape: (C, H, W), without the batch.

    Raises:
        UserError: a size is not a whole number above 0.
    """

    def __init__(
        self,
        in_channels: int,
        image_size: int,
        stem: int,
        stem_stride: int,
        residuals: Sequence[Sequence[int]],
        head: int,
        classes: int,
    ) -> None:
        super().__init__()
        check_lists("mobilenet_v2", {"residuals": residuals})
        check_sizes(
            "mobilenet_v2",
            {
                "in_channels": in_channels,
                "image_size": image_size,
                "stem": stem,
                "stem_stride": stem_stride,
                **{f"residuals[{index}]": each for index, each in enumerate(residuals)},
                "head": head,
                "classes": classes,
            },
        )
        for index, each in enumerate(residuals):
            if not isinstance(each, list | tuple) or len(each) != 4:
                raise UserError(
                    f"residuals[{index}] of network 'mobilenet_v2' is {each!r}",
                    "give [expansion, channels, how many, stride of the first]",
                )
        self.input_shape: tuple[int, ...] = (in_channels, image_size, image_size)
        self.stem = conv_block(in_channels, stem, 3, stride=stem_stride)
        fan_in, number = stem, 0
        for expansion, width, count, stride in residuals:
            for repeat in range(count):
                number += 1
                made = _InvertedResidual(fan_in, expansion, width, 1 if repeat else stride)
                self.add_module(f"residual{number}", made)
                fan_in = width
        self.head = conv_block(fan_in, head, 1)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.classifier = nn.Linear(head, classes, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Maps images [N, C, H, W] to raw scores [N, classes]."""
        for module in self.children():
            images = module(images)
        return images


class _InvertedResidual(nn.Module):
    def __init__(self, fan_in: int, expansion: int, width: int, stride: int) -> None:
        super().__init__()
        wide = expansion * fan_in
        if expansion > 1:
            self.expand = conv_block(fan_in, wide, 1)
        self.depthwise = conv_block(wide, wide, 3, stride=stride, groups=wide)
        self.project = conv_block(wide, width, 1, relu=False)
        self.expands = expansion > 1
        self.adds = stride == 1 and fan_in == width

    def forward(self, images: Tensor) -> Tensor:
        wide = self.expand(images) if self.expands else images
        found: Tensor = self.project(self.depthwise(wide))
        return found + images if self.adds else found
