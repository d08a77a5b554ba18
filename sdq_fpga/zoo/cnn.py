"""A plain CNN of seven layers for 32x32 colour images."""

from onnx import ModelProto

from sdq_fpga.zoo.bits import Bits, BitSource
from sdq_fpga.zoo.builder import GraphBuilder

__all__ = ["cnn7"]

# Channels and stride of each 3x3 convolution.
_CONVOLUTIONS = ((32, 1), (32, 1), (64, 2), (64, 1), (128, 2), (256, 2))


def cnn7(bits: Bits = (2, 2), seed: int = 0, *, classes: int = 10) -> ModelProto:
    """Six padded convolutions with batch-norm and ReLU, a global average, a linear layer.

    Args:
        bits: (weights, activations), each 2 to 8; None draws for each layer.
        seed: of weights and drawn bits.
        classes: number of scores.
    """
    build = GraphBuilder(seed)
    source = BitSource(bits, seed, range(2, 9), range(2, 9))
    x = build.scaled_input((3, 32, 32))
    for channels, stride in _CONVOLUTIONS:
        x = build.conv(x, channels, 3, stride=stride, pad=1, weight_bits=source.weight())
        activation = source.activation()
        x = build.quant_relu(build.batch_norm(x), activation)
    x = build.flatten(build.trunc(build.global_average(x), activation))
    build.output(build.linear(x, classes, weight_bits=source.weight()))
    return build.finish()
