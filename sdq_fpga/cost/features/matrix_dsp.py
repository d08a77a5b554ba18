"""Matrix-vector units of DSP slices (finn-rtllib/mvu)."""

from collections.abc import Sequence
from functools import cache, partial

from sdq_fpga.board import DspGeneration
from sdq_fpga.cost.dsp import lanes, mvu_dsps
from sdq_fpga.cost.features.parts import Amount, Part, Terms, memories, memory
from sdq_fpga.cost.many import Many, clog2, greater, over
from sdq_fpga.cost.node import HardwareNode
from sdq_fpga.cost.placement import Placement

__all__ = ["dsp_slices", "matrix_dsp", "unit_of_slices"]

_PRODUCT_BITS = 48  # of a DSP slice


def matrix_dsp(node: HardwareNode, part: Part) -> Terms:
    """A matrix-vector unit of DSP slices, without its weights."""
    return unit_of_slices(node, part, node.integer("PE"), node.integer("SIMD"))


def unit_of_slices(node: HardwareNode, part: Part, pe: Many, simd: Many) -> Terms:
    """A matrix-vector unit of DSP slices at a parallelism, or at several at once.

    Args:
        node: the unit, of any parallelism.
        part: family of the part.
        pe: its PE.
        simd: its SIMD.
    """
    generation = DspGeneration.DSP48E1 if part == "xc7" else DspGeneration.DSP48E2
    columns = node.integer("MW")
    bits, weight = node.bits("inputDataType"), node.bits("weightDataType")
    acc = node.bits("accDataType")
    length, times = columns // simd, node.integer("MH") // pe
    count = lanes(generation, weight, bits, narrow=node.narrow)
    pipes = -(-pe // count)
    levels = clog2(simd)
    low, high = _lane_widths(generation, weight, bits, acc, levels, count, narrow=node.narrow)
    # How many slices use each lane: those of the last, incomplete one are its uppermost.
    used = [pipes - (lane < count * pipes - pe) for lane in range(count)]
    low_adders, low_registers = (
        _weighted(used, [over(partial(_adders_of, k, width), simd) for width in low])
        for k in (0, 1)
    )
    over_used = _weighted(used, [bits_over > 0 for bits_over in high])
    high_adders, high_registers = (over_used * over(partial(_signs_of, k), simd) for k in (0, 1))
    high_acc = _weighted(used, high)
    corrections = simd * (pe - pipes)  # of a lane by what its right neighbour has overflown
    replays = times > 1
    buffer = memories(partial(_replayed, columns=columns, bits=bits, part=part), simd)
    counters = clog2(length) + clog2(times)
    pointers = 3 * (greater(1, clog2(length)) + 1) * replays
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
        "replay": buffer.lut * replays,
        "replay columns": buffer.mux_bits * replays,
    }
    ff: Amount = {
        "constant": 1.0,
        "counters": counters,
        "pointers": pointers,
        "levels": levels + (simd == 1),
        "corrections": corrections,
        "slices": simd * pipes,
        "low sums": low_registers + _weighted(used, low) * (simd == 1),
        "high sums": high_registers,
        "high accumulators": high_acc,
        "sums": pe * acc,
        "replay": simd * bits * replays * (buffer.block == 0),
    }
    dsp = dsp_slices(node, generation, pe, simd)
    return Terms(lut, ff, dsp=dsp, bram18=buffer.bram18 * replays)


def dsp_slices(node: HardwareNode, generation: DspGeneration, pe: Many, simd: Many) -> Many:
    """DSP slices of a unit at a parallelism, or at several."""
    weight, bits = node.bits("weightDataType"), node.bits("inputDataType")
    return mvu_dsps(generation, weight, bits, pe, simd, narrow=node.narrow)


def _replayed(simd: int, *, columns: int, bits: int, part: Part) -> Placement:
    """The memory that keeps a vector."""
    return memory(1 << max(1, (columns // simd - 1).bit_length()), simd * bits, part)


def _weighted(times: Sequence[Many], amounts: Sequence[Many]) -> Many:
    found: Many = 0
    for one, other in zip(times, amounts, strict=True):
        found = found + one * other
    return found


def _adders_of(which: int, width: int, simd: int) -> int:
    """Bits of the adders, or of the registers, of a tree with as many of these as levels."""
    return _adder_tree(simd, width, (simd - 1).bit_length())[which]


def _signs_of(which: int, simd: int) -> int:
    """The same of a tree of what overflows, a level less deep."""
    return _adder_tree(simd, 2, max((simd - 1).bit_length() - 1, 0), signed=True)[which]


@cache
def _adder_tree(count: int, width: int, stages: int, *, signed: bool = False) -> tuple[int, int]:
    """Bits of the adders of a tree (add_multi.sv), and of its registers.

    Args:
        count: numbers that are summed.
        width: bits of a number.
        stages: of registers.
        signed: whether the numbers are -1, 0 and 1.
    """
    levels = (count - 1).bit_length()
    if levels == 0:
        return 0, 0
    adders = registers = 0
    for level in range(levels):
        step = levels - level
        registered = step * stages // levels < (step + 1) * stages // levels
        for load, nodes in _loads(count, level):
            bits = 1 + load.bit_length() if signed else (load * ((1 << width) - 1)).bit_length()
            adders += nodes * bits * (load > 1)
            registers += nodes * bits * registered
    return adders, registers


def _loads(count: int, level: int) -> list[tuple[int, int]]:
    """How many of the numbers the nodes of a level sum, and how many nodes sum so many.

    The tree is a heap of ``2 * count - 1`` nodes, whose last level is filled from the left.
    """
    levels, nodes = (count - 1).bit_length(), 1 << level
    below = 1 << (levels - level - 1)  # of a node where the last level is empty
    full, more = divmod(2 * (count - (1 << (levels - 1))), 2 * below)
    found = [(2 * below, full), (below + more // 2, int(more > 0))]
    found.append((below, nodes - full - int(more > 0)))
    return [each for each in found if each[1]]


def _lane_widths(
    generation: DspGeneration,
    weight: int,
    bits: int,
    acc: int,
    levels: Many,
    count: int,
    *,
    narrow: bool,
) -> tuple[list[int], list[Many]]:
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
    high: list[Many] = []
    for lane, width in enumerate(low):
        if acc <= width:
            high.append(0 if lane == count - 1 else 1 + levels)
        else:
            high.append(1 + greater(acc - width, levels + 1))
    return low, high
