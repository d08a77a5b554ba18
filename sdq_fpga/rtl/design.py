"""What the RTL of a design is, for those who simulate, synthesise or package it."""

import math
from typing import Self

from pydantic import Field, model_validator

from sdq_fpga.plain import Plain

__all__ = ["FifoProbe", "Port", "RtlDesign", "Stream"]


class Stream(Plain):
    """One AXI-Stream port and how a frame lies in its beats.

    Element ``i`` of a beat is at bits ``[i*element_bits +: element_bits]`` of TDATA; the rest of
    TDATA, up to whole bytes, is padding.

    Attributes:
        width: bits of TDATA, a multiple of 8.
        element_bits: bits of one value.
        elements: values in one beat.
        beats: beats in one frame.
        signed: whether values are two's complement.
        bipolar: whether the one bit of a value means -1 (0) and +1 (1).
        shape: shape of the frame, channels last, without the batch.
    """

    width: int = Field(gt=0, multiple_of=8)
    element_bits: int = Field(gt=0, le=64)
    elements: int = Field(gt=0)
    beats: int = Field(gt=0)
    signed: bool
    bipolar: bool = False
    shape: tuple[int, ...]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.bipolar and (self.signed or self.element_bits != 1):
            raise ValueError("a bipolar value is one bit without a sign")
        if self.elements * self.element_bits > self.width:
            raise ValueError(
                f"{self.elements} values of {self.element_bits} bits do not fit {self.width} bits"
            )
        if self.beats * self.elements != math.prod(self.shape):
            raise ValueError(
                f"{self.beats} beats of {self.elements} values are no frame of {self.shape}"
            )
        return self


class Port(Plain):
    """One AXI-Stream port of the accelerator.

    Attributes:
        prefix: its signals are ``prefix_tdata``, ``prefix_tvalid`` and ``prefix_tready``.
        tensor: tensor of the hardware graph that goes through it.
        stream: how its frames lie in beats.
    """

    prefix: str
    tensor: str
    stream: Stream


class FifoProbe(Plain):
    """One FIFO of a design made for sizing: its depth is an input, and its occupancy an output.

    Attributes:
        name: name of the FIFO; the inputs are ``limit_NAME``, the outputs ``peak_NAME``.
        width: bits of a word.
        frame_words: words of one frame.
    """

    name: str
    width: int
    frame_words: int


class RtlDesign(Plain):
    """One stitched accelerator.

    Attributes:
        top: name of the top module; its ports are ap_clk, ap_rst_n (active low), and those of
            ``inputs`` and ``outputs``.
        sources: SystemVerilog and Verilog files in order of compilation, packages first.
        memories: initial contents, which the sources name without a directory.
        probes: FIFOs that can be sized; empty in a design that is meant for hardware.
    """

    top: str
    sources: tuple[str, ...]
    memories: tuple[str, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    probes: tuple[FifoProbe, ...] = ()
