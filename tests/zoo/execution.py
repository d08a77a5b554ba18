"""QONNX's own cleanup and executor, for several frames; and what the tests ask of a graph."""

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.util.cleanup import cleanup_model

Array = npt.NDArray[Any]


def executed(model: ModelProto, frames: Array) -> list[Array]:
    """Outputs of the cleaned model, frame after frame, in float32."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clean = cleanup_model(ModelWrapper(model))
        source = clean.graph.input[0].name
        results = [execute_onnx(clean, {source: frame[None]}) for frame in frames]
    return [
        np.stack([result[output.name].reshape(-1) for result in results])
        for output in clean.graph.output
    ]


def outputs(model: ModelProto, tensors: dict[str, Array]) -> list[Array]:
    """Outputs among all tensors of a model, one row for each frame."""
    found = [tensors[output.name] for output in model.graph.output]
    return [array.reshape(len(array), -1) for array in found]


def activation_quantizers(model: ModelProto) -> list[NodeProto]:
    constants = {constant.name for constant in model.graph.initializer}
    return [
        node
        for node in model.graph.node
        if node.op_type in {"Quant", "BipolarQuant"} and node.input[0] not in constants
    ]


def constant(model: ModelProto, name: str) -> Array:
    return next(
        numpy_helper.to_array(item) for item in model.graph.initializer if item.name == name
    )


def bits_spanned(values: Array) -> float:
    """Bits of the largest of ``values``, counted in the unit of which all are multiples."""
    codes = values.astype(np.float64) * 2.0**44
    assert np.array_equal(codes, np.rint(codes))
    unit = np.gcd.reduce(np.abs(codes).astype(np.int64), axis=None)
    return float(np.log2(np.abs(codes).max() / unit + 1)) if unit else 0.0
