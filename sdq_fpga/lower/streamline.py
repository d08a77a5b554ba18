"""QONNX to integers: float scales are moved together and absorbed into thresholds."""

import numpy as np
from finn.transformation.qonnx.convert_qonnx_to_finn import ConvertQONNXtoFINN
from finn.transformation.qonnx.quant_act_to_multithreshold import default_filter_function_generator
from finn.transformation.streamline import Streamline, absorb
from finn.transformation.streamline.round_thresholds import RoundAndClipThresholds
from onnx import NodeProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation
from qonnx.transformation.fold_constants import FoldConstants
from qonnx.transformation.general import (
    GiveReadableTensorNames,
    GiveUniqueNodeNames,
    RemoveStaticGraphInputs,
    RemoveUnusedTensors,
)
from qonnx.transformation.infer_data_layouts import InferDataLayouts
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.infer_shapes import InferShapes
from qonnx.transformation.lower_convs_to_matmul import LowerConvsToMatMul

from sdq_fpga.errors import UserError
from sdq_fpga.lower.finn_session import explained

__all__ = ["BiasFreeGemmToMatMul", "refuse_unsupported", "streamline"]

# What the lowering understands in a QONNX file. Anything else is named before any time is spent.
SUPPORTED_OPS = frozenset(
    {
        "Add",
        "BatchNormalization",
        "Conv",
        "Div",
        "Flatten",
        "Gemm",
        "Identity",
        "MatMul",
        "Mul",
        "Quant",
        "Relu",
        "Reshape",
        "Sub",
        "Transpose",
    }
)

# What may stay around the integer part: the host's own layout change and the scale of the scores.
_OUTSIDE = frozenset({"Transpose", "Mul"})
_INTEGER = frozenset({"Im2Col", "MatMul", "MultiThreshold", "Reshape", "Transpose", "Flatten"})


class BiasFreeGemmToMatMul(Transformation):  # type: ignore[misc]
    """Replaces a Gemm without bias, whose quantized weights are transposed, by a MatMul.

    QONNX's own GemmToMatMul expects a bias.
    """

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        """Replaces every such node of the graph."""
        for index, node in enumerate(list(model.graph.node)):
            if node.op_type != "Gemm" or len(node.input) != 2:
                continue
            quant = model.find_producer(node.input[1])
            if quant is None or quant.op_type != "Quant" or not _transposes_b_only(node):
                continue
            weights = np.ascontiguousarray(model.get_initializer(quant.input[0]).T)
            model.set_initializer(quant.input[0], weights)
            model.set_tensor_shape(quant.output[0], list(weights.shape))
            product = helper.make_node("MatMul", list(node.input), list(node.output))
            model.graph.node.remove(node)
            model.graph.node.insert(index, product)
        return model, False


def _transposes_b_only(node: NodeProto) -> bool:
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    return bool(
        attributes.get("transB", 0) == 1
        and attributes.get("transA", 0) == 0
        and attributes.get("alpha", 1.0) == 1.0
    )


def refuse_unsupported(model: ModelWrapper) -> None:
    """Names every node that the lowering can't take.

    Raises:
        UserError: there is such a node.
    """
    strangers = [
        f"{node.name or node.output[0]} ({node.op_type})"
        for node in model.graph.node
        if node.op_type not in SUPPORTED_OPS
    ]
    if strangers:
        raise UserError(
            f"the hardware has no operator for {', '.join(strangers)}",
            f"build the network from {', '.join(sorted(SUPPORTED_OPS))} only",
        )


def streamline(model: ModelWrapper) -> ModelWrapper:
    """Turns a QONNX model into one that computes on integers between its first and last node.

    Raises:
        UserError: an operator is not supported, or float operations remain inside.
        StageError: FINN refuses the graph.
    """
    refuse_unsupported(model)
    with explained("FINN could not streamline the network", "simplify the layer it names"):
        model = model.transform(BiasFreeGemmToMatMul())
        model = model.transform(
            ConvertQONNXtoFINN(
                filter_function=default_filter_function_generator(max_multithreshold_bit_width=8)
            )
        )
        for step in (
            InferShapes(),
            FoldConstants(),
            GiveUniqueNodeNames(),
            GiveReadableTensorNames(),
            InferDataTypes(),
            RemoveStaticGraphInputs(),
            absorb.AbsorbScalarBiasIntoMultiThreshold(),
            Streamline(),
            LowerConvsToMatMul(),
            absorb.AbsorbTransposeIntoMultiThreshold(),
            absorb.AbsorbConsecutiveTransposes(),
            Streamline(),
            InferDataLayouts(),
            RemoveUnusedTensors(),
            RoundAndClipThresholds(),
        ):
            model = model.transform(step)
    _refuse_float_inside(model)
    return model


def _refuse_float_inside(model: ModelWrapper) -> None:
    nodes = list(model.graph.node)
    while nodes and nodes[0].op_type in _OUTSIDE:
        nodes.pop(0)
    while nodes and nodes[-1].op_type in _OUTSIDE:
        nodes.pop()
    floats = [
        f"{node.name} ({node.op_type})"
        for node in nodes
        if node.op_type not in _INTEGER
        or model.get_tensor_datatype(node.input[0]) == DataType["FLOAT32"]
    ]
    if floats or not nodes:
        raise UserError(
            f"after streamlining, the network still computes in floating point in "
            f"{', '.join(floats) or 'every node'}",
            "quantize the input of each of them, or put a batch-norm and a quantized ReLU "
            "before it so that its scale can be absorbed",
        )
