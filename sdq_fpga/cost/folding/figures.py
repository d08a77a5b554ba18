"""What a folding of a network is: parallelism, cycles and resources of every node."""

from collections.abc import Mapping

from pydantic import Field

from sdq_fpga.board import Board
from sdq_fpga.plain import Plain

__all__ = ["USABLE_SHARE", "FoldedNode", "Folding", "Resources"]

USABLE_SHARE = 0.8  # of each resource; the rest is for the shell and for routing


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


class FoldedNode(Plain):
    """One node of the folded graph; ``pe`` and ``simd`` are 1 where the node has none.

    Attributes:
        layer: name of the node in the QONNX model that it comes from.
    """

    name: str
    op: str
    layer: str = ""
    pe: int
    simd: int
    cycles: int
    resources: Resources


class Folding(Plain):
    """The folding of a whole network.

    Attributes:
        interval: cycles between frames of the slowest node.
        bottleneck: name of that node.
        bound: nodes within the budget can have no shorter interval; 0 where nobody asked.
        prices: by resource, how many cycles of interval one more unit of it would save.
    """

    nodes: tuple[FoldedNode, ...]
    interval: int
    bottleneck: str
    resources: Resources
    bound: int = 0
    prices: Mapping[str, float] = Field(default_factory=dict)

    def over_budget(self, board: Board) -> list[str]:
        """Names of the resources of which more is needed than the board can give."""
        return [
            f"{name} ({getattr(self.resources, name)} of {int(budget * USABLE_SHARE)} usable)"
            for name, budget in board.budget.model_dump().items()
            if getattr(self.resources, name) > budget * USABLE_SHARE
        ]
