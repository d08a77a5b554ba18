"""The commands of the IP packager."""

from pathlib import Path

from catalogue import Pin, Shape, component_text
from design import RefusedError
from interpreter import Interpreter, options
from project import Project


class Packager:
    """ipx:: on the block design that is open."""

    def __init__(self, interpreter: Interpreter, project: Project) -> None:
        self.interpreter = interpreter
        self.project = project
        self.root = Path()
        self.vlnv = ""
        self.shape = Shape()
        self.maps: dict[str, int] = {}
        self.groups: list[str] = ["xilinx_implementation"]
        for name in (
            "package_project", "current_core", "find_open_core", "create_xgui_files",
            "get_bus_parameters", "get_bus_interfaces", "remove_segment", "get_address_spaces",
            "add_file_group", "add_file", "get_file_groups", "get_files", "remove_file",
            "add_memory_map", "add_address_block", "update_checksums", "save_core",
        ):  # fmt: skip
            interpreter.command(f"ipx::{name}", getattr(self, name))

    def package_project(self, *words: str) -> str:
        found, _ = options(
            words, ("-root_dir", "-vendor", "-library", "-taxonomy", "-module"), ("-import_files",)
        )
        design = self.project.design
        if found["-module"] != design.name:
            raise RefusedError(f"[IP_Flow 19-4] no module {found['-module']}")
        self.root = Path(found["-root_dir"])
        self.vlnv = f"{found['-vendor']}:{found['-library']}:{design.name}:1.0"
        self.maps = {}
        pins = {
            name[1:]: Pin(pin.direction, pin.kind, optional=pin.kind == "data")
            for name, pin in design.ports.items()
        }
        self.shape = Shape(pins, {name[1:]: bus for name, bus in design.bus_ports.items()})
        self.root.mkdir()
        self._write()
        return self.vlnv

    def _write(self) -> None:
        text = component_text(self.vlnv, self.shape)
        maps = "".join(f"<map {name} {size}/>\n" for name, size in self.maps.items())
        (self.root / "component.xml").write_text(text + maps, encoding="utf-8")

    def current_core(self) -> str:
        return "core"

    def find_open_core(self, vlnv: str) -> str:
        if vlnv != self.vlnv:
            raise RefusedError(f"[IP_Flow 19-631] no open core {vlnv}")
        return "core"

    def create_xgui_files(self, core: str) -> None:
        (self.root / "xgui").mkdir(exist_ok=True)

    def get_bus_interfaces(self, *words: str) -> list[str]:
        _, rest = options(words, ("-of", "-of_objects"))
        if rest and rest[0].lstrip("/") not in self.shape.buses:
            raise RefusedError(f"[IP_Flow 19-551] the core has no interface {rest[0]}")
        return [f"bus:{name}" for name in self.shape.buses if not rest or name == rest[0]]

    def get_bus_parameters(self, *words: str) -> list[str]:
        options(words, ("-of", "-of_objects"))
        return ["busparameters"]

    def remove_segment(self, *words: str) -> None:
        _, (name, *_) = options(words, (), ("-quiet",))
        if name.partition(":")[0] not in self.shape.buses:
            raise RefusedError(f"[IP_Flow 19-551] the core has no interface {name}")

    def get_address_spaces(self, *words: str) -> str:
        _, (name,) = options(words, ("-of", "-of_objects"))
        return name

    def add_file_group(self, *words: str) -> str:
        _, rest = options(words, ("-type",))
        self.groups.append("software_driver")
        return f"group:{rest[0] or 'software_driver'}"

    def add_file(self, path: str, group: str) -> str:
        if not (self.root / path).is_file():
            raise RefusedError(f"[IP_Flow 19-167] no file {path} in {self.root}")
        return f"file:{path}"

    def get_file_groups(self, *words: str) -> list[str]:
        _, rest = options(words, ("-of", "-of_objects"))
        return [f"group:{name}" for name in self.groups if name in rest]

    def get_files(self, *words: str) -> list[str]:
        options(words, ("-of", "-of_objects"))
        return []

    def remove_file(self, name: str, group: str) -> None:
        raise RefusedError(f"[IP_Flow 19-167] no file {name}")

    def add_memory_map(self, name: str, core: str) -> str:
        if name not in self.shape.buses:
            raise RefusedError(f"[IP_Flow 19-551] the core has no interface {name}")
        return f"map:{name}"

    def add_address_block(self, name: str, memory_map: str) -> str:
        bus = memory_map.removeprefix("map:")
        self.maps[bus] = 1 << self.shape.buses[bus].address_bits
        return f"block:{bus}"

    def update_checksums(self, core: str) -> None:
        return None

    def save_core(self, core: str) -> None:
        unmapped = [
            name
            for name, bus in self.shape.buses.items()
            if bus.mode == "Slave" and bus.protocol == "AXI4LITE" and name not in self.maps
        ]
        if unmapped:
            raise RefusedError(f"[IP_Flow 19-551] no memory map for {', '.join(unmapped)}")
        self._write()
