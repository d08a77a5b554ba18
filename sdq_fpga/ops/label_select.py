"""Label selection: the indices of the largest values."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from qonnx.core.datatype import DataType

from sdq_fpga.ops.operator import Attribute, Integers, Operator, StreamPort

__all__ = ["SdqLabelSelect_rtl"]

_MOST = 16  # indices: every one is a comparator on the path of each value


class SdqLabelSelect_rtl(Operator):  # noqa: N801
    """Indices of the ``k`` largest of ``labels`` values, the largest first.

    Of equal values, the one with the lower index comes first.

    Mirrors hw/ops/label_select.sv.
    """

    MODULE: ClassVar[str] = "sdq_label_select"
    SOURCES: ClassVar[tuple[str, ...]] = ("label_select.sv",)
    ATTRIBUTES: ClassVar[Mapping[str, Attribute]] = {
        "labels": ("i", True, 0),
        "k": ("i", False, 1),
        "in_type": ("s", True, ""),
        "PE": ("i", False, 1),
    }

    def inputs(self) -> tuple[StreamPort, ...]:
        """The values."""
        shape = (1, self.integer("labels"))
        return (StreamPort(self.text("in_type"), shape, self.integer("PE")),)

    def outputs(self) -> tuple[StreamPort, ...]:
        """The indices, one in a beat."""
        return (StreamPort(f"UINT{self._index_bits()}", (1, self.integer("k")), 1),)

    def _index_bits(self) -> int:
        return max(1, (self.integer("labels") - 1).bit_length())

    def check(self) -> None:
        """Refuses more indices than there are values, and a PE that does not divide those."""
        labels, k, name = self.integer("labels"), self.integer("k"), self.text("in_type")
        if labels < 1:
            raise self.refuse(f"labels={labels} are no values", "give 1 or more")
        if not 1 <= k <= min(labels, _MOST):
            raise self.refuse(
                f"k={k} is not from 1 to {min(labels, _MOST)} ({labels} labels)",
                "select fewer",
            )
        if not DataType[name].is_integer():
            raise self.refuse(f"in_type {name} is not integer", "use an integer type")
        self.check_elements("PE", labels)

    def parameters(self) -> Mapping[str, int | str]:
        """Parameters of hw/ops/label_select.sv."""
        port = self.inputs()[0]
        # The bit of a bipolar value is ordered like an unsigned one.
        signed = port.type.signed() and port.datatype != "BIPOLAR"
        return {
            "LABELS": self.integer("labels"),
            "K": self.integer("k"),
            "BITS": port.bits,
            "SIGNED": int(signed),
            "PE": port.elements,
        }

    def compute(self, *tensors: Integers) -> tuple[Integers, ...]:
        """The first indices of a stable descending sort."""
        # ~x descends as x ascends, without overflow.
        order = np.argsort(~tensors[0], axis=-1, kind="stable")
        return (order[..., : self.integer("k")],)

    def cycles(self) -> int:
        """One beat a cycle for a single index, otherwise one value a cycle."""
        return self.inputs()[0].beats if self.integer("k") == 1 else self.integer("labels")

    def luts(self) -> int:
        """Comparators at 2 bits a LUT, 2:1 multiplexers at one, a counter and the handshake.

        Each cell compares, and all but the first choose between two values with their indices;
        the indices shift out. In front of them is a tree, or the register that shifts.
        """
        port, k, index = self.inputs()[0], self.integer("k"), self._index_bits()
        compare = -(-port.bits // 2)
        cells = k * compare + (k - 1) * (port.bits + 2 * index)
        lane = (port.elements - 1).bit_length()
        node = compare + port.bits + lane if k == 1 else port.bits
        return cells + (port.elements - 1) * node + index + 2 * k + 6
