"""What the RTL of a design is, for those who simulate, synthesise or package it."""

import math
from typing import Self

from pydantic import Field, model_validator

from sdq_fpga.plain import Plain

__all__ = ["RtlDesign", "Stream"]


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
        shape: shape of the frame, channels last, without the batch.
    """

    width: int = Field(gt=0, multiple_of=8)
    element_bits: int = Field(gt=0, le=64)
    elements: int = Field(gt=0)
    beats: int = Field(gt=0)
    signed: bool
    shape: tuple[int, ...]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.elements * self.element_bits > self.width:
            raise ValueError(
                f"{self.elements} values of {self.element_bits} bits do not fit {self.width} bits"
            )
        if self.beats * self.elements != math.prod(self.shape):
            raise ValueError(
                f"{self.beats} beats of {self.elements} values are no frame of {self.shape}"
            )
        return self


class RtlDesign(Plain):
    """One stitched accelerator.

    Attributes:
        top: name of the top module; its ports are ap_clk, ap_rst_n (active low),
            s_axis_{tdata,tvalid,tready} and m_axis_{tdata,tvalid,tready}.
        sources: SystemVerilog and Verilog files in order of compilation, packages first.
        memories: initial contents, which the sources name without a directory.
    """

    top: str
    sources: tuple[str, ...]
    memories: tuple[str, ...]
    input: Stream
    output: Stream
