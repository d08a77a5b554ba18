"""Splitting of channels: one stream to any number, also to fewer channels."""

from collections.abc import Mapping
from itertools import compress
from typing import ClassVar

import numpy as np

from sdq_fpga.ops.operator import Attribute, Integers, Operator, StreamPort
from sdq_fpga.ops.turns import flags, turns_luts, words

__all__ = ["SdqSplit_rtl"]


class SdqSplit_rtl(Operator):  # noqa: N801
    """Splits the channels of its input into ranges; each is an output of its own or is dropped.

    ``shape`` is that of the tensors without the channels, ``channels`` and ``keep`` have one entry
    for each range; without ``keep``, all are kept. With a single range kept it is a slice.

    Mirrors hw/ops/split.sv.
    """

    MODULE: ClassVar[str] = "sdq_split"
    SOURCES: ClassVar[tuple[str, ...]] = ("turns.sv", "split.sv")
    MANY_OUTPUTS: ClassVar[bool] = True
    ATTRIBUTES: ClassVar[Mapping[str, Attribute]] = {
        "shape": ("ints", True, []),
        "channels": ("ints", True, []),
        "keep": ("ints", False, []),
        "data_type": ("s", True, ""),
        "PE": ("i", False, 1),
    }

    def inputs(self) -> tuple[StreamPort, ...]:
        """All channels."""
        return (self._port(sum(self.integers("channels"))),)

    def outputs(self) -> tuple[StreamPort, ...]:
        """The ranges that are kept."""
        return tuple(map(self._port, compress(self.integers("channels"), self._keep())))

    def _port(self, channels: int) -> StreamPort:
        shape = (*self.integers("shape"), channels)
        return StreamPort(self.text("data_type"), shape, self.integer("PE"))

    def _keep(self) -> tuple[bool, ...]:
        return tuple(map(bool, self.integers("keep"))) or (True,) * len(self.integers("channels"))

    def check(self) -> None:
        """Refuses ranges that are no split, and a PE that does not divide them."""
        channels, keep = self.integers("channels"), self._keep()
        if len(channels) < 2:
            raise self.refuse("it has fewer than two ranges", "use the stream itself")
        if len(keep) != len(channels):
            raise self.refuse(
                f"{len(keep)} entries of keep do not belong to {len(channels)} ranges",
                "give one for each",
            )
        if not any(keep):
            raise self.refuse("it keeps no range", "keep one")
        for count in channels:
            if count < 1:
                raise self.refuse("a range has no channels", "leave it out")
            self.check_elements("PE", count)

    def parameters(self) -> Mapping[str, int | str]:
        """Parameters of hw/ops/split.sv."""
        keep = self._keep()
        return {
            "WIDTH": self.inputs()[0].width,
            "RANGES": len(keep),
            "OUTS": sum(keep),
            "BEATS": words(self._beats()),
            "KEEP": flags(keep),
        }

    def _beats(self) -> tuple[int, ...]:
        return tuple(count // self.integer("PE") for count in self.integers("channels"))

    def compute(self, *tensors: Integers) -> tuple[Integers, ...]:
        """The ranges of the last axis that are kept."""
        ends = np.cumsum(self.integers("channels"))[:-1]
        return tuple(compress(np.split(tensors[0], ends, axis=-1), self._keep()))

    def cycles(self) -> int:
        """One beat of the input a cycle."""
        return self.inputs()[0].beats

    def luts(self) -> int:
        """The turns and the handshake of each output; the data are registered once."""
        return turns_luts(self._beats()) + 2 * sum(self._keep()) + 2
