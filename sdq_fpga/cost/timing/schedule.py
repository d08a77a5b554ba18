"""Times of all beats of a network, with FIFOs of given depths."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sdq_fpga.cost.fifo import asked_style, fifo_memory
from sdq_fpga.cost.node import HardwareGraph, HardwareNode
from sdq_fpga.cost.streams import FIFO
from sdq_fpga.cost.timing import engine
from sdq_fpga.cost.timing.actor import Cumulative, Latch, Lock, Places
from sdq_fpga.cost.timing.critical import full_fifos
from sdq_fpga.cost.timing.nodes import actor_of
from sdq_fpga.cost.timing.rewind import first_change, rewind
from sdq_fpga.errors import StageError

__all__ = ["Pipeline", "Schedule", "StuckError"]

_NO_LIMIT_FORWARD = 2  # cycles from a beat's entering a FIFO to its being offered

Integers = npt.NDArray[np.int64]


class StuckError(StageError):
    """A network whose FIFOs are too shallow for anything to come out.

    Attributes:
        fifos: names of those that are full, each because its reader waits for another stream.
    """

    def __init__(self, fifos: tuple[str, ...]) -> None:
        super().__init__(f"nothing moves any more: {', '.join(fifos)} full", "make them deeper")
        self.fifos = fifos


@dataclass(frozen=True)
class Schedule:
    """When frames pass.

    Attributes:
        interval: cycles between frames in steady state.
        latency: cycles from the first beat of the first frame's going in to its last output beat.
        peaks: greatest number of beats in each FIFO, by name.
        full: the FIFOs that held the last frames up by being full, and how often.
        first_in: cycle in which the first beat of each frame goes in.
        last_out: cycle in which the last beat of each frame comes out.
    """

    interval: float
    latency: int
    peaks: Mapping[str, int]
    full: Mapping[str, int]
    first_in: tuple[int, ...]
    last_out: tuple[int, ...]


@dataclass
class _Edge:
    name: str
    beats: int
    source: int = -1
    sink: int = -1
    input: int = -1
    output: int = -1
    wire: bool = True
    depth: int = 0
    bits: int = 0
    width: int = 0
    ram_style: str = "auto"


@dataclass(frozen=True)
class _Known:
    """How far times were computed, of which steps and beats."""

    gap: int
    actors: Integers
    edges: Integers


class Pipeline:
    """A network, ready to be timed with any depths of its FIFOs.

    Args:
        graph: with its FIFOs, as ``sdq_fpga.cost.streams`` inserts them.
        ultra: whether the part has UltraRAM: what FIFOs of other depths would be made of.

    Attributes:
        graph: the same.
        actors: of its nodes without FIFOs, in the same order.
        fifos: numbers of their edges, by name.

    Raises:
        StageError: a node's timing is not known.
    """

    def __init__(self, graph: HardwareGraph, *, ultra: bool = True) -> None:
        self.graph = graph
        self._ultra = ultra
        self._tables: list[npt.NDArray[np.int32]] = []
        self._table_at: dict[bytes, int] = {}
        # Times, which a large network has many of, and what of them is known.
        self._most_frames = 0
        self._fire = np.empty(0, np.int32)
        self._beats = np.empty((3, 0), np.int32)
        self._known: _Known | None = None
        self._table_size = 0
        self._edges: list[_Edge] = []
        self._edge_of: dict[str, int] = {}
        self.fifos: dict[str, int] = {}
        nodes = [node for node in graph.nodes if node.op != FIFO]
        self.actors = [actor_of(node) for node in nodes]
        self._join(graph, nodes)
        self._lay_out(nodes)

    # ---- construction -----------------------------------------------------------------------

    def _join(self, graph: HardwareGraph, nodes: list[HardwareNode]) -> None:
        """Makes an edge of each stream, or of two with a FIFO between them."""
        into = {node.inputs[0]: node for node in graph.nodes if node.op == FIFO}
        for node, actor in zip(nodes, self.actors, strict=True):
            for stream, port in zip(node.outputs, actor.outputs, strict=True):
                self._edge(stream, port.beats, into)
        for stream in graph.inputs:
            reader = next(
                (actor.inputs[node.inputs.index(name)].beats, name)
                for name in (into[stream].outputs[0] if stream in into else stream,)
                for node, actor in zip(nodes, self.actors, strict=True)
                if name in node.inputs
            )
            self._edge(stream, reader[0], into)

    def _edge(self, stream: str, beats: int, into: Mapping[str, HardwareNode]) -> None:
        edge = _Edge(stream, beats)
        self._edge_of[stream] = len(self._edges)
        if stream in into:
            fifo = into[stream]
            edge.wire = False
            edge.depth = fifo.integer("depth")
            bits = fifo.integers("folded_shape")[-1] * fifo.bits("dataType")
            edge.bits = bits
            edge.width = bits + -bits % 8  # FINN's wrapper has whole bytes
            edge.ram_style = fifo.text("ram_style")
            self._edge_of[fifo.outputs[0]] = len(self._edges)
            self.fifos[fifo.name] = len(self._edges)
        self._edges.append(edge)

    def _table(self, counts: Cumulative) -> tuple[int, int, int]:
        """Where a table is, its length and its growth; equal ones are kept once."""
        key = counts.table.tobytes()
        if key not in self._table_at:
            self._table_at[key] = self._table_size
            self._tables.append(counts.table)
            self._table_size += len(counts.table)
        return self._table_at[key], len(counts.table), counts.growth

    def _lay_out(self, nodes: list[HardwareNode]) -> None:
        actors: list[tuple[int, ...]] = []
        inputs: list[tuple[int, ...]] = []
        outputs: list[tuple[int, ...]] = []
        for index, (node, actor) in enumerate(zip(nodes, self.actors, strict=True)):
            in0, out0 = len(inputs), len(outputs)
            for stream, taken in zip(node.inputs, actor.inputs, strict=True):
                edge = self._edge_of[stream]
                self._edges[edge].sink = index
                self._edges[edge].input = len(inputs)
                self._check(node, stream, self._edges[edge].beats, taken.beats)
                free = taken.free or taken.need
                buffer = -1 if taken.buffer is None else taken.buffer
                inputs.append(
                    (
                        edge,
                        taken.beats,
                        *self._table(taken.need),
                        buffer,
                        *self._table(free),
                        taken.wait,
                        taken.release,
                        taken.whole_frames,
                        taken.freed_by_output,
                        taken.need.table[0],
                        *(0, 0, 0, 0, 0),
                    )
                )
            for stream, given in zip(node.outputs, actor.outputs, strict=True):
                edge = self._edge_of[stream]
                self._edges[edge].source = index
                self._edges[edge].output = len(outputs)
                match given.pressure:
                    case Places(count, release):
                        pressure = count, release
                    case Lock():
                        pressure = engine.LOCK, 0
                    case Latch():
                        pressure = engine.LATCH, 2
                outputs.append(
                    (
                        edge,
                        given.beats,
                        *self._table(given.gives),
                        given.latency,
                        *pressure,
                        given.gives.table[0],
                        *(0, 0, -1, -1, engine.NEVER),
                    )
                )
            ends = in0, len(inputs), out0, len(outputs)
            actors.append((actor.steps, *ends, actor.whole_frames, 0, actor.ready))
        self._inputs = np.array(inputs, np.int64)
        self._outputs = np.array(outputs, np.int64)
        self._counts = np.concatenate(self._tables)
        self._actors = np.array(actors, np.int64)

    @staticmethod
    def _check(node: HardwareNode, stream: str, have: int, want: int) -> None:
        if have != want:
            raise StageError(
                f"{node.op} '{node.name}' of layer '{node.layer}' takes {want} beats a frame of "
                f"stream '{stream}', which has {have}",
                "report the network",
            )

    # ---- timing -----------------------------------------------------------------------------

    def widths(self) -> dict[str, int]:
        """Bits of a word of each FIFO, by name."""
        return {name: self._edges[edge].bits for name, edge in self.fifos.items()}

    def make_room(self, frames: int) -> None:
        """Keeps room for the times of some frames at least.

        Of what is computed for fewer, nothing is lost then; where the room must grow, all is.

        Args:
            frames: how many.
        """
        if frames <= self._most_frames:
            return
        steps = frames * sum(actor.steps for actor in self.actors)
        self._most_frames, self._known = frames, None
        self._fire = np.empty(steps, np.int32)
        self._beats = np.empty((3, frames * sum(edge.beats for edge in self._edges)), np.int32)

    def time(self, depths: Mapping[str, int], *, frames: int = 4, gap: int = 0) -> Schedule:
        """Times some frames.

        Args:
            depths: of FIFOs, by name; 0 for no limit. Those that are not named keep theirs.
            frames: how many, at least 2.
            gap: least cycles between the first beats of two frames.

        Raises:
            StuckError: a FIFO is so shallow that nothing moves any more.
        """
        self.make_room(frames)
        edges, actors = self._edge_rows(depths), self._actor_rows()
        inputs, outputs = self._inputs.copy(), self._outputs.copy()
        if self._known is not None and self._known.gap == gap:
            # Of what was computed last, keep what these depths leave as it is.
            known = self._known.actors, self._known.edges
            until = first_change(self._known.edges, edges, self._beats)
            network = actors, inputs, outputs, edges
            rewind(until, frames, known, network, self._counts, self._fire, self._beats)
        fire, beats = self._fire, self._beats
        everything = actors, inputs, outputs, edges, self._counts, fire, beats
        may_go = np.ones(len(actors), np.bool_)
        ended = engine.run(frames, gap, *everything, may_go)
        self._known = _Known(gap, actors, edges)
        if ended == engine.DEADLOCK:
            raise StuckError(self._stuck(actors[:, engine.A_WAITS]))
        first = np.full(frames, np.iinfo(np.int64).max)
        last = np.zeros(frames, np.int64)
        for edge, row in zip(self._edges, edges, strict=True):
            here = slice(int(row[engine.E_BASE]), int(row[engine.E_BASE]) + edge.beats * frames)
            _, written, read = beats[:, here].reshape(3, frames, -1)
            if edge.source < 0:
                first = np.minimum(first, written[:, 0])
            if edge.sink < 0:
                last = np.maximum(last, read[:, -1])
        peaks = engine.peaks(frames, edges, beats)
        half = frames // 2
        met = full_fifos(frames, last[half - 1], *everything)
        return Schedule(
            interval=float(last[-1] - last[half - 1]) / (frames - half),
            latency=int(last[0] - first[0]) + 1,
            peaks={name: int(peaks[edge]) for name, edge in self.fifos.items()},
            full={name: int(met[edge]) for name, edge in self.fifos.items() if met[edge]},
            first_in=tuple(int(each) for each in first),
            last_out=tuple(int(each) for each in last),
        )

    def _stuck(self, waits: Integers) -> tuple[str, ...]:
        """Follows who waits for whom, from a stuck actor until one comes again."""
        names = {edge: name for name, edge in self.fifos.items()}
        actor = int(np.flatnonzero(waits < len(self._edges))[0])
        seen: dict[int, int] = {}
        path: list[str | None] = []
        while actor not in seen:
            seen[actor] = len(path)
            wait = int(waits[actor])
            if wait >= 0:
                path.append(None)
                actor = self._edges[wait].source
            else:
                path.append(names.get(-1 - wait))
                actor = self._edges[-1 - wait].sink
        return tuple(name for name in path[seen[actor] :] if name is not None)

    def _edge_rows(self, depths: Mapping[str, int]) -> Integers:
        given = {self.fifos[name]: depth for name, depth in depths.items()}
        rows, base = [], 0
        for index, edge in enumerate(self._edges):
            # A wire to a port is like a FIFO without a limit that delays nothing.
            port = edge.source < 0 or edge.sink < 0
            memory = (0, 0)
            if not edge.wire:
                depth, style = edge.depth, edge.ram_style
                if index in given:
                    depth = given[index]
                    style = asked_style(depth, ultra=self._ultra)
                memory = self._memory(edge.width, depth, style)
            rows.append(
                (
                    base,
                    edge.beats,
                    *memory,
                    edge.source,
                    edge.sink,
                    edge.wire and not port,
                    edge.input,
                    edge.output,
                    *(0, 0, 0, 0, 0),
                )
            )
            base += edge.beats * self._most_frames
        return np.array(rows, np.int64)

    @staticmethod
    def _memory(width: int, depth: int, style: str) -> tuple[int, int]:
        """Capacity and forward latency of a FIFO; no limit for depth 0."""
        if depth == 0:
            return 0, _NO_LIMIT_FORWARD
        memory = fifo_memory(depth, width, style)
        return memory.capacity, memory.forward

    def _actor_rows(self) -> Integers:
        rows = np.zeros((len(self.actors), engine.A_WAITS + 1), np.int64)
        rows[:, : len(self._actors[0])] = self._actors
        steps = rows[:, engine.A_STEPS] * self._most_frames
        rows[:, engine.A_FIRE] = np.cumsum(steps) - steps
        return rows
