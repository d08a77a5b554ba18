"""The longest paths of mapped modules, in picoseconds of a 7-series part of the slowest grade.

Delays of cells are the greatest that Yosys's techlibs/xilinx/cells_sim.v has of a pin of each kind;
it has them from prjxray, for Artix-7. CARRY8 counts as two CARRY4, the block RAM, DSP slice and
UltraRAM of UltraScale+ as those of the 7 series (UltraRAM as block RAM). Routing is not known
before placement: a net takes ``_NET``, and more the more pins it reaches. Both is assumed, and so
is that a net takes no time that stays in a slice: from a LUT to a multiplexer, a carry chain or
a flip-flop that reads nothing else, and from one carry chain to its next.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sdq_fpga.errors import StageError
from sdq_fpga.plain import Plain

__all__ = ["LogicPaths", "longest_paths"]

_NET, _FANOUT = 700.0, 0.15  # ps; share of it for each doubling of the pins
_LUT = {"INV": 127, "LUT1": 127, "LUT2": 238, "LUT3": 407, "LUT4": 472, "LUT5": 631, "LUT6": 642}
_MUX = {"MUXF7": 296, "MUXF8": 273, "MUXF9": 273}
_CARRIES = {"CARRY4": 1, "CARRY8": 2}
_CARRY_ENTER, _CARRY_PASS, _CARRY_LEAVE = 642, 114, 334
_FLIP_FLOP = {"D": 0, "CE": 109, "R": 404, "S": 404, "CLR": 404, "PRE": 404}
_CLOCK_TO_Q = 303
_MEMORY_READ, _MEMORY_CLOCK, _MEMORY_SETUP = 642, 1472, 245  # LUTs as memory, shift registers
_BLOCK_CLOCK, _BLOCK_CLOCK_REGISTERED, _BLOCK_SETUP = 2454, 882, 737
_DSP_CLOCK = {"PREG": 329, "MREG": 1671, "AREG": 2952}
_DSP_SETUP = {"AREG": 324, "MREG": 1416, "PREG": 2739}
_DSP_THROUGH = 3841
_CLOCKS = frozenset({"C", "CLK", "WCLK", "CLKARDCLK", "CLKBWRCLK"})
_GLOBAL = ("ap_clk", "ap_rst", "clk", "rst")  # ports whose nets are distributed in other ways
_NO_CELLS = frozenset({"GND", "VCC", "$scopeinfo"})
_NEVER = -math.inf

Cell = Mapping[str, Any]
Bit = int | str | None
"""A net, or a constant; None where there is none."""


class LogicPaths(Plain):
    """The longest paths of a module in picoseconds, 0 where there is none.

    Attributes:
        inner: from register to register.
        into: from an input to a register, the input's net included.
        out: from a register to an output, without the output's net.
        through: from an input to an output, likewise.
    """

    inner: float
    into: float
    out: float
    through: float


def longest_paths(module: Mapping[str, Any]) -> LogicPaths:
    """Finds the longest paths of a module.

    Args:
        module: as Yosys's ``write_json`` writes it, made of primitives.

    Raises:
        StageError: it has a cell whose delay is not known, or a combinational loop.
    """
    return _Module(module).paths()


@dataclass(frozen=True)
class _Arc:
    """A way through a cell, or into or out of its registers.

    Attributes:
        pin: where it begins; None for a register.
        to: the bit where it ends; None for a register.
        delay: of the cell, in picoseconds.
    """

    pin: tuple[str, int, Bit] | None
    to: Bit
    delay: float


class _Module:
    def __init__(self, module: Mapping[str, Any]) -> None:
        self.ports = module["ports"]
        self.cells: list[Cell] = [c for c in module["cells"].values() if c["type"] not in _NO_CELLS]
        self.fanout: dict[Bit, int] = defaultdict(int)
        self.driver: dict[Bit, tuple[Cell, str]] = {}
        for cell in self.cells:
            for pin, bits in cell["connections"].items():
                for bit in bits:
                    if cell["port_directions"][pin] == "output":
                        self.driver[bit] = cell, pin
                    else:
                        self.fanout[bit] += 1
        for port in self.ports.values():
            if port["direction"] == "output":
                for bit in port["bits"]:
                    self.fanout[bit] += 1

    def paths(self) -> LogicPaths:
        """Follows all paths, from registers and from inputs."""
        arcs = [(cell, arc) for cell in self.cells for arc in _arcs(cell)]
        inward: dict[Bit, list[tuple[Cell, _Arc]]] = defaultdict(list)
        arrival: dict[Bit, tuple[float, float]] = {}
        for name, port in self.ports.items():
            if port["direction"] == "input" and not name.startswith(_GLOBAL):
                arrival |= dict.fromkeys(port["bits"], (_NEVER, 0.0))
        ends = []
        for cell, arc in arcs:
            if arc.to is None:
                ends.append((cell, arc))
            elif arc.pin is None:
                before = arrival.get(arc.to, (_NEVER, _NEVER))
                arrival[arc.to] = max(before[0], arc.delay), before[1]
            else:
                inward[arc.to].append((cell, arc))
        for bit in self._in_order(inward):
            register, source = arrival.get(bit, (_NEVER, _NEVER))
            for cell, arc in inward[bit]:
                more = arc.delay + self._net(cell, arc)
                early = arrival.get(_bit(arc), (_NEVER, _NEVER))
                register, source = max(register, early[0] + more), max(source, early[1] + more)
            arrival[bit] = register, source
        inner = into = out = through = 0.0
        for cell, arc in ends:
            more = arc.delay + self._net(cell, arc)
            early = arrival.get(_bit(arc), (_NEVER, _NEVER))
            inner, into = max(inner, early[0] + more), max(into, early[1] + more)
        for port in self.ports.values():
            for bit in port["bits"] if port["direction"] == "output" else ():
                early = arrival.get(bit, (_NEVER, _NEVER))
                out, through = max(out, early[0]), max(through, early[1])
        return LogicPaths(inner=inner, into=into, out=out, through=through)

    def _in_order(self, inward: Mapping[Bit, list[tuple[Cell, _Arc]]]) -> Iterator[Bit]:
        """The bits that ways through cells end at, each after those that it depends on."""
        left = {
            bit: len({_bit(a) for _, a in arcs} & inward.keys()) for bit, arcs in inward.items()
        }
        readers: dict[Bit, set[Bit]] = defaultdict(set)
        for bit, arcs in inward.items():
            for _, arc in arcs:
                readers[_bit(arc)].add(bit)
        ready = [bit for bit, count in left.items() if not count]
        given = 0
        while ready:
            bit = ready.pop()
            given += 1
            yield bit
            for reader in readers[bit]:
                left[reader] -= 1
                if not left[reader]:
                    ready.append(reader)
        if given < len(left):
            raise StageError("a module has a combinational loop", "correct the RTL")

    def _net(self, cell: Cell, arc: _Arc) -> float:
        """Picoseconds of the net that an arc's pin reads."""
        if arc.pin is None:
            return 0.0
        pin, _, bit = arc.pin
        kind = cell["type"]
        source = self.driver.get(bit)
        if source is not None:
            near = source[0]["type"] in _LUT or source[0]["type"] in _MUX
            if kind in _CARRIES and pin == "CI":
                return 0.0
            if kind in _MUX and pin != "S" and near:
                return 0.0
            alone = self.fanout[bit] == 1
            if alone and near and kind in _CARRIES:
                return 0.0
            if (
                alone
                and pin == "D"
                and kind.startswith("FD")
                and (near or source[0]["type"] in _CARRIES)
            ):
                return 0.0
        return _NET * (1 + _FANOUT * math.log2(max(1, self.fanout[bit])))


