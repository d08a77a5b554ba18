"""Pools, padding, cropping, upsampling: they move codes, and leave their function alone."""

from dataclasses import replace

import numpy as np
from onnx import NodeProto

from sdq_fpga.lower.graph import GlobalPool, Pool, Upsample
from sdq_fpga.lower.read.elementwise import attribute
from sdq_fpga.lower.read.linear import pad_codes, pads_of, pair
from sdq_fpga.lower.read.reader import Reader, handles
from sdq_fpga.lower.read.shape import flatten
from sdq_fpga.lower.read.value import Value

__all__: list[str] = []

_IMAGE_AXES = 3  # of codes: height, width, channels


def _image(reader: Reader, node: NodeProto) -> Value:
    value = reader.value(node)
    if len(value.codes.shape) != _IMAGE_AXES or value.channels_last:
        reader.refuse(node, "its input is no image of layout N, C, H, W", "use that layout")
    return value


def _increasing(reader: Reader, node: NodeProto, value: Value) -> None:
    """A maximum commutes with functions that never decrease only."""
    if np.any(value.scale < 0):
        reader.refuse(
            node, "a batch-norm before it has a negative factor", "put a Quant node before it"
        )


@handles("MaxPool", "AveragePool")
def _pool(reader: Reader, node: NodeProto) -> None:
    value = _image(reader, node)
    axes = value.rank - 2
    kernel = pair(node, "kernel_shape", 1, axes)
    stride, dilation = pair(node, "strides", 1, axes), pair(node, "dilations", 1, axes)
    size = (value.codes.shape[0], value.codes.shape[1])
    pads = pads_of(reader, node, size, kernel, stride, dilation, axes)
    if dilation != (1, 1):
        reader.refuse(node, "it is dilated", "use a dilation of 1")
    height, width = (
        (n + before + after - k) // s + 1
        for n, before, after, k, s in zip(size, pads[:2], pads[2:], kernel, stride, strict=True)
    )
    if attribute(node, "ceil_mode", 0):
        rest = [
            (n + before + after - k) % s
            for n, before, after, k, s in zip(size, pads[:2], pads[2:], kernel, stride, strict=True)
        ]
        if any(rest):
            reader.refuse(node, "its last window hangs over the edge", "use ceil_mode 0 and pads")
    if height < 1 or width < 1:
        reader.refuse(node, f"its window {kernel} is larger than its input", "pad the input")
    shape = (height, width, value.codes.channels)
    if node.op_type == "MaxPool":
        _increasing(reader, node, value)
        source = pad_codes(reader, node, value.codes, pads, value.codes.low)
        sink = reader.tensor(
            node, shape, value.codes.low, value.codes.high, bipolar=value.codes.bipolar
        )
        reader.emit(Pool(node.name, (source,), (sink,), "max", kernel, stride))
        reader.keep(node, value, sink)
        return
    if any(pads) and not attribute(node, "count_include_pad", 0):
        reader.refuse(
            node, "its average at the border is over fewer values", "set count_include_pad"
        )
    value = reader.integers(node, value, one_scale=False)
    source = value.codes
    if any(pads):
        zero = -value.offset / value.scale
        if np.any(zero != np.rint(zero)) or np.any(zero != zero[0]):
            reader.refuse(node, "its input has no code for zero", "put a Quant node before it")
        source = pad_codes(reader, node, source, pads, int(zero[0]))
    taps = kernel[0] * kernel[1]
    sink = reader.tensor(node, shape, taps * source.type_low, taps * source.type_high)
    reader.emit(Pool(node.name, (source,), (sink,), "sum", kernel, stride))
    reader.plain(node, value, sink, value.scale / taps, value.offset)


