"""The streams of a node of the hardware graph: types, shapes and elements of a beat."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sdq_fpga.cost.node import HardwareNode, bits_of
from sdq_fpga.errors import StageError

__all__ = ["Port", "input_ports", "output_ports"]

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Port:
    """One stream of a node.

    Attributes:
        datatype: name of the QONNX integer type, such as "INT4", "UINT8", "BIPOLAR", "TERNARY".
        shape: shape of the tensor of one frame, batch 1 first and channels last.
        elements: values in one beat, a divisor of the number of channels.
    """

    datatype: str
    shape: Shape
    elements: int

    @property
    def bits(self) -> int:
        """Bits of one value."""
        return bits_of(self.datatype)

    @property
    def width(self) -> int:
        """Bits of one beat, without the padding to whole bytes."""
        return self.elements * self.bits

    @property
    def folded(self) -> Shape:
        """Shape with the last axis split into beats and elements."""
        return (*self.shape[:-1], self.shape[-1] // self.elements, self.elements)

    @property
    def beats(self) -> int:
        """Beats of one frame."""
        return math.prod(self.shape) // self.elements


def input_ports(node: HardwareNode) -> tuple[Port, ...]:
    """The input streams of a node, in order; weights that stream in from outside are none.

    Raises:
        StageError: nothing is known of nodes of that type.
    """
    return _of(node)[0](node)


def output_ports(node: HardwareNode) -> tuple[Port, ...]:
    """The output streams of a node, in order; raises as ``input_ports``."""
    return _of(node)[1](node)


Ports = Callable[[HardwareNode], tuple[Port, ...]]


def _of(node: HardwareNode) -> tuple[Ports, Ports]:
    if node.op not in _PORTS:
        raise StageError(
            f"the streams of {node.op} ('{node.name}') are not known", "report the network"
        )
    return _PORTS[node.op]


def _values(datatype: str) -> Ports:
    """A stream of the node's ``shape``, PE values in a beat."""

    def ports(node: HardwareNode) -> tuple[Port, ...]:
        return (Port(node.text(datatype), node.integers("shape"), node.integer("PE")),)

    return ports


def _image(datatype: str, size: Callable[[HardwareNode], tuple[int, int]]) -> Ports:
    """A stream of the channels of ``shape`` and another size, PE values in a beat."""

    def ports(node: HardwareNode) -> tuple[Port, ...]:
        shape = (1, *size(node), node.integers("shape")[-1])
        return (Port(node.text(datatype), shape, node.integer("PE")),)

    return ports


def _vectors(shape: str, length: str, datatype: str, elements: str) -> Ports:
    """Vectors of a length, their positions first."""

    def ports(node: HardwareNode) -> tuple[Port, ...]:
        sizes = (*node.integers(shape), node.integer(length))
        return (Port(node.text(datatype), sizes, node.integer(elements)),)

    return ports


def _taps(node: HardwareNode) -> tuple[Port, ...]:
    """The windows that a depthwise convolution or a pool takes."""
    *outer, channels = node.integers("shape")
    shape = (*outer, node.integer("taps") * channels)
    return (Port(node.text("in_type"), shape, node.integer("PE") * node.integer("SIMD")),)


def _pixels(node: HardwareNode) -> tuple[Port, ...]:
    shape = (1, *node.integers("IFMDim"), node.integer("IFMChannels"))
    return (Port(node.text("inputDataType"), shape, node.integer("SIMD")),)


def _windows(node: HardwareNode) -> tuple[Port, ...]:
    taps, simd = node.product("ConvKernelDim"), node.integer("SIMD")
    shape = (1, *node.integers("OFMDim"), taps * node.integer("IFMChannels"))
    elements = taps * simd if node.integer("parallel_window") else simd
    return (Port(node.text("outputDataType"), shape, elements),)


def _operands(node: HardwareNode) -> tuple[Port, ...]:
    return (*_values("left_type")(node), *_values("right_type")(node))


def _copies(node: HardwareNode) -> tuple[Port, ...]:
    return _values("data_type")(node) * node.integer("copies")


def _joined(node: HardwareNode) -> tuple[Port, ...]:
    parts = zip(node.texts("in_types"), node.integers("channels"), strict=True)
    shape, pe = node.integers("shape"), node.integer("PE")
    return tuple(Port(datatype, (*shape, channels), pe) for datatype, channels in parts)


