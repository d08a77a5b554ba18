"""Sliding windows (finn-rtllib/swg), as convolutioninputgenerator_rtl.py of FINN makes them."""

import math

from sdq_fpga.cost.features.parts import Amount, Part, Terms, clog2, memory
from sdq_fpga.cost.node import HardwareNode
from sdq_fpga.cost.placement import Kind
from sdq_fpga.cost.windows import Windows

__all__ = ["windows"]


def windows(node: HardwareNode, part: Part) -> Terms:
    """A sliding window, of a cyclic buffer or with all its pixels at once."""
    whole = node.integer("parallel_window") or node.integers("ConvKernelDim") == (1, 1)
    return _parallel(node, part) if whole else _cyclic(node, part)


def _counter(iterations: int) -> int:
    """Bits of a loop counter of swg_controller; one that is always at its end has none."""
    return 0 if iterations <= 1 else clog2(max(iterations - 2 + 1, 1)) + 1


def _cyclic(node: HardwareNode, part: Part) -> Terms:
    height, width = node.integers("IFMDim")
    k_h, k_w = node.integers("ConvKernelDim")
    stride_h, _ = node.integers("Stride")
    simd = node.integer("SIMD")
    folds = node.integer("IFMChannels") // simd
    bits = simd * node.bits("inputDataType")
    shape = Windows.of(node)
    window, depth = shape.window, shape.buffer
    buffer = memory(depth, bits, part, node.text("ram_style"))
    # Steps of the address; their greatest decides on the adders' width.
    row = abs(-window + shape.span[1] * folds + (stride_h - 1) * width * folds + 1)
    step = 1 + math.ceil(math.log2(max(window, row, 1) + 1))
    inner = (folds, k_h, k_w) if shape.by_group else (k_h, k_w, folds)
    loops = [*node.integers("OFMDim"), *inner]
    while loops and loops[-1] == 1:
        loops.pop()
    counters = sum(_counter(each) for each in loops)
    last = clog2(height * width * folds) + 1
    place = clog2(k_h * k_w * (1 if shape.by_group else folds))
    address = clog2(depth)
    # Three numbers of elements: the newest, the current, and the first of the next window; the
    # sums and comparisons of each. The buffer's two addresses, that of reading a sum.
    lut: Amount = {
        "constant": 1.0,
        "positions": 6 * last + 4 * address,
        "loops": 1.5 * counters + place + step,
        "memory": buffer.lut,
        "columns": buffer.mux_bits,
    }
    ff: Amount = {
        "constant": 1.0,
        "positions": 3 * last + 2 * address,
        "loops": counters + place,
        "bits read from LUTs": bits * (buffer.kind is not Kind.BLOCK),
    }
    return Terms(lut, ff, bram18=buffer.bram18, uram=buffer.uram)


def _parallel(node: HardwareNode, part: Part) -> Terms:
    height, width = node.integers("IFMDim")
    k_h, k_w = node.integers("ConvKernelDim")
    out_h, out_w = node.integers("OFMDim")
    far_h, far_w = node.integers("Dilation")
    if width == 1:  # FINN turns a column into a row
        height, width, k_h, k_w, out_h, out_w, far_h, far_w = (
            width, height, k_w, k_h, out_w, out_h, far_w, far_h,
        )  # fmt: skip
    simd = node.integer("SIMD")
    folds = node.integer("IFMChannels") // simd
    bits = simd * node.bits("inputDataType")
    line = ((width - (k_w - 1) * far_w - 1) + width * (far_h - 1)) * folds
    rows = k_h - 1
    buffer = memory(line, bits, part, node.text("ram_style"))
    last = clog2(height * width * folds) + 1
    counters = _counter(out_h) + _counter(out_w) + _counter(folds)
    address = clog2(max(line, 1)) * (rows > 0)
    registers = bits * k_h * ((k_w - 1) * far_w + 1)
    lut: Amount = {
        "whole": 1.0,
        "whole: positions": 4 * (last + address) + 1.5 * counters,
        "memory": rows * buffer.lut,
        "columns": rows * buffer.mux_bits,
    }
    ff: Amount = {
        "whole": 1.0,
        "whole: positions": 2 * (last + address) + counters,
        "whole: registers": registers,
        "bits read from LUTs": rows * bits * (buffer.kind is not Kind.BLOCK),
    }
    return Terms(lut, ff, bram18=rows * buffer.bram18, uram=rows * buffer.uram)
