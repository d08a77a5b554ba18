"""Convolutions and matrix products of codes with quantized weights."""

import numpy as np
import numpy.typing as npt
from onnx import NodeProto

from sdq_fpga.errors import UserError
from sdq_fpga.lower.graph import Convolution, Dense, Depthwise, Pad, Tensor
from sdq_fpga.lower.read.elementwise import attribute
from sdq_fpga.lower.read.reader import Reader, Weights, handles
from sdq_fpga.lower.read.value import Reals, Value

__all__ = ["pad_codes", "pads_of", "pair"]

Integers = npt.NDArray[np.int64]

_ACCUMULATOR_BITS = 32
_CONVOLUTION_INPUTS = 2  # beside the optional bias


def _weights(reader: Reader, node: NodeProto, index: int) -> Weights:
    name = node.input[index]
    if name not in reader.weights:
        kind = "computed at run time" if reader.constant(name) is None else "not quantized"
        reader.refuse(node, f"its weights '{name}' are {kind}", "put a Quant node on the weights")
    weights = reader.weights[name]
    if not np.any(weights.codes):
        reader.refuse(
            node,
            "all its weights are zero after quantization",
            "give that layer more bits, or train it longer",
        )
    return weights


def _bias(reader: Reader, node: NodeProto, channels: int) -> Reals:
    if len(node.input) <= _CONVOLUTION_INPUTS or not node.input[2]:
        return np.zeros(1)
    name = node.input[2]
    if name in reader.weights:
        bias = reader.weights[name].codes * reader.weights[name].scale
    else:
        constant = reader.constant(name)
        if constant is None:
            reader.refuse(node, f"its bias '{name}' is computed at run time", "use a constant")
        bias = constant.astype(np.float64)
    if bias.size not in (1, channels):
        reader.refuse(node, f"its bias has shape {bias.shape}", "use one number for each channel")
    return bias.reshape(-1)


def _sums(codes: Tensor, columns: Integers, reader: Reader, node: NodeProto) -> tuple[int, int]:
    """Range of the accumulators, with ``columns`` [K, C_out] of weights."""
    if reader.any_weights:
        high = len(columns) * _largest(columns) * max(-codes.type_low, codes.type_high)
        low = -high
    else:
        positive = np.maximum(columns, 0).sum(axis=0)
        negative = np.minimum(columns, 0).sum(axis=0)
        low = int((positive * codes.type_low + negative * codes.type_high).min())
        high = int((positive * codes.type_high + negative * codes.type_low).max())
    # Partial sums, and a padded border, may come nearer to zero, but never beyond these.
    low, high = min(low, 0), max(high, 0)
    if max(high, -low - 1).bit_length() + 1 > _ACCUMULATOR_BITS:
        reader.refuse(
            node,
            f"its accumulator would reach {max(high, -low)}, beyond {_ACCUMULATOR_BITS} bits",
            "use fewer bits or fewer inputs",
        )
    return low, high


def _largest(weights: Integers) -> int:
    """Largest magnitude of weights with as many bits, also if their sign is folded into them."""
    low, high = int(weights.min()), int(weights.max())
    if max(-low, high) <= 1:
        return 1
    most: int = 2 ** max(-low, high).bit_length()
    return most


def pair(node: NodeProto, name: str, default: int, axes: int) -> tuple[int, int]:
    """An attribute with one number for each spatial axis, as (rows, columns)."""
    values = [int(each) for each in attribute(node, name, [default] * axes)]  # type: ignore[attr-defined]
    return (default, values[0]) if axes == 1 else (values[0], values[1])


