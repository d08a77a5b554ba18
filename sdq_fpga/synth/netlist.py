"""The netlist between elaboration and mapping, as Yosys's text format RTLIL.

Read line by line: what must not be in a design is found here, and what the sources ask for is put
where Yosys looks for it:

- It knows ``ram_style`` and ``rom_style`` in lower case and as strings only, and takes
  "distributed" only for a memory that is written.
- It does not know ``use_dsp``; the attribute goes from the net to its multiplication.
- Its SystemVerilog reader makes a memory of every unpacked array, also of the registers of a
  pipeline, which must be registers when they are to go into a DSP slice.
- It takes the LUTs of UltraScale+ for memories of up to 64K words with a single address, and then
  has no primitive for them (lutrams_xcu.txt): those go into block RAM unless they ask for LUTs, and
  then have an attribute by which ``yosys`` maps them itself.
- It finds a shift register with a tap only where that tap is read with ``$shiftx``, while its
  SystemVerilog reader makes a ``$bmux``.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

__all__ = ["DEEP_LUT_RAM", "REGISTERS", "Netlist", "read_netlist"]

REGISTERS = "sdq_registers"
"""An attribute of memories that are registers: all addresses are constants."""

DEEP_LUT_RAM = "sdq_deep_lut_ram"
"""An attribute of memories with a single address and many words that ask for LUTs."""

_LUT_RAM_WORDS = 256  # RAM256X1S: Yosys does not get to RAM512X1S
_STYLES = frozenset({"ram_style", "rom_style"})
_NET = re.compile(r"\\\S+|\$\S+")
# The words of an array as a $bmux gets them: all in one register, unknown where there are none.
_WORDS_DOWN = re.compile(r"(?:\{ )?(?P<net>\\\S+)(?: \d+'x \})?")
_WORDS_UP = re.compile(r"(?:\{ \d+'x )?(?P<net>\\\S+)(?: \})?")
_UNKNOWN = re.compile(r"(?<!\S)\d+'[01xz-]*x")
_LATCHES = frozenset({"$dlatch", "$adlatch", "$dlatchsr", "$sr"})
# A product belongs to the net that it is assigned to, through these.
_TRANSPARENT = re.compile(r"\$(buf|pos|mux|pmux|add|sub|neg|dffe?|sdffc?e?|adffe?)$")
_REGISTER = re.compile(r"\$(dffe?|sdffc?e?|adffe?)$")


@dataclass
class _Object:
    """A wire or a cell: its name, what follows it, its attributes and (of a cell) connections."""

    name: str
    kind: str
    attributes: dict[str, str]
    line: int
    attribute_lines: dict[str, int] = field(default_factory=dict)
    pins: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    last_line: int = 0

    @property
    def width(self) -> int:
        """Bits of a wire."""
        found = re.search(r"width (\d+)", self.kind)
        return int(found[1]) if found else 1

    @property
    def source(self) -> str:
        """File and line where it stands in the sources."""
        return re.split(r"[|.](?=\d|$)", self.attributes.get("src", "").strip('"'))[0]


@dataclass
class _Module:
    name: str
    wires: dict[str, _Object] = field(default_factory=dict)
    cells: list[_Object] = field(default_factory=list)
    memories: list[_Object] = field(default_factory=list)

    def drivers(self) -> dict[str, list[_Object]]:
        """The cells that drive each net, or a part of it."""
        found: dict[str, list[_Object]] = {}
        for cell in self.cells:
            for net in _NET.findall(cell.pins.get("Y", cell.pins.get("Q", ""))):
                found.setdefault(net, []).append(cell)
        return found


@dataclass(frozen=True)
class Netlist:
    """A design as elaborated, all instances dissolved."""

    text: str
    modules: tuple[_Module, ...]

    @property
    def has_memories(self) -> bool:
        """Whether there is anything to put into block RAM or LUT RAM."""
        return any(
            module.memories or any(cell.kind.startswith("$mem") for cell in module.cells)
            for module in self.modules
        )

    @property
    def wants_uram(self) -> bool:
        """Whether a memory asks for UltraRAM."""
        return any(
            "ultra" in _styles(memory).values()
            for module in self.modules
            for memory in module.memories
        )

    def latches(self) -> list[str]:
        """A sentence for each net that a latch holds."""
        held = [
            f"{cell.source}: a latch holds {_plain(cell.pins['Q'].partition(' ')[0])}"
            for module in self.modules
            for cell in module.cells
            if cell.kind in _LATCHES
        ]
        return list(dict.fromkeys(held))

    def undriven(self, files: Collection[str]) -> list[str]:
        """A sentence for each net of the given source files that is read, but nobody drives."""
        faults = []
        for module in self.modules:
            floating = {
                net: module.wires[net]
                for cell in module.cells
                if cell.kind == "$buf" and _UNKNOWN.search(cell.pins["A"])
                for net in _NET.findall(cell.pins["Y"])[:1]
                if net in module.wires and module.wires[net].source.partition(":")[0] in files
            }
            read = {net for net, wire in floating.items() if "output" in wire.kind}
            for cell in module.cells if floating else ():
                for pin, signal in cell.pins.items():
                    if cell.kind != "$buf" or pin == "A":
                        read.update(net for net in _NET.findall(signal) if net in floating)
            faults += [
                f"{wire.source}: {_plain(net)} has no driver"
                for net, wire in floating.items()
                if net in read
            ]
        return faults

    def place_of(self, net: str) -> str:
        """File and line of a net's declaration; empty if it is not known."""
        for module in self.modules:
            if net in module.wires:
                return module.wires[net].source
        return ""

    def for_mapping(self) -> str:
        """The text, with what the sources ask for where Yosys looks for it."""
        lines = self.text.split("\n")
        for module in self.modules:
            _prepare_memories(module, lines)
            drivers = module.drivers()
            for net, wire in module.wires.items():
                if "use_dsp" in wire.attributes:
                    choice = _string(wire.attributes["use_dsp"])
                    for product in _products(net, drivers):
                        lines[product.line] = (
                            f'  attribute \\use_dsp "{choice}"\n{self._line(product)}'
                        )
            for cell in module.cells:
                if cell.kind == "$bmux" and (tap := _tap(cell, module.wires, drivers)):
                    lines[cell.line : cell.last_line + 1] = [""] * (cell.last_line - cell.line + 1)
                    lines[cell.line] = tap
        return "\n".join(lines)

    def _line(self, cell: _Object) -> str:
        return f"  cell {cell.kind} {cell.name}"


