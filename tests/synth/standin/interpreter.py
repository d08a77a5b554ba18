"""A real Tcl interpreter with commands in Python."""

import json
import tkinter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from design import RefusedError
from verilog import VerilogError

Result = str | list[str] | None
Command = Callable[..., Result]

# A Python exception inside a command is lost on its way through Tcl, so that commands answer
# whether they did it, and a procedure of Tcl's throws.
_PROCEDURE = """
proc {name} args {{
    lassign [{inner} {{*}}$args] done result
    if {{!$done}} {{ return -code error $result }}
    return $result
}}
"""


class Interpreter:
    """Evaluates Tcl, and writes every command of Vivado's into standin.jsonl with its words."""

    def __init__(self) -> None:
        self.tcl = tkinter.Tcl()
        self.record = Path("standin.jsonl").open("a", encoding="utf-8", buffering=1)  # noqa: SIM115

    def command(self, name: str, function: Command) -> None:
        """Adds a command."""

        def call(*words: Any) -> tuple[int, Any]:
            texts = [str(word) for word in words]
            self.record.write(json.dumps([name, *texts]) + "\n")
            try:
                result = function(*texts)
            except (RefusedError, VerilogError, OSError) as error:
                return 0, f"ERROR: {error}"
            return 1, "" if result is None else tuple(result) if isinstance(
                result, list
            ) else result

        inner = "standin_" + name.replace("::", "_")
        if "::" in name:
            self.tcl.eval(f"namespace eval {name.rpartition('::')[0]} {{}}")
        self.tcl.tk.createcommand(inner, call)
        self.tcl.eval(_PROCEDURE.format(name=name, inner=f"::{inner}"))

    def words(self, text: str) -> list[str]:
        """The elements of a Tcl list."""
        return [str(each) for each in self.tcl.splitlist(text)]

    def source(self, path: str) -> None:
        """Runs a script; the error of the first command that fails is thrown."""
        try:
            self.tcl.eval(f"source {{{path}}}")
        except tkinter.TclError as error:
            where = self.tcl.eval("set ::errorInfo")
            raise RefusedError(f"{error}\n{where}") from error


def options(
    words: tuple[str, ...], valued: tuple[str, ...] = (), flags: tuple[str, ...] = ()
) -> tuple[dict[str, str], list[str]]:
    """Splits the words of a command into options and the rest."""
    found: dict[str, str] = {}
    rest: list[str] = []
    pending = list(words)
    while pending:
        word = pending.pop(0)
        if word in valued:
            if not pending:
                raise RefusedError(f"[Common 17-163] no value for {word}")
            found[word] = pending.pop(0)
        elif word in flags:
            found[word] = ""
        elif word.startswith("-") and word[1:2].isalpha():
            raise RefusedError(f"[Common 17-170] Unknown option '{word}'")
        else:
            rest.append(word)
    return found, rest
