"""Maximum and sum over a whole frame."""

from collections.abc import Mapping
from typing import ClassVar

from sdq_fpga.ops.buffers import Buffer
from sdq_fpga.ops.images import image_size
from sdq_fpga.ops.operator import Attribute, Integers, StreamPort
from sdq_fpga.ops.pool import Reduction

__all__ = ["SdqGlobalPool_rtl"]


class SdqGlobalPool_rtl(Reduction):  # noqa: N801
    """Takes the maximum or the sum of each channel over all positions.

    The average is the sum with a smaller scale. Partial results of all folds are in a memory of
    C/PE words; one fold has only a register.

    Mirrors hw/ops/global_pool.sv.
    """

    MODULE: ClassVar[str] = "sdq_global_pool"
    SOURCES: ClassVar[tuple[str, ...]] = ("global_pool.sv",)
    ATTRIBUTES: ClassVar[Mapping[str, Attribute]] = {
        "shape": ("ints", True, []),  # of the input
        "operation": ("s", True, "max", {"max", "sum"}),
        "in_type": ("s", True, ""),
        "out_type": ("s", True, ""),
        "PE": ("i", False, 1),
        "memory": ("s", False, "auto", {"auto", "distributed", "block"}),
    }

    def inputs(self) -> tuple[StreamPort, ...]:
        """The frame."""
        return (StreamPort(self.text("in_type"), self.integers("shape"), self.integer("PE")),)

    def outputs(self) -> tuple[StreamPort, ...]:
        """A value for each channel."""
        shape = (1, 1, 1, self.integers("shape")[-1])
        return (StreamPort(self.text("out_type"), shape, self.integer("PE")),)

    def check(self) -> None:
        """Refuses shapes but (1, H, W, C), a PE that does not divide, types that do not fit."""
        height, width, channels = image_size(self)
        self.check_elements("PE", channels)
        self.check_types(height * width)

    @property
    def _buffer(self) -> Buffer:
        port = self.outputs()[0]
        return Buffer(port.beats, port.width, self.text("memory"))

    def parameters(self) -> Mapping[str, int | str]:
        """Parameters of hw/ops/global_pool.sv."""
        height, width, _ = image_size(self)
        return {
            "POSITIONS": height * width,
            "FOLDS": self.outputs()[0].beats,
            "PE": self.integer("PE"),
            **self.type_parameters(),
            "MEMORY": f'"{self._buffer.style}"',
        }

    def compute(self, *tensors: Integers) -> tuple[Integers, ...]:
        """Maximum or sum over height and width."""
        axes, largest = (1, 2), self.text("operation") == "max"
        frame = tensors[0]
        return (frame.max(axis=axes, keepdims=True) if largest else frame.sum(axes, keepdims=True),)

    def cycles(self) -> int:
        """One input beat a cycle."""
        return self.inputs()[0].beats

    def luts(self) -> int:
        """Per channel an adder, or a comparison and a multiplexer; counters; the memory."""
        bits = self.outputs()[0].bits
        channel = bits if self.text("operation") == "sum" else (3 * bits + 1) // 2
        counters = 2 * (self.inputs()[0].beats - 1).bit_length() + 6
        return self.integer("PE") * channel + counters + self._buffer.luts

    def bram_estimation(self, fpgapart: str) -> int:
        """Block RAMs of 18 Kbit for partial results."""
        return self._buffer.block_rams
