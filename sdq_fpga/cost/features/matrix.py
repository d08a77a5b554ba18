"""Matrix-vector units, depthwise units, and the memories that stream their weights."""

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from sdq_fpga.board import DspGeneration
from sdq_fpga.cost.dsp import lanes, mvu_dsps
from sdq_fpga.cost.features.parts import Amount, Part, Terms, clog2, memory
from sdq_fpga.cost.node import HardwareNode
from sdq_fpga.cost.placement import Access, Kind, place
from sdq_fpga.cost.tree import NumberFormat, Structure, Tree, queue_places

__all__ = [
    "depthwise",
    "luts_of_product",
    "matrix_dsp",
    "matrix_lut",
    "streams_weights",
    "weight_stream",
    "weight_style",
    "weight_word",
]

_PRODUCT_BITS = 48  # of a DSP slice
_DSP_STAGES = 3
_LEAST_REPLAY = 32  # words of hw/ops/replay.sv


def weight_stream(node: HardwareNode, part: Part) -> Terms:
    """The memory that streams weights (finn-rtllib/memstream).

    Of a single word that never changes, only the bits that are 1 are left: half of them.
    """
    width, words = weight_word(node)
    writable = bool(node.integer("runtime_writeable_weights", 0))
    where = place(
        words,
        width,
        part,
        style=node.text("ram_style"),
        access=Access.ONE,
        padding=-width % 8,
    )
    address = clog2(words)
    if words == 1 and not writable:
        alone: Amount = {"constant": 1.0, "single word": width}
        return Terms(alone, dict(alone))
    blocks = where.kind in {Kind.BLOCK, Kind.ULTRA}
    lut: Amount = {
        "constant": 1.0,
        "address": address,
        "bits": width,  # shift registers of the output queue
        "memory": where.lut,
        "columns": where.mux_bits,
    }
    ff: Amount = {
        "constant": 1.0,
        "address": address,
        "bits": width,
        "bits read from LUTs": 0.0 if blocks else width,
    }
    if writable:
        for amounts in (lut, ff):
            amounts |= {"port": 1.0, "port bits": width, "port address": address}
    return Terms(lut, ff, bram18=where.bram18, uram=where.uram)


