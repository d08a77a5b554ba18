"""Concatenation of channels: any number of streams to one."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from qonnx.core.datatype import DataType

from sdq_fpga.ops.operator import Attribute, Integers, Operator, StreamPort
from sdq_fpga.ops.turns import flags, turns_luts, words

__all__ = ["SdqConcat_rtl"]


class SdqConcat_rtl(Operator):  # noqa: N801
    """Concatenates the channels of its inputs.

    ``shape`` is that of the tensors without the channels, ``channels`` and ``in_types`` have one
    entry for each input. Values keep their meaning: they are extended to ``out_type``.

    Mirrors hw/ops/concat.sv.
    """

    MODULE: ClassVar[str] = "sdq_concat"
    SOURCES: ClassVar[tuple[str, ...]] = ("turns.sv", "concat.sv")
    MANY_INPUTS: ClassVar[bool] = True
    ATTRIBUTES: ClassVar[Mapping[str, Attribute]] = {
        "shape": ("ints", True, []),
        "channels": ("ints", True, []),
        "in_types": ("strings", True, []),
        "out_type": ("s", True, ""),
        "PE": ("i", False, 1),
    }

    def inputs(self) -> tuple[StreamPort, ...]:
        """The parts."""
        shape, pe = self.integers("shape"), self.integer("PE")
        parts = zip(self._in_types(), self.integers("channels"), strict=True)
        return tuple(StreamPort(name, (*shape, channels), pe) for name, channels in parts)

    def outputs(self) -> tuple[StreamPort, ...]:
        """All channels."""
        shape = (*self.integers("shape"), sum(self.integers("channels")))
        return (StreamPort(self.text("out_type"), shape, self.integer("PE")),)

    def _in_types(self) -> tuple[str, ...]:
        return tuple(str(name) for name in self.get_nodeattr("in_types"))

    def check(self) -> None:
        """Refuses types that do not go into the output's, and foldings that do not divide."""
        channels, names = self.integers("channels"), self._in_types()
        if len(channels) < 2:
            raise self.refuse("it has fewer than two inputs", "use the stream itself")
        if len(names) != len(channels):
            raise self.refuse(
                f"{len(names)} in_types do not belong to {len(channels)} inputs",
                "give one for each",
            )
        for count in channels:
            if count < 1:
                raise self.refuse("an input has no channels", "leave it out")
            self.check_elements("PE", count)
        out = DataType[self.text("out_type")]
        for name in names:
            kind = DataType[name]
            if not (kind.is_integer() and out.is_integer()):
                raise self.refuse(f"{name} to {out.name} is not integer", "use integer types")
            # A bipolar output has no 0, although its range includes it.
            fits = out.min() <= kind.min() and kind.max() <= out.max()
            if not fits or (out.name == "BIPOLAR" and name != "BIPOLAR"):
                raise self.refuse(
                    f"out_type {out.name} does not hold every value of an input of {name}",
                    "choose a wider out_type",
                )

    def parameters(self) -> Mapping[str, int | str]:
        """Parameters of hw/ops/concat.sv."""
        ports = self.inputs()
        return {
            "N": len(ports),
            "PE": self.integer("PE"),
            "OUT_BITS": self.outputs()[0].bits,
            "IN_WIDTH": sum(port.width for port in ports),
            "IN_BITS": words(port.bits for port in ports),
            "BEATS": words(port.folded[-2] for port in ports),
            "SIGNED": flags(port.type.signed() for port in ports),
            "BIPOLAR": flags(port.datatype == "BIPOLAR" for port in ports),
        }

    def compute(self, *tensors: Integers) -> tuple[Integers, ...]:
        """The tensors along the last axis."""
        return (np.concatenate(tensors, axis=-1),)

    def cycles(self) -> int:
        """One beat a cycle."""
        return self.outputs()[0].beats

    def luts(self) -> int:
        """A multiplexer for each bit of the output, the turns, and the handshake.

        A LUT is a multiplexer of up to 4 inputs; larger ones are made of those.
        """
        ports = self.inputs()
        multiplexers = self.outputs()[0].width * -(-len(ports) // 4)
        return multiplexers + turns_luts(port.folded[-2] for port in ports) + 2 * len(ports) + 2
