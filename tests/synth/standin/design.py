"""One block design: cells, nets, ports; and whether it is whole."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from catalogue import Bus, Legal, Pin, Shape


class RefusedError(Exception):
    """What Vivado would end the script with."""


@dataclass
class Cell:
    """A cell: "hier", "module" or "ip".

    Attributes:
        values: of its parameters.
        legal: the parameters that it has, and which values each may have.
        maps: its memory maps: bytes of each slave interface.
    """

    path: str
    kind: str
    shape: Shape
    values: dict[str, str] = field(default_factory=dict)
    legal: dict[str, Legal] = field(default_factory=dict)
    maps: dict[str, int] = field(default_factory=dict)


class BlockDesign:
    """Cells and ports by path ("/cell/pin", "/port"), and the nets between them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.cells: dict[str, Cell] = {}
        self.ports: dict[str, Pin] = {}
        self.bus_ports: dict[str, Bus] = {}
        self.nets: list[set[str]] = []
        self.bus_nets: list[tuple[str, str]] = []
        self.properties: dict[str, dict[str, str]] = {}
        self.addresses: dict[str, tuple[int, int]] = {}
        self.all_assigned = False

    # ---- what there is ----------------------------------------------------------------------

    def pin(self, path: str) -> Pin | None:
        """A pin of a cell."""
        cell, _, name = path.rpartition("/")
        return self.cells[cell].shape.pins.get(name) if cell in self.cells else None

    def bus(self, path: str) -> Bus | None:
        """An interface of a cell."""
        cell, _, name = path.rpartition("/")
        return self.cells[cell].shape.buses.get(name) if cell in self.cells else None

    def pins(self) -> Iterator[str]:
        """All pins."""
        for path, cell in self.cells.items():
            yield from (f"{path}/{name}" for name in cell.shape.pins)

    def buses(self) -> Iterator[str]:
        """All interfaces of cells."""
        for path, cell in self.cells.items():
            yield from (f"{path}/{name}" for name in cell.shape.buses)

    def is_hierarchy(self, end: str) -> bool:
        """Whether an end is on the wall of a hierarchy."""
        cell = self.cells.get(end.rpartition("/")[0])
        return cell is not None and cell.kind == "hier"

    def far_end(self, bus: str) -> str | None:
        """The leaf or port at the other end of an interface's connection."""
        came, at = None, bus
        while True:
            links = [n for n in range(len(self.bus_nets)) if at in self.bus_nets[n] and n != came]
            if not links:
                return None if at == bus else at
            came = links[0]
            first, second = self.bus_nets[came]
            at = second if first == at else first
            if not self.is_hierarchy(at):
                return at

    # ---- what is done to it -----------------------------------------------------------------

    def connect(self, ends: list[str]) -> None:
        """Joins pins and ports into one net."""
        if len(ends) < 2:
            raise RefusedError("[BD 5-106] connect_bd_net needs two pins")
        joined = set(ends).union(*(net for net in self.nets if net & set(ends)))
        self.nets = [net for net in self.nets if not net & joined] + [joined]

    def connect_bus(self, first: str, second: str) -> None:
        """Joins two interfaces."""
        for end in (first, second):
            taken = sum(end in net for net in self.bus_nets)
            if taken >= (2 if self.is_hierarchy(end) else 1):
                raise RefusedError(f"[BD 41-1271] {end} is connected twice")
        self.bus_nets.append((first, second))

    def free_port(self, name: str) -> str:
        """The name that Vivado gives to what is made external."""
        number = 0
        while f"/{name}_{number}" in {**self.ports, **self.bus_ports}:
            number += 1
        return f"/{name}_{number}"

    def rename(self, old: str, new: str) -> None:
        """Renames a port."""
        if new in self.ports or new in self.bus_ports:
            raise RefusedError(f"[BD 41-1279] there is a port {new} already")
        for table in (self.ports, self.bus_ports, self.properties):
            if old in table:
                table[new] = table.pop(old)  # type: ignore[attr-defined, index]
        self.nets = [{new if end == old else end for end in net} for net in self.nets]
        self.bus_nets = [
            (new if first == old else first, new if second == old else second)
            for first, second in self.bus_nets
        ]

    # ---- whether it is whole ----------------------------------------------------------------

    def faults(self) -> list[str]:
        """Everything that validate_bd_design, or the hardware, would stumble over."""
        return [*self._pin_faults(), *self._bus_faults(), *self._address_faults()]

    def _drivers(self, net: set[str]) -> list[str]:
        outputs = [
            end
            for end in net
            if not self.is_hierarchy(end) and (pin := self.pin(end)) and pin.direction == "O"
        ]
        return outputs + [
            end for end in net if end in self.ports and self.ports[end].direction == "I"
        ]

    def _pin_faults(self) -> Iterator[str]:
        nets = {end: net for net in self.nets for end in net}
        for path in self.pins():
            pin = self.pin(path)
            if pin is None or pin.direction != "I" or self.is_hierarchy(path):
                continue
            drivers = self._drivers(nets.get(path, set()))
            if len(drivers) > 1:
                yield f"[BD 41-1356] {path} has {len(drivers)} drivers: {', '.join(drivers)}"
            if drivers:
                source = self.pin(drivers[0]) or self.ports[drivers[0]]
                if pin.kind == "clk" and source.kind != "clk":
                    yield f"[BD 41-758] the clock pin {path} is driven by {drivers[0]}, no clock"
            elif pin.kind == "clk":
                yield f"[BD 41-758] the clock pin {path} is not connected to a clock source"
            elif not pin.optional:
                yield f"[BD 41-759] the input pin {path} is not connected"

    def _bus_faults(self) -> Iterator[str]:
        for path in self.buses():
            if self.is_hierarchy(path):
                continue
            bus, far = self.bus(path), self.far_end(path)
            if bus is None or (far is None and (bus.optional or bus.protocol == "other")):
                continue
            if far is None or self.is_hierarchy(far):
                yield f"[BD 41-701] the interface {path} is not connected"
                continue
            other = self.bus(far)
            if other is None:
                continue  # a port, which takes after it
            if {bus.mode, other.mode} != {"Master", "Slave"}:
                yield f"[BD 41-1273] {path} and {far} are both {bus.mode}"
            if "AXIS" in (bus.protocol, other.protocol) and bus.protocol != other.protocol:
                yield f"[BD 41-1273] {path} is {bus.protocol}, and {far} {other.protocol}"
            if bus.protocol == other.protocol == "AXIS" and bus.bits != other.bits:
                yield f"[BD 41-237] {path} is {bus.bits} bits wide, and {far} {other.bits}"

    def _address_faults(self) -> Iterator[str]:
        taken = sorted((offset, size, name) for name, (offset, size) in self.addresses.items())
        for (offset, size, name), (start, _, other) in pairwise(taken):
            if offset + size > start:
                yield f"[BD 41-971] the addresses of {name} and {other} overlap"
        for offset, size, name in taken:
            if offset % size:
                yield f"[BD 41-972] {name} is at {offset:#x}, which is no multiple of {size:#x}"
        for path, cell in self.cells.items():
            for name, bus in cell.shape.buses.items():
                mapped = bus.protocol == "AXI4LITE" and bus.mode == "Slave"
                far = self.far_end(f"{path}/{name}") if mapped else None
                if far is None or far in self.bus_ports or self.all_assigned:
                    continue
                if not any(each.startswith(f"{path}/{name}/") for each in self.addresses):
                    yield f"[BD 41-1356] {path}/{name} has no address"
