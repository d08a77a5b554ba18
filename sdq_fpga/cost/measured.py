"""What syntheses found, as files with one JSON object a line: what models are fitted on.

A synthesis finds what single nodes of the hardware graph take; place and route, a design's clock.
"""

import gzip
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Self, TypeVar

from sdq_fpga.cost.clock_measured import MeasuredClock
from sdq_fpga.cost.node import HardwareNode, Value
from sdq_fpga.plain import Plain

__all__ = ["Amounts", "MeasuredNode", "append_measured", "read_clocks", "read_measured"]

_Kind = TypeVar("_Kind", bound=Plain)

_HELD_OUT = 5  # one node of so many is held out


class Amounts(Plain):
    """What logic takes.

    Attributes:
        lut: look-up tables, those used as memory and as shift registers included.
        ff: flip-flops.
        dsp: DSP slices.
        bram18: block RAMs of 18 kbit; one of 36 kbit is two.
        uram: UltraRAMs.
    """

    lut: int
    ff: int
    dsp: int = 0
    bram18: int = 0
    uram: int = 0

    def __add__(self, other: "Amounts") -> "Amounts":
        return Amounts(
            lut=self.lut + other.lut,
            ff=self.ff + other.ff,
            dsp=self.dsp + other.dsp,
            bram18=self.bram18 + other.bram18,
            uram=self.uram + other.uram,
        )


class MeasuredNode(Plain):
    """A node, and what a synthesis made of it.

    Attributes:
        origin: the design that it was synthesised in.
        name: unique in that design.
        op: type of the custom op.
        attributes: those of the node.
        inputs: number of input streams.
        outputs: number of output streams.
        narrow: whether the weights never take the most negative value of their type.
        found: what it takes, without ``memory``.
        memory: what the memory takes that streams its weights, where that is a module of its own.
    """

    origin: str
    name: str
    op: str
    attributes: dict[str, Value]
    inputs: int
    outputs: int
    narrow: bool
    found: Amounts
    memory: Amounts | None = None

    @classmethod
    def of(
        cls, origin: str, node: HardwareNode, found: Amounts, memory: Amounts | None = None
    ) -> Self:
        """Records what was found for a node."""
        return cls(
            origin=origin,
            name=node.name,
            op=node.op,
            attributes=dict(node.attributes),
            inputs=len(node.inputs),
            outputs=len(node.outputs),
            narrow=node.narrow,
            found=found,
            memory=memory,
        )

    @property
    def node(self) -> HardwareNode:
        """The node as the hardware model knows it."""
        return HardwareNode(
            name=self.name,
            op=self.op,
            layer="",
            attributes=self.attributes,
            inputs=tuple(f"{self.name}_in{k}" for k in range(self.inputs)),
            outputs=tuple(f"{self.name}_out{k}" for k in range(self.outputs)),
            narrow=self.narrow,
        )

    @property
    def total(self) -> Amounts:
        """All that it takes."""
        return self.found if self.memory is None else self.found + self.memory

    @property
    def held_out(self) -> bool:
        """Whether the fit must not see it: decided by what it is, not by where it stands."""
        text = json.dumps([self.op, self.attributes, self.narrow], sort_keys=True)
        return hashlib.sha256(text.encode()).digest()[0] % _HELD_OUT == 0


def append_measured(path: Path, found: Iterable[MeasuredNode] | Iterable[MeasuredClock]) -> None:
    """Adds to a file, in place of a line that was cut off; made if there is none."""
    kept = path.read_bytes() if path.is_file() else b""
    if not kept.endswith(b"\n"):
        path.write_bytes(kept[: kept.rfind(b"\n") + 1])
    with path.open("a", encoding="utf-8") as file:
        for each in found:
            file.write(json.dumps(each.model_dump(mode="json"), sort_keys=True) + "\n")


def read_measured(path: Path) -> list[MeasuredNode]:
    """Reads nodes that ``append_measured`` has written; a last line that was cut off is left out.

    A file whose name ends in ".gz" is compressed.

    Raises:
        UserError: the file has something else.
    """
    return _read(path, MeasuredNode)


def read_clocks(path: Path) -> list[MeasuredClock]:
    """Reads clocks that ``append_measured`` has written, as ``read_measured`` reads nodes."""
    return _read(path, MeasuredClock)


def _read(path: Path, kind: type[_Kind]) -> list[_Kind]:
    if not path.is_file():
        return []
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    lines = data.decode().splitlines()
    found = []
    for number, line in enumerate(lines, 1):
        try:
            data = json.loads(line)
        except json.JSONDecodeError:
            if number < len(lines):
                raise
            break
        found.append(kind.from_data(data, f"{path}, line {number}"))
    return found
