"""Reads the ports of a generated Verilog wrapper."""

import re
from dataclasses import dataclass

from sdq_fpga.errors import StageError

__all__ = ["Port", "module_ports"]

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/|\(\*.*?\*\)", re.DOTALL)
_PORT = re.compile(r"\b(input|output)\s+(?:logic|wire|reg)?\s*(?:\[[^\]]*\]\s*)?(\w+)\s*(?=[,)])")


@dataclass(frozen=True)
class Port:
    """One port; ``direction`` is "input" or "output"."""

    direction: str
    name: str


def module_ports(text: str, module: str, file: str) -> tuple[Port, ...]:
    """Ports of ``module`` in the source ``text``, with ANSI-style declarations.

    Raises:
        StageError: there is no such module, or it has no ports.
    """
    code = _COMMENT.sub(" ", text)
    header = re.search(rf"\bmodule\s+{re.escape(module)}\b(.*?\))\s*;", code, re.DOTALL)
    ports = tuple(Port(*found) for found in _PORT.findall(header.group(1))) if header else ()
    if not ports:
        raise StageError(
            f"{file} has no module {module} with ports",
            "check that finn-plus is the version in the lock file",
        )
    return ports
