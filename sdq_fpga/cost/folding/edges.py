"""What stands between nodes: converters and FIFOs, whose cost depends on both sides' folding."""

import math
from dataclasses import dataclass, replace

import numpy as np

from sdq_fpga.board import DspGeneration
from sdq_fpga.cost.cycles import converter_cycles
from sdq_fpga.cost.folding.figures import RESOURCES
from sdq_fpga.cost.folding.relaxed import Floats, Integers
from sdq_fpga.cost.node import HardwareNode
from sdq_fpga.cost.ports import Port
from sdq_fpga.cost.resources import node_resources
from sdq_fpga.cost.streams import converter, divides, fifo

__all__ = ["Edge", "Own", "Stream", "Wires"]


@dataclass(frozen=True, eq=False)
class Edge:
    """A stream between two nodes, mostly of two stages, or between one and the outside.

    Attributes:
        source: number of the stage that gives it, None for an input of the network.
        sink: number of the stage that takes it, None for an output; it may be the same.
        port: what goes through, of any width.
        given: [choices of the source] values in a beat; None for an input of the network.
        taken: [choices of the sink] likewise; None for an output.
    """

    source: int | None
    sink: int | None
    port: Port
    given: Integers | None = None
    taken: Integers | None = None


@dataclass(frozen=True, eq=False)
class Own:
    """A stage with the streams that are its own; equal ones are one.

    Attributes:
        amounts: [choices, resources].
        cycles: [choices] of the slowest node.
        kinds: [choices] number of the kind.
        widths: [kinds, streams to other stages] values in a beat.
        fill: as of the stage.
    """

    amounts: Floats
    cycles: Integers
    kinds: Integers
    widths: Integers
    fill: float


@dataclass(frozen=True, eq=False)
class Stream:
    """What stands on a stream, by the widths on its sides; equal ones are one.

    Attributes:
        amounts: [kinds of the source, kinds of the sink, resources].
        cycles: [kinds of the source, kinds of the sink] of the slowest of what stands there.
    """

    amounts: Floats
    cycles: Integers


class Wires:
    """What stands on edges, by their kind and widths: the same is asked for many times.

    Args:
        dsp: DSP slices of the board.

    Attributes:
        own: stages with the streams that are their own, by these; see ``Wiring``.
    """

    def __init__(self, dsp: DspGeneration) -> None:
        self.own: dict[object, Own] = {}
        self._dsp = dsp
        self._fifos: dict[int, Floats] = {}
        self._converters: dict[tuple[int, int], Floats] = {}
        self._streams: dict[object, Stream] = {}

    def of(self, port: Port, given: int, taken: int) -> tuple[Floats, int]:
        """What stands where values go from ``given`` in a beat to ``taken`` in a beat.

        Returns:
            [resources] in order of ``RESOURCES``, and cycles of a frame.
        """
        values, bits, wide = math.prod(port.shape), port.bits, max(given, taken)
        amounts, beats = self._fifo(port, wide), values // wide
        if given == taken:
            return amounts, beats
        if not divides(given, taken):
            amounts = amounts + self._fifo(port, min(given, taken))
        key = given * bits, taken * bits
        if key not in self._converters:
            have, wanted = replace(port, elements=given), replace(port, elements=taken)
            self._converters[key] = self._amounts(converter("dwc", "in", have, wanted, ""))
        return amounts + self._converters[key], max(beats, converter_cycles(values * bits, *key))

    def _fifo(self, port: Port, elements: int) -> Floats:
        width = elements * port.bits
        if width not in self._fifos:
            through = replace(port, elements=elements)
            self._fifos[width] = self._amounts(fifo("fifo", "in", through, ""))
        return self._fifos[width]

    def between(self, port: Port, given: Integers, taken: Integers) -> Stream:
        """What stands between two stages.

        Args:
            port: what goes through, of any width.
            given: [kinds of the source] values in a beat.
            taken: [kinds of the sink] likewise.
        """
        key = port.datatype, port.shape, given.tobytes(), taken.tobytes()
        if key not in self._streams:
            gives, from_given = np.unique(given, return_inverse=True)
            takes, from_taken = np.unique(taken, return_inverse=True)
            found = [[self.of(port, g, t) for t in takes.tolist()] for g in gives.tolist()]
            here = np.ix_(from_given.reshape(-1), from_taken.reshape(-1))
            amounts = np.array([[each for each, _ in row] for row in found])
            cycles = np.array([[each for _, each in row] for row in found], np.int64)
            self._streams[key] = Stream(amounts[here], cycles[here])
        return self._streams[key]

    def along(self, port: Port, given: Integers, taken: Integers) -> tuple[Floats, Integers]:
        """What stands on a stream whose sides belong to one stage.

        Args:
            port: what goes through, of any width.
            given: [choices] values in a beat.
            taken: [choices] likewise.

        Returns:
            [choices, resources], and [choices] cycles.
        """
        pairs, back = np.unique(np.stack([given, taken], axis=1), axis=0, return_inverse=True)
        found = [self.of(port, g, t) for g, t in pairs.tolist()]
        back = back.reshape(-1)
        amounts, cycles = (np.array([each[k] for each in found]) for k in (0, 1))
        return amounts[back], cycles[back]

    def _amounts(self, node: HardwareNode) -> Floats:
        found = node_resources(node, self._dsp)
        return np.array([getattr(found, name) for name in RESOURCES], np.float64)
