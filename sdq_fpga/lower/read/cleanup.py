"""QONNX's cleanup of a model (``qonnx.util.cleanup``), in time that grows with the model.

QONNX copies and sorts the whole graph after each of its transformations, and looks through all
tensors for each that it renames. Here the same transformations are made on one graph, which is
sorted before nodes are named, and all tensors are renamed at once. The result is the same, but for
annotations that a tensor is of floats, which say nothing.
"""

from onnx import GraphProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.fold_constants import FoldConstants
from qonnx.transformation.general import (
    GiveUniqueNodeNames,
    GiveUniqueParameterTensors,
    RemoveStaticGraphInputs,
    RemoveUnusedTensors,
)
from qonnx.transformation.infer_shapes import InferShapes
from qonnx.transformation.quant_constant_folding import FoldTransposeIntoQuantInit

__all__ = ["cleaned_up"]

_QUANTIZERS = ("Quant", "BipolarQuant", "QuantizeLinear", "DequantizeLinear")
_OF_QONNX = frozenset({"Quant", "Trunc", "BipolarQuant"})
_DOMAIN = "qonnx.custom_op.general"


def cleaned_up(model: ModelWrapper) -> ModelWrapper:
    """Infers shapes, folds constants, and gives nodes and tensors names of their own.

    Args:
        model: the model, which is changed.

    Returns:
        The model with nodes in order of the data.
    """
    for node in model.graph.node:
        if node.op_type in _OF_QONNX:
            node.domain = _DOMAIN
    for transformation in (
        InferShapes(),
        GiveUniqueParameterTensors(),
        FoldConstants(exclude_op_types=_QUANTIZERS),
        FoldTransposeIntoQuantInit(),
        RemoveUnusedTensors(),
        RemoveStaticGraphInputs(),
    ):
        model = model.transform(transformation, make_deepcopy=False, cleanup=False)
    model = model.cleanup()
    model = model.transform(GiveUniqueNodeNames(), make_deepcopy=False, cleanup=False)
    _rename(model.graph, _readable(model.graph))
    return model


def _readable(graph: GraphProto) -> dict[str, str]:
    """New names of tensors: those of the node that gives them, or whose parameters they are."""
    parameters = {each.name for each in graph.initializer}
    names: dict[str, str] = {}
    for node in graph.node:
        names |= {name: f"{node.name}_out{number}" for number, name in enumerate(node.output)}
        own = [name for name in node.input if name in parameters]
        names |= {name: f"{node.name}_param{number}" for number, name in enumerate(own)}
    for ports, name in ((graph.input, "global_in"), (graph.output, "global_out")):
        for number, port in enumerate(ports):
            names[port.name] = f"{name}_{number}" if number else name
    return names


def _rename(graph: GraphProto, names: dict[str, str]) -> None:
    for each in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        each.name = names.get(each.name, each.name)
    for annotation in graph.quantization_annotation:
        annotation.tensor_name = names.get(annotation.tensor_name, annotation.tensor_name)
    for node in graph.node:
        for tensors in (node.input, node.output):
            tensors[:] = [names.get(name, name) for name in tensors]
