"""FIFOs, width converters, and operators that only count beats: pad, crop, concat and so on."""

import math

from sdq_fpga.cost.features.parts import SRL, Amount, Part, Terms, clog2, memory, multiplexer
from sdq_fpga.cost.fifo import LEAST_ADDRESS_BITS, FifoMemory, FifoStyle, fifo_memory
from sdq_fpga.cost.node import HardwareNode
from sdq_fpga.cost.placement import Kind, Placement, place

__all__ = ["concat", "converter", "crop", "duplicate", "fifo", "pad", "split", "upsample"]

_MANY_WORDS = 4  # of a beat, where it takes more than a LUT to choose one
_MOST_BITS_WITHOUT_CHAIN = 2  # of an adder

# ---- finn-rtllib/fifo -----------------------------------------------------------------------


def fifo(node: HardwareNode, part: Part) -> Terms:
    """A FIFO, of the memory that finn-rtllib/fifo chooses."""
    width = node.bits("dataType") * node.integers("folded_shape")[-1]
    # Its ports are whole bytes, of which it knows no better; padding comes to nothing later.
    padding = -width % 8
    depth = node.integer("depth")
    made = fifo_memory(depth, width + padding, node.text("ram_style"))
    if made.style is FifoStyle.SHIFT:
        stages = max(depth - 1, 4)
        pointer = clog2(stages) + 1
        lut = {
            "shift": 1.0,
            "shift: bits": width * math.ceil(stages / SRL),
            "shift: multiplexers": width * (stages > 2 * SRL),
            "shift: pointer": pointer,
        }
        return Terms(lut, {"shift": 1.0, "shift: bits": width, "shift: pointer": pointer})
    if made.style is FifoStyle.DISTRIBUTED:
        address = clog2(depth - 1)
        found = place(1 << address, width, part, style="distributed")
        lut = {
            "distributed": 1.0,
            "distributed: memory": found.lut,
            "distributed: columns": found.mux_bits,
            "distributed: address": address,
        }
        ff = {"distributed": 1.0, "distributed: bits": width, "distributed: address": address}
        return Terms(lut, ff)
    return _deep_fifo(made, width, padding, part)


def _deep_fifo(made: FifoMemory, width: int, padding: int, part: Part) -> Terms:
    style = made.style
    ultra = style is FifoStyle.ULTRA
    low, high = (*made.address_bits, 0)[:2]
    memories = [place(1 << low, width, part, style=style, padding=padding)]
    if high:
        asked = style if high >= LEAST_ADDRESS_BITS[style] else "auto"
        memories.append(place(1 << high, width, part, style=asked, padding=padding))
    address = low + (high > 0)
    lut_rams = [found for found in memories if found.kind is Kind.LUT_RAM]
    lut: Amount = {
        style: 1.0,
        f"{style}: address": address,
        "deep: two memories": float(high > 0),
        "deep: selected bits": width * (high > 0),
        "deep: lut ram": sum(found.lut for found in lut_rams),
        "deep: columns": sum(found.mux_bits for found in memories),
    }
    ff: Amount = {
        style: 1.0,
        f"{style}: address": address,
        f"{style}: bits": width,
        "deep: second bits": width * (high > 0),
        "deep: bits of lut ram": width * len(lut_rams),
    }
    if ultra:
        lut["ultra: queue"] = width
    return Terms(
        lut,
        ff,
        bram18=sum(found.bram18 for found in memories),
        uram=sum(found.uram for found in memories),
    )


# ---- finn-rtllib/dwc ------------------------------------------------------------------------


def converter(node: HardwareNode, part: Part) -> Terms:
    """A width converter: registers for a beat of either side, and what aligns them."""
    del part
    into, out = node.integer("inWidth"), node.integer("outWidth")
    common = math.gcd(into, out)
    ins, outs = into // common, out // common
    places = ins + outs
    counter = clog2(max(ins, outs) + 1) + 1
    if 1 in (into, out):  # genSer and genDes of vpc.sv
        kind = "from one bit" if into == 1 else "to one bit"
        lut: Amount = {kind: 1.0, f"{kind}: counter": counter}
        if into > 1:
            lut["to one bit: bits"] = into
        elif out & (out - 1):
            lut["from one bit: reload"] = 1.0  # of a counter that does not just wrap
        return Terms(lut, {"one bit": 1.0, "one bit: counter": counter, "bits": places})
    turning = float(ins > 1 and outs % ins != 0)
    kind = "up" if ins == 1 else "down" if outs == 1 else "other"
    lut = {kind: 1.0, "counter": counter, f"{kind}: places": places}
    ff: Amount = {"constant": 1.0, "counter": counter, "places": places, "bits": places * common}
    if ins == 1:
        lut["up: bits"] = common
    else:
        # Which word goes where depends on the beat.
        lut["turn"] = ff["turn"] = (clog2(ins) + 1) * turning
        aligned = ins * common * turning
        if ins >= _MANY_WORDS:
            lut["aligned bits"], lut["aligned bits: choices"] = aligned, ins * aligned
        else:
            lut["aligned bits of few words"] = aligned
        lut["placed bits"] = places * common
    return Terms(lut, ff)


# ---- hw/ops ---------------------------------------------------------------------------------


