"""One network on one board: its foldings, and the lines of the table that they come to."""

import math
from dataclasses import dataclass

from qonnx.core.modelwrapper import ModelWrapper

from sdq_fpga.board import Board, Budget, ShellTakes
from sdq_fpga.cost.cycles import node_cycles
from sdq_fpga.cost.folding import USABLE_SHARE, Resources
from sdq_fpga.cost.folding.solve import Solution, solve
from sdq_fpga.cost.node import HardwareGraph
from sdq_fpga.cost.resources import node_resources
from sdq_fpga.cost.streams import FIFO
from sdq_fpga.cost.timing.schedule import Pipeline
from sdq_fpga.plain import Plain

__all__ = ["NAMES", "RESOURCES", "Case", "Missing", "Row", "Rows"]

RESOURCES = ("lut", "ff", "dsp", "bram18", "uram")
NAMES = {"lut": "LUT", "ff": "FF", "dsp": "DSP", "bram18": "BRAM18", "uram": "URAM"}
_FRAMES = 3


class Row(Plain):
    """One line of the table.

    Attributes:
        whose: whose folding it is, and what budget it had.
        interval: cycles between frames, by the timing model, with FIFOs of any depth.
        found: resources with width converters, FIFOs of the least depth.
        budget: what it could have taken; of a hand-made one, what the board has to give.
        bottleneck: name of the slowest node.
        seconds: in which it was folded; 0 for a hand-made one.
        ratio: our frames/s over theirs, in our rows.
        why: why we are not ahead, where we are not.
    """

    network: str
    board: str
    bits: str
    clock_mhz: float
    whose: str
    interval: float
    found: Resources
    budget: Resources
    bottleneck: str
    seconds: float = 0.0
    ratio: float | None = None
    why: str = ""

    @property
    def fps(self) -> float:
        """Frames per second."""
        return self.clock_mhz * 1e6 / self.interval

    def limit(self) -> tuple[str, float]:
        """The resource of which it takes the largest share of its budget, and the share."""
        shares = {
            name: getattr(self.found, name) / getattr(self.budget, name)
            for name in RESOURCES
            if getattr(self.budget, name)
        }
        return max(shares.items(), key=lambda each: each[1])


class Missing(Plain):
    """A line of the table for which there is no folding, and why."""

    network: str
    board: str
    bits: str
    clock_mhz: float
    whose: str
    why: str


class Rows(Plain):
    """The lines of one comparison, as they are kept."""

    rows: tuple[Row | Missing, ...]


@dataclass(frozen=True)
class Case:
    """One network on one board.

    Attributes:
        model: FINN's graph before folding.
        graph: the same as plain nodes, the memory of their weights as in the published design.
    """

    title: str
    bits: tuple[int, int]
    board: Board
    clock_mhz: float
    model: ModelWrapper
    graph: HardwareGraph

    def resources(self, graph: HardwareGraph) -> Resources:
        """Resources of all nodes, by the fitted model."""
        none = Resources(lut=0, bram18=0, uram=0, dsp=0)
        return sum((node_resources(node, self.board.dsp) for node in graph.nodes), none)

    def row(
        self, whose: str, folded: HardwareGraph, budget: Resources, seconds: float = 0.0
    ) -> Row:
        """Times a graph that has its width converters and FIFOs, and counts its resources."""
        pipeline = Pipeline(folded)
        timed = pipeline.time(dict.fromkeys(pipeline.fifos, 0), frames=_FRAMES)
        return Row(
            network=self.title,
            board=self.board.name,
            bits=self._bits(),
            clock_mhz=self.clock_mhz,
            whose=whose,
            interval=timed.interval,
            found=self.resources(folded),
            budget=budget,
            bottleneck=max((n for n in folded.nodes if n.op != FIFO), key=node_cycles).name,
            seconds=seconds,
        )

    def missing(self, whose: str, why: str) -> Missing:
        """The line for which there is no folding."""
        return Missing(
            network=self.title,
            board=self.board.name,
            bits=self._bits(),
            clock_mhz=self.clock_mhz,
            whose=whose,
            why=why,
        )

    def _bits(self) -> str:
        return "/".join(map(str, self.bits))

    def usable(self) -> Resources:
        """What of the board may be taken."""
        budget = self.board.budget
        return Resources(**{name: int(getattr(budget, name) * USABLE_SHARE) for name in RESOURCES})

    def ours(self, budget: Resources, fps: float | None = None) -> Solution:
        """Our folding within a budget.

        Raises:
            UserError: nothing fits the budget, or reaches the rate.
        """
        return solve(self.graph, self._with_budget(budget), self.clock_mhz, fps, {})

    def _with_budget(self, usable: Resources) -> Board:
        """The board without a shell, of which the usable share is the budget."""
        whole = {
            name: max(name != "uram", math.ceil(getattr(usable, name) / USABLE_SHARE))
            for name in RESOURCES
        }
        return self.board.model_copy(
            update={"budget": Budget(**whole), "shell_takes": ShellTakes()}
        )
