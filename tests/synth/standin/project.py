"""The project of the stand-in: files, IP catalogue, boards, objects and their properties."""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from catalogue import KNOWN, Shape, read_component
from design import BlockDesign, RefusedError
from filters import matches
from interpreter import Interpreter, options
from verilog import module_names, referenced_files

_SHIPPED_BOARDS = ("xilinx.com:zcu104:part0:1.1", "xilinx.com:zcu102:part0:3.3")
_TYPES = {".v": "Verilog", ".sv": "SystemVerilog", ".svh": "Verilog Header", ".vhd": "VHDL"}
_FREE = {
    "top", "SYNTH_CHECKPOINT_MODE", "core_revision", "value_resolve_type", "ipi_drc", "type",
    "range", "slave_memory_map_ref", "offset",
}  # fmt: skip


@dataclass
class Packaged:
    """An IP of the user's in the catalogue."""

    shape: Shape
    maps: dict[str, int]


class Project:
    """What create_project makes, and the commands that do not belong to a block design."""

    def __init__(self, interpreter: Interpreter) -> None:
        self.interpreter = interpreter
        self.directory = Path()
        self.name = ""
        self.part = ""
        self.sources: list[Path] = []
        self.modules: dict[str, Path] = {}
        self.catalogue: dict[str, Packaged] = {}
        self.properties: dict[tuple[str, str], str] = {}
        self.designs: dict[str, BlockDesign] = {}
        self.current = ""
        for name in (
            "create_project", "current_project", "close_project", "set_param", "get_param",
            "set_msg_config", "reset_msg_config", "update_ip_catalog", "add_files", "get_files",
            "get_ipdefs", "get_filesets", "current_fileset", "update_compile_order",
        ):  # fmt: skip
            interpreter.command(name, getattr(self, name))

    @property
    def design(self) -> BlockDesign:
        """The block design that is open."""
        if not self.current:
            raise RefusedError("[BD 5-100] no block design is open")
        return self.designs[self.current]

    def create_project(self, *words: str) -> str:
        found, rest = options(words, ("-part",), ("-force",))
        self.name, self.directory = rest[0], Path(rest[1] if len(rest) > 1 else ".").resolve()
        self.part = found["-part"]
        if not re.fullmatch(r"xc[\w-]+", self.part):
            raise RefusedError(f"[Coretcl 2-106] Specified part could not be found: {self.part}")
        self.directory.mkdir(exist_ok=True, parents=True)
        return self.name

    def current_project(self) -> str:
        return "project"

    def close_project(self) -> None:
        self.current = ""

    def set_param(self, name: str, value: str) -> None:
        self.properties["param", name] = value

    def get_param(self, name: str) -> str:
        return self.properties.get(("param", name), "")

    def set_msg_config(self, *words: str) -> None:
        options(words, ("-id", "-new_severity"), ("-suppress",))

    reset_msg_config = set_msg_config

    def update_compile_order(self, *words: str) -> None:
        options(words, ("-fileset",))

    def get_filesets(self, name: str) -> str:
        if name not in ("sources_1", "sim_1"):
            raise RefusedError(f"[Vivado 12-180] No filesets matched '{name}'")
        return name

    def current_fileset(self) -> str:
        return "sources_1"

    def update_ip_catalog(self, *words: str) -> None:
        options(words, (), ("-rebuild", "-scan_changes"))
        for repository in self.interpreter.words(
            self.properties.get(("project", "ip_repo_paths"), "")
        ):
            if not Path(repository).is_dir():
                raise RefusedError(f"[IP_Flow 19-3656] no directory {repository} in ip_repo_paths")
            for path in sorted(Path(repository).rglob("component.xml")):
                found = read_component(path)
                if found is not None:
                    vlnv, shape = found
                    self.catalogue[vlnv] = Packaged(shape, _maps(path))

    def add_files(self, *words: str) -> list[str]:
        _, rest = options(words, ("-cflags", "-copy_to"), ("-norecurse",))
        paths = [Path(each) for word in rest for each in self.interpreter.words(word)]
        for path in paths:
            if not path.is_file():
                raise RefusedError(f"[filemgmt 56-12] File '{path}' does not exist")
            if path not in self.sources:
                self.sources.append(path)
                for name in module_names(path):
                    if self.modules.setdefault(name, path) != path:
                        raise RefusedError(
                            f"[Synth 8-2490] {name} is in {self.modules[name]} and {path}"
                        )
                for memory in referenced_files(path):
                    if not memory.exists():
                        raise RefusedError(
                            f"[Synth 8-4445] {path.name} names {memory}, which is missing"
                        )
        return [str(path) for path in paths]

    def get_files(self, *words: str) -> list[str]:
        found, rest = options(words, ("-filter",), ("-quiet",))
        names = [str(path) for path in self.sources]
        names += [str(self.bd_file(design)) for design in self.designs]
        if rest:
            names = [n for n in names if n == rest[0] or Path(n).name == rest[0]]
            if not names:
                raise RefusedError(f"[Vivado 12-818] No files matched '{rest[0]}'")
        if "-filter" in found:
            names = [n for n in names if matches(found["-filter"], lambda p, n=n: _of_file(n, p))]
        return names

    def bd_file(self, design: str) -> Path:
        """Where a block design is kept."""
        folder = self.directory / f"{self.name}.srcs" / "sources_1" / "bd" / design
        return folder / f"{design}.bd"

    def get_ipdefs(self, *words: str) -> list[str]:
        found, rest = options(words, ("-filter",), ("-all", "-quiet"))
        names = [n for n in (*KNOWN, *self.catalogue) if not rest or fnmatchcase(n, rest[0])]
        if "-filter" in found:
            names = [n for n in names if matches(found["-filter"], lambda p, n=n: _of_ip(n, p))]
        if not names:
            raise RefusedError(f"[Coretcl 2-1134] No IP matches {' '.join(words)}")
        return names

    def set_own(self, target: str, name: str, value: str) -> None:
        """Sets a property of the project, a file, a run or a core."""
        if target == "project" and name == "board_part":
            self._check_board(value)
        elif target == "project" and name.lower() == "board_part_repo_paths":
            name = name.lower()
        elif target == "project" and name != "ip_repo_paths":
            raise RefusedError(f"[Common 17-54] a project has no property {name}")
        elif target != "project" and name not in _FREE:
            raise RefusedError(f"[Common 17-54] {target} has no property {name}")
        self.properties[target, name] = value

    def _check_board(self, board: str) -> None:
        if board in _SHIPPED_BOARDS:
            return
        vendor, name, *_ = board.split(":")
        paths = self.properties.get(("project", "board_part_repo_paths"), "")
        for folder in self.interpreter.words(paths):
            for path in Path(folder).rglob("board.xml"):
                text = path.read_text(encoding="utf-8")
                if f'vendor="{vendor}"' in text and f'name="{name}"' in text:
                    return
        raise RefusedError(
            f"[Board 49-71] The board_part definition was not found for {board}. The project's "
            f"board_part property was not set, but the project's part property was set to "
            f"{self.part}."
        )


def _maps(component: Path) -> dict[str, int]:
    text = component.read_text(encoding="utf-8")
    return {name: int(size) for name, size in re.findall(r"<map (\w+) (\d+)/>", text)}


def _of_file(name: str, property_: str) -> str:
    kinds = {"USED_IN_SYNTHESIS": "1", "FILE_TYPE": _TYPES.get(Path(name).suffix, "Block Design")}
    return {**kinds, "NAME": name}[property_]


def _of_ip(name: str, property_: str) -> str:
    return {"NAME": name.split(":")[2], "design_tool_contexts": "HDL IPI"}[property_]