def _bit(arc: _Arc) -> Bit:
    return None if arc.pin is None else arc.pin[2]


def _pins(cell: Cell, direction: str) -> list[tuple[str, int, Bit]]:
    """Name, index and net of each pin that is not constant."""
    return [
        (pin, index, bit)
        for pin, bits in cell["connections"].items()
        if cell["port_directions"][pin] == direction
        for index, bit in enumerate(bits)
        if isinstance(bit, int) and pin not in _CLOCKS
    ]


def _arcs(cell: Cell) -> Iterator[_Arc]:
    """The ways through a cell, and into and out of its registers."""
    kind = cell["type"]
    sources, sinks = _pins(cell, "input"), _pins(cell, "output")
    if kind in _LUT or kind in _MUX or kind == "LUT6_2":
        delay = _LUT.get(kind) or _MUX.get(kind, _LUT["LUT6"])
        yield from (_Arc(pin, to, delay) for pin in sources for _, _, to in sinks)
    elif kind in _CARRIES:
        yield from _carry(cell, _CARRIES[kind])
    elif kind.startswith("FD"):
        yield from (_Arc(None, to, _CLOCK_TO_Q) for _, _, to in sinks)
        yield from (_Arc(pin, None, _FLIP_FLOP[pin[0]]) for pin in sources)
    elif kind.startswith(("RAMB", "URAM")):
        registered = any(_number(cell, name) for name in ("DOA_REG", "DOB_REG"))
        start = _BLOCK_CLOCK_REGISTERED if registered else _BLOCK_CLOCK
        yield from (_Arc(None, to, start) for _, _, to in sinks)
        yield from (_Arc(pin, None, _BLOCK_SETUP) for pin in sources)
    elif kind.startswith(("RAM", "SRL")):
        yield from (_Arc(None, to, _MEMORY_CLOCK) for _, _, to in sinks)
        for pin in sources:
            if pin[0].startswith(("A", "DPRA")):
                yield from (_Arc(pin, to, _MEMORY_READ) for _, _, to in sinks)
            yield _Arc(pin, None, _MEMORY_SETUP)
    elif kind.startswith("DSP48"):
        yield from _dsp(cell)
    else:
        raise StageError(f"the delay of {kind} is not known", "report the design")


def _carry(cell: Cell, fours: int) -> Iterator[_Arc]:
    """The longest ways; with a pass from a chain's begin to its end in one step."""
    for pin in _pins(cell, "input"):
        for name, _, to in _pins(cell, "output"):
            if pin[0] == "CI":
                last = _CARRY_PASS * fours
                delay = last if name == "CO" else _CARRY_LEAVE + last - _CARRY_PASS
            else:
                delay = _CARRY_ENTER + _CARRY_PASS * (fours - 1)
            yield _Arc(pin, to, delay)


def _dsp(cell: Cell) -> Iterator[_Arc]:
    registers = [name for name in _DSP_CLOCK if _number(cell, name)]
    sources, sinks = _pins(cell, "input"), _pins(cell, "output")
    if not registers:
        yield from (_Arc(pin, to, _DSP_THROUGH) for pin in sources for _, _, to in sinks)
        return
    first, last = registers[-1], registers[0]
    yield from (_Arc(None, to, _DSP_CLOCK[last]) for _, _, to in sinks)
    yield from (_Arc(pin, None, _DSP_SETUP[first]) for pin in sources)


def _number(cell: Cell, name: str) -> int:
    value = cell["parameters"].get(name, "0")
    return int(value, 2) if isinstance(value, str) else int(value)
