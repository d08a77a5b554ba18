"""The hardware graph as plain data, for the hardware model."""

import numpy as np
import numpy.typing as npt
from finn.util.basic import getHWCustomOp
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper

from sdq_fpga.cost.node import HardwareGraph, HardwareNode, Value
from sdq_fpga.ops.operator import Operator

__all__ = ["describe", "describe_node"]

_WEIGHT_INPUT = 1
_OF_FLOATS = {"float", "floats", "f", "t"}
# Attributes of every FINN node that say nothing of the hardware.
_OF_EVERY_OP = frozenset(
    {
        "backend", "preferred_impl_style", "code_gen_dir_ipgen", "ipgen_path", "ip_path",
        "ip_vlnv", "exec_mode", "cycles_rtlsim", "cycles_estimate", "rtlsim_trace", "res_estimate",
        "res_synth", "rtlsim_so", "slr", "mem_port", "partition_id", "device_id", "inFIFODepths",
        "outFIFODepths", "output_hook", "bodies", "mlo_max_iter", "address_offset",
        "gen_top_module", "debug_log_path", "fifo_id",
    }
)  # fmt: skip


def describe(model: ModelWrapper) -> HardwareGraph:
    """Describes a graph of FINN's and our custom ops."""
    return HardwareGraph(
        tuple(describe_node(model, node) for node in model.graph.node),
        tuple(each.name for each in model.graph.input if model.get_initializer(each.name) is None),
        tuple(each.name for each in model.graph.output),
    )


def describe_node(model: ModelWrapper, node: NodeProto) -> HardwareNode:
    """Describes one node of ``model``.

    Thresholds have two more attributes: ``equal_channels``, whether they are the same in all, and
    ``distinct_bits``, how many bits of their type differ from each other in any of them.
    """
    inst = getHWCustomOp(node)
    attributes: dict[str, Value] = {}
    for name, (kind, *_) in inst.get_nodeattr_types().items():
        if kind in _OF_FLOATS or name in _OF_EVERY_OP:
            continue
        value = _plain(inst.get_nodeattr(name))
        if value is not None:
            attributes[name] = value
    if isinstance(inst, Operator):
        attributes |= inst.derived()
    if node.op_type == "Thresholding_rtl":
        thresholds = model.get_initializer(node.input[_WEIGHT_INPUT])
        if thresholds is not None:
            kind = model.get_tensor_datatype(node.input[_WEIGHT_INPUT])
            attributes["equal_channels"] = int(_equal_rows(thresholds))
            attributes["distinct_bits"] = _distinct_bits(thresholds, int(kind.bitwidth()))
    return HardwareNode(
        name=node.name,
        op=node.op_type,
        layer=node.doc_string,
        attributes=attributes,
        inputs=tuple(name for name in node.input if model.get_initializer(name) is None),
        outputs=tuple(node.output),
        narrow=_narrow(model, node),
    )


def _equal_rows(values: npt.NDArray[np.float32]) -> bool:
    return bool((values == values[:1]).all())


def _distinct_bits(values: npt.NDArray[np.float32], bits: int) -> int:
    """Bits of a table that are neither constant nor the copy of another one."""
    codes = np.rint(values).astype(np.int64).reshape(-1)
    columns = {np.packbits((codes >> bit) & 1 != 0).tobytes() for bit in range(bits)}
    ends = np.zeros(codes.size, bool), np.ones(codes.size, bool)
    return len(columns - {np.packbits(each).tobytes() for each in ends})


def _plain(value: object) -> Value | None:
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, str | int):
        return value
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, list | tuple | np.ndarray) and all(
        isinstance(each, int | np.integer) for each in value
    ):
        return tuple(int(each) for each in value)
    if isinstance(value, list | tuple) and all(isinstance(each, str) for each in value):
        return tuple(value)
    return None


def _narrow(model: ModelWrapper, node: NodeProto) -> bool:
    if len(node.input) <= _WEIGHT_INPUT:
        return False
    weights = model.get_initializer(node.input[_WEIGHT_INPUT])
    if weights is None:
        return False
    return bool(np.min(weights) > model.get_tensor_datatype(node.input[_WEIGHT_INPUT]).min())
