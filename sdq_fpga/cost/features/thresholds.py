"""Thresholds (finn-rtllib/thresholding)."""

import math

from sdq_fpga.cost.features.parts import (
    SRL,
    Amount,
    Part,
    Terms,
    clog2,
    comparison,
    comparison_with_constant,
    table_luts,
)
from sdq_fpga.cost.node import HardwareNode
from sdq_fpga.cost.placement import Access, Kind, distinct_bits, place

__all__ = ["threshold"]


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
    compared = found = regular = by_channel = tables = 0.0
    bram18 = 0
    for stage in range(stages):
        words = (1 if equal else folds) << stage
        if words == 1:
            continue
        compared += pe
        style = _threshold_style(node, words)
        where = place(words, kept_bits, part, style=style, access=Access.READ)
        bram18 += pe * where.bram18
        if where.kind is Kind.BLOCK:
            continue
        distinct = distinct_bits(words, min(kept_bits, known))
        if equal:
            # Levels at equal distances: bits of a table are those of its address, and a carry.
            distinct = min(distinct, stage + 1)
            regular += pe * distinct
            continue
        found += pe * distinct
        # Of thresholds beyond the last one, which are all the same, nothing is left.
        step = 1 << (stages - stage)
        each = (steps - step // 2) // step + 1
        further = pe * distinct * table_luts(folds * each)
        # One threshold of each channel is as good as random; of several, one follows the other.
        # Where one is left of several, it is in between.
        random = 1.0 if stage == 0 else 0.5 if each == 1 else 0.0
        by_channel += further * random
        tables += further * (1 - random)
    pending = deep * stages + 3
    results = pe * stages * (stages + 1) / 2
    constants = pe * stages - compared
    fold = 0 if equal else clog2(folds)
    bias = node.integer("ActVal")
    lut: Amount = {
        "constant": 1.0,
        "folds": fold,
        "comparisons": compared * comparison(kept_bits),
        "comparisons with constants": constants * comparison_with_constant(kept_bits),
        "found": found,
        "found: regular": regular,
        "tables: channels": by_channel,
        "tables": tables,
        "queue": pe * stages * math.ceil(pending / SRL),
        "bias": pe * (1 if bias == -(1 << (stages - 1)) else stages) * (bias != 0),
        "scope": float(steps + 1 < 1 << stages) * pe * stages,
        "stages": stages,
    }
    ff: Amount = {
        "constant": 1.0,
        "folds": fold,
        "values": pe * kept_bits * (deep * stages - 1),
        "found": found + regular,
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