def weight_word(node: HardwareNode) -> tuple[int, int]:
    """Bits of a word of a node's weights as it is folded, and how many words there are."""
    pe, simd = node.integer("PE"), node.integer("SIMD")
    name = "weightDataType" if node.op == "MVAU_rtl" else "weight_type"
    if node.op == "SdqDepthwise_rtl":
        total = node.integer("taps") * node.integers("shape")[-1]
    else:
        total = node.integer("MW") * node.integer("MH")
    return pe * simd * node.bits(name), -(-total // (pe * simd))


def streams_weights(node: HardwareNode) -> bool:
    """Whether a memory of its own streams the weights."""
    return node.text("mem_mode") != "external"


def weight_style(node: HardwareNode) -> str:
    """What the weights of a node are kept in: "distributed", "block" or "ultra".

    It is "" for a node that keeps none, and where the synthesis decides.
    """
    if "mem_mode" not in node.attributes or not streams_weights(node):
        return ""
    style = node.text("ram_style")
    return "" if style == "auto" else style


def _merged(own: Terms, stream: Terms) -> Terms:
    return Terms(
        {**own.lut, **{f"weights: {name}": amount for name, amount in stream.lut.items()}},
        {**own.ff, **{f"weights: {name}": amount for name, amount in stream.ff.items()}},
        own.dsp + stream.dsp,
        own.bram18 + stream.bram18,
        own.uram + stream.uram,
    )


# ---- finn-rtllib/mvu ------------------------------------------------------------------------


def matrix_dsp(node: HardwareNode, part: Part) -> Terms:
    """A matrix-vector unit of DSP slices (finn-rtllib/mvu), without its weights."""
    generation = DspGeneration.DSP48E1 if part == "xc7" else DspGeneration.DSP48E2
    pe, simd = node.integer("PE"), node.integer("SIMD")
    bits, weight = node.bits("inputDataType"), node.bits("weightDataType")
    acc = node.bits("accDataType")
    length, times = node.integer("MW") // simd, node.integer("MH") // pe
    count = lanes(generation, weight, bits, narrow=node.narrow)
    pipes = math.ceil(pe / count)
    low, high = _lane_widths(generation, weight, bits, acc, simd, count, narrow=node.narrow)
    # How many slices use each lane: those of the last, incomplete one are its uppermost.
    used = [pipes - (lane < count * pipes - pe) for lane in range(count)]
    levels = clog2(simd)
    lows = [_adder_tree(simd, width, levels) for width in low]
    low_adders, low_registers = (_weighted(used, [each[k] for each in lows]) for k in (0, 1))
    over = [times_used * (bits_over > 0) for times_used, bits_over in zip(used, high, strict=True)]
    high_adders, high_registers = (
        sum(over) * each for each in _adder_tree(simd, 2, max(levels - 1, 0), signed=True)
    )
    high_acc = _weighted(used, high)
    corrections = simd * (pe - pipes)  # of a lane by what its right neighbour has overflown
    buffer = memory(1 << max(1, clog2(length)), simd * bits, part) if times > 1 else None
    counters = clog2(length) + clog2(times)
    pointers = 3 * (max(1, clog2(length)) + 1) if times > 1 else 0
    lut: Amount = {
        "constant": 1.0,
        "counters": counters,
        "pointers": pointers,
        "corrections": corrections,
        "slices": simd * pipes,
        "low sums": low_adders,
        "high sums": high_adders,
        "high accumulators": high_acc,
        "sums": pe * acc,
        "lanes": pe,
        "replay": buffer.lut if buffer else 0.0,
        "replay columns": buffer.mux_bits if buffer else 0.0,
    }
    ff: Amount = {
        "constant": 1.0,
        "counters": counters,
        "pointers": pointers,
        "levels": levels + (simd == 1),
        "corrections": corrections,
        "slices": simd * pipes,
        "low sums": low_registers + (_weighted(used, low) if simd == 1 else 0),
        "high sums": high_registers,
        "high accumulators": high_acc,
        "sums": pe * acc,
        "replay": simd * bits if buffer and buffer.kind is not Kind.BLOCK else 0.0,
    }
    dsp = mvu_dsps(generation, weight, bits, pe, simd, narrow=node.narrow)
    return Terms(lut, ff, dsp=dsp, bram18=buffer.bram18 if buffer else 0)


def _weighted(times: Sequence[int], amounts: Sequence[int]) -> int:
    return sum(map(operator.mul, times, amounts))


@cache
def _adder_tree(count: int, width: int, stages: int, *, signed: bool = False) -> tuple[int, int]:
    """Bits of the adders of a tree (add_multi.sv), and of its registers.

    Args:
        count: numbers that are summed.
        width: bits of a number.
        stages: of registers.
        signed: whether the numbers are -1, 0 and 1.
    """
    levels = clog2(count)
    if levels == 0:
        return 0, 0
    nodes = 2 * count - 1
    loads = [1] * nodes
    for node in reversed(range(count - 1)):
        loads[node] = loads[2 * node + 1] + loads[2 * node + 2]
    adders = registers = 0
    for node, load in enumerate(loads):
        bits = 1 + clog2(load + 1) if signed else (load * ((1 << width) - 1)).bit_length()
        level = clog2(node + 2) - 1
        step = levels - level
        adders += bits if node < count - 1 else 0
        if level < levels and step * stages // levels < (step + 1) * stages // levels:
            registers += bits
    return adders, registers


def _lane_widths(
    generation: DspGeneration,
    weight: int,
    bits: int,
    acc: int,
    simd: int,
    count: int,
    *,
    narrow: bool,
) -> tuple[list[int], list[int]]:
    """Bits of each lane inside the slice, and of what it overflows into (mvu.sv)."""
    multiplier = 25 if generation is DspGeneration.DSP48E1 else 27
    least = weight + bits - 1
    slack = multiplier - (0 if narrow else 1) - weight - (count - 1) * least
    low, begin = [], 0
    for lane in range(1, count):
        extra = (slack + (count - 1 - lane)) // (count - lane)
        slack -= extra
        low.append(least + extra)
        begin += least + extra
    low.append(min(acc, _PRODUCT_BITS - begin))
    high = []
    for lane, width in enumerate(low):
        if acc <= width:
            high.append(0 if lane == count - 1 else 1 + clog2(simd))
        else:
            high.append(1 + max(acc - width, clog2(simd) + 1))
    return low, high


# ---- hw/ops ---------------------------------------------------------------------------------


def matrix_lut(node: HardwareNode, part: Part) -> Terms:
    """A matrix-vector unit of LUTs (hw/ops/mvu_lut.sv), with the memory of its weights."""
    pe, simd = node.integer("PE"), node.integer("SIMD")
    length, times = node.integer("MW") // simd, node.integer("MH") // pe
    bits = simd * node.bits("in_type")
    own = _sums(node, length, shared=True)
    lut, ff = dict(own.lut), dict(own.ff)
    counters = clog2(length) + clog2(times)
    lut["counters"] = ff["counters"] = counters
    ff["replayed bits"] = bits
    bram18 = 0
    if length > 1 and times > 1:
        words = max(_LEAST_REPLAY, 1 << clog2(length))
        buffer = memory(words, bits, part)
        pointers = 3 * (clog2(words) + 1)
        lut |= {"pointers": pointers, "replay": buffer.lut, "replay columns": buffer.mux_bits}
        lut["replay buffer"] = ff["replay buffer"] = 1.0
        ff["pointers"] = pointers
        if buffer.kind is Kind.BLOCK:
            ff["replayed bits"] = 0.0
        bram18 = buffer.bram18
    unit = Terms(lut, ff, bram18=bram18)
    return _merged(unit, weight_stream(node, part)) if streams_weights(node) else unit


def depthwise(node: HardwareNode, part: Part) -> Terms:
    """A depthwise unit (hw/ops/depthwise.sv), with the memory of its weights."""
    pe, simd = node.integer("PE"), node.integer("SIMD")
    length = node.integer("taps") // simd
    if node.text("resType") == "lut":
        own = _sums(node, length, shared=False)
        lut, ff, dsp = dict(own.lut), dict(own.ff), 0
    else:
        out, latency = node.bits("out_type"), _DSP_STAGES + clog2(simd)
        lut, ff = _queue(length, latency, pe * out)
        lut |= {
            "slices: sums": pe * (simd - 1) * out,
            "slices: signs": pe * simd * ("BIPOLAR" in _types(node)),
        }
        ff |= {
            "slices: sums": pe * sum(-(-simd // 2**level) for level in range(1, clog2(simd) + 1))
            * out,
            "slices: stages": 2 * latency,
        }  # fmt: skip
        dsp = pe * simd
    lut["counters"] = ff["counters"] = clog2(length)
    unit = Terms(lut, ff, dsp=dsp)
    return _merged(unit, weight_stream(node, part)) if streams_weights(node) else unit


def _types(node: HardwareNode) -> tuple[str, str]:
    return node.text("in_type"), node.text("weight_type")


@dataclass(frozen=True)
class _TreeSize:
    """LUTs, bits of registers and levels of a tree, and whether it counts equal bits."""

    luts: int
    registers: int
    levels: int
    counts: bool


@cache
def _tree(simd: int, in_type: str, weight_type: str) -> _TreeSize:
    x, w = NumberFormat.of(in_type), NumberFormat.of(weight_type)
    if x is None or w is None:
        raise ValueError(f"there are no products of {in_type} and {weight_type} in LUTs")
    tree = Tree(simd, x, w)
    registers = sum(
        tree.nodes(level) * (tree.width(level) + 1) for level in range(1, tree.levels + 1)
    )
    return _TreeSize(tree.luts(), registers, tree.levels, tree.structure is Structure.XNOR)


def luts_of_product(node: HardwareNode, terms: int) -> float:
    """LUTs of one multiplication of a unit of LUTs, with its part of a tree that sums ``terms``."""
    return _tree(terms, *_types(node)).luts / terms


def _sums(node: HardwareNode, length: int, *, shared: bool) -> Terms:
    """Trees of adders, accumulators and the queue of results (hw/ops/mac_lut.sv).

    Args:
        node: the unit.
        length: beats of a sum.
        shared: whether all sums are of the same activations.
    """
    pe, simd, out = node.integer("PE"), node.integer("SIMD"), node.bits("out_type")
    tree = _tree(simd, *_types(node))
    _, words = weight_word(node)
    # With a single word of weights, they are constants, by which products cost less.
    constant = words == 1 and streams_weights(node)
    prefix = "constant weights: " if constant else ""
    row = 0 if tree.levels else -tree.luts
    accumulator = out - tree.counts
    latency = tree.levels // node.integer("adder_step", 1)
    lut, ff = _queue(length, latency, pe * out)
    lut |= {
        "constant": 1.0,
        f"{prefix}trees": pe * (tree.luts + row),
        "accumulators": pe * accumulator,
        "stages": latency,
        "sums": pe,
    }
    ff |= {
        "constant": 1.0,
        f"{prefix}trees": pe * tree.registers / max(1, node.integer("adder_step", 1)),
        "accumulators": pe * accumulator * (length > 1),
        "stages": latency,
    }
    return Terms(lut, ff)


def _queue(length: int, latency: int, bits: int) -> tuple[Amount, Amount]:
    """The queue of results (hw/ops/result_queue.sv)."""
    places = queue_places(length, latency)
    deep = float(places > 2)
    lut: Amount = {
        "queue": 1.0,
        "queue: bits": bits * -(-places // 32) * deep,
        "queue: pointer": (clog2(places) + 1) * deep,
    }
    ff: Amount = {
        "queue": 1.0,
        "queue: bits": 2 * bits,
        "queue: pointer": (clog2(places) + 1) * (1 + deep),
    }
    return lut, ff
