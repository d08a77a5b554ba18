"""What the RTL of a design is, for those who simulate, synthesise or package it."""

import math
from typing import Self

from pydantic import Field, model_validator

from sdq_fpga.plain import Plain

__all__ = [
    "FifoProbe",
    "Port",
    "RtlDesign",
    "Stream",
    "WeightLayout",
    "WeightPort",
    "Window",
]


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
    """

    name: str
    width: int


class WeightLayout(Plain):
    """How the integer weight matrix of a layer lies in words.

    The matrix is [rows, columns], where a column is the weights of one output: rows are
    [kernel row, kernel column, input channel] of a convolution, and [kernel row, kernel column] of
    a depthwise one. With its rows as [rows / simd, simd] and its columns as [columns / pe, pe],
    word ``g * (rows / simd) + b`` holds the weights ``[b, s, g, p]`` of all s and p: element
    ``p * simd + s``, or ``s * pe + p`` of a depthwise convolution. Element i is at bits
    ``[i*element_bits +: element_bits]``, in two's complement; a bipolar -1 is a 0.

    Attributes:
        rows: weights of one output.
        columns: outputs.
        pe: outputs in one word.
        simd: weights of one output in one word.
        depthwise: whether the outputs come first in a word.
        element_bits: bits of one weight.
        bipolar: whether weights are -1 and +1 only, and take one bit.
        low: least weight that the layer can multiply with.
        high: greatest.
        source_low: least value that weights are multiplied with.
        source_high: greatest.
        sum_low: least sum that the layer can give.
        sum_high: greatest.
    """

    rows: int = Field(gt=0)
    columns: int = Field(gt=0)
    pe: int = Field(gt=0)
    simd: int = Field(gt=0)
    depthwise: bool
    element_bits: int = Field(gt=0)
    bipolar: bool
    low: int
    high: int
    source_low: int
    source_high: int
    sum_low: int
    sum_high: int

    @property
    def words(self) -> int:
        """Words of the matrix."""
        return self.rows * self.columns // (self.pe * self.simd)


class Window(Plain):
    """The weight memory of a layer as the AXI-Lite port s_axilite sees it.

    Word i begins at address ``base + 4 * registers * i``, with its least significant 32 bits. Its
    registers are written in order, and the last one that holds any of its bits writes the whole
    word; they are read in order as well, as the first one reads the whole word.

    Attributes:
        node: name of the node.
        layer: name of the node in the QONNX model that it comes from.
        base: address of word 0.
        bytes: size of the map; beyond it, up to the next window, it repeats.
        words: words of the memory.
        word_bits: bits of a word, whole bytes.
        registers: 32-bit registers of a word, a power of two.
        layout: how weights lie in words.
        contents: file of the first contents, one hexadecimal number for each word.
        preload: whether the memory is empty until those are written.
    """

    node: str
    layer: str
    base: int = Field(ge=0)
    bytes: int = Field(gt=0)
    words: int = Field(gt=0)
    word_bits: int = Field(gt=0, multiple_of=8)
    registers: int = Field(gt=0)
    layout: WeightLayout
    contents: str
    preload: bool

    @property
    def used_registers(self) -> int:
        """Registers that hold bits of a word."""
        return -(-self.word_bits // 32)


class WeightPort(Plain):
    """One AXI-Stream input that takes the weights of a layer, a word in each beat.

    Attributes:
        prefix: its signals are ``prefix_tdata``, ``prefix_tvalid`` and ``prefix_tready``.
        node: name of the node.
        layer: name of the node in the QONNX model that it comes from.
        width: bits of TDATA, a multiple of 8.
        words: words of the weight matrix.
        repeats: how often the whole matrix goes in for one frame: once for each output position.
        layout: how weights lie in words.
        contents: file of the weights that the network has, one hexadecimal number for each word.
    """

    prefix: str
    node: str
    layer: str
    width: int = Field(gt=0, multiple_of=8)
    words: int = Field(gt=0)
    repeats: int = Field(gt=0)
    layout: WeightLayout
    contents: str

    @property
    def beats(self) -> int:
        """Beats of one frame."""
        return self.words * self.repeats


class RtlDesign(Plain):
    """One stitched accelerator.

    Attributes:
        top: name of the top module; its ports are ap_clk, ap_rst_n (active low), those of
            ``inputs``, ``weight_streams`` and ``outputs``, and s_axilite.
        sources: SystemVerilog and Verilog files in order of compilation, packages first.
        memories: initial contents, which the sources name without a directory.
        probes: FIFOs that can be sized; empty in a design that is meant for hardware.
        registers: weights that the port s_axilite can change; without any there is no such port.
        restart: address to write 1 to after weights were changed, while no frame is inside: what
            was read ahead of the old ones is forgotten. None without registers.
        weight_streams: weights that come in by ports of their own.
    """

    top: str
    sources: tuple[str, ...]
    memories: tuple[str, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    probes: tuple[FifoProbe, ...] = ()
    registers: tuple[Window, ...] = ()
    restart: int | None = None
    weight_streams: tuple[WeightPort, ...] = ()
