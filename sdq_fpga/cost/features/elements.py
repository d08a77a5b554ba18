"""Operators that compute on elements: thresholds, pooling, sums, products, choices."""

import math

from sdq_fpga.cost.features.parts import Amount, Part, Terms, clog2
from sdq_fpga.cost.features.streams import our_buffer
from sdq_fpga.cost.node import HardwareNode, bits_of, is_signed, limits_of, signed_bits
from sdq_fpga.cost.placement import Access, Kind, distinct_bits, place, rom_luts

__all__ = [
    "DSP_FROM",
    "affine",
    "elementwise",
    "global_pool",
    "label_select",
    "pool",
    "requant",
    "threshold",
]

DSP_FROM = 64
"""Product of the bits of operands from which "auto" takes a DSP slice."""

_MULTIPLIERS = {"xc7": (25, 18), "xcup": (27, 18)}  # signed bits of the two inputs of a slice
_LEAST_SLICE_BITS = 9  # DSP_Y_MINWIDTH of synth_xilinx
_SHORT = 8  # bits that are compared without a carry chain
_SRL = 32  # stages of a shift register in one LUT
_TABLE_WORDS = 64  # of one bit, which a LUT holds


def _slices(part: Part, left: int, right: int) -> int:
    """DSP slices of a signed product: every slice but the last leaves out the sign bit."""
    long, short = _MULTIPLIERS[part]
    return min(
        -(-max(a - 1, 1) // (long - 1)) * -(-max(b - 1, 1) // (short - 1))
        for a, b in ((left, right), (right, left))
    )


def threshold(node: HardwareNode, part: Part) -> Terms:
    """A binary search of the thresholds, a stage for each bit (finn-rtllib/thresholding)."""
    pe, channels = node.integer("PE"), node.integer("NumChannels")
    steps, bits = node.integer("numSteps"), node.bits("inputDataType")
    kept_bits = max(bits, node.bits("weightDataType"))
    stages, folds = clog2(steps + 1), channels // pe
    deep = 1 + bool(node.integer("deep_pipeline", 1))
    # The same in all channels, as where an image is quantised
    equal = bool(node.integer("equal_channels", 0))
    # Of a type that is wider than the thresholds, the upper bits are copies of one another.
    known = node.integer("distinct_bits", kept_bits)
    small = large = constants = found = 0.0
    bram18 = 0
    for stage in range(stages):
        words = (1 if equal else folds) << stage
        if words == 1:
            constants += pe * kept_bits
            continue
        style = _threshold_style(node, words)
        where = place(words, kept_bits, part, style=style, access=Access.READ)
        bram18 += pe * where.bram18
        if where.kind is not Kind.BLOCK:
            distinct = min(distinct_bits(words, kept_bits), known)
            found += pe * distinct
            # Of thresholds beyond the last one, which are all the same, nothing is left.
            step = 1 << (stages - stage)
            used = words * ((steps - step // 2) // step + 1) / (1 << stage)
            small += pe * distinct * min(used, _TABLE_WORDS) / _TABLE_WORDS
            large += pe * distinct * max(0, used - _TABLE_WORDS) / _TABLE_WORDS
    pending = deep * stages + 3
    compared = pe * kept_bits * stages - constants
    results = pe * stages * (stages + 1) / 2
    fold = 0 if equal else clog2(folds)
    bias = node.integer("ActVal") != 0
    lut: Amount = {
        "constant": 1.0,
        "folds": fold,
        "compared": compared,
        "compared with constants": constants,
        "found": found,
        "small tables": small,
        "large tables": large,
        "results": results,
        "queue": pe * stages * math.ceil(pending / _SRL),
        "pending": clog2(pending),
        "bias": pe * node.bits("outputDataType") * bias,
        "scope": float(steps + 1 < 1 << stages) * pe * stages,
        "stages": stages,
        "fold stages": fold * (stages - 1),
    }
    ff: Amount = {
        "constant": 1.0,
        "folds": fold,
        "values": pe * kept_bits * (deep * stages - 1),
        "found": found,
        "results": results * deep - pe * stages,
        "queue": pe * stages,
        "stages": stages,
        "fold stages": fold * (stages - 1) * deep,
        "pending": clog2(pending),
    }
    return Terms(lut, ff, bram18=bram18)


def _threshold_style(node: HardwareNode, words: int) -> str:
    """What thresholding.sv asks for (RAM_STYLE); UltraRAM has no initial contents."""
    trigger = node.integer("depth_trigger_bram", 0)
    if not trigger:
        return "auto"
    return "block" if words >= trigger else "distributed"


def _reduced_bits(node: HardwareNode, simd: int) -> tuple[Amount, float]:
    """Amounts of a tree over the taps of a beat, and bits of its registers."""
    into, out = node.bits("in_type"), node.bits("out_type")
    summed = node.text("operation") == "sum"
    nodes = adders = registers = 0
    count, width = simd, into
    while count > 1:
        width = min(width + summed, out)
        adders += count // 2 * width
        nodes += count // 2
        count = -(-count // 2)
        registers += count * width
    if summed:
        return {"sums" if into > 1 else "counts": adders}, registers
    # The greatest of numbers of a bit is their disjunction.
    return {"maxima": nodes, "maxima: further bits": adders - nodes}, registers


def pool(node: HardwareNode, part: Part) -> Terms:
    """A reduction over windows (hw/ops/pool.sv)."""
    del part
    pe, simd, out = node.integer("PE"), node.integer("SIMD"), node.bits("out_type")
    summed = node.text("operation") == "sum"
    counter = clog2(node.integer("taps") // simd)
    tree, registers = _reduced_bits(node, simd)
    lut: Amount = {"constant": 1.0, "counter": counter}
    lut |= {name: pe * amount for name, amount in tree.items()}
    if summed:
        lut["accumulated sums"] = pe * out
    else:
        lut |= {"accumulated maxima": pe, "accumulated maxima: further bits": pe * (out - 1)}
    levels = clog2(simd)
    ff: Amount = {
        "constant": 1.0,
        "counter": counter,
        "levels": levels,
        "registers": pe * registers,
        "accumulators": pe * out,
    }
    return Terms(lut, ff)


def global_pool(node: HardwareNode, part: Part) -> Terms:
    """A reduction over frames (hw/ops/global_pool.sv): partial results are in a memory."""
    _, height, width, channels = node.integers("shape")
    pe, out = node.integer("PE"), node.bits("out_type")
    folds, bits = channels // pe, pe * out
    buffer = our_buffer(folds, bits, node.text("memory"), part)
    positions, address = clog2(height * width), clog2(folds)
    lut: Amount = {
        "constant": 1.0,
        "positions": positions,
        "address": address,
        "memory": buffer.lut,
        "columns": buffer.mux_bits,
    }
    if node.text("operation") == "sum":
        lut["sums"] = bits
    else:
        lut |= {"maxima": pe, "maxima: further bits": bits - pe}
    ff: Amount = {
        "constant": 1.0,
        "positions": positions,
        "address": address,
        "bits": bits,
        "bits read from LUTs": bits * (buffer.kind is not Kind.BLOCK),
    }
    return Terms(lut, ff, bram18=buffer.bram18)


def label_select(node: HardwareNode, part: Part) -> Terms:
    """The indices of the greatest values (hw/ops/label_select.sv)."""
    del part
    labels, k, pe = node.integer("labels"), node.integer("k"), node.integer("PE")
    bits, index = node.bits("in_type"), max(1, clog2(labels))
    lane = clog2(pe)
    nodes = pe - 1 if k == 1 else 0
    # The index is that of the beat times PE; Yosys puts a product of so many bits into a slice.
    multiplied = k == 1 and pe & (pe - 1) and index >= _LEAST_SLICE_BITS
    lut: Amount = {
        "constant": 1.0,
        "cells": k,
        "cells: bits": k * bits,
        "cells: indices": (k - 1) * index,
        "index": index,
        "tree: bits": nodes * bits,
        "tree: lanes": nodes * lane,
        "long comparisons": (k + nodes) * max(0, bits - _SHORT),
    }
    ff: Amount = {
        "constant": 1.0,
        "cells": k,
        "cells: bits": k * bits,
        "cells: indices": k * index,
        "index": index,
        "tree: bits": nodes * bits,
        "tree: lanes": nodes * lane,
        "beat": pe * bits * (k > 1),
    }
    return Terms(lut, ff, dsp=int(bool(multiplied)))


def elementwise(node: HardwareNode, part: Part) -> Terms:
    """Sum, difference or product of two streams (hw/ops/elementwise.sv)."""
    pe, out = node.integer("PE"), node.bits("out_type")
    kinds = node.text("left_type"), node.text("right_type")
    left, right = (bits_of(kind) + (not is_signed(kind) or kind == "BIPOLAR") for kind in kinds)
    multiplies = node.text("operation") == "mul" and "BIPOLAR" not in kinds
    wanted = node.text("resType")
    in_slices = multiplies and (wanted == "dsp" or (wanted == "auto" and left * right >= DSP_FROM))
    lut: Amount = {"constant": 1.0}
    ff: Amount = {"constant": 1.0}
    if in_slices:
        dsp = pe * _slices(part, left, right)
        return Terms(lut, ff, dsp=dsp)
    if multiplies:
        short, long = sorted(bits_of(kind) for kind in kinds)
        lut["products"] = pe * long * short
        # The more rows, the more signs to extend.
        lut["products: further rows"] = pe * long * max(0, short - 2)
        ff["bits"] = pe * out
        return Terms(lut, ff)
    factors = [node.integer("left_factor"), node.integer("right_factor")]
    scaled = any(each & (each - 1) for each in factors)
    widths = [out if is_signed(kind) else bits_of(kind) for kind in kinds]
    lut["sums"] = pe * out
    lut["scaled"] = pe * sum(
        (factor.bit_count() - 1) * width for factor, width in zip(factors, widths, strict=True)
    )
    ff["bits"] = pe * out
    ff["scaled"] = 2 * pe * out * scaled
    return Terms(lut, ff)


def affine(node: HardwareNode, part: Part) -> Terms:
    """``gain*x + offset`` (hw/ops/affine.sv)."""
    return _linear(node, part, node.bits("out_type"), 0)


def requant(node: HardwareNode, part: Part) -> Terms:
    """``gain*x + offset``, rounded and clipped (hw/ops/requant.sv)."""
    shift = node.integer("shift")
    halves = node.text("rounding") == "half_even" and shift > 0
    half = 1 << (shift - 1) if halves else 0
    gains, xs = limits_of(node.text("gain_type")), limits_of(node.text("in_type"))
    low, high = (value + half for value in limits_of(node.text("offset_type")))
    products = [x * gain for x in xs for gain in gains]
    bits = max(signed_bits(min(products) + low, max(products) + high), shift + 1)
    linear = _linear(node, part, bits, half)
    pe, out, kept = node.integer("PE"), node.bits("out_type"), bits - shift
    most = (1 << (kept - 1)) - 1
    clips = (-most - 1 < node.integer("low")) + (most > node.integer("high"))
    lut = dict(linear.lut) | {
        "compared bits": pe * kept * clips,
        "halves": pe * math.ceil(shift / 5) * halves,
        "rounded bits": pe * out,
        "clipped bits": pe * out * (clips > 0),
    }
    ff = dict(linear.ff) | {
        "rounded bits": pe * out,
        "clipped bits": pe * (out * (clips > 0) + clips),
        "clipped": float(clips > 0),
    }
    return Terms(lut, ff, dsp=linear.dsp, bram18=linear.bram18)


def _linear(node: HardwareNode, part: Part, bits: int, half: int) -> Terms:
    """A product and a sum, of ``bits`` bits, after ``half`` has been added to all offsets."""
    pe = node.integer("PE")
    folds = node.integers("shape")[-1] // pe
    x = signed_bits(*limits_of(node.text("in_type")))
    gain = min(signed_bits(*limits_of(node.text("gain_type"))), bits)
    low, high = limits_of(node.text("offset_type"))
    offset = min(signed_bits(low + half, high + half), bits)
    form, added = node.text("gain_form"), node.text("offset_form")
    wanted = node.text("resType")
    multiplies, varies = form != "shift", form == "channels" and folds > 1
    # Yosys makes a product by a constant of LUTs, whatever is asked for.
    in_slices = varies and (wanted == "dsp" or (wanted == "auto" and x * gain >= DSP_FROM))
    lut: Amount = {"constant": 1.0}
    ff: Amount = {"constant": 1.0}
    fold = clog2(folds)
    for is_table, width, name in (
        (varies, pe * gain, "gains"),
        (added == "channels" and folds > 1, pe * offset, "offsets"),
    ):
        if is_table:
            tables = rom_luts(folds, width)
            lut["tables"] = lut.get("tables", 0.0) + tables
            lut["fold"] = ff["fold"] = fold
            ff[name if not in_slices else f"slices: {name}"] = distinct_bits(folds, width)
            if name == "offsets" and multiplies:
                ff["pointers"] = fold
    product = pe * min(x + gain, bits)
    if in_slices:
        lut["slices: sums"] = ff["slices: sums"] = pe * bits * (added != "none")
        return Terms(lut, ff, dsp=pe * _slices(part, x, gain))
    if form in {"channels", "scalar"}:
        lut["products" if varies else "products by constants"] = pe * x * gain
    elif form == "shifts":
        lut["shifted bits"] = pe * (x + gain)
    if multiplies:
        ff["inputs"] = pe * node.bits("in_type")
        ff["products"] = product
    if added != "none":
        lut["sums"] = pe * bits
    if added != "none" or not multiplies:
        ff["sums"] = pe * bits
    return Terms(lut, ff)
