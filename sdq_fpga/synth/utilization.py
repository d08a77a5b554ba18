"""Reads Vivado's utilization reports, for a resource model that is fitted on Vivado.

The report of ``report_utilization -hierarchical`` has a table in which each row is an instance,
indented by two spaces for each level below the top module. What one node takes is the row of its
instance; a design whose instances are dissolved (``-flatten_hierarchy full``) has no such rows.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from sdq_fpga.cost.measured import Amounts, MeasuredNode
from sdq_fpga.cost.node import HardwareNode
from sdq_fpga.errors import StageError

__all__ = ["measured_nodes", "read_utilization"]

_INDENT = 2  # spaces a level
# Columns by what they are; older and newer versions call some of them differently.
_COLUMNS = {
    "lut": ("Total LUTs", "CLB LUTs", "Slice LUTs"),
    "ff": ("FFs", "CLB Registers", "Slice Registers", "Registers"),
    "bram36": ("RAMB36", "RAMB36/FIFO"),
    "bram18": ("RAMB18",),
    "uram": ("URAM",),
    "dsp": ("DSP Blocks", "DSP48 Blocks", "DSPs", "DSP Slices"),
}
_OPTIONAL = frozenset({"uram"})  # parts of the 7 series have none
_NUMBER = re.compile(r"(\d+)(?:\([^)]*%\))?")  # "180(0.08%)" with -hierarchical_percentages
# How our top module and FINN's block design call the instance of a node, and how ours calls that of
# the memory that streams its weights; FINN's has it within the node's.
_NODE, _MEMORY = ("{}_inst", "{}"), "{}_memory"


def read_utilization(text: str, source: str = "the report") -> dict[str, Amounts]:
    """Reads the table of a hierarchical utilization report.

    Args:
        text: the whole report.
        source: where it is from, for errors.

    Returns:
        What each instance takes with all that is below it, by its path from the top module, such
        as "top/MVAU_rtl_0_inst".

    Raises:
        StageError: there is no such table, a column is missing, or a cell is no number.
    """
    rows = [line for line in text.splitlines() if line.lstrip().startswith("|")]
    heads = [number for number, row in enumerate(rows) if _cells(row)[:2] == ["Instance", "Module"]]
    if not heads:
        raise StageError(
            f"{source} has no table of instances", "make it with report_utilization -hierarchical"
        )
    head = _cells(rows[heads[0]])
    columns = _columns(head, source)
    found: dict[str, Amounts] = {}
    path: list[str] = []
    for row in rows[heads[0] + 1 :]:
        cells = _cells(row)
        if len(cells) != len(head):
            break
        indented = row.split("|")[1].removeprefix(" ").rstrip()
        name = indented.lstrip()
        # A row in brackets is the logic of an instance itself, without those below.
        if name.startswith("("):
            continue
        level = (len(indented) - len(name)) // _INDENT
        path[level:] = [name]
        numbers = {kind: _number(cells[at], name, source) for kind, at in columns.items()}
        found["/".join(path)] = Amounts(
            lut=numbers["lut"],
            ff=numbers["ff"],
            dsp=numbers["dsp"],
            bram18=2 * numbers["bram36"] + numbers["bram18"],
            uram=numbers.get("uram", 0),
        )
    return found


def measured_nodes(
    nodes: Sequence[HardwareNode], report: Path, top: str | None, origin: str
) -> list[MeasuredNode]:
    """Puts together the nodes of a graph and what Vivado found for them.

    Args:
        nodes: of the graph that was synthesised.
        report: the hierarchical utilization report.
        top: path of the instance that has those of the nodes; None for the one that has most.
        origin: what to call the design.

    Raises:
        StageError: the report can't be read, or has no row for a node.
    """
    try:
        text = report.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StageError(f"{report} can't be read ({error})", "give a readable file") from error
    found = read_utilization(text, str(report))
    above = _top(found, nodes, report) if top is None else top
    return [_measured(node, found, above, origin, report) for node in nodes]


def _top(found: Mapping[str, Amounts], nodes: Sequence[HardwareNode], report: Path) -> str:
    """The instance that has most of the nodes, and of several the one nearest to the top."""
    names = {form.format(node.name) for node in nodes for form in _NODE}
    below = Counter(
        above
        for above, _, name in (path.rpartition("/") for path in sorted(found, key=len))
        if above and name in names
    )
    if not below:
        raise StageError(
            f"{report} has no row for any node of the run",
            "give the report of this run's design, synthesised with its hierarchy kept",
        )
    return below.most_common(1)[0][0]


def _measured(
    node: HardwareNode, found: Mapping[str, Amounts], top: str, origin: str, report: Path
) -> MeasuredNode:
    paths = [f"{top}/{form.format(node.name)}" for form in _NODE]
    own = next((found[path] for path in paths if path in found), None)
    if own is None:
        raise StageError(
            f"{report} has no row for {node.name} below {top}",
            "keep the hierarchy: synthesise with -flatten_hierarchy none",
        )
    return MeasuredNode.of(origin, node, own, found.get(f"{top}/{_MEMORY.format(node.name)}"))


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip().strip("|").split("|")]


def _columns(head: list[str], source: str) -> dict[str, int]:
    columns = {}
    for kind, names in _COLUMNS.items():
        at = [number for number, name in enumerate(head) if name in names]
        if at:
            columns[kind] = at[0]
        elif kind not in _OPTIONAL:
            raise StageError(
                f"{source} has no column {' or '.join(names)}", "report the version of Vivado"
            )
    return columns


def _number(cell: str, instance: str, source: str) -> int:
    match = _NUMBER.fullmatch(cell)
    if match is None:
        raise StageError(f"{source} says '{cell}' for {instance}", "report the version of Vivado")
    return int(match[1])
