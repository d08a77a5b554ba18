"""The ways to fold one node, with the cycles and resources of each."""

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from finn.custom_op.fpgadataflow.hwcustomop import HWCustomOp
from finn.util.basic import getHWCustomOp
from onnx import NodeProto, helper
from qonnx.core.modelwrapper import ModelWrapper

from sdq_fpga.board import Board
from sdq_fpga.cost.dsp import mvu_dsps
from sdq_fpga.cost.folding import Resources
from sdq_fpga.cost.memory import memory_resources
from sdq_fpga.ops import DOMAIN
from sdq_fpga.ops.mac import MacOperator

__all__ = [
    "Choice",
    "choices",
    "divisors",
    "lut_unit",
    "makes_windows",
    "node_resources",
    "parallel_axes",
]

# LUTs of finn-rtllib/mvu beside its DSP slices: control and replay buffer, and for each pair of a
# lane and an accumulator bit what joins the high parts that the packing of lanes leaves over.
_MVU_LUTS = 150
_MVU_LUTS_A_DSP = 12
_LEAST_LINE_BUFFER = 2  # pixels
_LUT_UNIT_BITS = 4  # operands of matrix-vector units that are worth building of LUTs


@dataclass(frozen=True)
class Choice:
    """One folding of one node.

    Attributes:
        op: type of the node; a matrix-vector unit may be of DSP slices or of LUTs.
        attributes: its folding attributes.
        cycles: cycles of a frame.
        resources: what it takes.
    """

    op: str
    attributes: Mapping[str, int]
    cycles: int
    resources: Resources