def read_netlist(text: str) -> Netlist:
    """Reads what Yosys wrote."""
    modules: list[_Module] = []
    attributes: dict[str, str] = {}
    at: dict[str, int] = {}
    cell: _Object | None = None
    module = _Module("")
    for number, line in enumerate(text.split("\n")):
        word, _, rest = line.strip().partition(" ")
        name, _, value = rest.partition(" ")
        match word:
            case "attribute":
                attributes[name.removeprefix("\\")] = value
                at[name.removeprefix("\\")] = number
                continue
            case "module":
                module = _Module(rest)
                modules.append(module)
            case "wire":
                *kind, name = rest.split(" ")
                module.wires[name] = _Object(name, " ".join(kind), attributes, number)
            case "memory":
                *kind, name = rest.split(" ")
                module.memories.append(_Object(name, " ".join(kind), attributes, number, at))
            case "cell":
                cell = _Object(value, name, attributes, number)
                module.cells.append(cell)
            case "parameter" if cell is not None:
                cell.parameters[name.removeprefix("\\")] = value
            case "connect" if cell is not None:
                cell.pins[name.removeprefix("\\")] = value
            case "connect":
                left, right = _two_signals(rest)
                module.cells.append(_Object("", "$buf", {}, number, pins={"Y": left, "A": right}))
            case "end":
                if cell is not None:
                    cell.last_line = number
                cell = None
        attributes, at = {}, {}
    return Netlist(text, tuple(modules))


def _products(net: str, drivers: dict[str, list[_Object]]) -> Iterator[_Object]:
    """The multiplications in the expression assigned to ``net``."""
    seen, waiting = {net}, [net]
    while waiting:
        for cell in drivers.get(waiting.pop(), ()):
            if cell.kind == "$mul":
                yield cell
            elif _TRANSPARENT.match(cell.kind):
                inputs = " ".join(cell.pins[pin] for pin in ("A", "B", "D") if pin in cell.pins)
                # Nets without a name are parts of the same expression; registers are its stages.
                found = {
                    part
                    for part in _NET.findall(inputs)
                    if part.startswith("$")
                    or all(_REGISTER.match(each.kind) for each in drivers.get(part, ()))
                } - seen
                seen |= found
                waiting += found


