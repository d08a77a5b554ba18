"""Nodes of every type as plain data, in a width that a test chooses."""

from collections.abc import Callable

from sdq_fpga.cost.node import HardwareNode


def node(op: str, inputs: int = 1, outputs: int = 1, narrow: bool = False, **attributes):
    return HardwareNode(
        name=f"{op}_0",
        op=op,
        layer="",
        attributes=attributes,
        inputs=tuple(f"in{k}" for k in range(inputs)),
        outputs=tuple(f"out{k}" for k in range(outputs)),
        narrow=narrow,
    )


def _sum_bits(count: int, *bits: int) -> int:
    return sum(bits) + (count - 1).bit_length()


def matrix(a: int, w: int, rows: int, columns: int, pe: int, simd: int, *, lut: bool = False):
    out = f"INT{_sum_bits(rows, a, w)}"
    sizes = {"MW": rows, "MH": columns, "PE": pe, "SIMD": simd, "ram_style": "auto"}
    if lut:
        return node(
            "SdqMvuLut_rtl", **sizes, shape=(1, 8, 8), in_type=f"UINT{a}", weight_type=f"INT{w}",
            out_type=out, mem_mode="internal", runtime_writeable_weights=0, adder_step=1,
        )  # fmt: skip
    return node(
        "MVAU_rtl", **sizes, inputDataType=f"UINT{a}", weightDataType=f"INT{w}", accDataType=out,
        outputDataType=out, mem_mode="internal_decoupled", runtime_writeable_weights=0,
        numInputVectors=(1, 8, 8), narrow=True,
    )  # fmt: skip


def depthwise(a: int, w: int, channels: int, pe: int, simd: int, resource: str):
    return node(
        "SdqDepthwise_rtl", shape=(1, 8, 8, channels), taps=9, PE=pe, SIMD=simd,
        in_type=f"UINT{a}", weight_type=f"INT{w}", out_type=f"INT{_sum_bits(9, a, w)}",
        resType=resource, mem_mode="internal", ram_style="auto", runtime_writeable_weights=0,
        adder_step=1,
    )  # fmt: skip


def threshold(source: int, channels: int, pe: int, bits: int):
    return node(
        "Thresholding_rtl", PE=pe, NumChannels=channels, numSteps=2**bits - 1, deep_pipeline=1,
        inputDataType=f"INT{source}", weightDataType=f"INT{source}", ActVal=0,
        outputDataType=f"UINT{bits}", equal_channels=0,
    )  # fmt: skip


def windows(bits: int, channels: int, simd: int, size: int, whole: int):
    return node(
        "ConvolutionInputGenerator_rtl", ConvKernelDim=(3, 3), IFMChannels=channels,
        IFMDim=(size, size), OFMDim=(size - 2, size - 2), SIMD=simd, Stride=(1, 1),
        Dilation=(1, 1), inputDataType=f"UINT{bits}", depthwise=0, ram_style="auto",
        parallel_window=whole,
    )  # fmt: skip


def fifo(bits: int, elements: int, depth: int, style: str = "auto"):
    return node(
        "StreamingFIFO_rtl", dataType=f"UINT{bits}", folded_shape=(1, 16, elements), depth=depth,
        ram_style=style,
    )  # fmt: skip


def converter(bits: int, into: int, out: int):
    return node("StreamingDataWidthConverter_rtl", inWidth=into * bits, outWidth=out * bits)


def _image(channels: int) -> tuple[int, ...]:
    return 1, 12, 12, channels


def elements(op: str, bits: int, pe: int) -> HardwareNode:
    """A node of one of the other operators, of 16 channels."""
    kind, shape = f"UINT{bits}", _image(16)
    made: dict[str, Callable[[], HardwareNode]] = {
        "SdqPad_rtl": lambda: node(
            op, shape=shape, pads=(1, 1, 1, 1), in_type=kind, out_type=kind, PE=pe
        ),
        "SdqCrop_rtl": lambda: node(op, shape=shape, crops=(0, 0, 1, 1), data_type=kind, PE=pe),
        "SdqDuplicate_rtl": lambda: node(
            op, outputs=2, shape=shape, data_type=kind, copies=2, PE=pe
        ),
        "SdqConcat_rtl": lambda: node(op, 2, channels=(16, 16), out_type=kind, PE=pe),
        "SdqSplit_rtl": lambda: node(
            op, outputs=2, channels=(16, 16), keep=(1, 1), data_type=kind, PE=pe
        ),
        "SdqUpsample_rtl": lambda: node(
            op, shape=shape, factor_h=2, factor_w=2, data_type=kind, PE=pe, memory="auto"
        ),
        "SdqPool_rtl": lambda: node(
            op, shape=shape, taps=4, operation="max", in_type=kind, out_type=kind, PE=pe, SIMD=2
        ),
        "SdqGlobalPool_rtl": lambda: node(
            op, shape=shape, operation="sum", in_type=kind, out_type=f"UINT{bits + 8}", PE=pe,
            memory="auto",
        ),
        "SdqElementwise_rtl": lambda: node(
            op, 2, shape=shape, left_type=kind, right_type=kind, out_type=f"UINT{bits + 1}",
            operation="add", left_factor=1, right_factor=1, PE=pe, resType="auto",
        ),
        "SdqLabelSelect_rtl": lambda: node(op, labels=16, k=1, in_type=kind, PE=pe),
        "SdqAffine_rtl": lambda: _linear(op, bits, pe),
        "SdqRequant_rtl": lambda: _linear(
            op, bits, pe, shift=4, rounding="half_even", low=0, high=3, out_type="UINT2"
        ),
    }  # fmt: skip
    return made[op]()


OTHERS = (
    "SdqPad_rtl", "SdqCrop_rtl", "SdqDuplicate_rtl", "SdqConcat_rtl", "SdqSplit_rtl",
    "SdqUpsample_rtl", "SdqPool_rtl", "SdqGlobalPool_rtl", "SdqElementwise_rtl",
    "SdqLabelSelect_rtl", "SdqAffine_rtl", "SdqRequant_rtl",
)  # fmt: skip


def _linear(op: str, bits: int, pe: int, **more):
    attributes = {
        "shape": _image(16), "PE": pe, "in_type": f"UINT{bits}", "gain_type": "INT6",
        "offset_type": "INT10", "gain_form": "channels", "offset_form": "channels",
        "gain_shift": 0, "resType": "lut", "out_type": f"INT{max(bits + 6, 10) + 1}",
    }  # fmt: skip
    return node(op, **{**attributes, **more})
