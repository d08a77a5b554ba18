"""Headers of Verilog modules: parameters, ports, and the bus interfaces that Vivado infers.

Only as much of the language as the tops of block design cells use: ANSI-style ports, and widths
that are integer expressions of parameters.
"""

import functools
import re
from dataclasses import dataclass, field
from pathlib import Path

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_ATTRIBUTE = re.compile(r"\(\*(?!\s*\)).*?\*\)", re.DOTALL)
_MODULE = re.compile(r"^[ \t]*module\s+(\w+)", re.MULTILINE)
_PARAMETER = re.compile(r"\b(?:parameter|localparam)\b\s*(?:\w+\s+)*?(\w+)\s*=\s*([^;]*)")
_PORT = re.compile(
    r"(input|output|inout)\b\s*(?:wire|reg|logic)?\s*(?:signed)?\s*(?:\[([^\]]*)\])?\s*(\w+)"
)
_SYSTEMVERILOG = re.compile(r"'[01xz]\b|'\{|\b(?:logic|always_ff|always_comb|typedef|import)\b")
_FILE = re.compile(r'"(/[^"\n]*)"')


@dataclass(frozen=True)
class Port:
    """One port, ``width`` bits wide."""

    name: str
    direction: str
    width: int


@dataclass
class Module:
    """The header of a module."""

    name: str
    file: Path
    parameters: dict[str, str] = field(default_factory=dict)
    ports: list[Port] = field(default_factory=list)

    def value(self, parameter: str) -> int | None:
        """What a parameter is if nobody sets it; None where there is none, or it is a text."""
        if parameter not in self.parameters:
            return None
        return evaluate(self.parameters[parameter], self.parameters)


class VerilogError(Exception):
    """A source that Vivado would not take."""


@functools.cache
def code_of(path: Path) -> str:
    """A source without comments and attributes."""
    return _ATTRIBUTE.sub(" ", _COMMENT.sub(" ", path.read_text(encoding="utf-8")))


@functools.cache
def module_names(path: Path) -> tuple[str, ...]:
    """The modules that a file declares."""
    return tuple(_MODULE.findall(code_of(path)))


@functools.cache
def instances(path: Path) -> frozenset[str]:
    """What a file may have instances of, outside simulation; keywords too."""
    code = re.sub(r"`ifdef FINN_SIMULATION.*?(?:`else|`endif)", " ", code_of(path), flags=re.DOTALL)
    return frozenset(re.findall(r"^[ \t]*(\w+)\s*(?:#\s*\(|\w+\s*\()", code, re.MULTILINE))


def read_module(path: Path, name: str) -> Module:
    """Reads the header of a module, which must be the top of a cell."""
    if path.suffix != ".v":
        raise VerilogError(f"[filemgmt 56-195] the top of a cell must be Verilog, not {path.name}")
    code = code_of(path)
    start = re.search(rf"\bmodule\s+{re.escape(name)}\b", code)
    if start is None:
        raise VerilogError(f"{path} has no module {name}")
    body = code[start.end() : code.index("endmodule", start.end())]
    strange = _SYSTEMVERILOG.search(re.sub(r'"[^"\n]*"', '""', body))
    if strange is not None:
        raise VerilogError(f"[Synth 8-2716] SystemVerilog ({strange[0]}) in {path.name}")
    header, rest = _split_header(body)
    module = Module(name, path)
    parameters, ports = header if len(header) == 2 else ("", header[0])
    for part in _at_commas(parameters):
        match = re.search(r"(\w+)\s*=\s*(.*)$", part.strip(), re.DOTALL)
        if match:
            module.parameters[match[1]] = match[2].strip()
    for match in _PARAMETER.finditer(rest):
        module.parameters.setdefault(match[1], match[2].strip())
    for part in _at_commas(ports):
        found = _PORT.fullmatch(part.strip())
        if found is None:
            raise VerilogError(f"{path.name} has a port that can't be read: {part.strip()}")
        module.ports.append(Port(found[3], found[1], _width(found[2], module)))
    return module


def referenced_files(path: Path) -> list[Path]:
    """Files that a source names by absolute path; of a prefix, the files that begin with it."""
    found = []
    for name in _FILE.findall(code_of(path)):
        whole = Path(name)
        matches = [whole] if whole.suffix else sorted(whole.parent.glob(f"{whole.name}*.dat"))
        found += matches or [whole]
    return found


def missing_modules(paths: list[Path], library: set[str]) -> list[str]:
    """Modules of the library that the sources instantiate, but which none of them declares."""
    declared = {name for path in paths for name in module_names(path)}
    used = frozenset[str]().union(*(instances(path) for path in paths))
    return sorted((used & library) - declared)


