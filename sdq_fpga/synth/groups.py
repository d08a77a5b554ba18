"""A design in groups of its modules, which are mapped each for itself.

Yosys's mapping to LUTs looks at the whole design for each of its modules, so that its time grows
with the square of their number. A group is the design with black boxes in place of the modules of
other groups: it is mapped in a fraction of the time, and several at the same time.
"""

import re
from dataclasses import dataclass

from sdq_fpga.errors import StageError

__all__ = ["Group", "count_groups", "in_groups"]

# Reading the models of a family takes as long as mapping about as many modules.
_MODULES = 16
_HEAD = re.compile(r"^autoidx \d+\n", re.MULTILINE)
_PORT = re.compile(r"wire .*\b(input|output|inout)\b")


@dataclass(frozen=True)
class Group:
    """Some modules of a design.

    Attributes:
        modules: their names.
        text: the design as RTLIL, with all others as black boxes.
    """

    modules: tuple[str, ...]
    text: str


def count_groups(modules: int) -> int:
    """How many groups a number of modules is divided into, whatever the machine."""
    return -(-modules // _MODULES)


def in_groups(text: str, modules: list[str]) -> list[Group]:
    """Divides modules of a design into groups of about as much text each.

    Args:
        text: the design as RTLIL.
        modules: names of the modules to divide; others are in every group as they are.

    Raises:
        StageError: a module is not in the text.
    """
    found = _modules(text)
    if missing := [name for name in modules if f"\\{name}" not in found]:
        raise StageError(f"Yosys has lost module {missing[0]}", "report the design")
    names: list[list[str]] = [[] for _ in range(count_groups(len(modules)))]
    sizes = [0] * len(names)
    for name in sorted(modules, key=lambda each: -len(found[f"\\{each}"])):
        least = sizes.index(min(sizes))
        names[least].append(name)
        sizes[least] += len(found[f"\\{name}"])
    head = _HEAD.search(text)  # by which new names differ from those in the text
    groups = []
    for own in names:
        boxes = {f"\\{name}" for name in modules} - {f"\\{name}" for name in own}
        parts = [_black_box(part) if name in boxes else part for name, part in found.items()]
        groups.append(Group(tuple(own), "".join([head[0] if head else "", *parts])))
    return groups


def _modules(text: str) -> dict[str, str]:
    """The text of each module by its name, with the attributes before it."""
    found = {}
    for part in re.split(r"(?<=^end\n)", text, flags=re.MULTILINE):
        if name := re.search(r"^module (\S+)", part, re.MULTILINE):
            found[name[1]] = _HEAD.sub("", part)
    return found


def _black_box(module: str) -> str:
    lines = module.split("\n")
    kept = [line for line in lines if line.startswith("module ") or _PORT.match(line.strip())]
    return "\n".join(["attribute \\blackbox 1", *kept, "end", ""])
