"""Nodes that join, cut and rearrange: concat, split, slice, transpose, flatten, top-k."""

from dataclasses import replace

import numpy as np
from onnx import NodeProto

from sdq_fpga.lower.graph import Affine, Concat, Crop, Reshape, Split, Tensor, TopK
from sdq_fpga.lower.read.elementwise import attribute
from sdq_fpga.lower.read.pointwise import scale_ratio
from sdq_fpga.lower.read.reader import Reader, Weights, handles
from sdq_fpga.lower.read.value import Reals, Value

__all__ = ["flatten"]

_IMAGE_AXES = 3  # of codes: height, width, channels
_RELATIVE = 1e-6  # scales and biases are float32


def flatten(reader: Reader, node: NodeProto, value: Value) -> None:
    """The node's output is ``value`` with all axes but the batch joined."""
    if len(value.codes.shape) == 1:
        reader.values[node.output[0]] = value
        return
    height, width, channels = value.codes.shape
    count = height * width * channels
    sink = replace(
        reader.tensor(node, (count,), value.codes.low, value.codes.high),
        bipolar=value.codes.bipolar,
    )
    reader.emit(Reshape(node.name, (value.codes,), (sink,)))
    order = None
    if not value.channels_last and height * width > 1 and channels > 1:
        order = np.arange(count).reshape(height, width, channels).transpose(2, 0, 1).reshape(-1)

    def tiled(array: Reals) -> Reals:
        return array if len(array) == 1 else np.tile(array, height * width)

    if not value.is_affine:
        reader.refuse(
            node,
            f"its input comes from {value.tail[-1].op_type} '{value.tail[-1].name}'",
            "put a Quant node before it",
        )
    name = node.output[0]
    reader.values[name] = Value.plain(
        name, sink, tiled(value.scale), tiled(value.offset), 2, channels_last=True, order=order
    )


@handles("Flatten", "Reshape", "Squeeze", "Unsqueeze")
def _reshape(reader: Reader, node: NodeProto) -> None:
    before = [int(size) for size in reader.model.get_tensor_shape(node.input[0])]
    after = [int(size) for size in reader.model.get_tensor_shape(node.output[0])]
    function = reader.input_functions.get(node.input[0])
    if function is not None and (after == before or len(after) == 2):  # the host does it
        flat = function.flat or after != before
        reader.input_functions[node.output[0]] = replace(function, flat=flat)
        return
    value = reader.value(node)
    if after == before:
        reader.values[node.output[0]] = value
    elif after[0] == before[0] and len(after) == 2:
        flatten(reader, node, value)
    else:
        reader.refuse(
            node, f"it turns {before} into {after}", "flatten all axes but the batch, or none"
        )


@handles("Transpose")
def _transpose(reader: Reader, node: NodeProto) -> None:
    name = node.input[0]
    perm = tuple(int(axis) for axis in attribute(node, "perm", ()))  # type: ignore[attr-defined]
    if name in reader.weights:
        weights = reader.weights[name]
        axes = perm or tuple(reversed(range(weights.codes.ndim)))
        scale = weights.scale
        if scale.size > 1:
            scale = np.broadcast_to(scale, weights.codes.shape).transpose(axes)
            scale = _narrow(scale)
        reader.weights[node.output[0]] = Weights(
            weights.codes.transpose(axes), scale, weights.bipolar
        )
        return
    if name in reader.input_functions:
        reader.input_functions[node.output[0]] = reader.input_functions[name]
        return
    value = reader.value(node)
    rank = value.rank
    to_last, to_first = (0, *range(2, rank), 1), (0, rank - 1, *range(1, rank - 1))
    if perm == tuple(range(rank)):
        reader.values[node.output[0]] = value
        return
    if perm not in {to_last, to_first} or (perm == to_last) == value.channels_last:
        reader.refuse(
            node, f"it permutes axes by {perm}", "keep to the layouts N, C, H, W and N, H, W, C"
        )
    if not value.is_affine:
        reader.refuse(node, "it stands between a function and its quantizer", "move it before")
    out = node.output[0]
    reader.values[out] = Value.plain(
        out, value.codes, value.scale, value.offset, rank, channels_last=perm == to_last
    )


def _narrow(scale: Reals) -> Reals:
    """Drops axes along which a broadcast array does not vary."""
    for axis, size in enumerate(scale.shape):
        first = scale.take([0], axis)
        if size > 1 and np.all(scale == first):
            scale = first
    return scale


