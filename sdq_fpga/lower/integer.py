"""Executes an integer network in NumPy: the reference that the RTL must equal, bit for bit."""

from collections.abc import Callable, Mapping
from functools import singledispatch

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from sdq_fpga.errors import StageError
from sdq_fpga.lower import graph as ir

__all__ = ["execute_integer", "requantize"]

Integers = npt.NDArray[np.int64]


def execute_integer(
    network: ir.IntegerGraph, frames: Mapping[str, Integers]
) -> dict[str, Integers]:
    """Computes all frames at once.

    Args:
        network: the integer network.
        frames: for each input, integers [N, *shape].

    Returns:
        For each output, integers [N, *shape].

    Raises:
        StageError: a value is outside the range that the graph states for its tensor.
    """
    values = {tensor.name: frames[tensor.name] for tensor in network.inputs}
    left = network.readers()
    for operation in network.operations:
        sources = [values[tensor.name] for tensor in operation.inputs]
        for tensor, result in zip(operation.outputs, _compute(operation, *sources), strict=True):
            if result.size and (result.min() < tensor.low or result.max() > tensor.high):
                raise StageError(
                    f"{operation.layer}: values {result.min()}..{result.max()} leave the range "
                    f"{tensor.low}..{tensor.high} that was derived for them",
                    "report the network",
                )
            values[tensor.name] = result
        for tensor in operation.inputs:  # frees what nobody reads any more
            left[tensor.name] -= 1
            if not left[tensor.name]:
                del values[tensor.name]
    return {tensor.name: values[tensor.name] for tensor in network.outputs}


def requantize(operation: ir.Requantize, source: Integers) -> Integers:
    """Multiplies, adds, shifts with rounding to nearest (halves to even) and clips.

    Args:
        operation: what to do.
        source: integers [..., C].
    """
    gain = operation.gain
    if operation.negative_gain is not None:
        gain = np.where(source < 0, operation.negative_gain, gain)
    scaled = source * gain + operation.offset
    floor, rest = scaled >> operation.shift, scaled & ((1 << operation.shift) - 1)
    half = 1 << operation.shift >> 1
    up = (rest > half) | ((rest == half) & (floor & 1 == 1) & (half > 0))
    clipped: Integers = np.clip(floor + up, operation.sink.low, operation.sink.high)
    return clipped


@singledispatch
def _compute(operation: ir.Operation, *sources: Integers) -> tuple[Integers, ...]:
    raise TypeError(f"no execution of {type(operation).__name__}")


def _windows(
    source: Integers, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]
) -> Integers:
    """Windows of [N, H, W, C]: [N, OH, OW, C, KH, KW]."""
    extent = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True))
    view = sliding_window_view(source, extent, axis=(1, 2))
    return view[:, :: stride[0], :: stride[1], :, :: dilation[0], :: dilation[1]]


def _product(left: Integers, right: Integers) -> Integers:
    # Through float64, whose products BLAS computes; exact as long as sums stay below 2^53.
    exact: Integers = np.rint(left.astype(np.float64) @ right.astype(np.float64)).astype(np.int64)
    return exact


@_compute.register
def _(operation: ir.Convolution, source: Integers) -> tuple[Integers, ...]:
    weights = operation.weights
    windows = _windows(source, weights.shape[:2], operation.stride, operation.dilation)
    frames = [  # one at a time: the windows of all frames would not fit in memory
        _product(
            np.moveaxis(frame, 2, 4).reshape(*frame.shape[:2], -1),
            weights.reshape(-1, weights.shape[3]),
        )
        for frame in windows
    ]
    return (np.stack(frames),)


@_compute.register
def _(operation: ir.Depthwise, source: Integers) -> tuple[Integers, ...]:
    weights = operation.weights
    windows = _windows(source, weights.shape[:2], operation.stride, operation.dilation)
    return (np.einsum("nhwckl,klc->nhwc", windows, weights),)


@_compute.register
def _(operation: ir.Dense, source: Integers) -> tuple[Integers, ...]:
    return (_product(source, operation.weights),)


@_compute.register
def _(operation: ir.Threshold, source: Integers) -> tuple[Integers, ...]:
    thresholds = operation.thresholds
    result = np.empty_like(source)
    if len(thresholds) == 1:
        counts = np.searchsorted(thresholds[0], source.ravel(), side="right")
        result = counts.reshape(source.shape)
    else:
        for channel, steps in enumerate(thresholds):
            result[..., channel] = np.searchsorted(steps, source[..., channel], side="right")
    return (operation.low + operation.step * result.astype(np.int64),)


@_compute.register
def _(operation: ir.Requantize, source: Integers) -> tuple[Integers, ...]:
    return (requantize(operation, source),)


@_compute.register
def _(operation: ir.Affine, source: Integers) -> tuple[Integers, ...]:
    return (source * operation.gain + operation.offset,)


@_compute.register
def _(operation: ir.Elementwise, left: Integers, right: Integers) -> tuple[Integers, ...]:
    if operation.operation == "mul":
        return (left * right,)
    sign = 1 if operation.operation == "add" else -1
    return (operation.left_factor * left + sign * operation.right_factor * right,)


def _reduction(operation: str) -> Callable[..., Integers]:
    return np.max if operation == "max" else np.sum


@_compute.register
def _(operation: ir.Pool, source: Integers) -> tuple[Integers, ...]:
    windows = _windows(source, operation.kernel, operation.stride, (1, 1))
    return (_reduction(operation.operation)(windows, axis=(4, 5)),)


@_compute.register
def _(operation: ir.GlobalPool, source: Integers) -> tuple[Integers, ...]:
    return (_reduction(operation.operation)(source, axis=(1, 2), keepdims=True),)


@_compute.register
def _(operation: ir.Pad, source: Integers) -> tuple[Integers, ...]:
    top, left, bottom, right = operation.pads
    border = ((0, 0), (top, bottom), (left, right), (0, 0))
    return (np.pad(source, border, constant_values=operation.value),)


@_compute.register
def _(operation: ir.Crop, source: Integers) -> tuple[Integers, ...]:
    top, left, bottom, right = operation.crops
    return (source[:, top : source.shape[1] - bottom, left : source.shape[2] - right],)


@_compute.register
def _(operation: ir.Upsample, source: Integers) -> tuple[Integers, ...]:
    rows, columns = operation.factor
    return (source.repeat(rows, axis=1).repeat(columns, axis=2),)


@_compute.register
def _(operation: ir.Concat, *sources: Integers) -> tuple[Integers, ...]:
    return (np.concatenate(sources, axis=-1),)


@_compute.register
def _(operation: ir.Split, source: Integers) -> tuple[Integers, ...]:
    parts = np.split(source, np.cumsum(operation.sizes)[:-1], axis=-1)
    return tuple(part for part, kept in zip(parts, operation.keep, strict=True) if kept)


@_compute.register
def _(operation: ir.Reshape, source: Integers) -> tuple[Integers, ...]:
    return (source.reshape(len(source), *operation.sink.shape),)


@_compute.register
def _(operation: ir.TopK, source: Integers) -> tuple[Integers, ...]:
    order = np.argsort(-source, axis=-1, kind="stable")
    return (order[..., : operation.k].astype(np.int64),)
