"""Moves batch-norm biases so that no threshold falls on an accumulator value.

A quantized activation is a staircase over the integer accumulator: batch-norm and rounding turn
into thresholds, and the hardware compares the accumulator with the next integer above each. Float
execution of the QONNX model agrees on every accumulator value, except where a threshold lies so
near to an integer that float32 rounding decides the comparison. Shifting a channel's bias by a
fraction of one accumulator step (invisible to the network, whose accumulators span thousands)
keeps every threshold clear of the integers, so that the comparison between RTL and QONNX can be
exact instead of tolerant.
"""

from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from sdq_fpga.nets.layers import quant_layers
from sdq_fpga.policy import Policy

__all__ = ["INPUT_BITS", "Settled", "settle_thresholds"]

INPUT_BITS = 8  # images are uint8, and enter as p / 2^8

# A threshold goes through about 8 float32 roundings of 2^-24 relative error each, in the QONNX
# model (batch-norm) and once more in FINN's streamlining; this is twice their sum.
_RELATIVE_MARGIN = 2.0**-20
_CANDIDATES = 401

_BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d


@dataclass(frozen=True)
class Settled:
    """What was done to one layer.

    Attributes:
        layer: name of the layer.
        moved: channels whose bias was moved.
        largest_shift: largest move, in accumulator steps.
        unclear: channels for which no shift keeps every threshold clear.
    """

    layer: str
    moved: int
    largest_shift: float
    unclear: int


def settle_thresholds(net: nn.Module, policy: Policy) -> tuple[Settled, ...]:
    """Shifts the biases of all batch-norms of ``net`` in place, each by at most half a step.

    Args:
        net: network on the normalised grid (float or Brevitas), in its final state.
        policy: its bits.

    Returns:
        One record for each layer that has an activation.
    """
    records = []
    input_bits = INPUT_BITS
    for layer, bits in zip(quant_layers(net), policy.layers, strict=True):
        if layer.norm is None or bits.activation_bits is None:
            continue
        step = 2.0 ** -(input_bits + bits.weight_bits - 1)
        norm = cast(_BatchNorm, net.get_submodule(layer.norm))
        records.append(_settle_norm(layer.name, norm, step, bits.activation_bits))
        input_bits = bits.activation_bits
    return tuple(records)


def _settle_norm(layer: str, norm: _BatchNorm, step: float, bits: int) -> Settled:
    """Settles one batch-norm; ``step`` is the value of one accumulator unit at its input."""
    mean, variance = _array(norm.get_buffer("running_mean")), _array(norm.get_buffer("running_var"))
    gain = _array(norm.weight) / np.sqrt(variance + norm.eps)
    offset = _array(norm.bias) - mean * gain
    live = np.abs(gain) > 1e-12
    gain = np.where(live, gain, 1.0)
    levels = (np.arange(1, 2**bits) - 0.5) * 2.0**-bits
    thresholds = (levels[None, :] - offset[:, None]) / (gain[:, None] * step)
    magnitude = np.abs(thresholds) + np.abs(offset / (gain * step))[:, None]
    margin = _RELATIVE_MARGIN * magnitude

    shifts = np.linspace(-0.5, 0.5, _CANDIDATES)
    shifts = shifts[np.argsort(np.abs(shifts), kind="stable")]
    moved = thresholds[:, None, :] + shifts[None, :, None]
    clear = np.abs(moved - np.round(moved)) >= margin[:, None, :]
    share = clear.mean(axis=2)
    # argmax takes the first maximum: the smallest shift that keeps the most thresholds clear.
    shift = np.where(live, shifts[np.argmax(share, axis=1)], 0.0)
    unclear = live & (share.max(axis=1) < 1.0)
    with torch.no_grad():
        norm.bias.sub_(torch.from_numpy(shift * gain * step).to(norm.bias.dtype))
    return Settled(
        layer, int(np.count_nonzero(shift)), float(np.abs(shift).max()), int(unclear.sum())
    )


def _array(tensor: torch.Tensor) -> npt.NDArray[np.float64]:
    return tensor.detach().cpu().numpy().astype(np.float64)
