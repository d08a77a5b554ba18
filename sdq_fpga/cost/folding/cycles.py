"""Cycles between frames of a node that nothing holds up."""

import math
from collections.abc import Callable, Mapping
from functools import cache

from sdq_fpga.cost.folding.windows import window_cycles
from sdq_fpga.cost.node import HardwareNode
from sdq_fpga.errors import StageError

__all__ = ["node_cycles"]


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


def _image(node: HardwareNode) -> tuple[int, int, int]:
    height, width, channels = (1, 1, *node.integers("shape")[1:])[-3:]
    return height, width, channels


def _beats(node: HardwareNode) -> int:
    """One beat a cycle."""
    return node.product("shape") // node.integer("PE")


def _matrix(node: HardwareNode) -> int:
    vectors = node.product("numInputVectors" if node.op == "MVAU_rtl" else "shape")
    columns = node.integer("MW") // node.integer("SIMD")
    return vectors * columns * (node.integer("MH") // node.integer("PE"))


def _taps(node: HardwareNode) -> int:
    return _beats(node) * (node.integer("taps") // node.integer("SIMD", 1))


def _thresholding(node: HardwareNode) -> int:
    return node.product("numInputVectors") * node.integer("NumChannels") // node.integer("PE")


def _turns(node: HardwareNode) -> int:
    return node.product("shape") * sum(node.integers("channels")) // node.integer("PE")


def _pad(node: HardwareNode) -> int:
    height, width, channels = _image(node)
    top, left, bottom, right = node.integers("pads")
    return (top + height + bottom) * (left + width + right) * channels // node.integer("PE")


def _upsample(node: HardwareNode) -> int:
    return _beats(node) * node.integer("factor_h") * node.integer("factor_w")


def _label_select(node: HardwareNode) -> int:
    return node.integer("labels") // (node.integer("PE") if node.integer("k") == 1 else 1)


def _converter(node: HardwareNode) -> int:
    """finn-rtllib/dwc/hdl/vpc.sv: a beat comes in while no more is kept than a beat that goes out.

    Where the widths divide, the narrow side then has a beat a cycle; else it may have fewer.
    """
    common = math.gcd(node.integer("inWidth"), node.integer("outWidth"))
    came, goes = node.integer("inWidth") // common, node.integer("outWidth") // common
    periods = node.product("inShape") * node.bits("dataType") // (common * came * goes)
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


def _fifo(node: HardwareNode) -> int:
    return math.prod(node.integers("folded_shape")[:-1])


_CYCLES: Mapping[str, Callable[[HardwareNode], int]] = {
    "ConvolutionInputGenerator_rtl": window_cycles,
    "MVAU_rtl": _matrix,
    "SdqAffine_rtl": _beats,
    "SdqConcat_rtl": _turns,
    "SdqCrop_rtl": _beats,
    "SdqDepthwise_rtl": _taps,
    "SdqDuplicate_rtl": _beats,
    "SdqElementwise_rtl": _beats,
    "SdqGlobalPool_rtl": _beats,
    "SdqLabelSelect_rtl": _label_select,
    "SdqMvuLut_rtl": _matrix,
    "SdqPad_rtl": _pad,
    "SdqPool_rtl": _taps,
    "SdqRequant_rtl": _beats,
    "SdqSplit_rtl": _turns,
    "SdqUpsample_rtl": _upsample,
    "StreamingDataWidthConverter_rtl": _converter,
    "StreamingFIFO_rtl": _fifo,
    "Thresholding_rtl": _thresholding,
}
