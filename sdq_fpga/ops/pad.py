"""Padding of images with a constant."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from sdq_fpga.ops.images import image_size
from sdq_fpga.ops.operator import Attribute, Integers, Operator, StreamPort

__all__ = ["SdqPad_rtl"]


class SdqPad_rtl(Operator):  # noqa: N801
    """Adds rows and columns of one ``value`` around each image.

    ``out_type`` may have more values than ``in_type``, for a ``value`` that ``in_type`` lacks, such
    as 0 among BIPOLAR ones.

    Mirrors hw/ops/pad.sv.
    """

    MODULE: ClassVar[str] = "sdq_pad"
    SOURCES: ClassVar[tuple[str, ...]] = ("pad.sv",)
    ATTRIBUTES: ClassVar[Mapping[str, Attribute]] = {
        "shape": ("ints", True, []),  # of the input
        "pads": ("ints", True, []),  # top, left, bottom, right
        "value": ("i", False, 0),
        "in_type": ("s", True, ""),
        "out_type": ("s", True, ""),
        "PE": ("i", False, 1),
    }

    def inputs(self) -> tuple[StreamPort, ...]:
        """The image."""
        return (StreamPort(self.text("in_type"), self.integers("shape"), self.integer("PE")),)

    def outputs(self) -> tuple[StreamPort, ...]:
        """The larger image."""
        height, width, channels = image_size(self)
        top, left, bottom, right = self.integers("pads")
        shape = (1, top + height + bottom, left + width + right, channels)
        return (StreamPort(self.text("out_type"), shape, self.integer("PE")),)

    def check(self) -> None:
        """Refuses what is no padding, folding that does not divide, and values without a code."""
        _, _, channels = image_size(self)
        pads = self.integers("pads")
        if len(pads) != 4 or min(pads) < 0:
            raise self.refuse(
                f"pads={list(pads)} are not four numbers of rows and columns",
                "give top, left, bottom and right, each 0 or more",
            )
        self.check_elements("PE", channels)
        given, result = self.inputs()[0].type, self.outputs()[0].type
        for name, kind in (("in_type", given), ("out_type", result)):
            if not kind.is_integer():
                raise self.refuse(f"{name} {kind.name} is no integer type", "choose one")
        fits = given.min() >= result.min() and given.max() <= result.max()
        if not fits or (result.name == "BIPOLAR" and given.name != "BIPOLAR"):
            raise self.refuse(
                f"{result.name} can't hold every value of {given.name}", "choose a wider out_type"
            )
        value = self.integer("value")
        if not result.allowed(value):
            raise self.refuse(f"{result.name} has no value {value}", "choose a wider out_type")
        if abs(value) >= 2**31:
            raise self.refuse(f"value={value} has more than 32 bits", "choose a smaller one")

    def parameters(self) -> Mapping[str, int | str]:
        """Parameters of hw/ops/pad.sv."""
        height, width, _ = image_size(self)
        given, result = self.inputs()[0], self.outputs()[0]
        value = self.integer("value")
        bipolar = given.type.name == "BIPOLAR"
        return {
            "HEIGHT": height,
            "WIDTH": width,
            "FOLDS": given.shape[-1] // given.elements,
            **dict(zip(("TOP", "LEFT", "BOTTOM", "RIGHT"), self.integers("pads"), strict=True)),
            "PE": given.elements,
            "IN_BITS": given.bits,
            "OUT_BITS": result.bits,
            "SIGNED": int(given.type.signed() and not bipolar),
            "BIPOLAR": int(bipolar),
            # The one bit of a bipolar value is 0 for -1.
            "VALUE": int(value > 0) if result.type.name == "BIPOLAR" else value,
        }

    def compute(self, *tensors: Integers) -> tuple[Integers, ...]:
        """The frame with its edges."""
        top, left, bottom, right = self.integers("pads")
        edges = ((0, 0), (top, bottom), (left, right), (0, 0))
        return (np.pad(tensors[0], edges, constant_values=self.integer("value")),)

    def cycles(self) -> int:
        """One output beat a cycle."""
        return self.outputs()[0].beats

    def luts(self) -> int:
        """A LUT for two bits of the output, one for each bit of the counters, and control."""
        port = self.outputs()[0]
        return port.width // 2 + (port.beats - 1).bit_length() + 12
