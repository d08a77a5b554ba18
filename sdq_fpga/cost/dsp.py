"""DSP slices of a matrix-vector unit, exact by construction.

Mirrors the lane packing of finn-rtllib/mvu/mvu.sv (``NUM_LANES``) and the choice of compute core
in finn-rtllib/mvu/mvu_vvu_axi.sv.
"""

from sdq_fpga.board import DspGeneration
from sdq_fpga.cost.many import Many

__all__ = ["lanes", "mvu_dsps"]

_INT8_MODE_PRODUCTS = 3  # a DSP58 in INT8 mode sums three products


def lanes(
    generation: DspGeneration, weight_bits: int, activation_bits: int, *, narrow: bool
) -> int:
    """How many multiplications one DSP slice does in one cycle.

    Args:
        generation: the multiplier primitive; its A input has 25 bits on DSP48E1, else 27.
        weight_bits: bits of a signed weight.
        activation_bits: bits of an activation.
        narrow: whether the most negative weight code never occurs.
    """
    multiplier_bits = 25 if generation is DspGeneration.DSP48E1 else 27
    if weight_bits == multiplier_bits:
        return 1
    lane_bits = weight_bits + activation_bits - 1
    return 1 + (multiplier_bits - (0 if narrow else 1) - weight_bits) // lane_bits


def mvu_dsps(
    generation: DspGeneration,
    weight_bits: int,
    activation_bits: int,
    pe: Many,
    simd: Many,
    *,
    narrow: bool,
) -> Many:
    """DSP slices of one matrix-vector unit of ``pe`` x ``simd`` multipliers, or of several."""
    per_slice = lanes(generation, weight_bits, activation_bits, narrow=narrow)
    int8_mode = (
        generation is DspGeneration.DSP58
        and per_slice <= _INT8_MODE_PRODUCTS
        and weight_bits <= 8
        and activation_bits <= 9
    )
    if int8_mode:
        return pe * -(-simd // _INT8_MODE_PRODUCTS)
    return -(-pe // per_slice) * simd