def _all_channels(datatype: str) -> Ports:
    def ports(node: HardwareNode) -> tuple[Port, ...]:
        shape = (*node.integers("shape"), sum(node.integers("channels")))
        return (Port(node.text(datatype), shape, node.integer("PE")),)

    return ports


def _parts(node: HardwareNode) -> tuple[Port, ...]:
    channels = node.integers("channels")
    keep = node.integers("keep") or (1,) * len(channels)
    shape, pe, datatype = node.integers("shape"), node.integer("PE"), node.text("data_type")
    return tuple(
        Port(datatype, (*shape, count), pe)
        for count, kept in zip(channels, keep, strict=True)
        if kept
    )


def _padded(node: HardwareNode) -> tuple[int, int]:
    _, height, width, _ = node.integers("shape")
    top, left, bottom, right = node.integers("pads")
    return top + height + bottom, left + width + right


def _cropped(node: HardwareNode) -> tuple[int, int]:
    _, height, width, _ = node.integers("shape")
    top, left, bottom, right = node.integers("crops")
    return height - top - bottom, width - left - right


def _repeated(node: HardwareNode) -> tuple[int, int]:
    _, height, width, _ = node.integers("shape")
    return height * node.integer("factor_h"), width * node.integer("factor_w")


def _labels(node: HardwareNode) -> tuple[Port, ...]:
    return (Port(node.text("in_type"), (1, node.integer("labels")), node.integer("PE")),)


def _indices(node: HardwareNode) -> tuple[Port, ...]:
    bits = max(1, (node.integer("labels") - 1).bit_length())
    return (Port(f"UINT{bits}", (1, node.integer("k")), 1),)


def _queued(node: HardwareNode) -> tuple[Port, ...]:
    elements = node.integers("folded_shape")[-1]
    return (Port(node.text("dataType"), node.integers("normal_shape"), elements),)


def _side(shape: str, width: str) -> Ports:
    """One side of a width converter."""

    def ports(node: HardwareNode) -> tuple[Port, ...]:
        elements = node.integer(width) // node.bits("dataType")
        return (Port(node.text("dataType"), node.integers(shape), elements),)

    return ports


_PORTS: Mapping[str, tuple[Ports, Ports]] = {
    "ConvolutionInputGenerator_rtl": (_pixels, _windows),
    "MVAU_rtl": (
        _vectors("numInputVectors", "MW", "inputDataType", "SIMD"),
        _vectors("numInputVectors", "MH", "outputDataType", "PE"),
    ),
    "SdqAffine_rtl": (_values("in_type"), _values("out_type")),
    "SdqConcat_rtl": (_joined, _all_channels("out_type")),
    "SdqCrop_rtl": (_values("data_type"), _image("data_type", _cropped)),
    "SdqDepthwise_rtl": (_taps, _values("out_type")),
    "SdqDuplicate_rtl": (_values("data_type"), _copies),
    "SdqElementwise_rtl": (_operands, _values("out_type")),
    "SdqGlobalPool_rtl": (_values("in_type"), _image("out_type", lambda _: (1, 1))),
    "SdqLabelSelect_rtl": (_labels, _indices),
    "SdqMvuLut_rtl": (
        _vectors("shape", "MW", "in_type", "SIMD"),
        _vectors("shape", "MH", "out_type", "PE"),
    ),
    "SdqPad_rtl": (_values("in_type"), _image("out_type", _padded)),
    "SdqPool_rtl": (_taps, _values("out_type")),
    "SdqRequant_rtl": (_values("in_type"), _values("out_type")),
    "SdqSplit_rtl": (_all_channels("data_type"), _parts),
    "SdqUpsample_rtl": (_values("data_type"), _image("data_type", _repeated)),
    "StreamingDataWidthConverter_rtl": (
        _side("inShape", "inWidth"),
        _side("outShape", "outWidth"),
    ),
    "StreamingFIFO_rtl": (_queued, _queued),
    "Thresholding_rtl": (
        _vectors("numInputVectors", "NumChannels", "inputDataType", "PE"),
        _vectors("numInputVectors", "NumChannels", "outputDataType", "PE"),
    ),
}
"""For each type of node, its inputs and its outputs."""
