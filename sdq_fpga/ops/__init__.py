"""Our operators as FINN custom ops: one file each, around one module of hw/ops; and one of FINN's.

Importing this package registers them in FINN's domain of RTL nodes, so that FINN's own passes
take them for such.
"""

from sdq_fpga.ops.affine import SdqAffine_rtl
from sdq_fpga.ops.concat import SdqConcat_rtl
from sdq_fpga.ops.crop import SdqCrop_rtl
from sdq_fpga.ops.depthwise import SdqDepthwise_rtl
from sdq_fpga.ops.duplicate import SdqDuplicate_rtl
from sdq_fpga.ops.elementwise import SdqElementwise_rtl
from sdq_fpga.ops.global_pool import SdqGlobalPool_rtl
from sdq_fpga.ops.label_select import SdqLabelSelect_rtl
from sdq_fpga.ops.mvu_lut import SdqMvuLut_rtl
from sdq_fpga.ops.operator import DOMAIN
from sdq_fpga.ops.pad import SdqPad_rtl
from sdq_fpga.ops.pool import SdqPool_rtl
from sdq_fpga.ops.requant import SdqRequant_rtl
from sdq_fpga.ops.split import SdqSplit_rtl
from sdq_fpga.ops.thresholding import Thresholding_rtl
from sdq_fpga.ops.upsample import SdqUpsample_rtl

__all__ = [
    "DOMAIN",
    "SdqAffine_rtl",
    "SdqConcat_rtl",
    "SdqCrop_rtl",
    "SdqDepthwise_rtl",
    "SdqDuplicate_rtl",
    "SdqElementwise_rtl",
    "SdqGlobalPool_rtl",
    "SdqLabelSelect_rtl",
    "SdqMvuLut_rtl",
    "SdqPad_rtl",
    "SdqPool_rtl",
    "SdqRequant_rtl",
    "SdqSplit_rtl",
    "SdqUpsample_rtl",
    "Thresholding_rtl",
]
