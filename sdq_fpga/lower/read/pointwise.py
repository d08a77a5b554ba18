"""Element-wise nodes: they extend the function of the codes; two variables make an operator."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
from onnx import NodeProto

from sdq_fpga.lower.graph import Elementwise
from sdq_fpga.lower.read.elementwise import AFFINE_OPS, NONLINEAR_OPS, affine_of
from sdq_fpga.lower.read.reader import Reader, handles
from sdq_fpga.lower.read.value import Reals, Value, shortest

__all__ = ["scale_ratio"]

_LARGEST_FACTOR = 4096
_RELATIVE = 1e-6  # scales are float32


@handles(*AFFINE_OPS, *NONLINEAR_OPS)
def _pointwise(reader: Reader, node: NodeProto) -> None:
    streams = [name for name in node.input if name in reader.values]
    if streams:
        for name in node.input:  # a quantized bias, say
            reader.dequantize(name)
    variables = [name for name in node.input if name and reader.constant(name) is None]
    if len(variables) > 1:
        _two_streams(reader, node)
        return
    if not variables:
        reader.refuse(node, "all its inputs are constants", "fold it")
    name = variables[0]
    if name in reader.weights:
        reader.refuse(node, "it changes weights after their quantizer", "move it before")
    if node.op_type == "Div" and node.input[0] != name:
        reader.refuse(node, "it divides by a stream", "rewrite it as a product")
    if name in reader.input_functions and node.op_type in AFFINE_OPS:
        _scale_input(reader, node, name)
        return
    value = reader.value(node, list(node.input).index(name))
    _check_slopes(reader, node)
    if node.op_type in NONLINEAR_OPS or not value.is_affine:
        extended = replace(value, tail=(*value.tail, node), chain=(*value.chain, node))
    else:
        gain, shift = affine_of(node, name, lambda each: _column(reader, node, value, each))
        scale, offset = value.scale * gain[:, 0], value.offset * gain[:, 0] + shift[:, 0]
        if np.any(scale == 0):
            reader.refuse(node, "it multiplies a channel by zero", "remove that channel")
        extended = replace(
            value, scale=shortest(scale), offset=shortest(offset), chain=(*value.chain, node)
        )
    reader.values[node.output[0]] = extended


def _column(reader: Reader, node: NodeProto, value: Value, name: str) -> Reals:
    constant = reader.constant(name)
    assert constant is not None  # noqa: S101  # the caller has sorted the inputs
    return reader.per_channel(node, value, constant).reshape(-1, 1)


def _check_slopes(reader: Reader, node: NodeProto) -> None:
    slopes = reader.constant(node.input[1]) if node.op_type == "PRelu" else None
    alpha = next((each.f for each in node.attribute if each.name == "alpha"), 0.01)
    if (slopes is not None and np.any(slopes < 0)) or (node.op_type == "LeakyRelu" and alpha < 0):
        reader.refuse(node, "its slope is negative, so that it is no staircase", "use slopes >= 0")


def _scale_input(reader: Reader, node: NodeProto, name: str) -> None:
    function = reader.input_functions[name]

    def scalar(each: str) -> Reals:
        constant = reader.constant(each)
        if constant is None or constant.size != 1:
            reader.refuse(
                node,
                "it scales the channels of the input differently before they are quantized",
                "quantize the input first",
            )
        return np.asarray(constant, np.float64).reshape(1, 1)

    gain, offset = affine_of(node, name, scalar)
    reader.input_functions[node.output[0]] = replace(
        function,
        gain=function.gain * float(gain[0, 0]),
        offset=function.offset * float(gain[0, 0]) + float(offset[0, 0]),
    )


def scale_ratio(left: float, right: float) -> Fraction | None:
    """``right / left`` as a ratio of small integers; None if it is none."""
    ratio = Fraction(right / left).limit_denominator(_LARGEST_FACTOR)
    if ratio == 0 or abs(ratio.numerator) > _LARGEST_FACTOR:
        return None
    return ratio if abs(float(ratio) * left / right - 1) < _RELATIVE else None


def _two_streams(reader: Reader, node: NodeProto) -> None:
    if node.op_type not in {"Add", "Sub", "Mul"}:
        reader.refuse(node, "there is no operator on two streams for it", "use Add, Sub or Mul")
    left, right = (reader.integers(node, reader.value(node, index)) for index in (0, 1))
    if left.codes.shape != right.codes.shape or left.channels_last != right.channels_last:
        reader.refuse(
            node,
            f"its inputs have shapes {left.codes.shape} and {right.codes.shape}",
            "give both the same shape; broadcasting of streams is not supported",
        )
    a, b = float(left.scale[0]), float(right.scale[0])
    ends = [(each.codes.type_low, each.codes.type_high) for each in (left, right)]
    if node.op_type == "Mul":
        if np.any(left.offset) or np.any(right.offset):
            reader.refuse(node, "an input has an offset", "use zero points of 0")
        products = [x * y for x in ends[0] for y in ends[1]]
        sink = reader.tensor(node, left.codes.shape, min(products), max(products))
        reader.emit(Elementwise(node.name, (left.codes, right.codes), (sink,), "mul"))
        reader.plain(node, left, sink, np.array([a * b]), np.zeros(1))
        return
    sign = -1 if node.op_type == "Sub" else 1
    ratio = scale_ratio(a, sign * b)
    if ratio is None:
        reader.refuse(
            node,
            f"its inputs have scales {a:g} and {b:g}, whose ratio is no small fraction",
            "quantize both with the same scale (share one quantizer)",
        )
    factors = ratio.denominator, abs(ratio.numerator)
    operation = "add" if ratio > 0 else "sub"
    low_b, high_b = ends[1] if ratio > 0 else (-ends[1][1], -ends[1][0])
    low = factors[0] * ends[0][0] + factors[1] * low_b
    high = factors[0] * ends[0][1] + factors[1] * high_b
    sink = reader.tensor(node, left.codes.shape, low, high)
    reader.emit(Elementwise(node.name, (left.codes, right.codes), (sink,), operation, *factors))
    offset = left.offset + sign * right.offset
    reader.plain(node, left, sink, np.array([a / factors[0]]), offset)
