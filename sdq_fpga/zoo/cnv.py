"""CNV: the VGG-like network of BNN-PYNQ, for 32x32 colour images."""

from onnx import ModelProto

from sdq_fpga.zoo.bits import Bits, BitSource
from sdq_fpga.zoo.builder import GraphBuilder, Scales

__all__ = ["cnv"]

# Channels of each 3x3 convolution, and whether a max pool follows it.
_CONVOLUTIONS = ((64, False), (64, True), (128, False), (128, True), (256, False), (256, False))
_LINEAR = (512, 512)


def cnv(
    bits: Bits = (1, 1),
    seed: int = 0,
    *,
    width: float = 1.0,
    classes: int = 10,
    scales: Scales = "power_of_two",
) -> ModelProto:
    """Six unpadded convolutions with two max pools, then three linear layers.

    Activations are signed, or bipolar for 1 bit, as in BNN-PYNQ.

    Args:
        bits: (weights, activations), each 1 to 4, where 1 is bipolar; None draws for each layer.
        seed: of weights and drawn bits.
        width: multiplies all channels.
        classes: number of scores.
        scales: as for ``GraphBuilder``.
    """
    build = GraphBuilder(seed, scales=scales)
    source = BitSource(bits, seed, (1, 2, 3, 4), (1, 2, 3, 4))
    pixels = build.input((3, 32, 32))
    x = build.subtract(build.multiply(pixels, 2.0**-7), 1.0)
    x = build.quant_identity(x, 8, scale=2.0**-7)  # exact: codes -128 to 127
    for channels, pool in _CONVOLUTIONS:
        x = build.conv(x, int(channels * width), 3, weight_bits=source.weight())
        x = build.batch_norm(x, center=0.0)
        x = build.quant_identity(x, source.activation(), narrow=True)
        if pool:
            x = build.max_pool(x, 2)
    x = build.flatten(x)
    for units in _LINEAR:
        x = build.linear(x, int(units * width), weight_bits=source.weight())
        x = build.batch_norm(x, center=0.0)
        x = build.quant_identity(x, source.activation(), narrow=True)
    build.output(build.linear(x, classes, weight_bits=source.weight()))
    return build.finish()
