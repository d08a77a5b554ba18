"""Operators that make one value of several: pooling, and the choice of the greatest."""

from dataclasses import dataclass

from sdq_fpga.cost.features.parts import Amount, Part, Terms, clog2, comparison, maximum
from sdq_fpga.cost.features.streams import our_buffer
from sdq_fpga.cost.node import HardwareNode, is_signed
from sdq_fpga.cost.placement import Kind

__all__ = ["global_pool", "label_select", "pool"]

_LEAST_SLICE_BITS = 9  # DSP_Y_MINWIDTH of synth_xilinx
_SHORT = 4  # bits that are compared, with further conditions, in a few LUTs
_SHORTEST_CHAIN = 7  # bits of a comparison


def _reduced_bits(node: HardwareNode, simd: int) -> tuple[Amount, float]:
    """Amounts of a tree over the taps of a beat, and bits of its registers."""
    into, out = node.bits("in_type"), node.bits("out_type")
    summed = node.text("operation") == "sum"
    counted = out - (node.text("in_type") == "BIPOLAR" and summed)
    luts = registers = 0
    count, width = simd, into
    while count > 1:
        # The uppermost bit of a sum is the carry; two bits are no carry chain yet.
        luts += count // 2 * (max(width, 2) if summed else maximum(width))
        width = min(width + summed, counted)
        count = -(-count // 2)
        registers += count * width
    return {"sums" if summed else "maxima": luts}, registers


def _accumulated(node: HardwareNode, lanes: int, taps: int) -> Amount:
    """What adds a value to the sum so far, or takes the greater one.

    Args:
        node: the operator.
        lanes: values at a time.
        taps: that come as one value.
    """
    into, out = node.bits("in_type"), node.bits("out_type")
    kind = node.text("in_type")
    if node.text("operation") == "max":
        return {"accumulated maxima": lanes * _held_maximum(into)}
    out -= kind == "BIPOLAR"
    # A carry chain takes the sum so far, or where it starts, besides its exclusive or with what is
    # added: the same where that is 0.
    added = out if is_signed(kind) and kind != "BIPOLAR" else min(into + clog2(taps), out)
    return {"accumulated sums": lanes * out, "accumulated sums: starts": lanes * added}


def _held_maximum(bits: int) -> int:
    """LUTs of whether a value is greater than the one so far, or the first.

    With that, a comparison of five bits takes as many as on the shortest carry chain.
    """
    return bits if bits <= _SHORT else 1 + max(comparison(bits), comparison(_SHORTEST_CHAIN))


def pool(node: HardwareNode, part: Part) -> Terms:
    """A reduction over windows (hw/ops/pool.sv)."""
    del part
    pe, simd, out = node.integer("PE"), node.integer("SIMD"), node.bits("out_type")
    beats = node.integer("taps") // simd
    counter = clog2(beats)
    tree, registers = _reduced_bits(node, simd)
    lut: Amount = {"constant": 1.0, "counter": counter}
    lut |= {name: pe * amount for name, amount in tree.items()}
    if beats > 1:
        lut |= {"counting": 1.0} | _accumulated(node, pe, simd)
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
    """A reduction over frames (hw/ops/global_pool.sv): partial results are in a memory.

    Of a frame of one position nothing is kept.
    """
    _, height, width, channels = node.integers("shape")
    pe, out = node.integer("PE"), node.bits("out_type")
    if height * width == 1:
        return Terms({"one position": 1.0}, {"one position": 1.0, "results": pe * out})
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
    lut |= _accumulated(node, pe, 1)
    if node.text("operation") == "max":
        lut["accumulated maxima: bits"] = bits
    ff: Amount = {
        "constant": 1.0,
        "positions": positions,
        "address": address,
        "results": bits,
        "bits": bits,
        "bits read from LUTs": bits * (buffer.kind is not Kind.BLOCK),
    }
    return Terms(lut, ff, bram18=buffer.bram18)


def label_select(node: HardwareNode, part: Part) -> Terms:
    """The indices of the greatest values (hw/ops/label_select.sv)."""
    del part
    labels, k, pe = node.integer("labels"), node.integer("k"), node.integer("PE")
    bits, index = node.bits("in_type"), max(1, clog2(labels))
    tree = _GreatestOf.of(pe if k == 1 else 1)
    # Where all values come at once, what comes out of the tree is not compared with anything.
    kept = k if k > 1 or labels > pe else 0
    root = pe > 1 and not kept
    counter = clog2(labels // pe if k == 1 else labels)
    # The index is that of the beat times PE; Yosys puts a product of so many bits into a slice.
    scaled = k == 1 and counter > 0 and pe & (pe - 1) != 0
    in_slice = scaled and index >= _LEAST_SLICE_BITS
    lut: Amount = {
        "constant": 1.0,
        "cells": kept,
        "cells: comparisons": kept * comparison(bits),
        "cells: bits": (k - 1) * (bits + index),
        "indices": (k - 1) * index,
        "indices: scaled": index * (scaled and not in_slice),
        "counter": counter,
        "tree: comparisons": tree.choices * comparison(bits),
        "tree: bits": (tree.choices - root) * bits,
        "tree: lanes": tree.chosen,
    }
    ff: Amount = {
        "constant": 1.0,
        "cells": kept,
        "cells: bits": kept * bits,
        "indices": k * index * (1 if in_slice else 2),
        "counter": counter,
        "tree": clog2(pe) * (k == 1),
        "tree: bits": (tree.values - root) * bits,
        "tree: lanes": tree.lanes,
        "beat": pe * bits * (k > 1 and pe > 1),
    }
    return Terms(lut, ff, dsp=int(in_slice))


@dataclass(frozen=True)
class _GreatestOf:
    """A tree of choices between two values, with a register after each.

    Attributes:
        choices: how many.
        values: registers of values, those that only pass one on included.
        lanes: bits of the registers of lanes; what all values of a node have in common is known.
        chosen: of these, those that are chosen among two.
    """

    choices: int
    values: int
    lanes: int
    chosen: int

    @classmethod
    def of(cls, count: int) -> "_GreatestOf":
        choices = values = lanes = chosen = 0
        nodes = [0] * count  # bits of the lane of each
        while len(nodes) > 1:
            pairs = [max(pair) + 1 for pair in zip(nodes[::2], nodes[1::2], strict=False)]
            choices += len(pairs)
            chosen += sum(pairs) - len(pairs)
            nodes = pairs + nodes[len(nodes) & ~1 :]
            values += len(nodes)
            lanes += sum(nodes)
        return cls(choices, values, lanes, chosen)
