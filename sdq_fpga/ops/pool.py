"""Maximum and sum over windows."""

from collections.abc import Mapping
from typing import ClassVar

from sdq_fpga.ops.operator import Attribute, Integers, Operator, StreamPort

__all__ = ["Reduction", "SdqPool_rtl"]


class Reduction(Operator):
    """What operators share that take a maximum or a sum of many values of a channel.

    They have the attributes ``operation``, ``in_type`` and ``out_type``.
    """

    def check_types(self, count: int) -> None:
        """Refuses types that can't hold the result for ``count`` values.

        Raises:
            UserError: naming them.
        """
        operation, names = self.text("operation"), (self.text("in_type"), self.text("out_type"))
        given, result = self.inputs()[0].type, self.outputs()[0].type
        for name, kind in zip(names, (given, result), strict=True):
            if not kind.is_integer():
                raise self.refuse(f"{name} is no integer type", "choose one, such as INT8")
        if operation == "max":
            if given != result:
                raise self.refuse(
                    f"the maximum of {given.name} can't be {result.name}",
                    "give out_type the type of in_type",
                )
            return
        low, high = count * given.min(), count * given.max()
        if result.name == "BIPOLAR" or low < result.min() or high > result.max():
            raise self.refuse(
                f"sums of {count} values of {given.name} lie in {low}..{high}, beyond "
                f"{result.name}",
                "choose a wider out_type, signed if the sum can be negative",
            )

    def type_parameters(self) -> Mapping[str, int]:
        """The parameters of hw/ops/pool.sv and hw/ops/global_pool.sv for operation and types."""
        given = self.inputs()[0]
        bipolar = given.type.name == "BIPOLAR"
        return {
            "SUM": int(self.text("operation") == "sum"),
            "IN_BITS": given.bits,
            "OUT_BITS": self.outputs()[0].bits,
            "SIGNED": int(given.type.signed() and not bipolar),
            "BIPOLAR": int(bipolar),
        }


class SdqPool_rtl(Reduction):  # noqa: N801
    """Takes the maximum or the sum of each channel over each window of ``taps`` positions.

    The input tensor is that of a depthwise sliding window, (tap, channel) in its last axis. Its
    stream has, for each position and each fold of PE channels, the taps of that fold: SIMD of them
    in a beat. The average is the sum with a smaller scale.

    Mirrors hw/ops/pool.sv.
    """

    MODULE: ClassVar[str] = "sdq_pool"
    SOURCES: ClassVar[tuple[str, ...]] = ("pool.sv",)
    ATTRIBUTES: ClassVar[Mapping[str, Attribute]] = {
        "shape": ("ints", True, []),  # of the output
        "taps": ("i", True, 1),
        "operation": ("s", True, "max", {"max", "sum"}),
        "in_type": ("s", True, ""),
        "out_type": ("s", True, ""),
        "PE": ("i", False, 1),
        "SIMD": ("i", False, 1),
    }

    def inputs(self) -> tuple[StreamPort, ...]:
        """The windows."""
        *outer, channels = self.integers("shape")
        shape = (*outer, self.integer("taps") * channels)
        elements = self.integer("SIMD") * self.integer("PE")
        return (StreamPort(self.text("in_type"), shape, elements),)

    def outputs(self) -> tuple[StreamPort, ...]:
        """A value for each window and channel."""
        return (StreamPort(self.text("out_type"), self.integers("shape"), self.integer("PE")),)

    def check(self) -> None:
        """Refuses folding that does not divide, and types that the result does not fit."""
        taps, simd = self.integer("taps"), self.integer("SIMD")
        if taps < 1:
            raise self.refuse(f"taps={taps} is no window", "give 1 or more")
        self.check_elements("PE", self.integers("shape")[-1])
        if simd < 1 or taps % simd:
            raise self.refuse(f"SIMD={simd} does not divide {taps} taps", "choose a divisor")
        self.check_types(taps)

    def parameters(self) -> Mapping[str, int | str]:
        """Parameters of hw/ops/pool.sv."""
        folding = {"TAPS": self.integer("taps"), "SIMD": self.integer("SIMD")}
        return {**folding, "PE": self.integer("PE"), **self.type_parameters()}

    def compute(self, *tensors: Integers) -> tuple[Integers, ...]:
        """Maximum or sum over the taps."""
        *outer, channels = self.integers("shape")
        windows = tensors[0].reshape(*outer, self.integer("taps"), channels)
        largest = self.text("operation") == "max"
        return (windows.max(axis=-2) if largest else windows.sum(axis=-2),)

    def cycles(self) -> int:
        """One input beat a cycle."""
        return self.inputs()[0].beats

    def luts(self) -> int:
        """Per channel the accumulator, and per further tap of a beat a node of the tree.

        A sum takes a LUT a bit. A comparison takes half a LUT a bit, and a multiplexer one; the
        accumulator of a maximum needs no multiplexer.
        """
        nodes, into, out = self.integer("SIMD") - 1, self.inputs()[0].bits, self.outputs()[0].bits
        if self.text("operation") == "sum":
            channel = nodes * (into + 1) + out
        else:
            channel = (3 * nodes * into + into + 1) // 2 + 1
        beats = self.integer("taps") // self.integer("SIMD")
        return self.integer("PE") * channel + (beats - 1).bit_length() + 6