@handles("Concat")
def _concat(reader: Reader, node: NodeProto) -> None:
    values = [reader.integers(node, reader.value(node, index)) for index in range(len(node.input))]
    first = values[0]
    if int(attribute(node, "axis", 1)) % first.rank != first.channel_axis:  # type: ignore[call-overload]
        reader.refuse(node, "it does not join channels", "concatenate along the channel axis")
    if any(value.order is not None for value in values):
        reader.refuse(node, "it joins flattened images", "join them before they are flattened")
    smallest = min(values, key=lambda value: abs(value.scale[0]))
    parts, offsets = [], []
    for value in values:
        ratio = scale_ratio(float(smallest.scale[0]), float(value.scale[0]))
        if ratio is None or ratio.denominator != 1 or len(value.offset) > 1:
            reader.refuse(
                node,
                f"its inputs have scales {smallest.scale[0]:g} and {value.scale[0]:g}",
                "quantize all with the same scale (share one quantizer)",
            )
        offsets.append(float(value.offset[0]))
        parts.append(_times(reader, node, value.codes, ratio.numerator))
    low, high = min(part.low for part in parts), max(part.high for part in parts)
    channels = sum(part.channels for part in parts)
    sink = reader.tensor(
        node,
        (*first.codes.shape[:-1], channels),
        low,
        high,
        bipolar=all(part.bipolar for part in parts),
    )
    reader.emit(Concat(node.name, tuple(parts), (sink,)))
    offset = np.repeat(offsets, [part.channels for part in parts])
    reader.plain(node, first, sink, smallest.scale, offset)


def _times(reader: Reader, node: NodeProto, codes: Tensor, factor: int) -> Tensor:
    if factor == 1:
        return codes
    ends = sorted((factor * codes.type_low, factor * codes.type_high))
    sink = reader.tensor(node, codes.shape, ends[0], ends[1])
    gain, offset = np.array([factor], np.int64), np.zeros(1, np.int64)
    reader.emit(Affine(node.name, (codes,), (sink,), gain, offset))
    return sink


@handles("Split")
def _split(reader: Reader, node: NodeProto) -> None:
    value = reader.value(node)
    axis = int(attribute(node, "axis", 0)) % value.rank  # type: ignore[call-overload]
    if axis != value.channel_axis or value.order is not None:
        reader.refuse(node, "it does not split channels", "split along the channel axis")
    sizes = [int(reader.model.get_tensor_shape(name)[value.channel_axis]) for name in node.output]
    _cut(reader, node, value, sizes, list(range(len(sizes))))


def _cut(reader: Reader, node: NodeProto, value: Value, sizes: list[int], kept: list[int]) -> None:
    """Output ``i`` of the node is the channel range ``kept[i]``."""
    codes = value.codes
    parts = [
        replace(
            reader.tensor(node, (*codes.shape[:-1], sizes[index]), codes.low, codes.high),
            bipolar=codes.bipolar,
        )
        for index in kept
    ]
    keep = tuple(index in kept for index in range(len(sizes)))
    reader.emit(Split(node.name, (codes,), tuple(parts), tuple(sizes), keep))
    starts = np.cumsum([0, *sizes])
    if not value.is_affine:
        reader.refuse(
            node, f"its input comes from {value.tail[-1].op_type}", "put a Quant node before it"
        )
    for output, (index, part) in enumerate(zip(kept, parts, strict=True)):
        window = slice(starts[index], starts[index + 1])
        scale, offset = (
            array if len(array) == 1 else array[window] for array in (value.scale, value.offset)
        )
        reader.plain(node, value, part, scale, offset, output)


