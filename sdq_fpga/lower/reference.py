"""QONNX execution: the reference that the RTL is compared with."""

import contextlib
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx

from sdq_fpga.progress import Progress

__all__ = ["qonnx_scores"]


def qonnx_scores(
    model_path: Path, images: npt.NDArray[np.uint8], progress: Progress
) -> npt.NDArray[np.float32]:
    """Runs a QONNX model with QONNX's own executor, one image at a time.

    Args:
        model_path: the exported model; its input is one image of pixels 0..255.
        images: uint8 images of shape [N, ...].
        progress: told after each image.

    Returns:
        The scores, float32 of shape [N, classes].
    """
    model = ModelWrapper(str(model_path))
    source, sink = model.graph.input[0].name, model.graph.output[0].name
    shape = tuple(model.get_tensor_shape(source))
    scores = []
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        advance = stack.enter_context(progress.task("execute QONNX", len(images)))
        for image in images:
            pixels = image.reshape(shape).astype(np.float32)
            scores.append(execute_onnx(model, {source: pixels})[sink].reshape(-1))
            advance(1)
    return np.stack(scores).astype(np.float32)
