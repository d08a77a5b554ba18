"""QONNX execution: the reference that the integer network and the RTL are compared with."""

import contextlib
import warnings
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx

from sdq_fpga.progress import Progress

__all__ = ["qonnx_outputs"]


def qonnx_outputs(
    model: ModelWrapper, frames: Mapping[str, npt.NDArray[np.generic]], progress: Progress
) -> dict[str, npt.NDArray[np.float32]]:
    """Runs a QONNX model with QONNX's own executor, one frame at a time.

    Args:
        model: the model, cleaned up.
        frames: for each input, [N, *shape without the batch].
        progress: told after each frame.

    Returns:
        For each output, float32 [N, *shape without the batch].
    """
    count = len(next(iter(frames.values())))
    found: dict[str, list[npt.NDArray[np.float32]]] = {each.name: [] for each in model.graph.output}
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        advance = stack.enter_context(progress.task("execute QONNX", count))
        for index in range(count):
            feed = {name: each[index][None].astype(np.float32) for name, each in frames.items()}
            result = execute_onnx(model, feed)
            for name, kept in found.items():
                shape = model.get_tensor_shape(name)
                kept.append(np.asarray(result[name], np.float32).reshape(shape[1:]))
            advance(1)
    return {name: np.stack(kept) for name, kept in found.items()}
