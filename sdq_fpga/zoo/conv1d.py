"""VGG10: one-dimensional convolutions that classify the modulation of radio signals."""

from onnx import ModelProto

from sdq_fpga.zoo.bits import Bits, BitSource
from sdq_fpga.zoo.builder import GraphBuilder, Scales

__all__ = ["vgg10"]


def vgg10(
    bits: Bits = (4, 4),
    seed: int = 0,
    *,
    length: int = 1024,
    width: float = 1.0,
    units: int | None = None,
    classes: int = 24,
    scales: Scales = "power_of_two",
) -> ModelProto:
    """Seven convolutions of 3 taps, each followed by a max pool, then three linear layers.

    The input is INT8: in-phase and quadrature samples, as in the RadioML data sets.

    Args:
        bits: (weights, activations), 1 to 8 and 2 to 8; None draws for each layer.
        seed: of weights and drawn bits.
        length: number of samples, at least 128.
        width: multiplies all channels.
        units: of both hidden linear layers; None for 128 times the width.
        classes: number of scores.
        scales: as for ``GraphBuilder``.
    """
    build = GraphBuilder(seed, scales=scales)
    source = BitSource(bits, seed, (1, 2, 3, 4, 5, 6, 8), (2, 3, 4, 5, 6, 8))
    x = build.scaled_input((2, length), "INT8")
    for _ in range(7):
        x = build.conv(x, int(64 * width), 3, pad=1, weight_bits=source.weight())
        x = build.quant_relu(build.batch_norm(x), source.activation())
        x = build.max_pool(x, 2)
    x = build.flatten(x)
    for _ in range(2):
        x = build.linear(x, units or int(128 * width), weight_bits=source.weight())
        x = build.quant_relu(build.batch_norm(x), source.activation())
    build.output(build.linear(x, classes, weight_bits=source.weight()))
    return build.finish()
