"""Cycles between frames of a node that nothing holds up."""

import math
from collections.abc import Callable, Mapping
from functools import cache

from sdq_fpga.cost.many import Many
from sdq_fpga.cost.node import HardwareNode
from sdq_fpga.cost.ports import input_ports, output_ports
from sdq_fpga.cost.window_cycles import window_cycles
from sdq_fpga.errors import StageError

__all__ = ["converter_cycles", "matrix_cycles", "node_cycles"]


def node_cycles(node: HardwareNode) -> int:
    """Cycles between frames as the node is folded, if its neighbours never make it wait.

    It is what ``sdq_fpga.cost.timing`` shows for the node alone, in closed form.

    Raises:
        StageError: nothing is known of nodes of that type.
    """
    counter = _CYCLES.get(node.op)
    if counter is None:
        raise StageError(
            f"the cycles of {node.op} '{node.name}' of layer '{node.layer}' are not known",
            "report the operator",
        )
    return counter(node)


def _busiest(node: HardwareNode) -> int:
    """A beat a cycle on the stream that has the most of them."""
    return max(port.beats for port in (*input_ports(node), *output_ports(node)))


def matrix_cycles(node: HardwareNode, pe: Many, simd: Many) -> Many:
    """Cycles of a matrix-vector unit at a parallelism, or at several at once."""
    vectors = node.product("numInputVectors" if node.op == "MVAU_rtl" else "shape")
    return vectors * (node.integer("MW") // simd) * (node.integer("MH") // pe)


def _matrix(node: HardwareNode) -> int:
    return int(matrix_cycles(node, node.integer("PE"), node.integer("SIMD")))


def _label_select(node: HardwareNode) -> int:
    return node.integer("labels") // (node.integer("PE") if node.integer("k") == 1 else 1)


def _converter(node: HardwareNode) -> int:
    bits = node.product("inShape") * node.bits("dataType")
    return converter_cycles(bits, node.integer("inWidth"), node.integer("outWidth"))


def converter_cycles(bits: int, into: int, out: int) -> int:
    """Cycles of a width converter.

    finn-rtllib/dwc/hdl/vpc.sv: a beat comes in while no more is kept than a beat that goes out.
    Where the widths divide, the narrow side then has a beat a cycle; else it may have fewer.

    Args:
        bits: of a frame.
        into: of a beat that comes in.
        out: of one that goes out.
    """
    common = math.gcd(into, out)
    came, goes = into // common, out // common
    periods = bits // (common * came * goes)
    return math.ceil(periods * _converter_period(came, goes))


@cache
def _converter_period(came: int, goes: int) -> float:
    """Cycles in which ``goes`` beats of ``came`` units become ``came`` beats of ``goes`` units."""
    kept, given, began = 0, 0, 0
    cycle = 0
    while given < 3 * came:
        taken = kept <= goes
        if kept >= goes:
            kept -= goes
            given += 1
        kept += came if taken else 0
        if given == came and not began:
            began = cycle
        cycle += 1
    return (cycle - 1 - began) / 2


_CYCLES: Mapping[str, Callable[[HardwareNode], int]] = {
    "ConvolutionInputGenerator_rtl": window_cycles,
    "MVAU_rtl": _matrix,
    "SdqAffine_rtl": _busiest,
    "SdqConcat_rtl": _busiest,
    "SdqCrop_rtl": _busiest,
    "SdqDepthwise_rtl": _busiest,
    "SdqDuplicate_rtl": _busiest,
    "SdqElementwise_rtl": _busiest,
    "SdqGlobalPool_rtl": _busiest,
    "SdqLabelSelect_rtl": _label_select,
    "SdqMvuLut_rtl": _matrix,
    "SdqPad_rtl": _busiest,
    "SdqPool_rtl": _busiest,
    "SdqRequant_rtl": _busiest,
    "SdqSplit_rtl": _busiest,
    "SdqUpsample_rtl": _busiest,
    "StreamingDataWidthConverter_rtl": _converter,
    "StreamingFIFO_rtl": _busiest,
    "Thresholding_rtl": _busiest,
}