def wrong_parameters(path: Path, module: Module) -> list[str]:
    """Parameters that a source passes to instances of a module, and which that does not have."""
    if module.name not in instances(path):
        return []
    code = code_of(path)
    found = []
    for start in re.finditer(rf"\b{re.escape(module.name)}\s*#\s*\(", code):
        passed = _group(code, start.end() - 1)
        found += [
            name for name in re.findall(r"\.(\w+)\s*\(", passed) if name not in module.parameters
        ]
    return found


@functools.cache
def any_parameters(path: Path, name: str) -> Module:
    """The parameters of a module in any source, SystemVerilog too; no ports."""
    code = code_of(path)
    start = re.search(rf"\bmodule\s+{re.escape(name)}\b", code)
    module = Module(name, path)
    if start is not None:
        body = re.sub(r"\bimport\b[^;]*;", " ", code[start.end() :])
        header, _ = _split_header(body)
        if len(header) == 2:
            for part in _at_commas(header[0]):
                match = re.search(r"(\w+)\s*(?:\[[^\]]*\]\s*)*(?:=|$)", part.strip())
                if match:
                    module.parameters[match[1]] = ""
    return module


def evaluate(expression: str, parameters: dict[str, str], depth: int = 0) -> int | None:
    """The integer that an expression of parameters is; None if it is none."""
    if depth > 20:
        return None
    text = re.sub(r"\d*'s?[dD](\d+)", r"\1", expression.strip())
    text = re.sub(r"\d*'s?[hH]([0-9a-fA-F]+)", r"0x\1", text)
    if '"' in text or not text:
        return None
    text = text.replace("$clog2", "clog2").replace("/", "//").replace("&&", " and ")
    while "?" in text:  # innermost conditional of the rightmost question mark
        at = text.rindex("?")
        begin = _begin(text, at)
        end = _end(text, at)
        then, other = _colon(text[at + 1 : end])
        text = f"{text[:begin]}(({then}) if ({text[begin:at]}) else ({other})){text[end:]}"
    names = {name for name in re.findall(r"\b[A-Za-z_]\w*", text) if name in parameters}
    values = {name: evaluate(parameters[name], parameters, depth + 1) for name in names}
    if None in values.values():
        return None
    clog2 = {"clog2": lambda value: max(int(value) - 1, 0).bit_length()}
    try:
        return int(eval(text, {"__builtins__": {}}, {**values, **clog2}))
    except (SyntaxError, NameError, TypeError, ZeroDivisionError):
        return None


def _begin(text: str, at: int) -> int:
    depth = 0
    for position in range(at - 1, -1, -1):
        depth += (text[position] == ")") - (text[position] == "(")
        if depth < 0:
            return position + 1
    return 0


def _end(text: str, at: int) -> int:
    depth = 0
    for position in range(at + 1, len(text)):
        depth += (text[position] == "(") - (text[position] == ")")
        if depth < 0:
            return position
    return len(text)


def _colon(text: str) -> tuple[str, str]:
    depth = 0
    for position, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == ":" and depth == 0:
            return text[:position], text[position + 1 :]
    raise VerilogError(f"a conditional without a colon: {text}")


def _width(range_: str | None, module: Module) -> int:
    if range_ is None:
        return 1
    ends = [evaluate(each, module.parameters) for each in _colon(range_)]
    if ends[0] is None or ends[1] is None:
        raise VerilogError(f"{module.file.name}: a width that can't be computed: [{range_}]")
    return ends[0] - ends[1] + 1


def _split_header(body: str) -> tuple[list[str], str]:
    """The groups in parentheses before the first semicolon, and what follows it."""
    groups, at = [], 0
    while True:
        match = re.compile(r"[(;]").search(body, at)
        if match is None or match[0] == ";":
            return groups, body[match.end() if match else at :]
        group = _group(body, match.start())
        groups.append(group)
        at = match.start() + len(group) + 2


def _group(text: str, at: int) -> str:
    depth = 0
    for position in range(at, len(text)):
        depth += (text[position] == "(") - (text[position] == ")")
        if depth == 0:
            return text[at + 1 : position]
    raise VerilogError("a parenthesis is not closed")


def _at_commas(text: str) -> list[str]:
    parts, depth, last = [], 0, 0
    for position, letter in enumerate(text):
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0:
            parts.append(text[last:position])
            last = position + 1
    parts.append(text[last:])
    return [part for part in parts if part.strip()]
