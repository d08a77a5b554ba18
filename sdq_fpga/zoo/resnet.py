"""Residual networks: ResNet-8 and ResNet-20 for 32x32 images, ResNet-18 and -50 for ImageNet."""

from collections.abc import Sequence

from onnx import ModelProto

from sdq_fpga.zoo.bits import Bits, BitSource
from sdq_fpga.zoo.builder import GraphBuilder, Scales, Tensor

__all__ = ["resnet8", "resnet18", "resnet20", "resnet50"]

_WEIGHTS = (1, 2, 3, 4, 5, 6, 8)
_ACTIVATIONS = (2, 3, 4, 5, 6)  # bipolar ones could not be padded


def resnet8(
    bits: Bits = (4, 4),
    seed: int = 0,
    *,
    width: float = 1.0,
    image_size: int = 32,
    classes: int = 10,
    scales: Scales = "power_of_two",
) -> ModelProto:
    """ResNet-8: three stages of one block, 16, 32 and 64 channels; arguments as ``resnet18``."""
    network = _ResNet(bits, seed, scales)
    x = network.stem(image_size, int(16 * width), kernel=3, stride=1)
    x = network.stages(x, [int(c * width) for c in (16, 32, 64)], blocks=1)
    return network.classifier(x, classes)


def resnet20(
    bits: Bits = (4, 4),
    seed: int = 0,
    *,
    width: float = 1.0,
    image_size: int = 32,
    classes: int = 10,
    scales: Scales = "power_of_two",
) -> ModelProto:
    """ResNet-20: three stages of three blocks, 16, 32 and 64 channels; as ``resnet18``."""
    network = _ResNet(bits, seed, scales)
    x = network.stem(image_size, int(16 * width), kernel=3, stride=1)
    x = network.stages(x, [int(c * width) for c in (16, 32, 64)], blocks=3)
    return network.classifier(x, classes)


def resnet18(
    bits: Bits = (4, 4),
    seed: int = 0,
    *,
    width: float = 1.0,
    image_size: int = 224,
    classes: int = 1000,
    scales: Scales = "power_of_two",
) -> ModelProto:
    """ResNet-18: a 7x7 convolution, a padded max pool, four stages of two blocks.

    The first and the last layer have 8-bit weights. Both arms of a sum have quantizers of one
    scale: unsigned for an identity, signed with one bit more for a convolution.

    Args:
        bits: (weights, activations), 1 to 8 and 2 to 6; None draws for each layer.
        seed: of weights and drawn bits.
        width: multiplies all channels.
        image_size: height and width of the image.
        classes: number of scores.
        scales: as for ``GraphBuilder``.
    """
    network = _ResNet(bits, seed, scales)
    x = network.stem(image_size, int(64 * width), kernel=7, stride=2)
    x = network.build.max_pool(x, 3, stride=2, pad=1)
    x = network.stages(x, [int(c * width) for c in (64, 128, 256, 512)], blocks=2)
    return network.classifier(x, classes)


def resnet50(
    bits: Bits = (4, 4),
    seed: int = 0,
    *,
    width: float = 1.0,
    image_size: int = 224,
    classes: int = 1000,
    scales: Scales = "power_of_two",
) -> ModelProto:
    """ResNet-50: as ``resnet18``, with 3, 4, 6 and 3 blocks of three convolutions each."""
    network = _ResNet(bits, seed, scales)
    x = network.stem(image_size, int(64 * width), kernel=7, stride=2)
    x = network.build.max_pool(x, 3, stride=2, pad=1)
    for stage, blocks in enumerate((3, 4, 6, 3)):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            x = network.bottleneck(x, int(64 * 2**stage * width), stride)
    return network.classifier(x, classes)


class _ResNet:
    def __init__(self, bits: Bits, seed: int, scales: Scales) -> None:
        self.build = GraphBuilder(seed, scales=scales)
        self.bits = BitSource(bits, seed, _WEIGHTS, _ACTIVATIONS)

    def stem(self, image_size: int, channels: int, kernel: int, stride: int) -> Tensor:
        x = self.build.scaled_input((3, image_size, image_size))
        x = self.build.conv(x, channels, kernel, stride=stride, pad=kernel // 2, weight_bits=8)
        return self.build.quant_relu(self.build.batch_norm(x), self.bits.activation())

    def stages(self, x: Tensor, channels: Sequence[int], blocks: int) -> Tensor:
        for stage, width in enumerate(channels):
            for block in range(blocks):
                stride = 2 if stage and not block else 1
                x = self.block(x, width, stride)
        return x

    def block(self, x: Tensor, channels: int, stride: int) -> Tensor:
        """Two 3x3 convolutions and a shortcut: the identity, or 1x1 where the shape changes."""
        arm = self._conv_relu(x, channels, 3, stride)
        arm = self.build.conv(arm, channels, 3, pad=1, weight_bits=self.bits.weight())
        return self._sum(x, self.build.batch_norm(arm, center=0.0), stride)

    def bottleneck(self, x: Tensor, channels: int, stride: int) -> Tensor:
        """1x1, 3x3 and 1x1 convolutions, the last with four times the channels; a shortcut."""
        arm = self._conv_relu(x, channels, 1, 1)
        arm = self._conv_relu(arm, channels, 3, stride)
        arm = self.build.conv(arm, 4 * channels, 1, weight_bits=self.bits.weight())
        return self._sum(x, self.build.batch_norm(arm, center=0.0), stride)

    def _conv_relu(self, x: Tensor, channels: int, kernel: int, stride: int) -> Tensor:
        x = self.build.conv(
            x, channels, kernel, stride=stride, pad=kernel // 2, weight_bits=self.bits.weight()
        )
        return self.build.quant_relu(self.build.batch_norm(x), self.bits.activation())

    def _sum(self, x: Tensor, arm: Tensor, stride: int) -> Tensor:
        """What the convolutions of a block made of x, plus x itself or a 1x1 convolution of it."""
        build = self.build
        if x.shape != arm.shape:
            bits = self.bits.activation()
            arm = build.quant_identity(arm, bits + 1)
            shortcut = build.conv(x, arm.shape[0], 1, stride=stride, weight_bits=self.bits.weight())
            shortcut = build.batch_norm(shortcut)
            shortcut = build.quant_identity(shortcut, bits + 1, scale=arm.scale)
        else:
            bits = x.bits
            arm = build.quant_identity(arm, bits + 1, scale=x.scale)
            shortcut = build.quant(x, bits, signed=False, scale=x.scale)
        return build.quant_relu(build.add(arm, shortcut), bits, scale=arm.scale)

    def classifier(self, x: Tensor, classes: int) -> ModelProto:
        x = self.build.quant(self.build.global_average(x), 8, signed=False)
        x = self.build.flatten(x)
        self.build.output(self.build.linear(x, classes, weight_bits=8))
        return self.build.finish()