def _tap(cell: _Object, wires: dict[str, _Object], drivers: dict[str, list[_Object]]) -> str | None:
    """Writes a ``$bmux`` that selects a word of a register as one ``$shiftx`` a bit.

    The words of an array that is declared with ascending indices lie in descending order, and are
    selected with the inverted index. What is past the end of the array is unknown in both.
    """
    select, output = cell.pins["S"], cell.pins["Y"]
    ascending = _WORDS_DOWN.fullmatch(cell.pins["A"])
    descending = _WORDS_UP.fullmatch(cell.pins["A"])
    index = _NET.match(select)
    inverted = index and [each.kind for each in drivers.get(index[0], ())] == ["$not"]
    found = ascending if inverted else descending
    if found is None or not _NET.fullmatch(output):
        return None
    register, width = found["net"], wires[output].width
    if any(each.kind != "$dff" for each in drivers.get(register, ())) or register not in drivers:
        return None
    words = wires[register].width // width
    bits = int(cell.parameters["S_WIDTH"])
    text = [f"  wire width {bits} {cell.name}_at"]
    text += _cell("$not" if inverted else "$pos", f"{cell.name}_index", bits, bits)
    text += [f"    connect \\A {select}", f"    connect \\Y {cell.name}_at", "  end"]
    for bit in range(width):
        order = range(words) if inverted else reversed(range(words))
        taps = " ".join(f"{register} [{word * width + bit}]" for word in order)
        text += _cell("$shiftx", f"{cell.name}_tap{bit}", words, 1)
        text += [f"    parameter \\B_WIDTH {bits}", "    parameter \\B_SIGNED 0"]
        text += [f"    connect \\A {{ {taps} }}", f"    connect \\B {cell.name}_at"]
        text += [f"    connect \\Y {output} [{bit}]", "  end"]
    return "\n".join(text)


def _cell(kind: str, name: str, a_width: int, y_width: int) -> list[str]:
    return [
        f"  cell {kind} {name}",
        f"    parameter \\A_WIDTH {a_width}",
        "    parameter \\A_SIGNED 0",
        f"    parameter \\Y_WIDTH {y_width}",
    ]


def _two_signals(text: str) -> tuple[str, str]:
    """Splits "signal signal"; a signal is a net with or without a range, a constant, or {...}."""
    depth = 0
    for at, character in enumerate(text):
        depth += (character in "{") - (character in "}")
        if character == " " and depth == 0 and text[at + 1 : at + 2] != "[":
            return text[:at], text[at + 1 :]
    return text, ""


def _prepare_memories(module: _Module, lines: list[str]) -> None:
    ports: dict[str, list[_Object]] = {}
    for cell in module.cells:
        if cell.kind.startswith(("$memrd", "$memwr")):
            name = cell.parameters["MEMID"].strip('"').replace("\\\\", "\\")
            ports.setdefault(name, []).append(cell)
    for memory in module.memories:
        own = ports.get(memory.name, [])
        written = any(port.kind.startswith("$memwr") for port in own)
        styles = _styles(memory)
        if written and _is_deep(memory, own) and set(styles.values()) <= {"auto"}:
            if not styles:
                lines[memory.line] = f'  attribute \\ram_style "block"\n{lines[memory.line]}'
            styles = dict.fromkeys(styles, "block")
        if written and _is_deep(memory, own) and "distributed" in styles.values():
            lines[memory.line] = f"  attribute \\{DEEP_LUT_RAM} 1\n{lines[memory.line]}"
        for name, style in styles.items():
            known = "logic" if style == "distributed" and not written else style
            at = memory.attribute_lines[name]
            lines[at] = f'  attribute \\{name.lower()} "{known}"'
        if all(re.fullmatch(r"\d+('[01]+)?", port.pins["ADDR"]) for port in own):
            lines[memory.line] = f"  attribute \\{REGISTERS} 1\n{lines[memory.line]}"


def _is_deep(memory: _Object, ports: list[_Object]) -> bool:
    """Whether a memory with a single address is too deep for what Yosys makes of LUTs."""
    words = re.search(r"size (\d+)", memory.kind)
    one_address = len({port.pins["ADDR"] for port in ports}) == 1
    return words is not None and int(words[1]) > _LUT_RAM_WORDS and one_address


def _styles(memory: _Object) -> dict[str, str]:
    return {
        name: _string(value) for name, value in memory.attributes.items() if name.lower() in _STYLES
    }


def _string(constant: str) -> str:
    """The text of a constant that is a string, or a number made of its characters."""
    if constant.startswith('"'):
        return constant.strip('"').lower()
    width, quote, bits = constant.partition("'")
    number = int(bits, 2) if quote else int(width)
    return number.to_bytes((number.bit_length() + 7) // 8, "big").decode(errors="replace").lower()


def _plain(signal: str) -> str:
    return signal.replace("\\", "")
