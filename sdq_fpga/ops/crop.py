"""Removal of the edges of images."""

from collections.abc import Mapping
from typing import ClassVar

from sdq_fpga.ops.images import image_size
from sdq_fpga.ops.operator import Attribute, Integers, Operator, StreamPort

__all__ = ["SdqCrop_rtl"]


class SdqCrop_rtl(Operator):  # noqa: N801
    """Drops rows and columns from the edges of each image.

    Mirrors hw/ops/crop.sv.
    """

    MODULE: ClassVar[str] = "sdq_crop"
    SOURCES: ClassVar[tuple[str, ...]] = ("crop.sv",)
    ATTRIBUTES: ClassVar[Mapping[str, Attribute]] = {
        "shape": ("ints", True, []),  # of the input
        "crops": ("ints", True, []),  # top, left, bottom, right
        "data_type": ("s", True, ""),
        "PE": ("i", False, 1),
    }

    def inputs(self) -> tuple[StreamPort, ...]:
        """The image."""
        return (StreamPort(self.text("data_type"), self.integers("shape"), self.integer("PE")),)

    def outputs(self) -> tuple[StreamPort, ...]:
        """The smaller image."""
        height, width, channels = image_size(self)
        top, left, bottom, right = self.integers("crops")
        shape = (1, height - top - bottom, width - left - right, channels)
        return (StreamPort(self.text("data_type"), shape, self.integer("PE")),)

    def check(self) -> None:
        """Refuses edges that leave nothing, and a PE that does not divide the channels."""
        height, width, channels = image_size(self)
        crops = self.integers("crops")
        if len(crops) != 4 or min(crops) < 0:
            raise self.refuse(
                f"crops={list(crops)} are not four numbers of rows and columns",
                "give top, left, bottom and right, each 0 or more",
            )
        top, left, bottom, right = crops
        if top + bottom >= height or left + right >= width:
            raise self.refuse(
                f"crops={list(crops)} leave nothing of {height} rows and {width} columns",
                "drop fewer",
            )
        self.check_elements("PE", channels)

    def parameters(self) -> Mapping[str, int | str]:
        """Parameters of hw/ops/crop.sv."""
        height, width, channels = image_size(self)
        return {
            "HEIGHT": height,
            "WIDTH": width,
            "FOLDS": channels // self.integer("PE"),
            **dict(zip(("TOP", "LEFT", "BOTTOM", "RIGHT"), self.integers("crops"), strict=True)),
            "BITS": self.inputs()[0].width,
        }

    def compute(self, *tensors: Integers) -> tuple[Integers, ...]:
        """The frame without its edges."""
        height, width, _ = image_size(self)
        top, left, bottom, right = self.integers("crops")
        return (tensors[0][:, top : height - bottom, left : width - right],)

    def cycles(self) -> int:
        """One input beat a cycle."""
        return self.inputs()[0].beats

    def luts(self) -> int:
        """A LUT for each bit of the counters, and control; the data are only registered."""
        return (self.inputs()[0].beats - 1).bit_length() + 10
