"""The clock that a design may reach: a fitted, conservative model of its longest path.

For each type of node, the longest paths of nodes that Yosys has mapped were found, with delays of
cells and an assumed delay of nets, as picoseconds of a 7-series part of the slowest grade
(``sdq_fpga.synth.paths``). ``cost.clock_fit`` fits them; here they are predicted from attributes.
Every node is taken to have a FIFO or a converter on either side, as it has in a design. Where
Vivado has found less than that (``cost.clock_measured``), all delays of that family are longer.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field

from sdq_fpga.cost.node import HardwareNode
from sdq_fpga.cost.placement import Part
from sdq_fpga.cost.ports import input_ports, output_ports
from sdq_fpga.errors import StageError
from sdq_fpga.plain import Plain

__all__ = [
    "ClockLimit",
    "ClockModel",
    "PathFit",
    "clock_limit",
    "clock_terms",
    "clocked_family",
    "grade_scale",
    "node_mhz",
    "read_clock_model",
    "terms_mhz",
]

_DATA = Path(__file__).parent / "data" / "clock.json"
_PS = 1e6  # of a period of 1 MHz
_UNCERTAINTY = 200.0  # ps of skew and jitter, of a 7-series part

# Greatest frequencies in MHz: of the global clock tree (BUFG) of -1 parts in DS189 (Spartan-7,
# Table 32) and DS925 (Zynq UltraScale+), which relate the families; of a DSP slice with all
# registers in DS925, which relate the grades of UltraScale+; and of BUFG of -2 parts in DS189.
_TREE_7, _TREE_7_FAST, _TREE_UP = 464.0, 628.0, 667.0
_SLICE_UP: Mapping[str, float] = {"3": 891.0, "2": 775.0, "1": 645.0, "2LV": 644.0, "1LV": 600.0}
_GRADE = re.compile(r"-([123])(LV)?")
_ULTRASCALE = re.compile(r"xc([kv]u\d+p|au\d|zu\d|k\d|u\d)")


class PathFit(Plain):
    """The fit of one type of node.

    Attributes:
        terms: picoseconds of each term (``clock_terms``), none of them negative.
        margin: what is added: by as much a node was beyond a fit that had not seen it.
        nodes: that it was fitted on.
        held_out: nodes that it was not fitted on.
        held_out_slower: those of them with a longer path than predicted.
        over: mean of predicted / found - 1, over all of them.
    """

    terms: dict[str, float]
    margin: float = Field(ge=0)
    nodes: int
    held_out: int
    held_out_slower: int
    over: float


class ClockModel(Plain):
    """A fitted model.

    Attributes:
        schema_version: of this file.
        tool: the synthesis that it was fitted on, with its version.
        seeds: of the random nodes.
        parts: by type of node.
        measured: by family of parts, what delays are multiplied by, because a design that was
            placed and routed is slower than ``parts`` alone would have it.
    """

    schema_version: Literal[1] = 1
    tool: str
    seeds: tuple[int, ...]
    parts: dict[str, PathFit]
    measured: dict[Part, float] = Field(default_factory=dict)


class ClockLimit(Plain):
    """What limits the clock of a design.

    Attributes:
        mhz: the clock that all nodes reach.
        node: the one with the longest path.
        layer: that it belongs to.
        op: its type.
    """

    mhz: float
    node: str
    layer: str
    op: str


@cache
def read_clock_model(path: Path = _DATA) -> ClockModel:
    """Reads a fitted model.

    Raises:
        UserError: it is no such file.
        StageError: it can't be read.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StageError(f"{path} can't be read ({error})", "fit the model again") from error
    return ClockModel.from_data(data, str(path))


def clock_terms(node: HardwareNode) -> dict[str, float]:
    """What the longest path of a node is explained by.

    Carry chains grow with bits, counters with the logarithm of beats, multiplexers, trees and the
    fan-out of control with that of what is done at once or kept.
    """
    ports = (*input_ports(node), *output_ports(node))
    return {
        "constant": 1.0,
        "bits": float(max(port.bits for port in ports)),
        "at once": math.log2(max(port.elements for port in ports)),
        "beats": math.log2(max(port.beats for port in ports)),
        "word": math.log2(max(port.width for port in ports)),
        "depth": math.log2(max(1, node.integer("depth", 1))),
        "taps": math.log2(max(1, node.integer("SIMD", 1))),
    }


def clocked_family(part: str) -> Part:
    """The family whose delays a part is taken to have; what is not known counts as 7 series."""
    return "xcup" if _ULTRASCALE.match(part) else "xc7"


def grade_scale(part: str) -> float:
    """Delays of a part, as a share of those of a 7-series part of the slowest grade.

    A grade that is not known, or not in the data sheets that were at hand, counts as the next
    slower one; so do all families but UltraScale+ and the 7 series, as the latter.

    Args:
        part: full part number.
    """
    match = _GRADE.search(part)
    grade, low = (match[1], match[2] or "") if match else ("1", "")
    if clocked_family(part) == "xcup":
        slices = _SLICE_UP.get(f"{grade}{low}", _SLICE_UP["1LV"])
        return _TREE_7 / _TREE_UP * _SLICE_UP["1"] / slices
    return 1.0 if grade == "1" else _TREE_7 / _TREE_7_FAST


def node_mhz(node: HardwareNode, part: str, model: ClockModel | None = None) -> float:
    """The clock that a node may reach.

    Args:
        node: as it is folded.
        part: full part number.
        model: a fitted model; None for the one that ships.

    Raises:
        StageError: nothing is known of nodes of that type.
    """
    model = model or read_clock_model()
    if node.op not in model.parts:
        raise StageError(
            f"there is no clock model of {node.op} ('{node.name}')", "report the network"
        )
    return terms_mhz(node.op, clock_terms(node), part, model)


def terms_mhz(op: str, terms: Mapping[str, float], part: str, model: ClockModel) -> float:
    """The clock that a node may reach, by what its path is explained by.

    Args:
        op: its type, one that the model has.
        terms: as of ``clock_terms``.
        part: full part number.
        model: a fitted model.
    """
    fit = model.parts[op]
    path = sum(fit.terms.get(name, 0.0) * amount for name, amount in terms.items())
    scale = grade_scale(part) * model.measured.get(clocked_family(part), 1.0)
    return _PS / ((path + fit.margin + _UNCERTAINTY) * scale)


def clock_limit(
    nodes: Iterable[HardwareNode], part: str, model: ClockModel | None = None
) -> ClockLimit:
    """The node that limits the clock of a design, and by how much; arguments as of ``node_mhz``."""
    model = model or read_clock_model()
    slowest, mhz = min(
        ((node, node_mhz(node, part, model)) for node in nodes), key=lambda each: each[1]
    )
    return ClockLimit(mhz=mhz, node=slowest.name, layer=slowest.layer, op=slowest.op)