def pad(node: HardwareNode, part: Part) -> Terms:
    """Padding (hw/ops/pad.sv): counters, and two registers of a beat."""
    del part
    _, height, width, channels = node.integers("shape")
    top, left, bottom, right = node.integers("pads")
    pe = node.integer("PE")
    folds = channels // pe
    line = (left + width + right) * folds
    head, gap = top * line + left * folds, (left + right) * folds
    rows = height if gap else 1
    run = width * folds * (1 if gap else height)
    tail = bottom * line + right * folds
    count, row = max(1, clog2(max(head, tail, run, gap))), max(1, clog2(rows))
    bits = pe * node.bits("out_type")
    lut = {"constant": 1.0, "counter": count, "rows": row, "bits": bits}
    ff = {
        "constant": 1.0,
        "counter": count + row,
        "bits": bits + pe * node.bits("in_type"),
    }
    return Terms(lut, ff)


def crop(node: HardwareNode, part: Part) -> Terms:
    """Cropping (hw/ops/crop.sv): counters, and a register of a beat."""
    del part
    _, height, width, channels = node.integers("shape")
    top, left, bottom, right = node.integers("crops")
    pe = node.integer("PE")
    folds = channels // pe
    head, gap = (top * width + left) * folds, (left + right) * folds
    left_over = height - top - bottom
    rows = left_over if gap else 1
    run = (width - left - right) * folds * (1 if gap else left_over)
    between = (bottom * width + right) * folds + head
    # Where a gap lies between the last row and the next frame as well, rows are not counted.
    count, row = max(1, clog2(max(between, run, gap))), clog2(rows) * (between != gap)
    lut = {"constant": 1.0, "counter": count, "rows": row}
    ff = {"constant": 1.0, "counter": count + row, "bits": pe * node.bits("data_type")}
    return Terms(lut, ff)


def duplicate(node: HardwareNode, part: Part) -> Terms:
    """Copies of a stream (hw/ops/duplicate.sv): the data are registered once."""
    del part
    copies = node.integer("copies")
    bits = node.integer("PE") * node.bits("data_type")
    return Terms(
        {"constant": 1.0, "further copies": copies - 2},
        {"constant": 1.0, "copies": copies, "bits": bits},
    )


def concat(node: HardwareNode, part: Part) -> Terms:
    """Streams behind each other (hw/ops/concat.sv): a multiplexer and whose turn it is."""
    del part
    pe, channels = node.integer("PE"), node.integers("channels")
    bits = pe * node.bits("out_type")
    turns = _turns([each // pe for each in channels])
    lut = {
        "constant": 1.0,
        "streams": len(channels),
        "selected bits": bits * multiplexer(len(channels)),
    }
    ff = {"constant": 1.0, "streams": len(channels), "bits": bits}
    return Terms({**lut, **turns.lut}, {**ff, **turns.ff})


def split(node: HardwareNode, part: Part) -> Terms:
    """A stream for each part of the channels (hw/ops/split.sv)."""
    del part
    pe, channels = node.integer("PE"), node.integers("channels")
    turns = _turns([each // pe for each in channels])
    kept = sum(node.integers("keep")) or len(channels)
    bits = pe * node.bits("data_type")
    lut = {"constant": 1.0, "streams": kept}
    ff = {"constant": 1.0, "streams": kept, "bits": bits}
    return Terms({**lut, **turns.lut}, {**ff, **turns.ff})


def _turns(beats: list[int]) -> Terms:
    """The counters of hw/ops/turns.sv; that of beats goes where every turn has one.

    A counter of two bits needs no carry chain.
    """
    count = 1 + clog2(max(beats) - 1) if max(beats) > 1 else 0
    turn = clog2(len(beats))
    chain = float(count > _MOST_BITS_WITHOUT_CHAIN)
    return Terms(
        {"counter": count, "counter: chain": chain, "turns": turn},
        {"counter": count, "turns": turn},
    )


def upsample(node: HardwareNode, part: Part) -> Terms:
    """Repeated rows and columns (hw/ops/upsample.sv): a row of memory, and its address."""
    _, _, width, channels = node.integers("shape")
    pe = node.integer("PE")
    rows, columns = node.integer("factor_h"), node.integer("factor_w")
    folds, bits = channels // pe, pe * node.bits("data_type")
    words = (width if rows > 1 else 1) * folds
    buffer = our_buffer(words, bits, node.text("memory"), part)
    beats = folds if columns > 1 else 1
    address = max(1, clog2(words))
    counters = clog2(beats) + clog2(rows) + clog2(columns)
    base = address * (beats not in (1, words))
    kept = float(words > 1)
    lut: Amount = {
        "constant": 1.0,
        "address": address,
        "base": base,
        "counters": counters,
        "memory": kept,
        "memory: luts": buffer.lut,
        "memory: columns": buffer.mux_bits,
    }
    ff: Amount = {
        "constant": 1.0,
        "address": address,
        "base": base,
        "counters": counters,
        "memory": kept,
        "memory: address": address * kept,
        "memory: bits": bits * kept,
        "memory: bits read from LUTs": bits * (buffer.kind is Kind.LUT_RAM),
        "bits": bits * (1 - kept),
    }
    return Terms(lut, ff, bram18=buffer.bram18)


_LUTS_FOR_BLOCK = 128  # sdq_fpga/ops/buffers.py
_ASPECTS = ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))


def our_buffer(words: int, bits: int, wanted: str, part: Part) -> Placement:
    """A memory of our operators, of the kind that they ask for (``Buffer`` of sdq_fpga/ops)."""
    if words < 2:
        return Placement(Kind.NONE)
    blocks = min(-(-words // depth) * -(-bits // wide) for depth, wide in _ASPECTS)
    banks = -(-words // 64)
    luts = math.ceil(bits * ((4 / 6 if words <= 32 else 8 / 7) * banks + (banks - 1) / 3))
    style = wanted
    if wanted == "auto":
        style = "block" if luts > _LUTS_FOR_BLOCK * blocks else "distributed"
    return memory(words, bits, part, style)
