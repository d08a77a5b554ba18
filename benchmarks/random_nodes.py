"""Draws nodes of the hardware graph, of every operator, many side by side in one graph.

Bits, shapes and foldings are drawn over what networks of the zoo have. Constants are random within
their types: a memory without repetitions is what takes the most.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from finn.util.basic import getHWCustomOp
from onnx import TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from sdq_fpga.cost.folding.choices import divisors
from sdq_fpga.cost.window_cycles import can_generate
from sdq_fpga.lower.describe import describe
from sdq_fpga.ops import DOMAIN

__all__ = ["DRAWS", "DrawnNode", "draw_node", "graph_of"]

_MOST_WEIGHT_BITS = 256  # of a word of a weight memory
_MOST_ACTIVATION_BITS = 128
_MOST_CONSTANT_BITS = 640  # of weights that are a single word
_MOST_CHANNELS = 64

Array = npt.NDArray[np.int64]


@dataclass(frozen=True)
class DrawnNode:
    """A node to be made.

    Attributes:
        op: its operator.
        attributes: of the custom op.
        constants: for each input that is no stream, values and type.
        streams: how many inputs are streams.
        outputs: how many outputs there are.
    """

    op: str
    attributes: Mapping[str, Any]
    constants: Sequence[tuple[Array, str]] = field(default=())
    streams: int = 1
    outputs: int = 1


def graph_of(nodes: Sequence[DrawnNode]) -> ModelWrapper:
    """A graph of nodes side by side, each with inputs and outputs of its own."""
    made, initializers, tensors, types = [], [], {}, {}
    inputs: list[str] = []
    outputs: list[str] = []
    for number, drawn in enumerate(nodes):
        name = f"n{number}_{drawn.op}"
        streams = [f"{name}_in{k}" for k in range(drawn.streams)]
        constants = [f"{name}_const{k}" for k in range(len(drawn.constants))]
        sinks = [f"{name}_out{k}" for k in range(drawn.outputs)]
        node = helper.make_node(
            drawn.op,
            [*streams, *constants],
            sinks,
            name=name,
            domain=DOMAIN,
            backend="fpgadataflow",
            **drawn.attributes,
        )
        inst = getHWCustomOp(node)
        for k, stream in enumerate(streams):
            tensors[stream] = inst.get_normal_input_shape(k)
            types[stream] = inst.get_input_datatype(k)
        for constant, (value, kind) in zip(constants, drawn.constants, strict=True):
            initializers.append((constant, value.astype(np.float32)))
            types[constant] = DataType[kind]
        for k, sink in enumerate(sinks):
            tensors[sink] = inst.get_normal_output_shape(k)
            types[sink] = inst.get_output_datatype(k)
        made.append(node)
        inputs += streams
        outputs += sinks
    infos = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [int(d) for d in shape])
        for name, shape in tensors.items()
    }
    graph = helper.make_graph(
        made, "drawn", [infos[name] for name in inputs], [infos[name] for name in outputs]
    )
    model = ModelWrapper(helper.make_model(graph))
    for name, value in initializers:
        model.set_initializer(name, value)
    for name, kind in types.items():
        model.set_tensor_datatype(name, kind)
    for node in model.graph.node:
        if node.op_type in {"SdqAffine_rtl", "SdqRequant_rtl"}:
            getHWCustomOp(node).infer_node_datatype(model)  # writes what its constants are like
    return model


def draw_node(op: str, rng: np.random.Generator, *, narrow: bool) -> DrawnNode:
    """Draws a node of an operator.

    Args:
        op: one of ``DRAWS``.
        rng: decides.
        narrow: whether weights for DSP slices never take the most negative value of their type.
    """
    return DRAWS[op](_Draw(rng, narrow))


class _Draw:
    def __init__(self, rng: np.random.Generator, narrow: bool) -> None:
        self.rng = rng
        self.narrow = narrow

    def of(self, *values: Any) -> Any:
        """One of some values."""
        return values[int(self.rng.integers(len(values)))]

    def number(self, low: int, high: int) -> int:
        """A whole number, logarithmically uniform."""
        return round(math.exp(self.rng.uniform(math.log(low), math.log(high))))

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def divisor(self, number: int, most: int) -> int:
        """A divisor of a number, at most ``most``."""
        return int(self.of(*[each for each in divisors(number) if each <= max(most, 1)]))

    def channels(self) -> int:
        return int(self.of(1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 32, 48, _MOST_CHANNELS))

    def kind(self, low: int = 1, high: int = 8, named: float = 0.1) -> str:
        """A type of activations."""
        if low == 1 and self.chance(named):
            return "BIPOLAR"
        bits = int(self.rng.integers(low, high + 1))
        return f"UINT{bits}" if bits == 1 or self.chance(0.5) else f"INT{bits}"

    def pe(self, channels: int, bits: int) -> int:
        return self.divisor(channels, _MOST_ACTIVATION_BITS // bits)

    def image(self, most: int = 64) -> tuple[int, int]:
        height = self.number(3, most)
        return height, (height if self.chance(0.7) else self.number(3, most))

    def values(self, kind: str, shape: Sequence[int], *, narrow: bool = False) -> Array:
        """Random values of a type, its ends among them."""
        datatype = DataType[kind]
        low, high = int(datatype.min()), int(datatype.max())
        if kind == "BIPOLAR":
            return 2 * self.rng.integers(0, 2, shape) - 1
        found = self.rng.integers(low + narrow, high + 1, shape)
        found.flat[0] = low + narrow
        return found


def _bits(kind: str) -> int:
    return int(DataType[kind].bitwidth())


def _least_type(low: int, high: int) -> str:
    """The least integer type of a range; accumulators of networks have it."""
    if low >= 0:
        return f"UINT{max(high.bit_length(), 1)}"
    return f"INT{1 + max((-low - 1).bit_length(), high.bit_length(), 1)}"


def _sum_type(source: str, weights: Array) -> str:
    """The type of sums over the first axis of products with ``weights``."""
    low, high = int(DataType[source].min()), int(DataType[source].max())
    least = np.minimum(weights * low, weights * high).sum(axis=0).min()
    most = np.maximum(weights * low, weights * high).sum(axis=0).max()
    found = _least_type(int(least), int(most))
    return "INT2" if found in {"UINT1", "INT1"} else found


def _matrix_folding(draw: _Draw, mw: int, mh: int, bits: int, wbits: int) -> tuple[int, int]:
    if mw * mh * wbits <= _MOST_CONSTANT_BITS and draw.chance(0.2):  # whole, as the first layers
        return mh, mw
    most = max(1, draw.number(4, _MOST_WEIGHT_BITS) // wbits)
    if draw.chance(0.5):
        simd = draw.divisor(mw, min(most, _MOST_ACTIVATION_BITS // bits))
        return draw.divisor(mh, most // simd), simd
    pe = draw.divisor(mh, most)
    return pe, draw.divisor(mw, min(most // pe, _MOST_ACTIVATION_BITS // bits))


def _ram_style(draw: _Draw, several: bool) -> str:
    """What a memory of weights is made of; a single word needs none."""
    return str(draw.of("auto", "auto", "auto", "block")) if several else "auto"


def _matrix_shape(draw: _Draw) -> tuple[int, int]:
    taps = draw.of(1, 1, 9, 9, 25)
    mw = draw.of(1, 2, 3, 4, 8, 12, 16, 24, 32) * taps
    return mw, draw.of(1, 2, 4, 5, 8, 10, 16, 24, 32, 64)


def _matrix_dsp(draw: _Draw) -> DrawnNode:
    mw, mh = _matrix_shape(draw)
    source, bits = draw.kind(2), int(draw.rng.integers(2, 9))
    weights = draw.values(f"INT{bits}", (mw, mh), narrow=draw.narrow or draw.chance(0.5))
    pe, simd = _matrix_folding(draw, mw, mh, _bits(source), bits)
    out = _sum_type(source, weights)
    out = out if out.startswith("INT") else f"INT{_bits(out) + 1}"
    attributes = {
        "PE": pe, "SIMD": simd, "MW": mw, "MH": mh, "inputDataType": source,
        "weightDataType": f"INT{bits}", "outputDataType": out, "accDataType": out,
        "noActivation": 1, "numInputVectors": [1, draw.number(1, 32), draw.number(1, 32)],
        "mem_mode": "internal_decoupled", "ram_style": _ram_style(draw, mw * mh > pe * simd),
        "resType": "dsp", "runtime_writeable_weights": int(draw.chance(0.25)),
    }  # fmt: skip
    return DrawnNode("MVAU_rtl", attributes, [(weights, f"INT{bits}")])


def _weight_kind(draw: _Draw, most: int) -> str:
    return str(draw.of("BIPOLAR", "TERNARY", *(f"INT{bits}" for bits in range(2, most + 1))))


def _matrix_lut(draw: _Draw) -> DrawnNode:
    mw, mh = _matrix_shape(draw)
    source, kind = draw.kind(1, draw.of(2, 4, 4, 8), named=0.25), _weight_kind(draw, 4)
    weights = draw.values(kind, (mw, mh))
    pe, simd = _matrix_folding(draw, mw, mh, _bits(source), _bits(kind))
    attributes = {
        "shape": [1, draw.number(1, 32), draw.number(1, 32)], "MW": mw, "MH": mh, "PE": pe,
        "SIMD": simd, "in_type": source, "weight_type": kind,
        "out_type": _sum_type(source, weights),
        "mem_mode": "internal", "ram_style": _ram_style(draw, mw * mh > pe * simd),
        "runtime_writeable_weights": 0,
    }  # fmt: skip
    return DrawnNode("SdqMvuLut_rtl", attributes, [(weights, kind)])


def _depthwise(draw: _Draw) -> DrawnNode:
    taps, channels = draw.of(3, 9, 9, 9, 25), draw.channels()
    in_dsp = draw.chance(0.6)
    source, kind = draw.kind(2 if in_dsp else 1), _weight_kind(draw, 8)
    if in_dsp and kind in {"BIPOLAR", "TERNARY"}:
        kind = "INT4"
    weights = draw.values(kind, (taps, channels))
    simd = draw.of(*divisors(taps))
    most = min(_MOST_WEIGHT_BITS // _bits(kind), _MOST_ACTIVATION_BITS // _bits(source))
    attributes = {
        "shape": [1, draw.number(2, 32), draw.number(2, 32), channels], "taps": taps,
        "PE": draw.divisor(channels, most // simd), "SIMD": simd, "in_type": source,
        "weight_type": kind, "out_type": _sum_type(source, weights),
        "resType": "dsp" if in_dsp else "lut", "ram_style": "auto",
    }  # fmt: skip
    return DrawnNode("SdqDepthwise_rtl", attributes, [(weights, kind)])


def _threshold(draw: _Draw) -> DrawnNode:
    channels, source = draw.channels(), draw.kind(4, 20)
    bits, bipolar = int(draw.rng.integers(1, min(8, _bits(source)) + 1)), draw.chance(0.1)
    steps = 1 if bipolar else 2**bits - 1
    datatype = DataType[source]
    low, high = int(datatype.min()), int(datatype.max())
    if not bipolar and draw.chance(0.2):
        steps = max(1, steps - int(draw.rng.integers(0, steps // 2 + 1)))
    # Levels of a scaled activation: evenly spaced, channels with gain and offset of their own.
    reach = (high - low) * draw.rng.uniform(0.3, 1.0, (channels, 1))
    start = low + (high - low - reach) * draw.rng.random((channels, 1))
    values = np.rint(start + reach * np.linspace(0.02, 1.0, steps)).astype(np.int64)
    if draw.chance(0.15):
        values[:] = values[:1]
    sink = "BIPOLAR" if bipolar else f"{draw.of('UINT', 'INT')}{steps.bit_length()}"
    pe = draw.divisor(channels, max(1, min(16, 384 // (steps.bit_length() * _bits(source)))))
    attributes = {
        "PE": pe, "NumChannels": channels, "numSteps": steps, "inputDataType": source,
        "weightDataType": source, "outputDataType": sink,
        "numInputVectors": [1, draw.number(1, 32), draw.number(1, 32)],
        "ActVal": 0 if bipolar or sink.startswith("UINT") else -(2 ** (steps.bit_length() - 1)),
        "depth_trigger_bram": 0, "depth_trigger_uram": 0,
    }  # fmt: skip
    return DrawnNode("Thresholding_rtl", attributes, [(values, source)])


def _windows(draw: _Draw) -> DrawnNode:
    while True:
        channels, source = draw.channels(), draw.kind()
        size, stride = draw.of(1, 2, 3, 3, 3, 5), draw.of(1, 1, 2)
        height, width = draw.image()
        one = draw.chance(0.15)
        kernel = (size, 1) if one else (size, size)
        if one:
            height, width = draw.number(4, 512), 1
        if min(height, width if not one else height) < size:
            continue
        out = [(height - size) // stride + 1, 1 if one else (width - size) // stride + 1]
        # What no window takes is cropped before.
        dims = [(out[0] - 1) * stride + size, 1 if one else (out[1] - 1) * stride + size]
        attributes = {
            "ConvKernelDim": list(kernel), "IFMChannels": channels, "IFMDim": dims, "OFMDim": out,
            "SIMD": draw.pe(channels, _bits(source)), "M": 1,
            "Stride": [stride, 1 if one else stride], "Dilation": [1, 1],
            "inputDataType": source, "outputDataType": source,
            "depthwise": int(draw.chance(0.4)), "ram_style": "auto", "parallel_window": 0,
            "is1D": int(one),
        }  # fmt: skip
        whole = attributes["SIMD"] == channels and size > 1
        if whole and draw.chance(0.7) and channels * _bits(source) * size**2 <= 600:
            attributes["parallel_window"] = 1
        drawn = DrawnNode("ConvolutionInputGenerator_rtl", attributes)
        small = math.prod(dims) * channels // attributes["SIMD"] > 1
        fits = small and can_generate(describe(graph_of([drawn])).nodes[0])
        if fits and any(each > 1 for each in (size, stride)):
            return drawn


def _fifo(draw: _Draw) -> DrawnNode:
    # Whole bytes: the upper bits of others are constant only where a node is in front of them.
    width = 8 * draw.number(1, 20)
    bits = draw.of(*[each for each in (1, 2, 4, 5, 8, 16) if width % each == 0])
    elements = width // bits
    depth = draw.of(2, 2, 2, 3, 4, 6, 9, 16, 17, 30, 33, 34, 50, 65, 100, 129, 200, 257)
    if draw.chance(0.3):
        depth = draw.number(34, 6000)
    style = "block" if depth > 33 and draw.chance(0.4) else "auto"
    attributes = {
        "depth": depth, "folded_shape": [1, 16, elements], "normal_shape": [1, 16 * elements],
        "dataType": f"INT{bits}" if bits > 1 else "UINT1", "impl_style": "rtl", "ram_style": style,
    }  # fmt: skip
    return DrawnNode("StreamingFIFO_rtl", attributes)


def _converter(draw: _Draw) -> DrawnNode:
    bits = draw.of(1, 2, 3, 4, 5, 6, 7, 8, 10, 13, 16, 20)
    channels = draw.of(2, 3, 4, 6, 8, 9, 12, 16, 24, 27, 32, 36, 48, 64, 144)
    most = max(2, _MOST_ACTIVATION_BITS // bits)
    while True:
        have, wanted = draw.divisor(channels, most), draw.divisor(channels, most)
        if have != wanted:
            break
    shape = [1, draw.number(1, 16), channels]
    attributes = {
        "inShape": shape, "outShape": shape, "inWidth": have * bits, "outWidth": wanted * bits,
        "dataType": f"INT{bits}" if bits > 1 else "UINT1",
    }  # fmt: skip
    return DrawnNode("StreamingDataWidthConverter_rtl", attributes)


def _pad(draw: _Draw) -> DrawnNode:
    channels, kind = draw.channels(), draw.kind(2)
    pads = [int(draw.rng.integers(0, 3)) for _ in range(4)]
    pads = pads if any(pads) else [1] * 4
    if draw.chance(0.6):
        pads = [draw.of(1, 1, 2)] * 4
    attributes = {
        "shape": [1, *draw.image(), channels], "pads": pads, "value": 0, "in_type": kind,
        "out_type": kind, "PE": draw.pe(channels, _bits(kind)),
    }  # fmt: skip
    return DrawnNode("SdqPad_rtl", attributes)


def _crop(draw: _Draw) -> DrawnNode:
    channels, kind = draw.channels(), draw.kind()
    crops = draw.of([0, 0, 1, 1], [1, 1, 1, 1], [0, 1, 2, 0], [0, 0, 0, 1])
    attributes = {
        "shape": [1, *(each + 4 for each in draw.image()), channels], "crops": crops,
        "data_type": kind, "PE": draw.pe(channels, _bits(kind)),
    }  # fmt: skip
    return DrawnNode("SdqCrop_rtl", attributes)


def _reduced(draw: _Draw, positions: int) -> dict[str, Any]:
    kind, operation = draw.kind(), draw.of("max", "sum")
    low, high = int(DataType[kind].min()), int(DataType[kind].max())
    out = kind if operation == "max" else _least_type(low * positions, high * positions)
    return {"operation": operation, "in_type": kind, "out_type": out}


def _pool(draw: _Draw) -> DrawnNode:
    taps, channels = draw.of(2, 4, 4, 9, 9, 25), draw.channels()
    types = _reduced(draw, taps)
    simd = draw.of(*divisors(taps))
    pe = draw.divisor(channels, max(1, _MOST_ACTIVATION_BITS // (_bits(types["in_type"]) * simd)))
    shape = [1, draw.number(1, 32), draw.number(1, 32), channels]
    return DrawnNode("SdqPool_rtl", {"shape": shape, "taps": taps, "PE": pe, "SIMD": simd, **types})


def _global_pool(draw: _Draw) -> DrawnNode:
    height, width = draw.number(2, 16), draw.number(2, 16)
    channels, types = draw.of(4, 8, 16, 32, 64, 128, 256, 512), _reduced(draw, height * width)
    pe = draw.pe(channels, _bits(types["out_type"]))
    shape = [1, height, width, channels]
    return DrawnNode("SdqGlobalPool_rtl", {"shape": shape, "PE": pe, **types})


def _duplicate(draw: _Draw) -> DrawnNode:
    channels, kind, copies = draw.channels(), draw.kind(), draw.of(2, 2, 2, 3, 4)
    attributes = {
        "shape": [1, *draw.image(), channels], "data_type": kind, "copies": copies,
        "PE": draw.pe(channels, _bits(kind)),
    }  # fmt: skip
    return DrawnNode("SdqDuplicate_rtl", attributes, outputs=copies)


def _elementwise(draw: _Draw) -> DrawnNode:
    channels, left, right = draw.channels(), draw.kind(2), draw.kind(2)
    operation = draw.of("add", "add", "add", "sub", "mul")
    factors = [1, 1] if operation == "mul" else [draw.of(1, 1, 2, 3, 5), draw.of(1, 1, 2, 3, 7)]
    ends = [(int(DataType[kind].min()), int(DataType[kind].max())) for kind in (left, right)]
    if operation == "mul":
        found = [a * b for a in ends[0] for b in ends[1]]
    else:
        sign = -1 if operation == "sub" else 1
        found = [factors[0] * a + sign * factors[1] * b for a in ends[0] for b in ends[1]]
    attributes = {
        "shape": [1, *draw.image(), channels], "left_type": left, "right_type": right,
        "out_type": _least_type(min(found), max(found)), "operation": operation,
        "left_factor": factors[0], "right_factor": factors[1],
        "PE": draw.pe(channels, max(_bits(left), _bits(right))),
    }  # fmt: skip
    return DrawnNode("SdqElementwise_rtl", attributes, streams=2)


def _channels_of(draw: _Draw) -> list[int]:
    step = draw.of(1, 2, 4, 8)
    return [step * draw.of(1, 2, 3, 4) for _ in range(draw.of(2, 2, 2, 3, 4))]


def _concat(draw: _Draw) -> DrawnNode:
    channels, kind = _channels_of(draw), draw.kind(2)
    attributes = {
        "shape": [1, *draw.image()], "channels": channels, "in_types": [kind] * len(channels),
        "out_type": kind, "PE": draw.pe(math.gcd(*channels), _bits(kind)),
    }  # fmt: skip
    return DrawnNode("SdqConcat_rtl", attributes, streams=len(channels))


def _split(draw: _Draw) -> DrawnNode:
    channels, kind = _channels_of(draw), draw.kind()
    attributes = {
        "shape": [1, *draw.image()], "channels": channels, "keep": [1] * len(channels),
        "data_type": kind, "PE": draw.pe(math.gcd(*channels), _bits(kind)),
    }  # fmt: skip
    return DrawnNode("SdqSplit_rtl", attributes, outputs=len(channels))


def _upsample(draw: _Draw) -> DrawnNode:
    channels, kind = draw.channels(), draw.kind()
    height, width = draw.number(2, 32), draw.number(2, 32)
    attributes = {
        "shape": [1, height, width, channels], "factor_h": draw.of(1, 2, 2, 3),
        "factor_w": draw.of(2, 2, 3), "data_type": kind, "PE": draw.pe(channels, _bits(kind)),
    }  # fmt: skip
    return DrawnNode("SdqUpsample_rtl", attributes)


def _label_select(draw: _Draw) -> DrawnNode:
    labels, k = draw.of(2, 10, 10, 16, 40, 100, 1000), draw.of(1, 1, 1, 3, 5)
    k, kind = min(k, labels), draw.kind(2, 16)
    pe = draw.divisor(labels, 10) if k == 1 else 1
    attributes = {"labels": labels, "k": k, "in_type": kind, "PE": pe}
    return DrawnNode("SdqLabelSelect_rtl", attributes)


def _linear(draw: _Draw) -> tuple[dict[str, Any], list[tuple[Array, str]], tuple[int, int]]:
    channels, source = draw.channels(), draw.kind(2, 16)
    gain_kind, offset_kind = f"INT{draw.rng.integers(2, 13)}", f"INT{draw.rng.integers(4, 17)}"
    # A gain for all channels is any number, and not an end of its type, a power of two.
    alike = draw.chance(0.3)
    gain = draw.values(gain_kind, (2,))[1:] if alike else draw.values(gain_kind, (channels,))
    offset = draw.values(offset_kind, (channels,))
    low, high = int(DataType[source].min()), int(DataType[source].max())
    found = [gain * end + offset for end in (low, high)]
    ends = int(np.min(found)), int(np.max(found))
    attributes = {
        "shape": [1, draw.number(1, 32), draw.number(1, 32), channels], "in_type": source,
        "gain_type": gain_kind, "offset_type": offset_kind,
        "PE": draw.divisor(channels, 8), "resType": draw.of("auto", "lut", "dsp"),
    }  # fmt: skip
    return attributes, [(gain, gain_kind), (offset, offset_kind)], ends


def _affine(draw: _Draw) -> DrawnNode:
    attributes, constants, ends = _linear(draw)
    attributes["out_type"] = _least_type(*ends)
    return DrawnNode("SdqAffine_rtl", attributes, constants)


def _requant(draw: _Draw) -> DrawnNode:
    attributes, constants, ends = _linear(draw)
    bits = int(draw.rng.integers(2, 9))
    signed = draw.chance(0.5)
    # Of results that are less than half of their type's range, most would be the same.
    most = max(0, max(map(int.bit_length, ends)) + 1 - bits)
    if DataType[attributes["in_type"]].min() < 0 and draw.chance(0.2):  # as of a leaky ReLU
        gain, kind = constants[0]
        constants.append((draw.values(kind, gain.shape), kind))
    attributes |= {
        "out_type": f"INT{bits}" if signed else f"UINT{bits}",
        "shift": int(draw.rng.integers(0, most + 1)),
        "rounding": draw.of("half_even", "floor"),
        "low": -(2 ** (bits - 1)) if signed else 0,
        "high": 2 ** (bits - 1) - 1 if signed else 2**bits - 1,
    }  # fmt: skip
    return DrawnNode("SdqRequant_rtl", attributes, constants)


DRAWS: Mapping[str, Callable[[_Draw], DrawnNode]] = {
    "MVAU_rtl": _matrix_dsp,
    "SdqMvuLut_rtl": _matrix_lut,
    "SdqDepthwise_rtl": _depthwise,
    "Thresholding_rtl": _threshold,
    "ConvolutionInputGenerator_rtl": _windows,
    "StreamingFIFO_rtl": _fifo,
    "StreamingDataWidthConverter_rtl": _converter,
    "SdqPad_rtl": _pad,
    "SdqCrop_rtl": _crop,
    "SdqPool_rtl": _pool,
    "SdqGlobalPool_rtl": _global_pool,
    "SdqDuplicate_rtl": _duplicate,
    "SdqElementwise_rtl": _elementwise,
    "SdqConcat_rtl": _concat,
    "SdqSplit_rtl": _split,
    "SdqUpsample_rtl": _upsample,
    "SdqLabelSelect_rtl": _label_select,
    "SdqAffine_rtl": _affine,
    "SdqRequant_rtl": _requant,
}
"""For each operator, what draws it."""
