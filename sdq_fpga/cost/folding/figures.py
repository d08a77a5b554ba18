"""What a folding of a network is: parallelism, cycles and resources of every node."""

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from sdq_fpga.board import Board, Budget
from sdq_fpga.errors import UserError
from sdq_fpga.plain import Plain

__all__ = [
    "RESOURCES",
    "USABLE_SHARE",
    "FoldedNode",
    "Folding",
    "Resources",
    "Shares",
    "parse_shares",
    "usable",
]

USABLE_SHARE = 0.8
"""What may be used of a resource of which nobody says more; the rest is for routing."""

RESOURCES = ("lut", "ff", "bram18", "uram", "dsp")
"""Names of the resources, in the order in which arrays have them."""

Shares = Mapping[str, Annotated[float, Field(ge=0, le=1)]]
"""By resource, what may be used of it, from 0 to 1."""

_SHARE = re.compile(r"(\w+)=(\d+(?:\.\d+)?)%")


def parse_shares(text: str) -> dict[str, float]:
    """Reads shares of a board such as "dsp=40%,lut=50%".

    Raises:
        UserError: it says something else, there is no such resource, or one is there twice.
    """
    found: dict[str, float] = {}
    for part in text.split(","):
        match = _SHARE.fullmatch(part.strip())
        if match is None or match[1] not in Budget.model_fields or float(match[2]) > 100:
            raise UserError(
                f"'{part}' is no share of a board",
                f"write such as dsp=40%,lut=50%, of {', '.join(Budget.model_fields)}",
            )
        if match[1] in found:
            raise UserError(f"'{text}' states {match[1]} twice", "leave one of them out")
        found[match[1]] = float(match[2]) / 100
    return found


def usable(board: Board, shares: Shares) -> dict[str, int]:
    """How much of each resource of a board may be used: its share, but not what the shell takes."""
    whole, room = board.budget.model_dump().items(), board.room
    share = {name: int(amount * shares.get(name, USABLE_SHARE)) for name, amount in whole}
    return {name: min(amount, room[name]) for name, amount in share.items()}


class Resources(Plain):
    """Resources of a node or a design.

    Attributes:
        lut: look-up tables.
        bram18: block RAMs of 18 kbit.
        uram: UltraRAMs.
        dsp: DSP slices.
        ff: flip-flops; 0 also where nobody has estimated them.
    """

    lut: int
    bram18: int
    uram: int
    dsp: int
    ff: int = 0

    def __add__(self, other: "Resources") -> "Resources":
        return Resources(
            lut=self.lut + other.lut,
            bram18=self.bram18 + other.bram18,
            uram=self.uram + other.uram,
            dsp=self.dsp + other.dsp,
            ff=self.ff + other.ff,
        )

    def over(self, limits: Mapping[str, int]) -> list[str]:
        """Says which of them are more than may be used, by name, and how much that is."""
        return [
            f"{name} ({getattr(self, name)} of {most} usable)"
            for name, most in limits.items()
            if getattr(self, name) > most
        ]


class FoldedNode(Plain):
    """One node of the folded graph; ``pe`` and ``simd`` are 1 where the node has none.

    Attributes:
        layer: name of the node in the QONNX model that it comes from.
        memory: what its weights are kept in: "distributed", "block" or "ultra"; "" where it keeps
            none, or nobody has decided.
        weight_bits: of its weights; 0 if it has none.
        input_bits: of what it multiplies them with; 0 if it has none.
    """

    name: str
    op: str
    layer: str = ""
    memory: str = ""
    weight_bits: int = 0
    input_bits: int = 0
    pe: int
    simd: int
    cycles: int
    resources: Resources


class Folding(Plain):
    """The folding of a whole network.

    Attributes:
        interval: cycles between frames of the slowest node.
        bottleneck: name of that node.
        bound: no folding within the budget has a shorter interval; 0 where nobody asked.
        gap: by how much, relatively, what it takes may exceed the least at this interval, as of
            ``Solution``; None where no bound is known.
        prices: by resource, how many cycles of interval one more unit of it would save.
    """

    nodes: tuple[FoldedNode, ...]
    interval: int
    bottleneck: str
    resources: Resources
    bound: int = 0
    gap: float | None = None
    prices: Mapping[str, float] = Field(default_factory=dict)
