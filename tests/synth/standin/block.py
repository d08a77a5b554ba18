"""The commands of block designs."""

from fnmatch import fnmatchcase
from pathlib import Path

from catalogue import KNOWN, Bus, Pin, Shape, shape_of_module
from design import BlockDesign, Cell, RefusedError
from filters import matches
from interpreter import Interpreter, options
from project import Project
from verilog import any_parameters, missing_modules, module_names, read_module, wrong_parameters

_RULES = ("zynq_ultra_ps_e", "processing_system7")


class Blocks:
    """Vivado's commands for block designs, on the designs of a project."""

    def __init__(self, interpreter: Interpreter, project: Project, library: set[str]) -> None:
        self.interpreter = interpreter
        self.project = project
        self.library = library
        for name in (
            "create_bd_design", "create_bd_cell", "create_bd_pin", "create_bd_intf_pin",
            "connect_bd_net", "connect_bd_intf_net", "make_bd_pins_external",
            "make_bd_intf_pins_external", "get_bd_cells", "get_bd_pins", "get_bd_ports",
            "get_bd_intf_pins", "get_bd_intf_ports", "get_bd_intf_nets", "get_bd_addr_segs",
            "assign_bd_address", "apply_bd_automation", "save_bd_design", "validate_bd_design",
            "make_wrapper", "set_property", "get_property",
        ):  # fmt: skip
            interpreter.command(name, getattr(self, name))

    @property
    def design(self) -> BlockDesign:
        return self.project.design

    # ---- making ------------------------------------------------------------------------------

    def create_bd_design(self, name: str) -> str:
        self.project.designs[name] = BlockDesign(name)
        self.project.current = name
        return name

    def create_bd_cell(self, *words: str) -> str:
        found, rest = options(words, ("-type", "-vlnv", "-reference"))
        path = "/" + rest[0].lstrip("/")
        if path in self.design.cells:
            raise RefusedError(f"[BD 5-216] there is a cell {path} already")
        if "-reference" in found:
            cell = self._module_cell(path, found["-reference"])
        elif found["-type"] == "hier":
            cell = Cell(path, "hier", Shape())
        else:
            cell = self._ip_cell(path, found["-vlnv"])
        self.design.cells[path] = cell
        return path

    def _module_cell(self, path: str, name: str) -> Cell:
        if name not in self.project.modules:
            raise RefusedError(f"[filemgmt 56-181] no source has the module {name}")
        file = self.project.modules[name]
        module = read_module(file, name)
        lacking = missing_modules(self.project.sources, self.library)
        if lacking:
            raise RefusedError(f"[Synth 8-439] module '{lacking[0]}' not found, for {path}")
        for other in self.project.sources:
            for inner in module_names(other):
                known = any_parameters(other, inner)
                for parameter in wrong_parameters(file, known):
                    raise RefusedError(
                        f"[Synth 8-7136] {inner} has no parameter {parameter} ({file})"
                    )
        values = dict(module.parameters)
        return Cell(path, "module", shape_of_module(module), values)

    def _ip_cell(self, path: str, vlnv: str) -> Cell:
        if vlnv in KNOWN:
            known = KNOWN[vlnv]
            return Cell(path, "ip", known.shape(known.values), dict(known.values), known.legal)
        if vlnv not in self.project.catalogue:
            raise RefusedError(f"[BD 5-390] IP definition not found for VLNV: {vlnv}")
        own = self.project.catalogue[vlnv]
        return Cell(path, "ip", own.shape, maps=own.maps)

    def create_bd_pin(self, *words: str) -> str:
        found, rest = options(words, ("-dir", "-type", "-from", "-to"))
        cell, _, name = rest[0].rpartition("/")
        self.design.cells[cell].shape.pins[name] = Pin(found["-dir"], found.get("-type", "data"))
        return rest[0]

    def create_bd_intf_pin(self, *words: str) -> str:
        found, rest = options(words, ("-mode", "-vlnv"))
        cell, _, name = rest[0].rpartition("/")
        protocol = {"axis_rtl": "AXIS", "aximm_rtl": "AXI4"}[found["-vlnv"].split(":")[2]]
        self.design.cells[cell].shape.buses[name] = Bus(found["-mode"], protocol)
        return rest[0]

    # ---- connecting --------------------------------------------------------------------------

    def connect_bd_net(self, *words: str) -> None:
        self.design.connect([end for word in words for end in self.interpreter.words(word)])

    def connect_bd_intf_net(self, *words: str) -> None:
        _, rest = options(words, ("-boundary_type",))
        ends = [end for word in rest for end in self.interpreter.words(word)]
        if len(ends) != 2:
            raise RefusedError(f"[BD 5-106] an interface net has two ends, not {ends}")
        self.design.connect_bus(*ends)

    def make_bd_pins_external(self, *words: str) -> list[str]:
        made = []
        for path in (each for word in words for each in self.interpreter.words(word)):
            pin = self.design.pin(path)
            port = self.design.free_port(path.rpartition("/")[2])
            self.design.ports[port] = Pin(pin.direction, pin.kind)  # type: ignore[union-attr]
            self.design.connect([path, port])
            made.append(port)
        return made

    def make_bd_intf_pins_external(self, *words: str) -> list[str]:
        made = []
        for path in (each for word in words for each in self.interpreter.words(word)):
            bus = self._leaf(path)
            port = self.design.free_port(path.rpartition("/")[2])
            self.design.bus_ports[port] = bus
            self.design.connect_bus(path, port)
            made.append(port)
        return made

    def _leaf(self, path: str) -> Bus:
        """The interface inside that one on the wall of a hierarchy stands for."""
        if self.design.is_hierarchy(path):
            inner = self.design.far_end(path)
            if inner is not None:
                path = inner
        bus = self.design.bus(path)
        if bus is None:
            raise RefusedError(f"[BD 5-235] no interface {path}")
        return bus

    # ---- finding -----------------------------------------------------------------------------

    def _find(self, kind: str, paths: list[str], words: tuple[str, ...]) -> list[str]:
        found, rest = options(
            words, ("-of_objects", "-of", "-filter", "-boundary_type"), ("-quiet", "-hierarchical")
        )
        of = found.get("-of_objects", found.get("-of"))
        if rest:
            patterns = ["/" + each.lstrip("/") for each in rest]
            paths = [p for p in paths if any(fnmatchcase(p, each) for each in patterns)]
        if of is not None:
            owners = self.interpreter.words(of)
            paths = [p for p in paths if any(self._belongs(p, owner) for owner in owners)]
        if "-filter" in found:
            paths = [
                p for p in paths if matches(found["-filter"], lambda n, p=p: self._value(p, n))
            ]
        if not paths and rest and "-quiet" not in found:
            raise RefusedError(f"[BD 5-235] No {kind} matched '{rest[0]}'")
        return paths

    def _belongs(self, path: str, owner: str) -> bool:
        if owner.startswith("net:"):
            return path in self.design.bus_nets[int(owner[4:])]
        return path.rpartition("/")[0] == owner

    def get_bd_cells(self, *words: str) -> list[str]:
        return self._find("cells", list(self.design.cells), words)

    def get_bd_pins(self, *words: str) -> list[str]:
        return self._find("pins", list(self.design.pins()), words)

    def get_bd_ports(self, *words: str) -> list[str]:
        return self._find("ports", list(self.design.ports), words)

    def get_bd_intf_pins(self, *words: str) -> list[str]:
        return self._find("interface pins", list(self.design.buses()), words)

    def get_bd_intf_ports(self, *words: str) -> list[str]:
        return self._find("interface ports", list(self.design.bus_ports), words)

    def get_bd_intf_nets(self, *words: str) -> list[str]:
        found, _ = options(words, ("-of_objects", "-of", "-boundary_type"), ("-quiet",))
        (end,) = self.interpreter.words(found.get("-of", found.get("-of_objects", "")))
        nets = [number for number, net in enumerate(self.design.bus_nets) if end in net]
        if found.get("-boundary_type") == "lower" and self.design.is_hierarchy(end):
            inside = end.rpartition("/")[0] + "/"
            nets = [
                n
                for n in nets
                if all(each == end or each.startswith(inside) for each in self.design.bus_nets[n])
            ]
        return [f"net:{number}" for number in nets]

    def get_bd_addr_segs(self, *words: str) -> list[str]:
        _, rest = options(words, (), ("-quiet",))
        pattern = "/" + rest[0].lstrip("/")
        segments = [
            f"{path}/{name}/Reg0" for path, cell in self.design.cells.items() for name in cell.maps
        ]
        if self.design.all_assigned:
            segments += self._outer_segments()
        found = [each for each in segments if fnmatchcase(each, pattern)]
        if not found:
            raise RefusedError(f"[BD 5-232] No address segments matched '{rest[0]}'")
        return found

    def _outer_segments(self) -> list[str]:
        """What masters of this design see of the memory outside."""
        found = []
        for port, bus in self.design.bus_ports.items():
            leaf = self.design.far_end(port)
            if bus.mode == "Master" and bus.protocol == "AXI4" and leaf is not None:
                cell, _, name = leaf.rpartition("/")
                found.append(f"{cell}/Data_{name}/SEG_{port[1:]}_Reg")
        return found

    def assign_bd_address(self, *words: str) -> None:
        found, rest = options(words, ("-offset", "-range"))
        if not rest:
            self.design.all_assigned = True
            return
        for segment in self.interpreter.words(rest[0]):
            size = int(found["-range"], 0)
            self.design.addresses[segment] = int(found["-offset"], 0), size

    # ---- checking and writing ----------------------------------------------------------------

    def apply_bd_automation(self, *words: str) -> None:
        found, rest = options(words, ("-rule", "-config"))
        rule = found["-rule"].rpartition(":")[2]
        if rule not in _RULES or not rest:
            raise RefusedError(f"[BD 5-106] no automation {found['-rule']}")

    def save_bd_design(self) -> None:
        path = self.project.bd_file(self.design.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}", encoding="utf-8")

    def validate_bd_design(self, *words: str) -> None:
        options(words, (), ("-force",))
        faults = self.design.faults()
        if faults:
            raise RefusedError("\nERROR: ".join(faults))

    def make_wrapper(self, *words: str) -> str:
        found, _ = options(words, ("-files", "-fileset"), ("-top", "-import"))
        (file,) = (Path(each) for each in self.interpreter.words(found["-files"]))
        wrapper = file.parent / "hdl" / f"{file.stem}_wrapper.v"
        wrapper.parent.mkdir(parents=True, exist_ok=True)
        wrapper.write_text(f"module {file.stem}_wrapper;\nendmodule\n", encoding="utf-8")
        return str(wrapper)

    # ---- properties --------------------------------------------------------------------------

    def set_property(self, *words: str) -> None:
        found, rest = options(words, ("-dict", "-name", "-value", "-objects"), ("-quiet",))
        if "-dict" in found:
            pairs = self.interpreter.words(found["-dict"])
            named = list(zip(pairs[::2], pairs[1::2], strict=True))
            targets = rest[0]
        elif "-name" in found:
            named, targets = [(found["-name"], found["-value"])], found["-objects"]
        else:
            named, targets = [(rest[0], rest[1])], rest[2] if len(rest) > 2 else ""
        objects = self.interpreter.words(targets)
        if not objects:
            raise RefusedError("[Common 17-55] 'set_property' expects at least one object.")
        for target in objects:
            for name, value in named:
                self._set(target, name, value)

    def _set(self, target: str, name: str, value: str) -> None:
        design = self.project.designs.get(self.project.current)
        if design is not None and target in design.cells and name.startswith("CONFIG."):
            self._configure(design, design.cells[target], name.removeprefix("CONFIG."), value)
        elif design is not None and target in {**design.ports, **design.bus_ports}:
            if name == "name":
                design.rename(target, f"/{value}")
            elif name == "CONFIG.FREQ_HZ" and target in design.ports and int(value) > 0:
                design.properties.setdefault(target, {})[name] = value
            else:
                raise RefusedError(f"[BD 41-737] {target} takes no {name} of {value}")
        else:
            self.project.set_own(target, name, value)

    def _configure(self, design: BlockDesign, cell: Cell, name: str, value: str) -> None:
        if cell.kind == "ip" and name not in cell.legal:
            raise RefusedError(f"[BD 41-737] {cell.path} has no parameter {name}")
        if cell.kind != "ip" and name not in cell.values:
            raise RefusedError(f"[BD 41-737] the module of {cell.path} has no parameter {name}")
        if cell.kind == "ip" and not cell.legal[name](value):
            raise RefusedError(f"[IP_Flow 19-3461] Value '{value}' is out of the range for {name}")
        cell.values[name] = value
        known = next((ip for ip in KNOWN.values() if ip.legal is cell.legal and ip.legal), None)
        if known is not None:
            cell.shape = known.shape(cell.values)

    def get_property(self, *words: str) -> str:
        _, rest = options(words, (), ("-quiet",))
        name, targets = rest[0], self.interpreter.words(rest[1])
        if len(targets) != 1:
            raise RefusedError(f"[Common 17-55] get_property {name} of {len(targets)} objects")
        return self._value(targets[0], name)

    def _value(self, target: str, name: str) -> str:
        design = self.project.designs.get(self.project.current)
        bus = None
        if design is not None:
            bus = design.bus_ports.get(target) or design.bus(target)
        if bus is not None:
            inner = bus if target in design.bus_ports else self._leaf(target)  # type: ignore[union-attr]
            return {
                "NAME": target.rpartition("/")[2],
                "MODE": bus.mode,
                "CONFIG.PROTOCOL": inner.protocol,
                # That of a pin on the wall of a hierarchy is empty: FINN's Tcl goes on inwards.
                "CONFIG.ADDR_WIDTH": "" if bus is not inner else str(bus.address_bits or ""),
            }[name]
        if design is not None and target in design.cells:
            return {"NAME": target[1:], **self._configured(design.cells[target])}[name]
        if design is not None and target in design.ports and name == "NAME":
            return target[1:]
        if name == "VLNV":
            return target
        if name == "DIRECTORY":
            return str(self.project.directory)
        key = name.lower() if name.lower() == "board_part_repo_paths" else name
        if target == "project":
            return self.project.properties.get((target, key), "")
        return self.project.properties[target, key]

    def _configured(self, cell: Cell) -> dict[str, str]:
        return {f"CONFIG.{name}": value for name, value in cell.values.items()}
