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

from sdq_fpga.nets.normal import as_network
from sdq_fpga.policy import Policy

__all__ = ["INPUT_BITS", "Settled", "settle_thresholds"]

INPUT_BITS = 8  # images are uint8, and enter as p / 2^8

# A threshold goes through about 8 float32 roundings of 2^-24 relative error each, in the QONNX
# model (batch-norm) and once more in FINN's streamlining; this is twice their sum.
_RELATIVE_MARGIN = 2.0**-20
# In accumulator units, the smallest first.
_SHIFTS = np.array(sorted(np.linspace(-0.5, 0.5, 401), key=abs))

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

    The bias of the last layer, if it has one, is rounded to whole steps of its accumulator, so
    that float32 adds it without rounding.

    Args:
        net: network on the normalised grid (float or Brevitas), in its final state.
        policy: its bits.

    Returns:
        One record for each layer that has an activation.
    """
    records = []
    structure = as_network(net).structure
    activation_bits = policy.activation_bits

    def exponent(path: str) -> int:
        place = structure.quantizer(path)
        return place.exponent(activation_bits[place.layer])

    for layer, bits in zip(structure.layers, policy.layers, strict=True):
        input_exponent = max(map(exponent, layer.sources), default=INPUT_BITS)
        step = 2.0 ** -(input_exponent + bits.weight_bits - 1)
        if layer.norm is not None and layer.activation is not None:
            norm = cast(_BatchNorm, net.get_submodule(layer.norm))
            place = structure.quantizer(layer.activation)
            levels = _levels(exponent(layer.activation), signed=place.signed)
            records.append(_settle_norm(layer.name, norm, step, levels))
            continue
        bias = getattr(net.get_submodule(layer.weight), "bias", None)
        if bias is not None:
            with torch.no_grad():
                bias.copy_(torch.round(bias / step) * step)
    return tuple(records)


def _levels(exponent: int, *, signed: bool) -> npt.NDArray[np.float64]:
    """Where a quantizer of scale 2^-exponent steps."""
    codes = np.arange(1 - signed * 2**exponent, 2**exponent)
    return (codes - 0.5) * 2.0**-exponent


def _settle_norm(
    layer: str, norm: _BatchNorm, step: float, levels: npt.NDArray[np.float64]
) -> Settled:
    """Settles one batch-norm; ``step`` is the value of one accumulator unit at its input."""
    mean, variance = _array(norm.get_buffer("running_mean")), _array(norm.get_buffer("running_var"))
    gain = _array(norm.weight) / np.sqrt(variance + norm.eps)
    bias = _array(norm.bias)
    settled = bias.copy()
    unclear = 0
    largest = 0.0
    for channel in np.flatnonzero(np.abs(gain) > 1e-12):
        unit = gain[channel] * step  # what moves a threshold by one accumulator unit
        center = mean[channel] * gain[channel]
        # As the bias will be stored: rounding it moves the thresholds too.
        candidates = (bias[channel] - _SHIFTS * unit).astype(np.float32).astype(np.float64)
        moved = np.abs((candidates - bias[channel]) / unit)
        candidates = candidates[moved <= 0.5]
        thresholds = (levels - (candidates - center)[:, None]) / unit
        # Bias and mean count on their own: where they cancel, their roundings do not.
        terms = np.abs(thresholds) + (np.abs(candidates) + abs(center))[:, None] / abs(unit)
        room = np.abs(thresholds - np.round(thresholds)) / (_RELATIVE_MARGIN * terms)
        least = np.minimum(room.min(axis=1), 1.0)
        # argmax takes the first maximum: the smallest shift that gives every threshold its margin,
        # or failing that the one that gives the worst of them most of it.
        best = int(np.argmax(least))
        settled[channel] = candidates[best]
        unclear += int(least[best] < 1.0)
        largest = max(largest, float(np.abs((settled[channel] - bias[channel]) / unit)))
    with torch.no_grad():
        norm.bias.copy_(torch.from_numpy(settled))
    return Settled(layer, int(np.count_nonzero(settled != bias)), largest, unclear)


def _array(tensor: torch.Tensor) -> npt.NDArray[np.float64]:
    return tensor.detach().cpu().numpy().astype(np.float64)