def pads_of(
    reader: Reader,
    node: NodeProto,
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    axes: int,
) -> tuple[int, int, int, int]:
    """Padding of a windowed node: top, left, bottom, right."""
    mode = attribute(node, "auto_pad", b"NOTSET")
    text = mode.decode() if isinstance(mode, bytes) else str(mode)
    if text in {"SAME_UPPER", "SAME_LOWER"}:
        total = [
            max(0, (-(-n // s) - 1) * s + (k - 1) * d + 1 - n)
            for n, k, s, d in zip(size, kernel, stride, dilation, strict=True)
        ]
        less, more = [each // 2 for each in total], [each - each // 2 for each in total]
        first, last = (less, more) if text == "SAME_UPPER" else (more, less)
        return first[0], first[1], last[0], last[1]
    if text not in {"NOTSET", "VALID", ""}:
        reader.refuse(node, f"its auto_pad is {text}", "use explicit pads")
    pads = [int(each) for each in attribute(node, "pads", [0] * 2 * axes)]  # type: ignore[attr-defined]
    if min(pads) < 0:
        reader.refuse(node, "its pads are negative", "crop with a Slice")
    return (0, pads[0], 0, pads[1]) if axes == 1 else (pads[0], pads[1], pads[2], pads[3])


def pad_codes(
    reader: Reader, node: NodeProto, codes: Tensor, pads: tuple[int, int, int, int], value: int
) -> Tensor:
    """Emits padding with a code, unless there is nothing to pad."""
    if not any(pads):
        return codes
    top, left, bottom, right = pads
    height, width, channels = codes.shape
    shape = (height + top + bottom, width + left + right, channels)
    bipolar = codes.bipolar and value in (-1, 1)
    low, high = min(codes.low, value), max(codes.high, value)
    padded = reader.tensor(node, shape, low, high, bipolar=bipolar)
    reader.emit(Pad(node.name, (codes,), (padded,), pads, value))
    return padded


def _zero_code(reader: Reader, node: NodeProto, value: Value) -> int:
    """The code of the real value 0, with which a convolution pads."""
    code = -value.offset / value.scale[0]
    if len(code) > 1 or abs(code[0] - round(code[0])) > 1e-6:
        reader.refuse(
            node,
            "it pads with zeros, and its input has no code for zero",
            "put a Quant node before it",
        )
    return round(float(code[0]))


@handles("Conv")
def _conv(reader: Reader, node: NodeProto) -> None:
    value = reader.value(node)
    weights = _weights(reader, node, 1)
    codes, axes = weights.codes, weights.codes.ndim - 2
    if value.channels_last or len(value.codes.shape) != 3 or axes not in (1, 2):
        reader.refuse(
            node,
            f"it is a convolution of {axes} dimensions, or its channels are not the first",
            "use one or two dimensions and the layout N, C, H, W",
        )
    if axes == 1:
        codes = codes[:, :, None, :]
    out_channels, group_channels, *kernel = codes.shape
    groups = int(attribute(node, "group", 1))  # type: ignore[call-overload]
    depthwise = groups > 1 and group_channels == 1 and groups == out_channels
    value = reader.integers(node, value, one_scale=not depthwise)
    stride, dilation = pair(node, "strides", 1, axes), pair(node, "dilations", 1, axes)
    size = (value.codes.shape[0], value.codes.shape[1])
    window = (kernel[0], kernel[1])
    pads = pads_of(reader, node, size, window, stride, dilation, axes)
    source = value.codes
    if any(pads):
        source = pad_codes(reader, node, source, pads, _zero_code(reader, node, value))
    scale = _output_scale(reader, node, weights, out_channels)
    height, width = (
        (n - (k - 1) * d - 1) // s + 1
        for n, k, s, d in zip(source.shape[:2], window, stride, dilation, strict=True)
    )
    if height < 1 or width < 1:
        reader.refuse(node, f"its window {window} is larger than its input", "pad the input")
    if depthwise:
        taps = codes[:, 0].transpose(1, 2, 0)
        low, high = _sums(source, taps.reshape(-1, out_channels), reader, node)
        sink = reader.tensor(node, (height, width, out_channels), low, high)
        reader.emit(
            Depthwise(node.name, (source,), (sink,), taps, weights.bipolar, stride, dilation)
        )
        offset = value.offset * taps.reshape(-1, out_channels).sum(axis=0) * scale
        scale = scale * value.scale
    else:
        full = _ungrouped(codes, groups).transpose(2, 3, 1, 0)
        columns = full.reshape(-1, out_channels)
        low, high = _sums(source, columns, reader, node)
        sink = reader.tensor(node, (height, width, out_channels), low, high)
        bipolar = weights.bipolar and groups == 1
        reader.emit(Convolution(node.name, (source,), (sink,), full, bipolar, stride, dilation))
        per_input = np.broadcast_to(value.offset, (full.shape[2],))
        offset = np.einsum("c,klco->o", per_input, full) * scale
        scale = scale * value.scale
    reader.plain(node, value, sink, scale, offset + _bias(reader, node, out_channels))


def _ungrouped(codes: Integers, groups: int) -> Integers:
    """Weights [O, I / groups, KH, KW] with zeros for the other groups' inputs."""
    if groups == 1:
        return codes
    out_channels, group_channels, *kernel = codes.shape
    full = np.zeros((out_channels, group_channels * groups, *kernel), np.int64)
    each = out_channels // groups
    for group in range(groups):
        rows = slice(group * each, (group + 1) * each)
        full[rows, group * group_channels : (group + 1) * group_channels] = codes[rows]
    return full


def _output_scale(
    reader: Reader, node: NodeProto, weights: Weights, channels: int, axis: int = 0
) -> Reals:
    """Scale of the weights as one number for each output channel, or one."""
    scale = weights.scale
    if scale.size == 1:
        return scale.reshape(-1)
    shape = (1,) * (weights.codes.ndim - scale.ndim) + scale.shape
    if scale.size != channels or shape[axis] != channels:
        reader.refuse(
            node,
            f"the scale of its weights has shape {scale.shape}",
            "use one scale for the layer, or one for each output channel",
        )
    return scale.reshape(-1)


@handles("MatMul")
def _matmul(reader: Reader, node: NodeProto) -> None:
    if node.input[0] in reader.weights:
        reader.refuse(node, "its weights are its first input", "let the weights be the second")
    weights = _weights(reader, node, 1)
    _dense(reader, node, weights, np.zeros(1))


@handles("Gemm")
def _gemm(reader: Reader, node: NodeProto) -> None:
    if attribute(node, "transA", 0) or attribute(node, "alpha", 1.0) != 1.0:
        reader.refuse(node, "it transposes or scales its input", "use MatMul")
    weights = _weights(reader, node, 1)
    if attribute(node, "transB", 0):
        scale = weights.scale if weights.scale.size == 1 else weights.scale.T
        weights = Weights(weights.codes.T, scale, weights.bipolar)
    beta = float(attribute(node, "beta", 1.0))  # type: ignore[arg-type]
    _dense(reader, node, weights, beta * _bias(reader, node, weights.codes.shape[1]))


def _dense(reader: Reader, node: NodeProto, weights: Weights, bias: Reals) -> None:
    value = reader.integers(node, reader.value(node))
    matrix = weights.codes
    if matrix.ndim != 2 or not value.channels_last:
        reader.refuse(
            node, "it is no product of a vector with a matrix", "flatten its input, or use Conv"
        )
    if matrix.shape[0] != value.codes.channels:
        raise UserError(
            f"{node.op_type} '{node.name}': {matrix.shape[0]} rows of weights for "
            f"{value.codes.channels} inputs",
            "check the model",
        )
    if value.order is not None:
        ordered = np.empty_like(matrix)
        ordered[value.order] = matrix
        matrix = ordered
    scale = _output_scale(reader, node, weights, matrix.shape[1], axis=1)
    low, high = _sums(value.codes, matrix, reader, node)
    sink = reader.tensor(node, (*value.codes.shape[:-1], matrix.shape[1]), low, high)
    reader.emit(Dense(node.name, (value.codes,), (sink,), matrix, weights.bipolar))
    per_input = np.broadcast_to(value.offset, (matrix.shape[0],))
    offset = per_input @ matrix * scale + bias
    name = node.output[0]
    reader.values[name] = Value.plain(
        name, sink, scale * value.scale, offset, value.rank, channels_last=True
    )
