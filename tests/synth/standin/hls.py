"""A stand-in for Vitis HLS: runs FINN's script in a real Tcl interpreter, and checks it.

What it makes has the interfaces that the pragmas of the C++ source state.
"""

import re
import sys
from pathlib import Path

from catalogue import Bus, Pin, Shape, component_text
from design import RefusedError
from interpreter import Interpreter, options

_OWN = ("ap_int.h", "hls_stream.h")  # Vitis HLS' own headers
_CONTROL_BITS = 6


class Hls:
    """The commands that FINN uses."""

    def __init__(self, interpreter: Interpreter) -> None:
        self.interpreter = interpreter
        self.project = self.top = ""
        self.source = Path()
        for name in (
            "open_project", "add_files", "set_top", "open_solution", "set_part", "set_param",
            "config_compile", "config_interface", "config_rtl", "create_clock", "csynth_design",
            "export_design",
        ):  # fmt: skip
            interpreter.command(name, getattr(self, name))
        interpreter.tcl.eval("proc exit args {}")

    def open_project(self, name: str) -> None:
        self.project = name

    def open_solution(self, name: str) -> None:
        if name != "sol1":
            raise RefusedError(f"FINN looks for sol1, not {name}")

    def set_top(self, name: str) -> None:
        self.top = name

    def set_part(self, name: str) -> None:
        if not re.fullmatch(r"xc[\w-]+", name):
            raise RefusedError(f"[HLS 200-1023] Part '{name}' is not installed.")

    def set_param(self, *words: str) -> None:
        return None

    config_compile = config_interface = config_rtl = set_param

    def create_clock(self, *words: str) -> None:
        found, _ = options(words, ("-period", "-name"))
        if not 0 < float(found["-period"]) < 1000:
            raise RefusedError(f"a clock period of {found['-period']} ns")

    def add_files(self, *words: str) -> None:
        found, (name,) = options(words, ("-cflags",))
        self.source = Path(name)
        if not self.source.is_file():
            raise RefusedError(f"[HLS 200-10] File '{name}' does not exist")
        flags = self.interpreter.words(found["-cflags"])
        folders = [Path(flag[2:]) for flag in flags if flag.startswith("-I")]
        text = self.source.read_text(encoding="utf-8")
        for header in re.findall(r'#include\s+"([^"]+)"', text):
            if header not in _OWN and not any((folder / header).is_file() for folder in folders):
                raise RefusedError(f"[HLS 207-3776] '{header}' file not found")

    def csynth_design(self) -> None:
        if not re.search(rf"\b{self.top}\s*\(", self.source.read_text(encoding="utf-8")):
            raise RefusedError(f"[HLS 200-70] no top function {self.top}")

    def export_design(self, *words: str) -> None:
        found, _ = options(words, ("-format",))
        if found["-format"] != "ip_catalog":
            raise RefusedError(f"a format {found['-format']}")
        text = self.source.read_text(encoding="utf-8")
        shape = Shape({"ap_clk": Pin("I", "clk"), "ap_rst_n": Pin("I", "rst")})
        for bits, name in re.findall(r"hls::stream<ap_uint<(\d+)>\s*>\s*&(\w+)", text):
            if f"axis port={name}" in text:
                mode = "Master" if name.startswith("out") else "Slave"
                shape.buses[name] = Bus(mode, "AXIS", int(bits))
        for bits, _ in re.findall(r"ap_uint<(\d+)>\s*\*(\w+)", text):
            shape.buses["m_axi_gmem"] = Bus("Master", "AXI4", int(bits), 64)
        if "s_axilite" in text:
            shape.buses["s_axi_control"] = Bus("Slave", "AXI4LITE", 32, _CONTROL_BITS)
        folder = Path(self.project) / "sol1" / "impl" / "ip"
        folder.mkdir(parents=True, exist_ok=True)
        vlnv = f"xilinx.com:hls:{self.top}:1.0"
        maps = f"<map s_axi_control {1 << _CONTROL_BITS}/>\n"
        (folder / "component.xml").write_text(component_text(vlnv, shape) + maps, encoding="utf-8")


def main(script: str) -> int:
    interpreter = Interpreter()
    Hls(interpreter)
    code = 0
    with Path("vitis_hls.log").open("a", encoding="utf-8") as log:
        try:
            interpreter.source(script)
        except RefusedError as error:
            log.write(f"{error}\n")
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[-1]))
