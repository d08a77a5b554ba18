"""Evaluates a QONNX graph in NumPy, any number of frames at once, in float32 or float64.

A second implementation beside QONNX's own executor: it calibrates networks while they are built,
and its float64 results tell whether float32 execution was exact.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view
from onnx import ModelProto, helper, numpy_helper

__all__ = ["Array", "evaluate", "evaluate_node"]

Array = npt.NDArray[Any]
_Operator = Callable[..., Array | Sequence[Array]]


def evaluate(
    model: ModelProto, frames: Array, dtype: npt.DTypeLike = np.float64
) -> dict[str, Array]:
    """Computes every tensor of ``model``.

    Args:
        model: a graph with one input, of operators that ``GraphBuilder`` writes.
        frames: values of the input, [N, ...]; the graph itself may be for a batch of 1.
        dtype: what to compute in.

    Returns:
        All tensors by name, constants included.
    """
    tensors = {
        constant.name: _as(numpy_helper.to_array(constant), dtype)
        for constant in model.graph.initializer
    }
    (source,) = (value.name for value in model.graph.input if value.name not in tensors)
    tensors[source] = frames.astype(dtype)
    for node in model.graph.node:
        attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
        inputs = [tensors[name] if name else None for name in node.input]
        tensors.update(
            zip(
                node.output,
                evaluate_node(node.op_type, inputs, attributes, len(node.output)),
                strict=True,
            )
        )
    return tensors


def evaluate_node(
    operator: str, inputs: Sequence[Array | None], attributes: Mapping[str, Any], outputs: int = 1
) -> Sequence[Array]:
    """Computes the outputs of one node.

    Args:
        operator: its op_type.
        inputs: its inputs; None for one that is left out.
        attributes: its attributes, as ``onnx.helper.get_attribute_value`` gives them.
        outputs: how many outputs it has.

    Raises:
        NotImplementedError: the operator is none that ``GraphBuilder`` writes.
    """
    if operator not in _OPERATORS:
        raise NotImplementedError(f"operator {operator} is not evaluated here")
    result = _OPERATORS[operator](*inputs, **attributes)
    results = [result] if isinstance(result, np.ndarray) else list(result)
    return results[:outputs]


def _as(array: Array, dtype: npt.DTypeLike) -> Array:
    return array.astype(dtype) if array.dtype == np.float32 else array


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _channelwise(parameter: Array, like: Array) -> Array:
    return parameter.reshape(1, -1, *(1,) * (like.ndim - 2))


_ROUNDINGS: dict[str, Callable[[Array], Array]] = {
    "ROUND": np.rint,  # half to even
    "FLOOR": np.floor,
    "CEIL": np.ceil,
}


def _limits(signed: int, narrow: int, bits: int) -> tuple[int, int]:
    if signed:
        return -(2 ** (bits - 1)) + narrow, 2 ** (bits - 1) - 1
    return 0, 2**bits - 1 - narrow


def _quant(
    x: Array,
    scale: Array,
    zero_point: Array,
    bits: Array,
    *,
    signed: int,
    narrow: int,
    rounding_mode: str | bytes,
) -> Array:
    low, high = _limits(signed, narrow, int(bits))
    codes = np.clip(x / scale + zero_point, low, high)
    return (_ROUNDINGS[_text(rounding_mode).upper()](codes) - zero_point) * scale


def _bipolar_quant(x: Array, scale: Array) -> Array:
    return np.where(x >= 0, scale, -scale)


def _trunc(
    x: Array,
    scale: Array,
    zero_point: Array,
    input_bits: Array,
    output_scale: Array,
    output_bits: Array,
    *,
    signed: int,
    narrow: int,
    rounding_mode: str | bytes,
) -> Array:
    divisor = 2.0 ** np.rint(np.log2(output_scale / scale))
    low, high = _limits(signed, narrow, int(output_bits))
    codes = np.clip(np.rint(x / scale + zero_point) / divisor, low, high)
    codes = _ROUNDINGS[_text(rounding_mode).upper()](codes)
    return (codes - zero_point / divisor) * output_scale


def _windows(
    x: Array, kernel: Sequence[int], pads: Sequence[int], strides: Sequence[int], fill: float
) -> Array:
    """All windows of [N, C, *spatial], as [N, C, *positions, *kernel]."""
    rank = len(kernel)
    edges = list(zip(pads[:rank], pads[rank:], strict=True))
    padded = np.pad(x, [(0, 0), (0, 0), *edges], constant_values=fill)
    windows = sliding_window_view(padded, tuple(kernel), axis=tuple(range(2, 2 + rank)))
    return windows[(slice(None), slice(None), *(slice(None, None, s) for s in strides))]


def _conv(
    x: Array,
    weights: Array,
    bias: Array | None = None,
    *,
    kernel_shape: Sequence[int],
    pads: Sequence[int],
    strides: Sequence[int],
    group: int = 1,
    **_: Any,  # noqa: ANN401  # dilations: always 1
) -> Array:
    rank = len(kernel_shape)
    windows = _windows(x, kernel_shape, pads, strides, 0.0)
    frames, positions = len(x), windows.shape[2 : 2 + rank]
    # [G, N * positions, C / G * taps] times [G, C / G * taps, O / G]
    columns = np.moveaxis(windows, 1, 1 + rank)
    columns = columns.reshape(frames * int(np.prod(positions)), group, -1).swapaxes(0, 1)
    filters = weights.reshape(group, len(weights) // group, -1).swapaxes(1, 2)
    product = (columns @ filters).swapaxes(0, 1).reshape(frames, *positions, len(weights))
    result = np.moveaxis(product, -1, 1)
    return result if bias is None else result + _channelwise(bias, result)


def _max_pool(
    x: Array,
    *,
    kernel_shape: Sequence[int],
    pads: Sequence[int],
    strides: Sequence[int],
    **_: Any,  # noqa: ANN401
) -> Array:
    windows = _windows(x, kernel_shape, pads, strides, -np.inf)
    return np.asarray(windows.max(axis=tuple(range(-len(kernel_shape), 0))))


def _average_pool(
    x: Array,
    *,
    kernel_shape: Sequence[int],
    pads: Sequence[int],
    strides: Sequence[int],
    count_include_pad: int,
    **_: Any,  # noqa: ANN401
) -> Array:
    if not count_include_pad:
        raise NotImplementedError("an average pool that leaves out its padding is not evaluated")
    windows = _windows(x, kernel_shape, pads, strides, 0.0)
    total = windows.sum(axis=tuple(range(-len(kernel_shape), 0)))
    return np.asarray(total / np.prod(kernel_shape).astype(x.dtype))


def _batch_norm(
    x: Array,
    gamma: Array,
    beta: Array,
    mean: Array,
    variance: Array,
    *,
    epsilon: float,
    **_: Any,  # noqa: ANN401
) -> Array:
    gain = gamma / np.sqrt(variance + np.asarray(epsilon, x.dtype))
    return x * _channelwise(gain, x) + _channelwise(beta - mean * gain, x)


def _gemm(
    x: Array,
    weights: Array,
    bias: Array | None = None,
    *,
    transB: int = 0,  # noqa: N803  # as ONNX calls it
    **_: Any,  # noqa: ANN401
) -> Array:
    product = x @ (weights.T if transB else weights)
    return np.asarray(product if bias is None else product + bias)


def _resize(x: Array, _: None, scales: Array, **__: Any) -> Array:  # noqa: ANN401
    for axis, factor in enumerate(scales):
        x = np.repeat(x, int(factor), axis)
    return x


def _split(
    x: Array, sizes: Array | None = None, *, axis: int, num_outputs: int = 0
) -> Sequence[Array]:
    if sizes is None:
        return np.split(x, num_outputs, axis)
    return np.split(x, np.cumsum(sizes)[:-1], axis)


def _slice(x: Array, starts: Array, ends: Array, axes: Array, steps: Array) -> Array:
    index = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        index[axis] = slice(int(start), int(end), int(step))
    return x[tuple(index)]


def _pad(x: Array, pads: Array, **_: Any) -> Array:  # noqa: ANN401
    return np.pad(x, list(zip(pads[: x.ndim], pads[x.ndim :], strict=True)))


def _top_k(x: Array, k: Array, *, axis: int, **_: Any) -> Sequence[Array]:  # noqa: ANN401
    order = np.argsort(-x, axis, kind="stable")  # of equal values the lower index comes first
    order = np.take(order, np.arange(int(k[0])), axis)
    return np.take_along_axis(x, order, axis), order


def _arg_max(x: Array, *, axis: int, keepdims: int, **_: Any) -> Array:  # noqa: ANN401
    return np.asarray(np.argmax(x, axis, keepdims=bool(keepdims)))


def _reduce(
    function: Callable[..., Array],
) -> Callable[..., Array]:
    def reduce(x: Array, axes: Array, *, keepdims: int, **_: Any) -> Array:  # noqa: ANN401
        return np.asarray(function(x, axis=tuple(int(axis) for axis in axes), keepdims=keepdims))

    return reduce


def _global(function: Callable[..., Array]) -> Callable[..., Array]:
    def pool(x: Array) -> Array:
        return np.asarray(function(x, axis=tuple(range(2, x.ndim)), keepdims=True))

    return pool


_OPERATORS: dict[str, _Operator] = {
    "Add": np.add,
    "ArgMax": _arg_max,
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "BipolarQuant": _bipolar_quant,
    "Concat": lambda *arms, axis: np.concatenate(arms, axis),
    "Conv": _conv,
    "Flatten": lambda x, **_: x.reshape(len(x), -1),
    "Gemm": _gemm,
    "GlobalAveragePool": _global(np.mean),
    "GlobalMaxPool": _global(np.max),
    "LeakyRelu": lambda x, alpha: np.where(x >= 0, x, x * np.asarray(alpha, x.dtype)),
    "MatMul": np.matmul,
    "MaxPool": _max_pool,
    "Mul": np.multiply,
    "Pad": _pad,
    "Quant": _quant,
    "ReduceMax": _reduce(np.max),
    "ReduceMean": _reduce(np.mean),
    "Relu": lambda x: np.maximum(x, 0),
    "Reshape": lambda x, shape, **_: x.reshape(len(x), *shape[1:]),
    "Resize": _resize,
    "Slice": _slice,
    "Split": _split,
    "Sub": np.subtract,
    "TopK": _top_k,
    "Trunc": _trunc,
}
