"""Thresholds of a quantizer, found by evaluating what stands before it.

A quantizer after non-decreasing functions is a staircase over the integer codes. Where it steps is
found by bisection in float64, and where float32 execution of the model disagrees about the codes
next to a step, float32 has the last word: the model's own nodes are executed on them.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from onnx import NodeProto, TensorProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.util.basic import qonnx_make_model

__all__ = ["bisect_thresholds", "float32_staircase", "refine"]

Integers = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]
Staircase = Callable[[Integers], Reals]
"""Integer codes [C, K] to quantized codes [C, K]."""

_NEIGHBOURS = 2  # codes on each side of a step that are checked in float32


def bisect_thresholds(
    staircase: Staircase, levels: Integers, low: int, high: int, channels: int
) -> Integers:
    """Least code at which a non-decreasing staircase reaches each level.

    Args:
        staircase: what the quantizer makes of codes.
        levels: the levels to reach, [N].
        low: least code.
        high: greatest code.
        channels: rows of the result.

    Returns:
        [C, N]: the least code in low..high for which ``staircase >= level``; high + 1 if none.
    """
    below = np.full((channels, len(levels)), low - 1, np.int64)  # not reached yet
    above = np.full((channels, len(levels)), high + 1, np.int64)  # reached
    while np.any(above - below > 1):
        middle = (below + above) >> 1
        probe = np.clip(middle, low, high)
        reached = staircase(probe) >= levels
        inside = above - below > 1
        above = np.where(inside & reached, middle, above)
        below = np.where(inside & ~reached, middle, below)
    return above


def refine(
    thresholds: Integers, staircase: Staircase, levels: Integers, low: int, high: int
) -> Integers:
    """Moves each threshold by up to two codes to where another staircase reaches the level.

    Args:
        thresholds: [C, N] of the float64 staircase.
        staircase: the one to follow.
        levels: [N].
        low: least code.
        high: greatest code.
    """
    shifts = np.arange(-_NEIGHBOURS, _NEIGHBOURS + 1)
    candidates = np.clip(thresholds[:, :, None] + shifts, low, high)
    channels, count, width = candidates.shape
    quantized = staircase(candidates.reshape(channels, -1)).reshape(channels, count, width)
    reached = quantized >= levels[:, None]
    first = np.argmax(reached, axis=2)
    found = np.take_along_axis(candidates, first[:, :, None], axis=2)[:, :, 0]
    # Reached by none: the level lies above the range. By the first already, at its clipped end.
    none = ~reached.any(axis=2)
    return np.where(none, np.maximum(thresholds, candidates[:, :, -1] + 1), found)


def float32_staircase(
    model: ModelWrapper,
    chain: Sequence[NodeProto],
    start: str,
    scale: Reals,
    offset: Reals,
    rank: int,
    *,
    channels_last: bool,
    quantized_scale: Reals,
    zero_point: Reals,
) -> Staircase:
    """The staircase as QONNX' own float32 execution of ``chain`` has it.

    Args:
        model: the whole model; its initializers are used.
        chain: element-wise nodes, the last of them the quantizer.
        start: tensor from which they begin.
        scale: value of one code at ``start``, [C] or [1].
        offset: value of code 0 at ``start``, [C] or [1].
        rank: axes of the tensors.
        channels_last: where the channels are.
        quantized_scale: scale of the quantizer.
        zero_point: zero point of the quantizer.
    """

    def evaluate(codes: Integers) -> Reals:
        channels, count = codes.shape
        real = codes * scale.reshape(-1, 1) + offset.reshape(-1, 1)
        values = real.astype(np.float32)  # [C, K] -> [1, C, K, 1] and so on
        if rank == 2:  # [batch, features]: the batch takes the candidates
            shaped = np.ascontiguousarray(values.T)
        elif channels_last:
            shaped = np.ascontiguousarray(values.T).reshape(1, count, *(1,) * (rank - 3), channels)
        else:
            shaped = values.reshape(1, channels, count, *(1,) * (rank - 3))
        result = execute_onnx(_submodel(model, chain, start, shaped.shape), {start: shaped})
        out = result[chain[-1].output[0]].astype(np.float64)
        back = (
            out.reshape(channels, count)
            if not channels_last and rank > 2
            else out.reshape(count, channels).T
        )
        quantized: Reals = np.rint(
            back / quantized_scale.reshape(-1, 1) + zero_point.reshape(-1, 1)
        )
        return quantized

    return evaluate


def _submodel(
    model: ModelWrapper, chain: Sequence[NodeProto], start: str, shape: tuple[int, ...]
) -> ModelWrapper:
    float32 = TensorProto.FLOAT
    constants = {each.name: each for each in model.graph.initializer}
    nodes, tensor = [], start
    for node in chain:
        # What moves values only (a pool, a split) may stand between two nodes of the chain.
        linked = NodeProto()
        linked.CopyFrom(node)
        for index, name in enumerate(node.input):
            if name and name not in constants:
                linked.input[index] = tensor
        nodes.append(linked)
        tensor = node.output[0]
    info = [helper.make_tensor_value_info(node.output[0], float32, shape) for node in nodes]
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "staircase",
        [helper.make_tensor_value_info(start, float32, shape)],
        info[-1:],
        initializer=[each for name, each in constants.items() if name in used],
        value_info=info[:-1],
    )
    return ModelWrapper(qonnx_make_model(graph, opset_imports=list(model.model.opset_import)))