@handles("GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "ReduceMax")
def _global_pool(reader: Reader, node: NodeProto) -> None:
    value = _image(reader, node)
    keeps = True
    if node.op_type.startswith("Reduce"):
        given = attribute(node, "axes", None)
        if given is None and len(node.input) > 1:
            given = reader.constant(node.input[1])
        axes = sorted(int(axis) % value.rank for axis in given) if given is not None else []  # type: ignore[attr-defined]
        if axes != list(range(2, value.rank)):
            reader.refuse(node, "it does not reduce height and width", "reduce exactly those axes")
        keeps = bool(attribute(node, "keepdims", 1))
    height, width, channels = value.codes.shape
    low, high = value.codes.low, value.codes.high
    ends = value.codes.type_low, value.codes.type_high
    if node.op_type in {"GlobalMaxPool", "ReduceMax"}:
        _increasing(reader, node, value)
        sink = reader.tensor(node, (1, 1, channels), low, high, bipolar=value.codes.bipolar)
        reader.emit(GlobalPool(node.name, (value.codes,), (sink,), "max"))
        reader.keep(node, value, sink)
    else:
        value = reader.integers(node, value, one_scale=False)
        count = height * width
        sink = reader.tensor(node, (1, 1, channels), count * ends[0], count * ends[1])
        reader.emit(GlobalPool(node.name, (value.codes,), (sink,), "sum"))
        reader.plain(node, value, sink, value.scale / count, value.offset)
    if not keeps:
        flatten(reader, node, reader.values[node.output[0]])


@handles("Pad")
def _pad(reader: Reader, node: NodeProto) -> None:
    value = reader.integers(node, _image(reader, node))
    mode = attribute(node, "mode", b"constant")
    given = attribute(node, "pads", None)
    if given is None:
        given = reader.constant(node.input[1])
    if mode != b"constant" or given is None:
        reader.refuse(node, "it does not pad with a constant", "use mode constant")
    pads = [int(each) for each in given]  # type: ignore[attr-defined]
    before, after = pads[: value.rank], pads[value.rank :]
    if any(before[:2]) or any(after[:2]) or min(pads) < 0:
        reader.refuse(node, "it pads channels, or pads by less than nothing", "pad H and W only")
    fill = 0.0
    if len(node.input) > 2 and node.input[2]:
        constant = reader.constant(node.input[2])
        fill = 0.0 if constant is None else float(constant.reshape(-1)[0])
    code = (fill - value.offset) / value.scale
    if len(code) > 1 or code[0] != round(code[0]):
        reader.refuse(node, f"no code of its input means {fill:g}", "put a Quant node behind it")
    rows = (before[2], after[2]) if value.rank > _IMAGE_AXES else (0, 0)
    edges = (rows[0], before[-1], rows[1], after[-1])
    codes = pad_codes(reader, node, value.codes, edges, int(code[0]))
    reader.keep(node, value, codes)


@handles("Resize", "Upsample")
def _resize(reader: Reader, node: NodeProto) -> None:
    value = _image(reader, node)
    mode = attribute(node, "mode", b"nearest")
    transform = attribute(node, "coordinate_transformation_mode", b"half_pixel")
    shape = reader.model.get_tensor_shape(node.output[0])
    height, width, channels = value.codes.shape
    out = (1, *shape[2:]) if value.rank == _IMAGE_AXES else tuple(shape[2:])
    if mode != b"nearest" or transform not in {b"asymmetric", b"half_pixel"}:
        reader.refuse(node, "it interpolates", "use mode nearest")
    if out[0] % height or out[1] % width:
        reader.refuse(
            node, f"it resizes {height}x{width} to {out[0]}x{out[1]}", "use whole factors"
        )
    factor = (out[0] // height, out[1] // width)
    if factor == (1, 1):
        reader.values[node.output[0]] = value
        return
    codes = replace(
        reader.tensor(node, (*out, channels), value.codes.low, value.codes.high),
        bipolar=value.codes.bipolar,
    )
    reader.emit(Upsample(node.name, (value.codes,), (codes,), factor))
    reader.keep(node, value, codes)
