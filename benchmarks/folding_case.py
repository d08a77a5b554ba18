"""One network on one board: its foldings, and the lines of the table that they come to."""

import copy
import math
from dataclasses import dataclass

from finn.util.basic import getHWCustomOp
from finn_folding import slowest
from qonnx.core.modelwrapper import ModelWrapper

from sdq_fpga.board import Board, Budget
from sdq_fpga.cost.folding import USABLE_SHARE, Resources
from sdq_fpga.cost.node import HardwareNode
from sdq_fpga.cost.resources import node_resources
from sdq_fpga.cost.timing.schedule import Pipeline
from sdq_fpga.errors import UserError
from sdq_fpga.lower.describe import describe, describe_node
from sdq_fpga.lower.folding import fold
from sdq_fpga.progress import SilentProgress

__all__ = ["NAMES", "RESOURCES", "Case", "Missing", "Row"]

RESOURCES = ("lut", "ff", "dsp", "bram18", "uram")
NAMES = {"lut": "LUT", "ff": "FF", "dsp": "DSP", "bram18": "BRAM18", "uram": "URAM"}
_FRAMES = 3
_ROUNDS = 6  # in which the budget asked for is brought to what is kept


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        whose: whose folding it is, and what budget it had.
        interval: cycles between frames, by the timing model, with FIFOs of any depth.
        found: resources with width converters, FIFOs of the least depth.
        budget: what it could have taken; None for a hand-made one.
        bottleneck: slowest node, in words.
        ratio: our frames/s over theirs, in our rows.
        why: why we are not ahead, where we are not.
    """

    network: str
    board: str
    bits: str
    whose: str
    clock_mhz: float
    interval: float
    found: Resources
    budget: Resources
    bottleneck: str
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


@dataclass(frozen=True)
class Missing:
    """A line of the table for which there is no folding, and why."""

    network: str
    board: str
    bits: str
    whose: str
    clock_mhz: float
    why: str


@dataclass(frozen=True)
class Case:
    """One network on one board.

    Attributes:
        model: hardware graph before folding.
        thresholds: its nodes of thresholds, described, by name: tables take long to look at.
    """

    title: str
    bits: tuple[int, int]
    board: Board
    clock_mhz: float
    model: ModelWrapper
    thresholds: dict[str, HardwareNode]

    @classmethod
    def of(
        cls,
        title: str,
        bits: tuple[int, int],
        board: Board,
        clock_mhz: float,
        model: ModelWrapper,
    ) -> "Case":
        """The case of a hardware graph before folding."""
        thresholds = {
            node.name: describe_node(model, node)
            for node in model.get_nodes_by_op_type("Thresholding_rtl")
        }
        return cls(title, bits, board, clock_mhz, model, thresholds)

    def resources(self, folded: ModelWrapper) -> Resources:
        """Resources of all nodes of a folded graph, by the fitted model."""
        total = Resources(lut=0, bram18=0, uram=0, dsp=0)
        for node in folded.graph.node:
            if node.name in self.thresholds:
                pe = int(getHWCustomOp(node).get_nodeattr("PE"))
                described = self.thresholds[node.name].with_attributes({"PE": pe})
            else:
                described = describe_node(folded, node)
            total += node_resources(described, self.board.dsp)
        return total

    def row(self, whose: str, folded: ModelWrapper, budget: Resources) -> Row:
        """Times a graph that has its width converters and FIFOs, and counts its resources."""
        pipeline = Pipeline(describe(folded))
        timed = pipeline.time(dict.fromkeys(pipeline.widths(), 0), frames=_FRAMES)
        return Row(
            *self._labels(whose),
            interval=timed.interval,
            found=self.resources(folded),
            budget=budget,
            bottleneck=_bottleneck(folded),
        )

    def missing(self, whose: str, why: str) -> Missing:
        """The line for which there is no folding."""
        return Missing(*self._labels(whose), why)

    def _labels(self, whose: str) -> tuple[str, str, str, str, float]:
        bits = "/".join(map(str, self.bits))
        return self.title, self.board.name, bits, whose, self.clock_mhz

    def usable(self) -> Resources:
        """What of the board may be taken."""
        budget = self.board.budget
        return Resources(**{name: int(getattr(budget, name) * USABLE_SHARE) for name in RESOURCES})

    def ours(self, budget: Resources, fps: float | None = None) -> ModelWrapper:
        """Our folding, with width converters and FIFOs.

        The folding prices nodes alone. Where it takes too much with converters, or by the fitted
        model, it is asked to take less.

        Raises:
            UserError: nothing fits the budget.
        """
        asked = {name: float(getattr(budget, name)) for name in RESOURCES}
        for _ in range(_ROUNDS):
            folded, _ = fold(
                copy.deepcopy(self.model),
                self._with_budget(asked),
                self.clock_mhz,
                fps,
                SilentProgress(),
            )
            found = self.resources(folded)
            over = [name for name in RESOURCES if getattr(found, name) > getattr(budget, name)]
            if not over:
                return folded
            for name in over:
                asked[name] *= 0.99 * getattr(budget, name) / getattr(found, name)
        said = ", ".join(f"{getattr(found, name)} {NAMES[name]}" for name in over)
        raise UserError(
            f"{self.title} on {self.board.name}: our folding takes {said}, more than its budget, "
            f"also after {_ROUNDS} rounds",
            "look at what it is priced with",
        )

    def _with_budget(self, usable: dict[str, float]) -> Board:
        """The board, with as much more that the usable share of it is the budget."""
        whole = {
            name: max(name != "uram", math.ceil(amount / USABLE_SHARE))
            for name, amount in usable.items()
        }
        return self.board.model_copy(update={"budget": Budget(**whole)})


def _bottleneck(folded: ModelWrapper) -> str:
    return str(max(folded.graph.node, key=lambda node: slowest(folded, {node.name})).name)
