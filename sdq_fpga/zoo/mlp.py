"""TFC and LFC: the small and the large multi-layer perceptron of BNN-PYNQ, for 28x28 digits."""

from collections.abc import Sequence

from onnx import ModelProto

from sdq_fpga.zoo.bits import Bits, BitSource
from sdq_fpga.zoo.builder import GraphBuilder, Scales

__all__ = ["lfc", "mlp", "tfc"]


def tfc(bits: Bits = (1, 1), seed: int = 0, *, scales: Scales = "power_of_two") -> ModelProto:
    """784-64-64-64-10, as ``mlp``."""
    return mlp((784, 64, 64, 64, 10), bits, seed, scales=scales)


def lfc(bits: Bits = (1, 1), seed: int = 0, *, scales: Scales = "power_of_two") -> ModelProto:
    """784-1024-1024-1024-10, as ``mlp``."""
    return mlp((784, 1024, 1024, 1024, 10), bits, seed, scales=scales)


def mlp(
    sizes: Sequence[int], bits: Bits = (1, 1), seed: int = 0, *, scales: Scales = "power_of_two"
) -> ModelProto:
    """Linear layers, each with a batch-norm and a signed or bipolar quantizer but the last.

    The input, a flat image of UINT8 pixels, is centred and quantized like the activations.

    Args:
        sizes: number of inputs, of units in each hidden layer, and of scores.
        bits: (weights, activations), each 1 to 4, where 1 is bipolar; None draws for each layer.
        seed: of weights and drawn bits.
        scales: as for ``GraphBuilder``.
    """
    build = GraphBuilder(seed, scales=scales)
    source = BitSource(bits, seed, (1, 2, 3, 4), (1, 2, 3, 4))
    pixels = build.input(sizes[:1])
    # Pixels become odd multiples of 2^-8, so that none is midway between two codes.
    centred = build.subtract(build.multiply(pixels, 2.0**-7), 1 - 2.0**-8)
    x = build.quant_identity(centred, source.activation(), narrow=True)
    for units in sizes[1:-1]:
        x = build.batch_norm(build.linear(x, units, weight_bits=source.weight()), center=0.0)
        x = build.quant_identity(x, source.activation(), narrow=True)
    build.output(build.linear(x, sizes[-1], weight_bits=source.weight()))
    return build.finish()
