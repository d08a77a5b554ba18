"""Matrix-vector products in LUTs."""

import math
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from sdq_fpga.ops.mac import MAC_ATTRIBUTES, MacOperator
from sdq_fpga.ops.operator import Attribute, Integers, StreamPort

__all__ = ["SdqMvuLut_rtl"]


class SdqMvuLut_rtl(MacOperator):  # noqa: N801
    """Multiplies each vector of a stream with a matrix, in LUTs.

    ``shape`` is that of the vectors: (1, H, W) or (1,). The first input has a vector of MW values
    for each, the output one of MH. The second input is the matrix: with mem_mode "internal" an
    initializer of shape (MW, MH); with "external" a stream of shape (1, vectors*MW*MH), which
    brings a matrix for each vector (the same again, or another) as ``weight_order`` says.

    Mirrors hw/ops/mvu_lut.sv.
    """

    MODULE: ClassVar[str] = "sdq_mvu_lut"
    SOURCES: ClassVar[tuple[str, ...]] = (
        "mac_pkg.sv",
        "every.sv",
        "replay.sv",
        "result_queue.sv",
        "dot.sv",
        "mac_lut.sv",
        "mvu_lut.sv",
    )
    ATTRIBUTES: ClassVar[Mapping[str, Attribute]] = {
        **MAC_ATTRIBUTES,
        "MW": ("i", True, 0),
        "MH": ("i", True, 0),
    }

    @property
    def vectors(self) -> int:
        """Vectors of a frame."""
        return math.prod(self.integers("shape"))

    @property
    def weight_shape(self) -> tuple[int, int]:
        """Shape of the initializer."""
        return self.integer("MW"), self.integer("MH")

    @property
    def beats_per_sum(self) -> int:
        """Beats of a vector."""
        return self.integer("MW") // self.integer("SIMD")

    def inputs(self) -> tuple[StreamPort, ...]:
        """The vectors, and the weights if they are a stream."""
        vectors = StreamPort(
            self.text("in_type"),
            (*self.integers("shape"), self.integer("MW")),
            self.integer("SIMD"),
        )
        if not self.external:
            return (vectors,)
        weights = StreamPort(
            self.text("weight_type"),
            (1, self.vectors * math.prod(self.weight_shape)),
            self.integer("PE") * self.integer("SIMD"),
        )
        return vectors, weights

    def outputs(self) -> tuple[StreamPort, ...]:
        """The products."""
        shape = (*self.integers("shape"), self.integer("MH"))
        return (StreamPort(self.text("out_type"), shape, self.integer("PE")),)

    def check(self) -> None:
        """Refuses folding that does not divide, types, and sums too large for out_type."""
        for name in ("MW", "MH"):
            if self.integer(name) < 1:
                raise self.refuse(f"{name} must be 1 or more", "state the matrix' shape")
        self.check_elements("SIMD", self.integer("MW"))
        self.check_elements("PE", self.integer("MH"))
        self.check_types()

    def parameters(self) -> Mapping[str, int | str]:
        """Parameters of hw/ops/mvu_lut.sv."""
        return {
            **{name: self.integer(name) for name in ("MW", "MH", "PE", "SIMD")},
            **self.format_parameters(),
        }

    def weight_order(self, weights: Integers) -> Integers:
        """Words for PE outputs and SIMD inputs, inputs of a word and words of an output first."""
        pe, simd = self.integer("PE"), self.integer("SIMD")
        folded = weights.T.reshape(-1, pe, self.beats_per_sum, simd)
        return folded.transpose(0, 2, 1, 3).reshape(-1, pe * simd)

    def compute(self, *tensors: Integers) -> tuple[Integers, ...]:
        """The products of the vectors and the matrix, or the matrices of the stream."""
        vectors, weights = tensors
        flat = vectors.reshape(self.vectors, 1, -1)
        if self.external:
            pe, simd = self.integer("PE"), self.integer("SIMD")
            folded = weights.reshape(self.vectors, -1, self.beats_per_sum, pe, simd)
            matrices = folded.transpose(0, 2, 4, 1, 3).reshape(self.vectors, *self.weight_shape)
        else:
            matrices = weights[np.newaxis]
        return ((flat @ matrices).reshape(self.outputs()[0].shape),)

    def cycles(self) -> int:
        """A vector for each PE outputs, SIMD values a cycle."""
        return self.vectors * self.beats_per_sum * (self.integer("MH") // self.integer("PE"))

    def luts(self) -> int:
        """Trees of adders, accumulators and queue, replay buffer, and weight memory."""
        return self.mac_luts() + self._replay_luts() + self.memory_luts()

    def _replay_luts(self) -> int:
        """LUTs of hw/ops/replay.sv: a LUT RAM holds 3 bits of 64 words in 4 LUTs."""
        length, times = self.beats_per_sum, self.integer("MH") // self.integer("PE")
        counters = length.bit_length() + times.bit_length()
        if length == 1 or times == 1:
            return 2 + counters
        width = self.inputs()[0].width
        depth = max(32, 1 << (length - 1).bit_length())
        pointers = 4 * (depth.bit_length())
        in_luts = depth * width <= 64 * 1024 // 16
        rows = width * 4 / 6 if depth == 32 else width * 4 / 3 * (depth / 64)
        return counters + pointers + (math.ceil(rows) if in_luts else 0)
