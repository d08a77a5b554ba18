"""Requantization: a stream scaled, rounded and clipped."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from sdq_fpga.cost.node import signed_bits
from sdq_fpga.ops.affine import LINEAR_ATTRIBUTES, LinearOperator
from sdq_fpga.ops.operator import Attribute, Integers

__all__ = ["SdqRequant_rtl"]


class SdqRequant_rtl(LinearOperator):  # noqa: N801
    """``clip(round((gain*x + offset) / 2**shift), low, high)``, by channel or with one scale.

    Inputs of the node: x, gain, offset and, if negative x have a gain of their own (a leaky ReLU),
    that. ``rounding`` is "half_even", to nearest and halves to even as ``numpy.rint`` does, or
    "floor". ``resType`` says what products are made of; "auto" takes DSP slices for wide ones.

    Mirrors hw/ops/requant.sv.
    """

    MODULE: ClassVar[str] = "sdq_requant"
    SOURCES: ClassVar[tuple[str, ...]] = ("affine.sv", "requant.sv")
    ATTRIBUTES: ClassVar[Mapping[str, Attribute]] = {
        **LINEAR_ATTRIBUTES,
        "shift": ("i", True, 0),
        "rounding": ("s", False, "half_even", {"half_even", "floor"}),
        "low": ("i", True, 0),
        "high": ("i", True, 0),
    }

    def rounding_half(self) -> int:
        """Half of the last place that stays; rounding down then rounds to nearest."""
        halves = self.text("rounding") == "half_even" and self.integer("shift") > 0
        return 1 << (self.integer("shift") - 1) if halves else 0

    def sum_bits(self) -> int:
        """Bits of ``gain*x + offset`` with the half, by the types, and more than the shift."""
        products = [
            x * gain for x in self.type_limits("in_type") for gain in self.type_limits("gain_type")
        ]
        low, high = (value + self.rounding_half() for value in self.type_limits("offset_type"))
        bits = signed_bits(min(products) + low, max(products) + high)
        return max(bits, self.integer("shift") + 1)

    def check(self) -> None:
        """Refuses what the module can't do, and bounds outside the out_type."""
        if self.integer("shift") < 0:
            raise self.refuse(f"shift={self.integer('shift')} is negative", "choose 0 or more")
        super().check()
        low, high = self.integer("low"), self.integer("high")
        least, greatest = self.type_limits("out_type")
        if not least <= low <= high <= greatest:
            raise self.refuse(
                f"low={low} and high={high} are no range within out_type {self.text('out_type')}",
                f"choose {least} <= low <= high <= {greatest}",
            )
        if len(self.onnx_node.input) > 4:
            raise self.refuse(
                "there are more inputs than x, gain, offset and gain_neg", "remove them"
            )
        if self._has_negative() and self.type_limits("in_type")[0] >= 0:
            raise self.refuse(
                f"gain_neg has no use, as in_type {self.text('in_type')} is never negative",
                "remove it",
            )

    def parameters(self) -> Mapping[str, int | str]:
        """Parameters of hw/ops/requant.sv."""
        return {
            **super().parameters(),
            "SUM_BITS": self.sum_bits(),
            "SHIFT": self.integer("shift"),
            "HALF_EVEN": int(self.text("rounding") == "half_even"),
            "LOW": _literal(self.integer("low")),
            "HIGH": _literal(self.integer("high")),
            "OUT_BITS": self.outputs()[0].bits,
        }

    def compute(self, *tensors: Integers) -> tuple[Integers, ...]:
        """The operator in NumPy, of x, gain, offset and perhaps gain_neg."""
        x, gain, offset, *negative = tensors
        shift = self.integer("shift")
        if negative:
            gain = np.where(x < 0, negative[0], gain)
        total = gain * x + offset + self.rounding_half()
        rounded = total >> shift
        if self.rounding_half():
            halves = total & ((1 << shift) - 1) == 0
            rounded = np.where(halves, rounded & ~1, rounded)
        return (np.clip(rounded, self.integer("low"), self.integer("high")),)

    def luts(self) -> int:
        """Those of the sum, a LUT for each 5 bits rounded away, two comparisons, and the clip."""
        shift, out = self.integer("shift"), self.outputs()[0].bits
        element = out + self.sum_bits() - shift + (-(-shift // 5) if self.rounding_half() else 0)
        return super().luts() + self.integer("PE") * element + 4


def _literal(value: int) -> str:
    """A signed number of 64 bits in SystemVerilog."""
    return f"64'sh{value & (1 << 64) - 1:x}"
