"""What the stand-in knows of the IP in Vivado's catalogue: pins, interfaces, parameters.

Pins and interfaces depend on parameters as in the product guides (PG059 AXI interconnect, PG247
SmartConnect, PG065 clocking wizard, PG164 processor system reset, PG201 and UG585 for the two
processing systems). IP of the user's is read from its component.xml.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from verilog import Module, Port

CLOCK = re.compile(r"^(?:.*_)?(?:a?clk(?:2x|\d|_in\d)?|ACLK|FCLK_CLK\d|aclk)$|sync_clk$|_ACLK$")
RESET = re.compile(r"(?:rst|rstn|rst_n|resetn|aresetn|ARESETN|reset_in)$")


@dataclass(frozen=True)
class Pin:
    """A scalar pin; ``kind`` is "clk", "rst" or "data"."""

    direction: str
    kind: str = "data"
    optional: bool = False


@dataclass(frozen=True)
class Bus:
    """A bus interface: ``protocol`` AXIS, AXI4 or AXI4LITE, or another that is not checked."""

    mode: str
    protocol: str
    bits: int = 0
    address_bits: int = 0
    optional: bool = False


@dataclass
class Shape:
    """What a cell has outside."""

    pins: dict[str, Pin] = field(default_factory=dict)
    buses: dict[str, Bus] = field(default_factory=dict)


Legal = Callable[[str], bool]


def one_of(*values: object) -> Legal:
    """A parameter with few values."""
    return lambda text: text in {str(value) for value in values}


def between(low: float, high: float) -> Legal:
    """A parameter that is a number."""

    def legal(text: str) -> bool:
        try:
            return low <= float(text) <= high
        except ValueError:
            return False

    return legal


@dataclass(frozen=True)
class Ip:
    """An IP of the catalogue: its parameters, what they are at first, and what follows of them."""

    legal: dict[str, Legal]
    values: dict[str, str]
    shape: Callable[[dict[str, str]], Shape]


def _interconnect(values: dict[str, str]) -> Shape:
    shape = Shape({"ACLK": Pin("I", "clk"), "ARESETN": Pin("I", "rst")})
    for letter, count, mode in (("S", "NUM_SI", "Slave"), ("M", "NUM_MI", "Master")):
        for number in range(int(values[count])):
            name = f"{letter}{number:02d}"
            shape.pins[f"{name}_ACLK"] = Pin("I", "clk")
            shape.pins[f"{name}_ARESETN"] = Pin("I", "rst")
            shape.buses[f"{name}_AXI"] = Bus(mode, "AXI4")
    return shape


def _smartconnect(values: dict[str, str]) -> Shape:
    shape = Shape({"aclk": Pin("I", "clk"), "aresetn": Pin("I", "rst")})
    for letter, count, mode in (("S", "NUM_SI", "Slave"), ("M", "NUM_MI", "Master")):
        for number in range(int(values[count])):
            shape.buses[f"{letter}{number:02d}_AXI"] = Bus(mode, "AXI4")
    return shape


def _clocking(values: dict[str, str]) -> Shape:
    shape = Shape({"clk_in1": Pin("I", "clk"), "clk_out1": Pin("O", "clk")})
    if values["USE_LOCKED"] == "true":
        shape.pins["locked"] = Pin("O")
    if values["USE_RESET"] == "true":
        shape.pins[values["RESET_PORT"]] = Pin("I", "rst")
    return shape


def _reset(_: dict[str, str]) -> Shape:
    pins = {
        "slowest_sync_clk": Pin("I", "clk"),
        "ext_reset_in": Pin("I", "rst"),
        "aux_reset_in": Pin("I", optional=True),
        "mb_debug_sys_rst": Pin("I", optional=True),
        "dcm_locked": Pin("I"),
    }
    for name in (
        "mb_reset", "bus_struct_reset", "peripheral_reset", "interconnect_aresetn",
        "peripheral_aresetn",
    ):  # fmt: skip
        pins[name] = Pin("O", "rst")
    return Shape(pins)


_PORTS_OF_US = {
    "PSU__USE__M_AXI_GP0": ("M_AXI_HPM0_FPD", "maxihpm0_fpd_aclk", "Master"),
    "PSU__USE__M_AXI_GP1": ("M_AXI_HPM1_FPD", "maxihpm1_fpd_aclk", "Master"),
    "PSU__USE__M_AXI_GP2": ("M_AXI_HPM0_LPD", "maxihpm0_lpd_aclk", "Master"),
    "PSU__USE__S_AXI_GP2": ("S_AXI_HP0_FPD", "saxihp0_fpd_aclk", "Slave"),
    "PSU__USE__S_AXI_GP3": ("S_AXI_HP1_FPD", "saxihp1_fpd_aclk", "Slave"),
}


def _ultrascale(values: dict[str, str]) -> Shape:
    shape = Shape({"pl_clk0": Pin("O", "clk"), "pl_resetn0": Pin("O", "rst")})
    for parameter, (bus, clock, mode) in _PORTS_OF_US.items():
        if values[parameter] == "1":
            shape.buses[bus] = Bus(mode, "AXI4")
            shape.pins[clock] = Pin("I", "clk")
    return shape


def _zynq7(values: dict[str, str]) -> Shape:
    shape = Shape({"FCLK_CLK0": Pin("O", "clk"), "FCLK_RESET0_N": Pin("O", "rst")})
    for parameter, bus, mode in (
        ("PCW_USE_M_AXI_GP0", "M_AXI_GP0", "Master"),
        ("PCW_USE_S_AXI_HP0", "S_AXI_HP0", "Slave"),
    ):
        if values[parameter] == "1":
            shape.buses[bus] = Bus(mode, "AXI4")
            shape.pins[f"{bus}_ACLK"] = Pin("I", "clk")
    for name in ("DDR", "FIXED_IO"):
        shape.buses[name] = Bus("Master", "other")
    return shape


_BIT = one_of(0, 1)
KNOWN: dict[str, Ip] = {
    "xilinx.com:ip:axi_interconnect:2.1": Ip(
        {"NUM_SI": between(1, 64), "NUM_MI": between(1, 64)},
        {"NUM_SI": "1", "NUM_MI": "2"},
        _interconnect,
    ),
    "xilinx.com:ip:smartconnect:1.0": Ip(
        {"NUM_SI": between(1, 16), "NUM_MI": between(1, 16)},
        {"NUM_SI": "2", "NUM_MI": "1"},
        _smartconnect,
    ),
    "xilinx.com:ip:clk_wiz:6.0": Ip(
        {
            "PRIM_IN_FREQ.VALUE_SRC": one_of("PROPAGATED", "USER"),
            "PRIM_SOURCE": one_of(
                "No_buffer", "Single_ended_clock_capable_pin", "Global_buffer",
                "Differential_clock_capable_pin",
            ),
            "PRIMITIVE": one_of("PLL", "MMCM", "Auto"),
            "CLKOUT1_REQUESTED_OUT_FREQ": between(4.688, 891),
            "USE_LOCKED": one_of("true", "false"),
            "USE_RESET": one_of("true", "false"),
            "RESET_TYPE": one_of("ACTIVE_LOW", "ACTIVE_HIGH"),
            "RESET_PORT": one_of("reset", "resetn"),
        },
        {"USE_LOCKED": "true", "USE_RESET": "true", "RESET_PORT": "reset"},
        _clocking,
    ),
    "xilinx.com:ip:proc_sys_reset:5.0": Ip({}, {}, _reset),
    "xilinx.com:ip:zynq_ultra_ps_e:3.4": Ip(
        dict.fromkeys(_PORTS_OF_US, _BIT)
        | {
            "PSU__OVERRIDE__BASIC_CLOCK": _BIT,
            "PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ": between(0.1, 1066),
        },
        # As the presets of the boards have them.
        dict.fromkeys(_PORTS_OF_US, "0") | {"PSU__USE__M_AXI_GP0": "1", "PSU__USE__M_AXI_GP1": "1"},
        _ultrascale,
    ),
    "xilinx.com:ip:processing_system7:5.5": Ip(
        {
            "PCW_USE_S_AXI_HP0": _BIT,
            "PCW_USE_M_AXI_GP0": _BIT,
            "PCW_FPGA0_PERIPHERAL_FREQMHZ": between(0.1, 250),
        },
        {"PCW_USE_S_AXI_HP0": "0", "PCW_USE_M_AXI_GP0": "1"},
        _zynq7,
    ),
}  # fmt: skip

# Inputs that the shell leaves at 0 on purpose: the end of a simulation.
_TIED = frozenset({"sim_finish"})


def shape_of_module(module: Module) -> Shape:
    """What Vivado infers from the names of a module's ports."""
    shape, ports = Shape(), {port.name: port for port in module.ports}
    streams = [name[: -len("_TVALID")] for name in ports if name.upper().endswith("_TVALID")]
    mapped = [name[: -len("_AWADDR")] for name in ports if name.upper().endswith("_AWADDR")]
    mapped += [
        name[: -len("_ARADDR")]
        for name in ports
        if name.upper().endswith("_ARADDR") and name[: -len("_ARADDR")] not in mapped
    ]
    taken: set[str] = set()
    for name in streams:
        taken |= _members(ports, name, "T")
        data = ports.get(f"{name}_TDATA") or ports.get(f"{name}_tdata")
        valid = ports.get(f"{name}_TVALID") or ports[f"{name}_tvalid"]
        mode = "Slave" if valid.direction == "input" else "Master"
        bits = data.width if data else 0
        shape.buses[name] = Bus(mode, "AXIS", bits, optional=_optional(name, module))
    for name in mapped:
        taken |= _members(ports, name, "")
        address = ports.get(f"{name}_AWADDR") or ports[f"{name}_ARADDR"]
        full = f"{name}_AWLEN" in ports or f"{name}_ARLEN" in ports
        shape.buses[name] = Bus(
            "Slave" if address.direction == "input" else "Master",
            "AXI4" if full else "AXI4LITE",
            ports[f"{name}_WDATA"].width,
            address.width,
            optional=_optional(name, module),
        )
    for port in module.ports:
        if port.name not in taken:
            shape.pins[port.name] = _pin(port)
    return shape


