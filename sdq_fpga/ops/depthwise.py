"""Depthwise convolution on windows."""

import math
from collections.abc import Mapping
from typing import ClassVar

from sdq_fpga.ops.mac import MAC_ATTRIBUTES, MacOperator
from sdq_fpga.ops.operator import Attribute, Integers, StreamPort

__all__ = ["SdqDepthwise_rtl"]

_DSP_STAGES = 3  # registers of a DSP slice


class SdqDepthwise_rtl(MacOperator):  # noqa: N801
    """Sums, for each position and channel, the taps of its window times weights of the channel.

    ``shape`` is that of the output, (1, H, W, C). The first input has shape (1, H, W, taps*C),
    channels fastest; in the stream, the channels are in groups of PE, and all taps of a group
    follow each other, SIMD of them in a beat: positions, groups, taps, PE channels. The second
    input are the weights: with mem_mode "internal" an initializer of shape (taps, C); with
    "external" a stream of shape (1, H*W*taps*C), which brings them for each position in the order
    of the first input's stream.

    Mirrors hw/ops/depthwise.sv.
    """

    MODULE: ClassVar[str] = "sdq_depthwise"
    SOURCES: ClassVar[tuple[str, ...]] = (
        "mac_pkg.sv",
        "every.sv",
        "replay.sv",
        "result_queue.sv",
        "dot.sv",
        "mac_lut.sv",
        "macc_dsp.sv",
        "mac_dsp.sv",
        "depthwise.sv",
    )
    ATTRIBUTES: ClassVar[Mapping[str, Attribute]] = {
        **MAC_ATTRIBUTES,
        "taps": ("i", True, 0),
        "resType": ("s", False, "lut", {"lut", "dsp"}),
    }

    @property
    def channels(self) -> int:
        """Channels of the output."""
        return self.integers("shape")[-1]

    @property
    def positions(self) -> int:
        """Output positions of a frame."""
        return math.prod(self.integers("shape")[:-1])

    @property
    def weight_shape(self) -> tuple[int, int]:
        """Shape of the initializer."""
        return self.integer("taps"), self.channels

    @property
    def beats_per_sum(self) -> int:
        """Beats of a window."""
        return self.integer("taps") // self.integer("SIMD")

    def inputs(self) -> tuple[StreamPort, ...]:
        """The windows, and the weights if they are a stream."""
        elements = self.integer("PE") * self.integer("SIMD")
        products = math.prod(self.weight_shape)
        windows = StreamPort(
            self.text("in_type"), (*self.integers("shape")[:-1], products), elements
        )
        if not self.external:
            return (windows,)
        return windows, StreamPort(
            self.text("weight_type"), (1, self.positions * products), elements
        )

    def outputs(self) -> tuple[StreamPort, ...]:
        """The sums."""
        return (StreamPort(self.text("out_type"), self.integers("shape"), self.integer("PE")),)

    def check(self) -> None:
        """Refuses folding that does not divide, types, and sums too large for out_type."""
        taps, simd = self.integer("taps"), self.integer("SIMD")
        if taps < 1:
            raise self.refuse("taps must be 1 or more", "state the window's size")
        if simd < 1 or taps % simd:
            raise self.refuse(f"SIMD={simd} does not divide {taps} taps", "choose a divisor")
        self.check_elements("PE", self.channels)
        self.check_types()

    def parameters(self) -> Mapping[str, int | str]:
        """Parameters of hw/ops/depthwise.sv."""
        return {
            "PE": self.integer("PE"),
            "SIMD": self.integer("SIMD"),
            "TAPS": self.integer("taps"),
            "DSP": int(self.text("resType") == "dsp"),
            **self.format_parameters(),
        }

    def weight_order(self, weights: Integers) -> Integers:
        """Words for SIMD taps and PE channels, channels of a word and words of a group first."""
        pe, simd = self.integer("PE"), self.integer("SIMD")
        folded = weights.reshape(self.beats_per_sum, simd, -1, pe)
        return folded.transpose(2, 0, 1, 3).reshape(-1, simd * pe)

    def compute(self, *tensors: Integers) -> tuple[Integers, ...]:
        """The sums, from windows as a tensor, and weights as a tensor or in order of the stream."""
        taps, channels = self.weight_shape
        windows = tensors[0].reshape(self.positions, taps, channels)
        weights = tensors[1]
        if self.external:
            folded = weights.reshape(self.positions, -1, taps, self.integer("PE"))
            weights = folded.transpose(0, 2, 1, 3).reshape(self.positions, taps, channels)
        return ((windows * weights).sum(axis=1).reshape(self.integers("shape")),)

    def cycles(self) -> int:
        """All taps of each group of channels, one beat a cycle."""
        return self.positions * (self.channels // self.integer("PE")) * self.beats_per_sum

    def luts(self) -> int:
        """Trees of adders, accumulators and queue, control, and weight memory."""
        control = 3 + self.beats_per_sum.bit_length()
        if self.text("resType") == "lut":
            return self.mac_luts() + control + self.memory_luts()
        simd, pe = self.integer("SIMD"), self.integer("PE")
        bits = self.outputs()[0].bits
        inverters = "BIPOLAR" in (self.text("in_type"), self.text("weight_type"))
        latency = _DSP_STAGES + (simd - 1).bit_length()
        lanes = pe * (simd - 1) * bits + pe * simd * inverters
        return lanes + self.queue_luts(latency) + control + self.memory_luts()

    def dsps(self, part: str) -> int:
        """One multiplier and accumulator for each product of a beat."""
        if self.text("resType") == "lut":
            return 0
        return self.integer("PE") * self.integer("SIMD")