@handles("Slice")
def _slice(reader: Reader, node: NodeProto) -> None:
    value = reader.value(node)
    given = [reader.constant(name) if name else None for name in node.input[1:5]]
    starts, ends, axes, steps = (given + [None] * 4)[:4]
    if starts is None or ends is None or (steps is not None and np.any(steps != 1)):
        reader.refuse(node, "its bounds are no constants, or its step is not 1", "use a step of 1")
    listed = range(len(starts)) if axes is None else [int(axis) % value.rank for axis in axes]
    shape = [int(size) for size in reader.model.get_tensor_shape(node.input[0])]
    bounds = {axis: (0, size) for axis, size in enumerate(shape)}
    for axis, start, end in zip(listed, starts.tolist(), ends.tolist(), strict=True):
        begin, stop, _ = slice(start, end).indices(shape[axis])
        bounds[axis] = (begin, stop)
    if any(begin >= stop for begin, stop in bounds.values()):
        reader.refuse(node, "it keeps nothing", "check its bounds")
    if value.order is not None or bounds[0] != (0, 1):
        reader.refuse(node, "it slices a flattened image, or the batch", "slice before flattening")
    spatial = [axis for axis in range(1, value.rank) if axis != value.channel_axis]
    edges = [(bounds[axis][0], shape[axis] - bounds[axis][1]) for axis in spatial]
    if len(edges) == 1:
        edges = [(0, 0), *edges]
    codes = value.codes
    if any(cut for edge in edges for cut in edge):
        (top, bottom), (left, right) = edges
        height, width, channels = codes.shape
        sink = replace(
            reader.tensor(
                node, (height - top - bottom, width - left - right, channels), codes.low, codes.high
            ),
            bipolar=codes.bipolar,
        )
        reader.emit(Crop(node.name, (codes,), (sink,), (top, left, bottom, right)))
        value = value.with_codes(sink)
    begin, stop = bounds[value.channel_axis]
    size = shape[value.channel_axis]
    if (begin, stop) == (0, size):
        reader.values[node.output[0]] = value
        return
    sizes = [each for each in (begin, stop - begin, size - stop) if each]
    _cut(reader, node, value, sizes, [int(begin > 0)])


def _with_offsets(reader: Reader, node: NodeProto, value: Value) -> Tensor:
    """Codes to which the offsets of the channels have been added, so that they can be compared."""
    if len(value.offset) == 1:
        return value.codes
    steps = (value.offset - value.offset.min()) / value.scale[0]
    if np.any(np.abs(steps - np.rint(steps)) > _RELATIVE * np.maximum(1.0, np.abs(steps))):
        reader.refuse(
            node,
            "its input has a bias that is no multiple of the accumulator's step",
            "quantize the bias with the scale of the accumulator, or let the host choose",
        )
    offset = np.rint(steps).astype(np.int64)
    ends = value.codes.type_low, value.codes.type_high + int(offset.max())
    sink = reader.tensor(node, value.codes.shape, *ends)
    reader.emit(Affine(node.name, (value.codes,), (sink,), np.ones(1, np.int64), offset))
    return sink


@handles("ArgMax", "TopK")
def _top_k(reader: Reader, node: NodeProto) -> None:
    value = reader.integers(node, reader.value(node))
    default = 0 if node.op_type == "ArgMax" else -1
    axis = int(attribute(node, "axis", default)) % value.rank  # type: ignore[call-overload]
    codes = _with_offsets(reader, node, value)
    one_value = value.scale[0] > 0 and value.order is None
    if axis != value.channel_axis or not one_value or max(value.codes.shape[:-1], default=1) > 1:
        reader.refuse(
            node,
            "it does not choose among the channels of one vector with one scale and offset",
            "cut it off, and let the host choose",
        )
    k = 1
    if node.op_type == "TopK":
        constant = reader.constant(node.input[1])
        if (
            constant is None
            or not attribute(node, "largest", 1)
            or not attribute(node, "sorted", 1)
        ):
            reader.refuse(
                node, "its k is no constant, or it is not largest first", "use a constant"
            )
        k = int(constant.reshape(-1)[0])
        if any(node.output[0] in each.input for each in reader.model.graph.node) or node.output[
            0
        ] in {each.name for each in reader.model.graph.output}:
            reader.refuse(node, "its values are used", "use the indices only")
    elif attribute(node, "select_last_index", 0):
        reader.refuse(node, "it takes the last of equal values", "use select_last_index 0")
    labels = codes.channels
    sink = reader.tensor(node, (*value.codes.shape[:-1], k), 0, max(1, labels - 1))
    reader.emit(TopK(node.name, (codes,), (sink,), k))
    name = node.output[-1]
    rank = value.rank
    if node.op_type == "ArgMax" and not attribute(node, "keepdims", 1):
        rank -= 1
    reader.values[name] = Value.plain(name, sink, np.ones(1), np.zeros(1), rank, channels_last=True)
