"""A QONNX file to the integer network."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
from onnx import helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from sdq_fpga.errors import UserError
from sdq_fpga.lower.finn_session import explained
from sdq_fpga.lower.graph import (
    Affine,
    Convolution,
    Dense,
    Depthwise,
    IntegerGraph,
    Operation,
)
from sdq_fpga.lower.host import HostSide
from sdq_fpga.lower.read import linear, pointwise, quantize, shape, spatial  # noqa: F401  # register
from sdq_fpga.lower.read.cleanup import cleaned_up
from sdq_fpga.lower.read.reader import HANDLERS, LAST_FUNCTIONS, Reader

__all__ = ["load_qonnx", "read_qonnx"]

_FIXED = "export the model with numbers for all sizes, and a batch of 1"


def load_qonnx(path: Path, input_type: str | None = None) -> ModelWrapper:
    """Loads a QONNX file and cleans it up: shapes, constants, names.

    Args:
        path: the file.
        input_type: QONNX type of its inputs, such as "UINT8" or "FIXED<8,4>"; None for what the
            file says.

    Raises:
        UserError: there is no such file, it is no ONNX model, the shape of an input is not fixed,
            or there is no such type.
    """
    try:
        model = ModelWrapper(str(path))
    except Exception as error:
        raise UserError(f"{path} is no ONNX model ({error})", "give a QONNX file") from error
    if not model.graph.node:
        raise UserError(f"{path} is no ONNX model (it has no nodes)", "give a QONNX file")
    _check_shapes(model)
    with explained(f"QONNX could not clean up {path.name}", "check the model with onnx.checker"):
        model = cleaned_up(_without_twins(model))
    if input_type is not None:
        try:
            datatype = DataType[input_type]
        except (KeyError, ValueError, AssertionError) as error:
            raise UserError(
                f"there is no type '{input_type}'", "give UINT8, INT8, FIXED<8,4> or the like"
            ) from error
        for each in model.graph.input:
            model.set_tensor_datatype(each.name, datatype)
    return model


def _check_shapes(model: ModelWrapper) -> None:
    """Makes sure that all inputs have shapes that are fixed; QONNX would take others for 0.

    Raises:
        UserError: naming the first that has not.
    """
    constants = {each.name for each in model.graph.initializer}
    for each in model.graph.input:
        if each.name in constants:
            continue
        sizes = each.type.tensor_type.shape.dim
        if not sizes:
            raise UserError(f"input '{each.name}' has no shape", _FIXED)
        if not all(size.dim_value > 0 for size in sizes):
            known = ", ".join(str(size.dim_value or size.dim_param or "?") for size in sizes)
            raise UserError(
                f"input '{each.name}' has a shape that varies at run time, ({known})", _FIXED
            )


def _without_twins(model: ModelWrapper) -> ModelWrapper:
    """Gives a node that reads a tensor twice (x + x) an Identity in front of the second.

    QONNX's cleanup renames tensors, and of such a node only the first input.
    """
    nodes = []
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            if name and name in list(node.input)[:index]:
                twin = f"{node.output[0]}_{index}_{name}"
                nodes.append(helper.make_node("Identity", [name], [twin]))
                node.input[index] = twin
        nodes.append(node)
    copies = [copy.deepcopy(node) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(copies)
    return model


def read_qonnx(model: ModelWrapper, *, any_weights: bool = False) -> tuple[IntegerGraph, HostSide]:
    """Turns a QONNX model into an integer network, and what is left to the host.

    Args:
        model: the model, cleaned up.
        any_weights: whether sums get room for all weights of as many bits, and not only for those
            of the model.

    Raises:
        UserError: naming every node for which there is no operator, or the first one that can't
            be done in integers.
    """
    _refuse_unsupported(model)
    graph, host = Reader(model, any_weights=any_weights).read()
    return _fold_signs(graph), host


def _refuse_unsupported(model: ModelWrapper) -> None:
    known = HANDLERS.keys() | LAST_FUNCTIONS.keys()
    strangers = [
        f"{node.name or node.output[0]} ({node.op_type})"
        for node in model.graph.node
        if node.op_type not in known
    ]
    if strangers:
        raise UserError(
            f"the hardware has no operator for {', '.join(strangers)}",
            f"build the network from {', '.join(sorted(known))} only",
        )


def _fold_signs(graph: IntegerGraph) -> IntegerGraph:
    """Folds the negation of channels into the weights that made them, where nobody else reads."""
    readers = graph.readers()
    makers = {sink.name: each for each in graph.operations for sink in each.outputs}
    replaced: dict[int, Operation] = {}
    dropped: set[int] = set()
    for each in graph.operations:
        maker = makers.get(each.source.name) if isinstance(each, Affine) else None
        if (
            isinstance(each, Affine)
            and isinstance(maker, (Convolution, Depthwise, Dense))
            and readers[each.source.name] == 1
            and np.all(np.abs(each.gain) == 1)
            and not np.any(each.offset)
        ):
            replaced[id(maker)] = replace(
                maker, weights=maker.weights * each.gain, outputs=each.outputs
            )
            dropped.add(id(each))
    operations = tuple(
        replaced.get(id(each), each) for each in graph.operations if id(each) not in dropped
    )
    return replace(graph, operations=operations)