def _members(ports: dict[str, Port], name: str, first: str) -> set[str]:
    return {each for each in ports if re.match(rf"{name}_{first}[A-Z]+$", each, re.IGNORECASE)}


def _pin(port: Port) -> Pin:
    direction = {"input": "I", "output": "O", "inout": "IO"}[port.direction]
    kind = "clk" if CLOCK.search(port.name) else "rst" if RESET.search(port.name) else "data"
    return Pin(direction, kind, optional=direction == "O" or port.name in _TIED)


def _optional(bus: str, module: Module) -> bool:
    """Whether a module does not look at an interface, as its parameters are."""
    if bus == "s_axilite":
        return module.value("USE_AXILITE") == 0 or module.name.endswith("_memstream_wrapper")
    return bus in {"in1_V", "s_axis_0"} and (module.value("SETS") or 9) < 2


def read_component(path: Path) -> tuple[str, Shape] | None:
    """VLNV and shape of a packaged IP; None if the file is not of the stand-in's making."""
    match = re.search(r"<standin>(.*)</standin>", path.read_text(encoding="utf-8"))
    if match is None:
        return None
    data = json.loads(match[1])
    shape = Shape(
        {name: Pin(**each) for name, each in data["pins"].items()},
        {name: Bus(**each) for name, each in data["buses"].items()},
    )
    return data["vlnv"], shape


def component_text(vlnv: str, shape: Shape) -> str:
    """A component.xml that ``read_component`` reads, and in which FINN's Tcl finds file sets."""
    data = {
        "vlnv": vlnv,
        "pins": {name: vars(each) for name, each in shape.pins.items()},
        "buses": {name: vars(each) for name, each in shape.buses.items()},
    }
    return (
        f"<spirit:component>\n<standin>{json.dumps(data)}</standin>\n"
        "<spirit:fileSet>\n<xilinx:subCoreRef>\n</spirit:fileSet>\n"
        "<spirit:fileSet>\n<kept/>\n</spirit:fileSet>\n</spirit:component>\n"
    )
