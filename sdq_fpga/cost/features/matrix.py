"""Matrix-vector units of LUTs and depthwise units (hw/ops), with the memories of their weights."""

from dataclasses import dataclass
from functools import cache, partial

from sdq_fpga.cost.features.parts import Amount, Part, Terms, memories, memory
from sdq_fpga.cost.features.weights import (
    is_single,
    streams_weights,
    weight_stream,
    weight_words,
)
from sdq_fpga.cost.many import Many, clog2, over
from sdq_fpga.cost.node import HardwareNode
from sdq_fpga.cost.placement import Placement
from sdq_fpga.cost.tree import NumberFormat, Structure, Tree, queue_places

__all__ = ["beside_unit", "depthwise", "luts_of_product", "matrix_lut", "unit_of_luts"]

_DSP_STAGES = 3
_LEAST_REPLAY = 32  # words of hw/ops/replay.sv


def matrix_lut(node: HardwareNode, part: Part) -> Terms:
    """A matrix-vector unit of LUTs (hw/ops/mvu_lut.sv), with the memory of its weights."""
    unit = unit_of_luts(node, part, node.integer("PE"), node.integer("SIMD"))
    return _merged(unit, weight_stream(node, part)) if streams_weights(node) else unit


def unit_of_luts(node: HardwareNode, part: Part, pe: Many, simd: Many) -> Terms:
    """A matrix-vector unit of LUTs without its weights, at a parallelism or at several at once.

    Args:
        node: the unit, of any parallelism.
        part: family of the part.
        pe: its PE.
        simd: its SIMD; where they are arrays, all words of weights are single ones, or none is.
    """
    columns, each = node.integer("MW"), node.bits("in_type")
    length, times = columns // simd, node.integer("MH") // pe
    own = _sums(node, columns, pe, simd)
    lut, ff = dict(own.lut), dict(own.ff)
    counters = clog2(length) + clog2(times)
    lut["counters"] = ff["counters"] = counters
    ff["replayed bits"] = simd * each
    bram18: Many = 0
    replays = (length > 1) & (times > 1)
    if not isinstance(replays, bool) or replays:
        buffer = memories(partial(_replayed, columns=columns, bits=each, part=part), simd)
        words = over(partial(_replayed_words, columns=columns), simd)
        pointers = 3 * (clog2(words) + 1) * replays
        lut |= {
            "pointers": pointers,
            "replay": buffer.lut * replays,
            "replay columns": buffer.mux_bits * replays,
        }
        lut["replay buffer"] = ff["replay buffer"] = 1.0 * replays
        ff["pointers"] = pointers
        ff["replayed bits"] = simd * each * ((buffer.block & replays) == 0)
        bram18 = buffer.bram18 * replays
    return Terms(lut, ff, bram18=bram18)


def _replayed_words(simd: int, *, columns: int) -> int:
    return max(_LEAST_REPLAY, 1 << (columns // simd - 1).bit_length())


def _replayed(simd: int, *, columns: int, bits: int, part: Part) -> Placement:
    """The memory that keeps a vector."""
    return memory(_replayed_words(simd, columns=columns), simd * bits, part)


def _merged(own: Terms, stream: Terms) -> Terms:
    beside = beside_unit(stream)
    return Terms(
        {**own.lut, **beside.lut},
        {**own.ff, **beside.ff},
        own.dsp + stream.dsp,
        own.bram18 + stream.bram18,
        own.uram + stream.uram,
    )


def beside_unit(stream: Terms) -> Terms:
    """The terms of a memory as they are called beside those of its unit."""
    lut, ff = (
        {f"weights: {name}": amount for name, amount in each.items()}
        for each in (stream.lut, stream.ff)
    )
    return Terms(lut, ff, stream.dsp, stream.bram18, stream.uram)


def depthwise(node: HardwareNode, part: Part) -> Terms:
    """A depthwise unit (hw/ops/depthwise.sv), with the memory of its weights."""
    pe, simd = node.integer("PE"), node.integer("SIMD")
    length = node.integer("taps") // simd
    if node.text("resType") == "lut":
        own = _sums(node, node.integer("taps"), pe, simd)
        lut, ff, dsp = dict(own.lut), dict(own.ff), 0
    else:
        out, levels = node.bits("out_type"), (simd - 1).bit_length()
        latency = _DSP_STAGES + levels
        lut, ff = _queue(queue_places(length, latency), pe * out)
        lut |= {
            "slices: sums": pe * (simd - 1) * out,
            "slices: signs": pe * simd * ("BIPOLAR" in _types(node)),
        }
        ff |= {
            "slices: sums": pe * sum(-(-simd // 2**level) for level in range(1, levels + 1))
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


def _of_tree(types: tuple[str, str], name: str, simd: int) -> int:
    found: int = getattr(_tree(simd, *types), name)
    return found


def luts_of_product(node: HardwareNode, terms: int) -> float:
    """LUTs of one multiplication of a unit of LUTs, with its part of a tree that sums ``terms``."""
    return _tree(terms, *_types(node)).luts / terms


def _sums(node: HardwareNode, columns: int, pe: Many, simd: Many) -> Terms:
    """Trees of adders, accumulators and the queue of results (hw/ops/mac_lut.sv).

    Args:
        node: the unit.
        columns: products of a sum.
        pe: its PE.
        simd: its SIMD.
    """
    out, types = node.bits("out_type"), _types(node)
    luts, registers, levels = (
        over(partial(_of_tree, types, name), simd) for name in ("luts", "registers", "levels")
    )
    # With a single word of weights, they are constants, by which products cost less.
    constant = streams_weights(node) and is_single(weight_words(node, pe, simd))
    prefix = "constant weights: " if constant else ""
    step = node.integer("adder_step", 1)
    accumulator = out - _tree(1, *types).counts
    latency = levels // step

    def places(terms: int) -> int:
        return queue_places(columns // terms, _tree(terms, *types).levels // step)

    lut, ff = _queue(over(places, simd), pe * out)
    lut |= {
        "constant": 1.0,
        f"{prefix}trees": pe * (luts * (levels > 0)),
        "accumulators": pe * accumulator,
        "stages": latency,
        "sums": pe,
    }
    ff |= {
        "constant": 1.0,
        f"{prefix}trees": pe * registers / max(1, step),
        "accumulators": pe * accumulator * (columns // simd > 1),
        "stages": latency,
    }
    return Terms(lut, ff)


def _queue(places: Many, bits: Many) -> tuple[Amount, Amount]:
    """The queue of results (hw/ops/result_queue.sv)."""
    deep = (places > 2) * 1.0
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
