"""What the hardware model knows of a node: its operator and attributes, as plain data."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache

__all__ = [
    "HardwareGraph",
    "HardwareNode",
    "Value",
    "bits_of",
    "is_signed",
    "limits_of",
    "signed_bits",
    "smallest_type",
]

Value = int | str | tuple[int, ...] | tuple[str, ...]

_TYPE = re.compile(r"U?INT(\d+)")
_NAMED_BITS = {"BINARY": 1, "BIPOLAR": 1, "TERNARY": 2}


@cache
def bits_of(datatype: str) -> int:
    """Bits of one value of a QONNX integer type, such as "UINT4".

    Raises:
        ValueError: it is not one.
    """
    if datatype in _NAMED_BITS:
        return _NAMED_BITS[datatype]
    match = _TYPE.fullmatch(datatype)
    if match is None:
        raise ValueError(f"'{datatype}' is not an integer type")
    return int(match[1])


def is_signed(datatype: str) -> bool:
    """Whether values of a QONNX integer type may be negative."""
    return not datatype.startswith("UINT") and datatype != "BINARY"


@cache
def limits_of(datatype: str) -> tuple[int, int]:
    """Least and greatest value of a QONNX integer type; raises as ``bits_of``."""
    if datatype in {"BIPOLAR", "TERNARY"}:
        return -1, 1
    bits = bits_of(datatype)
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if is_signed(datatype) else (0, 2**bits - 1)


def signed_bits(low: int, high: int) -> int:
    """Bits of a two's complement number that holds ``low`` to ``high``."""
    return 1 + max(
        (~low if low < 0 else low).bit_length(), (~high if high < 0 else high).bit_length()
    )


def smallest_type(low: int, high: int) -> str:
    """The QONNX type of fewest bits that holds ``low`` to ``high``; a signed one has 2 or more."""
    if low >= 0:
        return f"UINT{max(1, high.bit_length())}"
    return f"INT{max(2, signed_bits(low, max(high, 0)))}"


@dataclass(frozen=True)
class HardwareNode:
    """One operator of the hardware graph.

    Attributes:
        name: unique.
        op: type of the FINN custom op, such as "MVAU_rtl".
        layer: name of the node in the QONNX model that it comes from.
        attributes: every attribute of the custom op that says something of the hardware, defaults
            included.
        inputs: names of its input streams; weights that are not streamed have none.
        outputs: names of its output streams.
        narrow: whether the weights never take the most negative value of their type.
    """

    name: str
    op: str
    layer: str
    attributes: Mapping[str, Value]
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    narrow: bool = False

    def integer(self, name: str, default: int | None = None) -> int:
        """An integer attribute.

        Raises:
            KeyError: it has no such attribute and there is no default.
            TypeError: it is not an integer.
        """
        value = self.attributes[name] if default is None else self.attributes.get(name, default)
        if not isinstance(value, int):
            raise TypeError(f"{self.op} '{self.name}': {name}={value!r} is not an integer")
        return value

    def integers(self, name: str) -> tuple[int, ...]:
        """An attribute that is a list of integers; raises as ``integer``."""
        value = self.attributes[name]
        if not isinstance(value, tuple):
            raise TypeError(f"{self.op} '{self.name}': {name}={value!r} is not a list")
        numbers = tuple(each for each in value if isinstance(each, int))
        if len(numbers) < len(value):
            raise TypeError(f"{self.op} '{self.name}': {name}={value!r} are not integers")
        return numbers

    def text(self, name: str) -> str:
        """An attribute that is a string; raises as ``integer``."""
        value = self.attributes[name]
        if not isinstance(value, str):
            raise TypeError(f"{self.op} '{self.name}': {name}={value!r} is not a string")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """An attribute that is a list of strings; raises as ``integer``."""
        value = self.attributes[name]
        if not isinstance(value, tuple):
            raise TypeError(f"{self.op} '{self.name}': {name}={value!r} is not a list")
        return tuple(map(str, value))

    def bits(self, name: str) -> int:
        """Bits of the type that an attribute names."""
        return bits_of(self.text(name))

    def product(self, name: str) -> int:
        """Product of a list of integers."""
        return math.prod(self.integers(name))

    def with_attributes(self, changes: Mapping[str, Value]) -> "HardwareNode":
        """The same node with other values of some attributes."""
        return replace(self, attributes={**self.attributes, **changes})


@dataclass(frozen=True)
class HardwareGraph:
    """A network of nodes, in order of the data.

    Attributes:
        nodes: the nodes.
        inputs: names of the streams that come in.
        outputs: names of the streams that go out.
    """

    nodes: tuple[HardwareNode, ...]
    inputs: tuple[str, ...] = field(default=())
    outputs: tuple[str, ...] = field(default=())
