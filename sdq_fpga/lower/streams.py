"""Width converters and FIFOs in a folded FINN graph, as ``sdq_fpga.cost.streams`` decides them."""

from collections.abc import Mapping

from finn.util.basic import getHWCustomOp
from onnx import TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from sdq_fpga.board import Board
from sdq_fpga.cost.fifo import asked_style
from sdq_fpga.cost.node import HardwareNode
from sdq_fpga.cost.ports import Port, output_ports
from sdq_fpga.cost.streams import FIFO, LEAST_DEPTH
from sdq_fpga.cost.streams import insert_streams as insert_plain
from sdq_fpga.lower.describe import describe
from sdq_fpga.ops import DOMAIN

__all__ = ["append_node", "insert_streams", "set_depths"]


def insert_streams(model: ModelWrapper) -> ModelWrapper:
    """Puts a width converter where two nodes disagree about the beats, and a FIFO on every edge.

    Args:
        model: the folded graph, changed in place; names of its nodes are unique.

    Returns:
        The same graph, in order of the data. FIFOs have the least depth and are called "fifo_N",
        converters "dwc_N".
    """
    plain = insert_plain(describe(model))
    nodes = {node.name: node for node in model.graph.node}
    del model.graph.node[:]
    for each in plain.nodes:
        node = nodes.get(each.name)
        if node is None:
            append_node(model, each)
            continue
        streams = iter(each.inputs)
        node.input[:] = [
            next(streams) if model.get_initializer(name) is None else name for name in node.input
        ]
        for index, (name, port) in enumerate(zip(each.outputs, output_ports(each), strict=True)):
            if name != node.output[index]:
                node.output[index] = name
                _declare(model, name, port)
        model.graph.node.append(node)
    return model


def append_node(model: ModelWrapper, plain: HardwareNode) -> None:
    """Adds a converter or a FIFO to a graph, and the stream that comes out of it."""
    node = helper.make_node(
        plain.op,
        plain.inputs,
        plain.outputs,
        name=plain.name,
        domain=DOMAIN,
        backend="fpgadataflow",
        **plain.attributes,
    )
    node.doc_string = plain.layer
    model.graph.node.append(node)
    ends = {each.name for each in model.graph.output}
    for name, port in zip(plain.outputs, output_ports(plain), strict=True):
        if name not in ends:
            _declare(model, name, port)


def _declare(model: ModelWrapper, name: str, port: Port) -> None:
    info = helper.make_tensor_value_info(name, TensorProto.FLOAT, port.shape)
    model.graph.value_info.append(info)
    model.set_tensor_datatype(name, DataType[port.datatype])


def set_depths(model: ModelWrapper, depths: Mapping[str, int], board: Board) -> None:
    """Sets the depth of FIFOs, by name, and what they are made of (``asked_style``)."""
    for node in model.get_nodes_by_op_type(FIFO):
        depth = depths.get(node.name, LEAST_DEPTH)
        inst = getHWCustomOp(node)
        inst.set_nodeattr("depth", depth)
        inst.set_nodeattr("ram_style", asked_style(depth, ultra=board.budget.uram > 0))
