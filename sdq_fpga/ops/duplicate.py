"""Stream duplication: one stream to any number of readers."""

from collections.abc import Mapping
from typing import ClassVar

from sdq_fpga.ops.operator import Attribute, Integers, Operator, StreamPort

__all__ = ["SdqDuplicate_rtl"]


class SdqDuplicate_rtl(Operator):  # noqa: N801
    """Copies a stream to ``copies`` outputs.

    Mirrors hw/ops/duplicate.sv.
    """

    MODULE: ClassVar[str] = "sdq_duplicate"
    SOURCES: ClassVar[tuple[str, ...]] = ("duplicate.sv",)
    MANY_OUTPUTS: ClassVar[bool] = True
    ATTRIBUTES: ClassVar[Mapping[str, Attribute]] = {
        "shape": ("ints", True, []),
        "data_type": ("s", True, ""),
        "copies": ("i", True, 2),
        "PE": ("i", False, 1),
    }

    def inputs(self) -> tuple[StreamPort, ...]:
        """The one stream."""
        return (StreamPort(self.text("data_type"), self.integers("shape"), self.integer("PE")),)

    def outputs(self) -> tuple[StreamPort, ...]:
        """Its copies."""
        return self.inputs() * self.integer("copies")

    def check(self) -> None:
        """Refuses fewer than two copies, and a PE that does not divide the channels."""
        if self.integer("copies") < 2:
            raise self.refuse("copies must be 2 or more", "use the stream itself")
        self.check_elements("PE", self.integers("shape")[-1])

    def parameters(self) -> Mapping[str, int | str]:
        """Parameters of hw/ops/duplicate.sv."""
        return {"WIDTH": self.inputs()[0].width, "COPIES": self.integer("copies")}

    def compute(self, *tensors: Integers) -> tuple[Integers, ...]:
        """The same tensor for each output."""
        return tensors * self.integer("copies")

    def cycles(self) -> int:
        """One beat a cycle."""
        return self.inputs()[0].beats

    def luts(self) -> int:
        """Handshake of each copy; the data are registered once."""
        return 4 * self.integer("copies") + 4
