"""What the resources of a node are explained by: amounts of the structures that its RTL has."""

from collections.abc import Callable, Mapping

from sdq_fpga.cost.features.elementwise import elementwise
from sdq_fpga.cost.features.linear import affine, requant
from sdq_fpga.cost.features.matrix import depthwise, matrix_lut
from sdq_fpga.cost.features.matrix_dsp import matrix_dsp
from sdq_fpga.cost.features.parts import Part, Terms
from sdq_fpga.cost.features.reductions import global_pool, label_select, pool
from sdq_fpga.cost.features.streams import (
    concat,
    converter,
    crop,
    duplicate,
    fifo,
    pad,
    split,
    upsample,
)
from sdq_fpga.cost.features.thresholds import threshold
from sdq_fpga.cost.features.weights import weight_stream
from sdq_fpga.cost.features.windows import windows
from sdq_fpga.cost.node import HardwareNode

__all__ = ["MEMORY", "TERMS", "Part", "Terms", "parts_of"]

MEMORY = "memory of MVAU_rtl"
"""The part of an MVAU_rtl that streams its weights: a module of its own."""

TERMS: Mapping[str, Callable[[HardwareNode, Part], Terms]] = {
    "ConvolutionInputGenerator_rtl": windows,
    "MVAU_rtl": matrix_dsp,
    "SdqAffine_rtl": affine,
    "SdqConcat_rtl": concat,
    "SdqCrop_rtl": crop,
    "SdqDepthwise_rtl": depthwise,
    "SdqDuplicate_rtl": duplicate,
    "SdqElementwise_rtl": elementwise,
    "SdqGlobalPool_rtl": global_pool,
    "SdqLabelSelect_rtl": label_select,
    "SdqMvuLut_rtl": matrix_lut,
    "SdqPad_rtl": pad,
    "SdqPool_rtl": pool,
    "SdqRequant_rtl": requant,
    "SdqSplit_rtl": split,
    "SdqUpsample_rtl": upsample,
    "StreamingDataWidthConverter_rtl": converter,
    "StreamingFIFO_rtl": fifo,
    "Thresholding_rtl": threshold,
    MEMORY: weight_stream,
}
"""For each type of node, and the memory, what its terms are."""


def parts_of(node: HardwareNode, part: Part) -> dict[str, Terms]:
    """The terms of each part of a node, by the part's type.

    Raises:
        KeyError: nothing is known of nodes of that type.
    """
    found = {node.op: TERMS[node.op](node, part)}
    if node.op == "MVAU_rtl" and node.text("mem_mode") != "external":
        found[MEMORY] = weight_stream(node, part)
    return found
