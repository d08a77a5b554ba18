"""Actors: what the timing model knows of a node.

An actor makes a fixed number of steps for each frame, at most one in a cycle. A step may need beats
of its inputs, and may give beats on its outputs. Data play no part: no node of the RTL library has
a timing that depends on them.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Actor", "Cumulative", "Input", "Latch", "Lock", "Output", "Places", "every_step"]

Counts = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Cumulative:
    """A count that grows with the steps: after step k it is ``(k // P) * growth + table[k % P]``.

    Attributes:
        table: counts within the first P steps, not decreasing.
        growth: by how much the count grows in P steps.
    """

    table: Counts
    growth: int

    @classmethod
    def of(cls, table: npt.ArrayLike, growth: int) -> "Cumulative":
        """From anything that NumPy takes for a table."""
        return cls(np.ascontiguousarray(table, dtype=np.int32), growth)


def every_step() -> Cumulative:
    """One more with each step."""
    return Cumulative.of([1], 1)


@dataclass(frozen=True)
class Input:
    """An input stream of an actor.

    Attributes:
        beats: of a frame.
        need: beats that must have come in for step k, its own included.
        buffer: beats that are kept inside, in which case beats come in when there is room; None if
            a beat comes in just when its step is made.
        free: beats whose room is free after step k; for a buffer only.
        wait: cycles from a beat's coming in to the step that needs it, for a buffer.
        release: cycles from the step that frees room to the beat that takes it.
        whole_frames: whether the first beat of a frame waits for the last output beat, and the
            last input beat, of the frame before.
        freed_by_output: whether room is freed when the output beat of step k leaves, rather than
            when it is made; only where every step gives one beat of the first output.
    """

    beats: int
    need: Cumulative
    buffer: int | None = None
    free: Cumulative | None = None
    wait: int = 0
    release: int = 0
    whole_frames: bool = False
    freed_by_output: bool = False


@dataclass(frozen=True)
class Places:
    """Backpressure by credit: a step that gives a beat needs a place for it.

    Attributes:
        count: places for beats that have not left.
        release: cycles from a beat's leaving to the step that takes its place.
    """

    count: int
    release: int


@dataclass(frozen=True)
class Lock:
    """Backpressure that stops all steps while a beat is offered, until the cycle it leaves in."""


@dataclass(frozen=True)
class Latch:
    """Backpressure that stops all steps when a beat has to queue up, until the queue is empty.

    Behind the pipeline is a queue, and a register at the output, whose beat is the one offered. A
    beat that finds the register held up closes the latch from the next cycle on; beats that are in
    the pipeline still come, and the latch opens when all but the last have left.
    """


@dataclass(frozen=True)
class Output:
    """An output stream of an actor.

    Attributes:
        beats: of a frame.
        gives: beats given up to step k, its own included.
        latency: cycles from the step to the beat's being offered.
        pressure: how steps wait for beats to leave.
    """

    beats: int
    gives: Cumulative
    latency: int
    pressure: Places | Lock | Latch


@dataclass(frozen=True)
class Actor:
    """A node, as the timing model sees it.

    Attributes:
        name: of the node.
        steps: for each frame.
        inputs: in order of the node's streams.
        outputs: likewise.
        whole_frames: whether the first step of a frame waits for the last output beat of the frame
            before to leave.
        ready: first cycle in which a step can be made, after a reset; inputs give from cycle 0 on.
    """

    name: str
    steps: int
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    whole_frames: bool = False
    ready: int = 0
