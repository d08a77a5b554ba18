"""A detector of the shape of YOLO-tiny: two heads, at 1/32 and 1/16 of the image."""

from onnx import ModelProto

from sdq_fpga.zoo.bits import Bits, BitSource
from sdq_fpga.zoo.builder import GraphBuilder, Scales, Tensor

__all__ = ["yolo_tiny"]


def yolo_tiny(
    bits: Bits = (4, 4),
    seed: int = 0,
    *,
    width: float = 1.0,
    image_size: int = 416,
    outputs: int = 255,
    scales: Scales = "power_of_two",
) -> ModelProto:
    """Convolutions with leaky ReLU and max pools; one split, one route that is upsampled.

    The split takes half of the channels through a convolution of their own, as YOLOv4-tiny does;
    the route joins the upsampled deep features with those at 1/16, both of one scale.

    Args:
        bits: (weights, activations), 1 to 8 and 3 to 8; None draws for each layer.
        seed: of weights and drawn bits.
        width: multiplies all channels but those of the heads.
        image_size: height and width of the image, a multiple of 32.
        outputs: channels of each head: for each anchor box, 5 and the number of classes.
        scales: as for ``GraphBuilder``.

    Raises:
        ValueError: the image's size is no multiple of 32.
    """
    if image_size % 32:
        raise ValueError(f"image_size {image_size} is no multiple of 32")
    network = _Yolo(bits, seed, scales)
    build = network.build
    wide, half, narrow = (max(2, int(c * width)) // 2 * 2 for c in (512, 256, 128))
    x = build.scaled_input((3, image_size, image_size))
    for channels in (16, 32, 64):
        x = build.max_pool(network.leaky_conv(x, max(2, int(channels * width)), 3), 2)
    x = network.leaky_conv(x, narrow, 3)
    first, second = build.split(x, [narrow // 2, narrow // 2])
    second = network.leaky_conv(second, narrow // 2, 3, like=first)
    x = build.max_pool(build.concat(first, second), 2)
    route = network.leaky_conv(x, half, 3)
    x = network.leaky_conv(build.max_pool(route, 2), wide, 3)
    x = network.leaky_conv(x, half, 1)
    coarse = network.leaky_conv(x, wide, 3)
    fine = build.upsample(network.leaky_conv(x, narrow, 1, like=route), 2)
    fine = network.leaky_conv(build.concat(fine, route), half, 3)
    heads = [build.conv(head, outputs, 1, weight_bits=8, bias="whole") for head in (coarse, fine)]
    build.output(*heads)
    return build.finish()


class _Yolo:
    def __init__(self, bits: Bits, seed: int, scales: Scales) -> None:
        self.build = GraphBuilder(seed, scales=scales)
        self.bits = BitSource(bits, seed, (1, 2, 3, 4, 5, 6, 8), (3, 4, 5, 6, 8))

    def leaky_conv(
        self, x: Tensor, channels: int, kernel: int, like: Tensor | None = None
    ) -> Tensor:
        """Convolution, batch-norm, leaky ReLU, quantizer; of the type of ``like`` if given."""
        x = self.build.conv(x, channels, kernel, pad=kernel // 2, weight_bits=self.bits.weight())
        x = self.build.leaky_relu(self.build.batch_norm(x))
        bits = self.bits.activation() if like is None else like.bits
        scale = None if like is None else like.scale
        return self.build.quant_identity(x, bits, scale=scale)
