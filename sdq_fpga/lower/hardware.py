"""Integer network to hardware graph: one RTL node per operator."""

import numpy as np
from finn.transformation.fpgadataflow.convert_to_hw.conv_inp_gen import InferConvInpGen
from finn.transformation.fpgadataflow.convert_to_hw.quantized_matrix_vector_activation import (
    InferQuantizedMatrixVectorActivation,
)
from finn.transformation.fpgadataflow.convert_to_hw.thresholding import InferThresholdingLayer
from finn.transformation.fpgadataflow.minimize_accumulator_width import MinimizeAccumulatorWidth
from finn.transformation.fpgadataflow.minimize_weight_bit_width import MinimizeWeightBitWidth
from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers
from finn.transformation.move_reshape import RemoveCNVtoFCFlatten
from finn.transformation.streamline import absorb
from finn.transformation.streamline.round_thresholds import RoundAndClipThresholds
from finn.util.basic import getHWCustomOp
from onnx import TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation
from qonnx.transformation.general import GiveReadableTensorNames, GiveUniqueNodeNames
from qonnx.transformation.infer_data_layouts import InferDataLayouts
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.infer_shapes import InferShapes

from sdq_fpga.errors import StageError, UserError
from sdq_fpga.lower.finn_session import explained
from sdq_fpga.plain import Plain

__all__ = ["HostSide", "to_hardware"]


class HostSide(Plain):
    """What the host does before and after the accelerator.

    Attributes:
        channels_last: whether images are reordered from (C, H, W) to (H, W, C) before they go in.
        score_scale: the accelerator's integers times this are the network's scores. A power of
            two, so the product is exact in float32.
    """

    channels_last: bool
    score_scale: float


def to_hardware(model: ModelWrapper, part: str) -> tuple[ModelWrapper, HostSide]:
    """Converts a streamlined model into a chain of FINN's RTL nodes.

    Args:
        model: what ``streamline`` returns.
        part: full part number of the FPGA; decides which RTL core a node gets.

    Returns:
        The hardware graph, integers in and integers out, and what is left to the host.

    Raises:
        UserError: an operator has no RTL, or all weights of a layer are zero.
        StageError: FINN refuses the graph.
    """
    with explained("FINN could not map the network to hardware nodes", "simplify that layer"):
        for step in (
            InferThresholdingLayer(),
            InferQuantizedMatrixVectorActivation(),
            InferConvInpGen(),
            RemoveCNVtoFCFlatten(),
            absorb.AbsorbConsecutiveTransposes(),
            RemoveCNVtoFCFlatten(),
            GiveUniqueNodeNames(),
            InferDataLayouts(),
            InferDataTypes(),
            InferShapes(),
        ):
            model = model.transform(step)
    _refuse_zero_weights(model)
    model, host = _without_host_side(model)
    with explained("FINN could not choose RTL for a hardware node", "report the node it names"):
        for node in model.graph.node:
            getHWCustomOp(node).set_nodeattr("preferred_impl_style", "rtl")
        for step in (
            SpecializeLayers(part),
            GiveUniqueNodeNames(),
            InferShapes(),
            InferDataTypes(),
            MinimizeWeightBitWidth(),
            MinimizeAccumulatorWidth(),
            InferDataTypes(),
            RoundAndClipThresholds(),
            InferDataTypes(),
            MinimizeWeightBitWidth(),
            SignedWeights(),
            InferDataTypes(),
            GiveReadableTensorNames(),  # QONNX draws names at random; the file is to repeat
        ):
            model = model.transform(step)
    _refuse_without_rtl(model)
    return model, host


class SignedWeights(Transformation):  # type: ignore[misc]
    """Gives the weights of every matrix-vector unit a signed type of 2 bits or more.

    MinimizeWeightBitWidth makes the type of a layer without negative weights unsigned, but the
    RTL (finn-rtllib/mvu/mvu.sv) takes every weight as signed, and would read its top bit as the
    sign.
    """

    def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
        """Sets the weight type of every unit for which it must change."""
        for node in model.get_nodes_by_op_type("MVAU_rtl"):
            inst = getHWCustomOp(node)
            datatype = DataType[inst.get_nodeattr("weightDataType")]
            if datatype.signed() and datatype.bitwidth() >= 2:
                continue
            weights = model.get_initializer(node.input[1])
            largest = int(max(-weights.min() - 1, weights.max(), 1))
            signed = DataType[f"INT{largest.bit_length() + 1}"]
            inst.set_nodeattr("weightDataType", signed.name)
            model.set_tensor_datatype(node.input[1], signed)
        return model, False


def _refuse_zero_weights(model: ModelWrapper) -> None:
    for node in model.get_nodes_by_op_type("MVAU"):
        if not np.any(model.get_initializer(node.input[1])):
            raise UserError(
                f"all weights of {node.name} are zero after quantization",
                "give that layer more bits, or train it longer",
            )


def _refuse_without_rtl(model: ModelWrapper) -> None:
    without = [
        f"{node.name} ({node.op_type})"
        for node in model.graph.node
        if not node.op_type.endswith("_rtl")
    ]
    if without:
        raise UserError(
            f"there is no RTL for {', '.join(without)}",
            "use convolutions, linear layers, batch-norm and quantized ReLU of 2..8 bits",
        )


def _without_host_side(model: ModelWrapper) -> tuple[ModelWrapper, HostSide]:
    """Cuts off the leading layout change and the trailing scale, which the host does."""
    graph = model.graph
    nodes = list(graph.node)
    channels_last = nodes[0].op_type == "Transpose"
    first = nodes[0].output[0] if channels_last else graph.input[0].name
    score_scale = 1.0
    last = graph.output[0].name
    if nodes[-1].op_type == "Mul":
        scale = model.get_initializer(nodes[-1].input[1])
        if scale is None or scale.size != 1 or scale.item() <= 0:
            raise StageError(
                f"the scores' scale in {nodes[-1].name} is not one positive number",
                "use one scale for the whole last layer",
            )
        score_scale = float(scale.item())
        last = nodes[-1].input[0]
        graph.node.remove(nodes[-1])
    if channels_last:
        graph.node.remove(nodes[0])
    for values, name in ((graph.input, first), (graph.output, last)):
        shape = model.get_tensor_shape(name)
        datatype = model.get_tensor_datatype(name)
        for value in [value for value in graph.value_info if value.name == name]:
            graph.value_info.remove(value)
        del values[:]
        values.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        model.set_tensor_datatype(name, datatype)
    return model, HostSide(channels_last=channels_last, score_scale=score_scale)
