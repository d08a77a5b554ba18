"""What stands between nodes: converters and FIFOs, whose cost depends on both sides' folding."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sdq_fpga.board import DspGeneration
from sdq_fpga.cost.folding.cycles import node_cycles
from sdq_fpga.cost.folding.figures import RESOURCES
from sdq_fpga.cost.node import HardwareNode
from sdq_fpga.cost.ports import Port
from sdq_fpga.cost.resources import node_resources
from sdq_fpga.cost.streams import converter, fifo

__all__ = ["Between", "Edge"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Edge:
    """A stream between two nodes, mostly of two stages, or between one and the outside.

    Attributes:
        source: number of the stage that gives it, None for an input of the network.
        sink: number of the stage that takes it, None for an output; it may be the same.
        port: what goes through, of any width.
        given: for each choice of the source, values in a beat.
        taken: for each choice of the sink, likewise.
    """

    source: int | None
    sink: int | None
    port: Port
    given: tuple[int, ...] = ()
    taken: tuple[int, ...] = ()


class Between:
    """What stands on edges, by their kind and widths: the same is asked for many times.

    Args:
        dsp: DSP slices of the board.
    """

    def __init__(self, dsp: DspGeneration) -> None:
        self._dsp = dsp
        self._fifos: dict[int, Floats] = {}
        self._converters: dict[tuple[int, int], Floats] = {}

    def of(self, port: Port, given: int, taken: int) -> tuple[Floats, int]:
        """What stands where values go from ``given`` in a beat to ``taken`` in a beat.

        Returns:
            [resources] in order of ``RESOURCES``, and cycles of a frame.
        """
        have, wanted = replace(port, elements=given), replace(port, elements=taken)
        wide = have if given > taken else wanted
        if wide.width not in self._fifos:
            self._fifos[wide.width] = self._amounts(fifo("fifo", "in", wide, ""))
        amounts = self._fifos[wide.width]
        if given == taken:
            return amounts, wide.beats
        between = converter("dwc", "in", have, wanted, "")
        key = have.width, wanted.width
        if key not in self._converters:
            self._converters[key] = self._amounts(between)
        return amounts + self._converters[key], max(wide.beats, node_cycles(between))

    def _amounts(self, node: HardwareNode) -> Floats:
        found = node_resources(node, self._dsp)
        return np.array([getattr(found, name) for name in RESOURCES], np.float64)
