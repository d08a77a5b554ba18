"""Reads the ports of a generated Verilog wrapper."""

import re
from dataclasses import dataclass

from sdq_fpga.errors import StageError

__all__ = ["Port", "module_ports"]

# Strings, comments and attributes; but "(*)" is a sensitivity list.
_ASIDE = re.compile(r'"[^"\n]*"|//[^\n]*|/\*.*?\*/|\(\*(?!\s*\)).*?\*\)', re.DOTALL)
_RANGE = re.compile(r"\[[^\]]*\]")
_PORT = re.compile(r"\s*(input|output)\b(?:\s+(?:wire|logic|reg))?(?:\s+signed)?\s+(\w+)\s*")
_FIX = "check that finn-plus is the version in the lock file"


@dataclass(frozen=True)
class Port:
    """One port; ``direction`` is "input" or "output"."""

    direction: str
    name: str


def module_ports(text: str, module: str, file: str) -> tuple[Port, ...]:
    """Ports of ``module`` in the source ``text``, with ANSI-style declarations.

    Raises:
        StageError: there is no such module, or it has no ports, or one that can't be read.
    """
    code = _ASIDE.sub(" ", text)
    header = re.search(rf"\bmodule\s+{re.escape(module)}\b([^;]*\))\s*;", code)
    declarations = _last_group(header.group(1)) if header else ""
    if not declarations.strip():
        raise StageError(f"{file} has no module {module} with ports", _FIX)
    ports = []
    for declaration in _RANGE.sub(" ", declarations).split(","):
        found = _PORT.fullmatch(declaration)
        if found is None:
            said = " ".join(declaration.split())
            raise StageError(f"{file}: module {module} has a port that can't be read: {said}", _FIX)
        ports.append(Port(*found.groups()))
    return tuple(ports)


def _last_group(code: str) -> str:
    """What is inside the parentheses at the end of ``code``."""
    depth = 0
    for at in range(len(code) - 1, -1, -1):
        depth += (code[at] == ")") - (code[at] == "(")
        if depth == 0:
            return code[at + 1 : -1]
    return ""
