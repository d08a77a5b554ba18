"""MobileNet V1 (depthwise separable) and V2 (inverted residuals with linear bottlenecks)."""

from onnx import ModelProto

from sdq_fpga.zoo.bits import Bits, BitSource
from sdq_fpga.zoo.builder import GraphBuilder, Scales, Tensor

__all__ = ["mobilenet_v1", "mobilenet_v2"]

_WEIGHTS = (1, 2, 3, 4, 5, 6, 8)
_ACTIVATIONS = (2, 3, 4, 5, 6, 8)  # bipolar ones could not be padded
_SUMS = (3, 4, 5, 6)  # signed activations that are added have one bit more

# Channels and stride of each depthwise separable block.
_V1 = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *((512, 1),) * 5,
    (1024, 2),
    (1024, 1),
)
# Expansion, channels and stride of each inverted residual.
_V2 = (
    (1, 16, 1),
    (6, 24, 2),
    (6, 24, 1),
    (6, 32, 2),
    *((6, 32, 1),) * 2,
    (6, 64, 2),
    *((6, 64, 1),) * 3,
    *((6, 96, 1),) * 3,
    (6, 160, 2),
    *((6, 160, 1),) * 2,
    (6, 320, 1),
)


def mobilenet_v1(
    bits: Bits = (4, 4),
    seed: int = 0,
    *,
    width: float = 1.0,
    image_size: int = 224,
    blocks: int = len(_V1),
    classes: int = 1000,
    last_bits: int = 8,
    scales: Scales = "power_of_two",
) -> ModelProto:
    """A strided convolution, then pairs of a depthwise and a pointwise one.

    The first layer has 8-bit weights. The global average is cut by a Trunc where
    the number of positions is a power of two, and quantized anew elsewhere.

    Args:
        bits: (weights, activations), 1 to 8 and 2 to 8; None draws for each layer.
        seed: of weights and drawn bits.
        width: multiplies all channels.
        image_size: height and width of the image.
        blocks: how many of the 13 depthwise separable blocks there are.
        classes: number of scores.
        last_bits: of the last layer's weights, and of the averages that it takes.
        scales: as for ``GraphBuilder``.
    """
    network = _MobileNet(bits, seed, scales, _ACTIVATIONS)
    x = network.stem(image_size, int(32 * width))
    for channels, stride in _V1[:blocks]:
        x = network.relu_conv(x, x.shape[0], 3, stride=stride, depthwise=True)
        x = network.relu_conv(x, int(channels * width), 1)
    return network.classifier(x, classes, last_bits)


def mobilenet_v2(
    bits: Bits = (4, 4),
    seed: int = 0,
    *,
    width: float = 1.0,
    image_size: int = 224,
    blocks: int = len(_V2),
    classes: int = 1000,
    scales: Scales = "power_of_two",
) -> ModelProto:
    """A strided convolution, inverted residuals, a pointwise convolution.

    Bottlenecks are linear: their quantizers are signed, with one bit more than ``bits`` says.

    Args:
        bits: (weights, activations), 1 to 8 and 3 to 6; None draws for each layer.
        seed: of weights and drawn bits.
        width: multiplies all channels.
        image_size: height and width of the image.
        blocks: how many of the 17 inverted residuals there are.
        classes: number of scores.
        scales: as for ``GraphBuilder``.
    """
    network = _MobileNet(bits, seed, scales, _SUMS)
    x = network.stem(image_size, int(32 * width))
    for expansion, channels, stride in _V2[:blocks]:
        x = network.inverted_residual(x, expansion, int(channels * width), stride)
    x = network.relu_conv(x, int(1280 * width), 1)
    return network.classifier(x, classes)


class _MobileNet:
    def __init__(self, bits: Bits, seed: int, scales: Scales, activations: tuple[int, ...]) -> None:
        self.build = GraphBuilder(seed, scales=scales)
        self.bits = BitSource(bits, seed, _WEIGHTS, activations)

    def stem(self, image_size: int, channels: int) -> Tensor:
        x = self.build.scaled_input((3, image_size, image_size))
        x = self.build.conv(x, channels, 3, stride=2, pad=1, weight_bits=8)
        return self.build.quant_relu(self.build.batch_norm(x), self.bits.activation())

    def relu_conv(
        self, x: Tensor, channels: int, kernel: int, *, stride: int = 1, depthwise: bool = False
    ) -> Tensor:
        x = self.build.conv(
            x,
            channels,
            kernel,
            stride=stride,
            pad=kernel // 2,
            groups=channels if depthwise else 1,
            weight_bits=self.bits.weight(),
        )
        return self.build.quant_relu(self.build.batch_norm(x), self.bits.activation())

    def inverted_residual(self, x: Tensor, expansion: int, channels: int, stride: int) -> Tensor:
        build = self.build
        residual = stride == 1 and x.shape[0] == channels and x.signed
        arm = self.relu_conv(x, expansion * x.shape[0], 1) if expansion > 1 else x
        arm = self.relu_conv(arm, arm.shape[0], 3, stride=stride, depthwise=True)
        arm = build.conv(arm, channels, 1, weight_bits=self.bits.weight())
        arm = build.batch_norm(arm, center=0.0)
        if not residual:
            return build.quant_identity(arm, self.bits.activation() + 1)
        arm = build.quant_identity(arm, x.bits, scale=x.scale)
        shortcut = build.quant_identity(x, x.bits, scale=x.scale)
        return build.quant_identity(build.add(arm, shortcut), x.bits, scale=x.scale)

    def classifier(self, x: Tensor, classes: int, bits: int = 8) -> ModelProto:
        build = self.build
        positions = x.shape[1] * x.shape[2]
        average = build.global_average(x)
        if positions & (positions - 1):
            x = build.quant(average, bits, signed=False)
        else:
            x = build.trunc(average, min(bits, average.bits))
        build.output(build.linear(build.flatten(x), classes, weight_bits=bits))
        return build.finish()