def divisors(number: int) -> list[int]:
    """Divisors, ascending."""
    small = [each for each in range(1, math.isqrt(number) + 1) if number % each == 0]
    return sorted({*small, *(number // each for each in small)})


def parallel_axes(inst: HWCustomOp) -> dict[str, int]:
    """The folding attributes of a node, and the number that each must divide."""
    op = inst.onnx_node.op_type
    if op in {"MVAU_rtl", "SdqMvuLut_rtl"}:
        return {"PE": int(inst.get_nodeattr("MH")), "SIMD": int(inst.get_nodeattr("MW"))}
    if op == "ConvolutionInputGenerator_rtl":
        return {"SIMD": int(inst.get_nodeattr("IFMChannels"))}
    if op == "Thresholding_rtl":
        return {"PE": int(inst.get_nodeattr("NumChannels"))}
    if op in {"SdqConcat_rtl", "SdqSplit_rtl"}:
        return {"PE": math.gcd(*(int(each) for each in inst.get_nodeattr("channels")))}
    if op == "SdqLabelSelect_rtl":
        return {"PE": int(inst.get_nodeattr("labels")) if int(inst.get_nodeattr("k")) == 1 else 1}
    return {"PE": int(inst.get_nodeattr("shape")[-1])}


def choices(model: ModelWrapper, node: NodeProto, board: Board) -> Iterator[Choice]:
    """Every folding of a node."""
    inst = getHWCustomOp(node)
    axes = parallel_axes(inst)
    if node.op_type == "MVAU_rtl":
        yield from _matrix_choices(model, inst, axes, board)
        return
    for values in itertools.product(*map(divisors, axes.values())):
        attributes = dict(zip(axes, values, strict=True))
        if node.op_type != "ConvolutionInputGenerator_rtl":
            yield _choice(model, inst, attributes, board)
            continue
        window = math.prod(int(each) for each in inst.get_nodeattr("ConvKernelDim"))
        # With all channels in a beat, it may be a whole window.
        whole = attributes["SIMD"] == axes["SIMD"] and window > 1
        for parallel in (0, 1) if whole else (0,):
            choice = _choice(model, inst, {**attributes, "parallel_window": parallel}, board)
            if makes_windows(inst):
                yield choice


def makes_windows(inst: HWCustomOp) -> bool:
    """Whether FINN can generate a window generator as it is folded.

    With hardly any windows, its counters would have no bits, of which it takes the logarithm
    (prepare_codegen_parallel in convolutioninputgenerator_rtl.py). Where whole windows leave it a
    single pixel or none from one row of a window to the next, its line buffer, which then has
    that depth, delays by another number of pixels (swg_ram_buffer in swg_common.sv).
    """
    try:
        if inst.select_impl_style() == "parallel":
            _, (_, width), _, kernel, _, dilation = inst.get_1d_conv_attrs_normalized()
            between = width * dilation[0] - (kernel[1] - 1) * dilation[1] - 1
            if kernel[0] > 1 and between < _LEAST_LINE_BUFFER:
                return False
            inst.prepare_codegen_parallel()
        else:
            inst.prepare_codegen_default()
    except (AssertionError, ValueError):
        return False
    return True


def _choice(
    model: ModelWrapper, inst: HWCustomOp, attributes: Mapping[str, int], board: Board
) -> Choice:
    for name, value in attributes.items():
        inst.set_nodeattr(name, value)
    resources = node_resources(model, inst, board)
    return Choice(inst.onnx_node.op_type, attributes, int(inst.get_exp_cycles()), resources)


def _matrix_choices(
    model: ModelWrapper, inst: HWCustomOp, axes: dict[str, int], board: Board
) -> Iterator[Choice]:
    source, weights = inst.get_input_datatype(0), inst.get_input_datatype(1)
    narrow = bool(np.min(model.get_initializer(inst.onnx_node.input[1])) > weights.min())
    vectors = int(np.prod(inst.get_nodeattr("numInputVectors")))
    rows, columns = axes["SIMD"], axes["PE"]
    lut = lut_unit(model, inst)
    small = max(source.bitwidth(), weights.bitwidth()) <= _LUT_UNIT_BITS
    for pe in divisors(columns):
        for simd in divisors(rows):
            cycles = vectors * (rows // simd) * (columns // pe)
            attributes = {"PE": pe, "SIMD": simd}
            memory = _weight_memory(
                inst, pe * simd * weights.bitwidth(), rows * columns // (pe * simd)
            )
            dsp = mvu_dsps(
                board.dsp, weights.bitwidth(), source.bitwidth(), pe, simd, narrow=narrow
            )
            unit = Resources(lut=_MVU_LUTS + _MVU_LUTS_A_DSP * dsp, bram18=0, uram=0, dsp=dsp)
            yield Choice("MVAU_rtl", attributes, cycles, unit + memory)
            if small:
                in_luts = getHWCustomOp(lut)
                for name, value in attributes.items():
                    in_luts.set_nodeattr(name, value)
                found = node_resources(model, in_luts, board)
                yield Choice("SdqMvuLut_rtl", attributes, cycles, found)


def lut_unit(model: ModelWrapper, inst: HWCustomOp) -> NodeProto:
    """The matrix-vector unit of LUTs that does the same as one of DSP slices."""
    node = inst.onnx_node
    weight_type = inst.get_input_datatype(1).name
    if weight_type == "INT2" and np.min(model.get_initializer(node.input[1])) >= -1:
        weight_type = "TERNARY"  # which DSP slices have no use for
    made = helper.make_node(
        "SdqMvuLut_rtl",
        list(node.input),
        list(node.output),
        name=node.name,
        domain=DOMAIN,
        backend="fpgadataflow",
        shape=[int(each) for each in inst.get_nodeattr("numInputVectors")],
        MW=int(inst.get_nodeattr("MW")),
        MH=int(inst.get_nodeattr("MH")),
        PE=1,
        SIMD=1,
        in_type=inst.get_input_datatype(0).name,
        weight_type=weight_type,
        out_type=inst.get_output_datatype().name,
        mem_mode="external" if inst.get_nodeattr("mem_mode") == "external" else "internal",
        ram_style=inst.get_nodeattr("ram_style"),
        runtime_writeable_weights=int(inst.get_nodeattr("runtime_writeable_weights")),
    )
    made.doc_string = node.doc_string
    return made


def node_resources(model: ModelWrapper, inst: HWCustomOp, board: Board) -> Resources:
    """Resources of a node as it is folded."""
    op = inst.onnx_node.op_type
    if op == "MVAU_rtl":
        pe, simd = int(inst.get_nodeattr("PE")), int(inst.get_nodeattr("SIMD"))
        weights = inst.get_input_datatype(1)
        dsp = mvu_dsps(
            board.dsp,
            weights.bitwidth(),
            inst.get_input_datatype(0).bitwidth(),
            pe,
            simd,
            narrow=bool(np.min(model.get_initializer(inst.onnx_node.input[1])) > weights.min()),
        )
        unit = Resources(lut=_MVU_LUTS + _MVU_LUTS_A_DSP * dsp, bram18=0, uram=0, dsp=dsp)
        words = int(inst.get_nodeattr("MW")) * int(inst.get_nodeattr("MH")) // (pe * simd)
        return unit + _weight_memory(inst, pe * simd * weights.bitwidth(), words)
    estimate = inst.node_res_estimation(board.part)
    own = Resources(
        lut=int(estimate["LUT"]),
        bram18=math.ceil(estimate["BRAM_18K"]),
        uram=math.ceil(estimate["URAM"]),
        dsp=int(estimate["DSP"]),
    )
    if not isinstance(inst, MacOperator):
        return own
    width = inst.integer("PE") * inst.integer("SIMD")
    words = -(-math.prod(inst.weight_shape) // width)
    bits = model.get_tensor_datatype(inst.onnx_node.input[1]).bitwidth()
    memory = _weight_memory(inst, width * bits, words)
    # Its LUTs are in the operator's own estimate already.
    return own + memory.model_copy(update={"lut": 0})


def _weight_memory(inst: HWCustomOp, width: int, words: int) -> Resources:
    """What the memory that streams a node's weights takes."""
    if inst.get_nodeattr("mem_mode") == "external":
        return Resources(lut=0, bram18=0, uram=0, dsp=0)
    return memory_resources(width, words, str(inst.get_nodeattr("ram_style")))
