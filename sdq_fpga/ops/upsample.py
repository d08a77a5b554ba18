"""Enlargement of images by whole factors."""

from collections.abc import Mapping
from typing import ClassVar

from sdq_fpga.ops.buffers import Buffer
from sdq_fpga.ops.images import image_size
from sdq_fpga.ops.operator import Attribute, Integers, Operator, StreamPort

__all__ = ["SdqUpsample_rtl"]


class SdqUpsample_rtl(Operator):  # noqa: N801
    """Gives each position ``factor_w`` times, and each row ``factor_h`` times.

    A memory holds a row, or, if rows are not repeated, a position of more than one beat. "auto"
    puts it into block RAM where LUTs would be more than 128 for each block RAM.

    Mirrors hw/ops/upsample.sv.
    """

    MODULE: ClassVar[str] = "sdq_upsample"
    SOURCES: ClassVar[tuple[str, ...]] = ("upsample.sv",)
    ATTRIBUTES: ClassVar[Mapping[str, Attribute]] = {
        "shape": ("ints", True, []),  # of the input
        "factor_h": ("i", True, 2),
        "factor_w": ("i", True, 2),
        "data_type": ("s", True, ""),
        "PE": ("i", False, 1),
        "memory": ("s", False, "auto", {"auto", "distributed", "block"}),
    }

    def inputs(self) -> tuple[StreamPort, ...]:
        """The image."""
        return (StreamPort(self.text("data_type"), self.integers("shape"), self.integer("PE")),)

    def outputs(self) -> tuple[StreamPort, ...]:
        """The larger image."""
        height, width, channels = image_size(self)
        shape = (1, height * self.integer("factor_h"), width * self.integer("factor_w"), channels)
        return (StreamPort(self.text("data_type"), shape, self.integer("PE")),)

    def check(self) -> None:
        """Refuses factors below 1, two factors of 1, and a PE that does not divide."""
        _, _, channels = image_size(self)
        factors = self.integer("factor_h"), self.integer("factor_w")
        if min(factors) < 1:
            raise self.refuse(f"factors {factors} are below 1", "give whole factors")
        if factors == (1, 1):
            raise self.refuse("both factors are 1", "use the stream itself")
        self.check_elements("PE", channels)

    @property
    def _buffer(self) -> Buffer:
        _, width, channels = image_size(self)
        positions = width if self.integer("factor_h") > 1 else 1
        words = positions * channels // self.integer("PE")
        return Buffer(words, self.inputs()[0].width, self.text("memory"))

    def parameters(self) -> Mapping[str, int | str]:
        """Parameters of hw/ops/upsample.sv."""
        _, width, channels = image_size(self)
        return {
            "WIDTH": width,
            "FOLDS": channels // self.integer("PE"),
            "REPEAT_H": self.integer("factor_h"),
            "REPEAT_W": self.integer("factor_w"),
            "BITS": self.inputs()[0].width,
            "MEMORY": f'"{self._buffer.style}"',
        }

    def compute(self, *tensors: Integers) -> tuple[Integers, ...]:
        """The frame with repeated rows and columns."""
        rows = tensors[0].repeat(self.integer("factor_h"), axis=1)
        return (rows.repeat(self.integer("factor_w"), axis=2),)

    def cycles(self) -> int:
        """One output beat a cycle."""
        return self.outputs()[0].beats

    def luts(self) -> int:
        """The memory, two LUTs for each bit of its address, one of other counters, and control."""
        address = 2 * (self._buffer.words - 1).bit_length()
        repeats = (self.integer("factor_h") * self.integer("factor_w") - 1).bit_length()
        return self._buffer.luts + address + repeats + 8

    def bram_estimation(self, fpgapart: str) -> int:
        """Block RAMs of 18 Kbit for the row."""
        return self._buffer.block_rams
