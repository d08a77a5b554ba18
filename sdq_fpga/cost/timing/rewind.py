"""Goes back, in times that are computed, to where other depths of FIFOs begin to matter.

What comes earlier stays as it is, and is not computed again: each time follows from earlier ones.
"""

import numpy as np
import numpy.typing as npt

from sdq_fpga.cost.timing import engine

__all__ = ["first_change", "rewind"]

Integers = npt.NDArray[np.int64]
Times = npt.NDArray[np.int32]

_NEVER = np.iinfo(np.int32).max


def first_change(before: Integers, after: Integers, beats: Times) -> int:
    """First cycle in which something may happen at another time than before.

    Args:
        before: [edges, 14] of ``engine.run``, as the times of beats were computed.
        after: the same network with FIFOs of other depths.
        beats: [3, beats of all frames], the times.

    Returns:
        The cycle; beyond all times if nothing changes.
    """
    memory = [engine.E_DEPTH, engine.E_FORWARD]
    unlike = (before[:, memory] != after[:, memory]).any(axis=1)
    return min(
        (_change(before[e], after[e], beats) for e in np.flatnonzero(unlike)), default=_NEVER
    )


def _change(before: Integers, after: Integers, beats: Times) -> int:
    base, come = int(before[engine.E_BASE]), int(before[engine.E_WRITTEN])
    offered, written, read = beats[:, base : base + come]
    if not come:
        return _NEVER
    if before[engine.E_FORWARD] != after[engine.E_FORWARD]:
        return int(written[0])
    old, new = int(before[engine.E_DEPTH]), int(after[engine.E_DEPTH])
    if old and (new > old or not new):
        # A beat that waited for room would have come at once.
        soonest = offered.copy()
        soonest[1:] = np.maximum(soonest[1:], written[:-1] + 1)
        return _first(soonest, written > soonest)
    gone = min(int(before[engine.E_READ]), max(0, come - new))
    late = np.ones(max(0, come - new), np.bool_)  # of what is not read, there is no end
    late[:gone] = read[:gone] >= written[new : new + gone]
    return _first(written[new:], late)


def _first(times: Times, where: npt.NDArray[np.bool_]) -> int:
    found = int(np.argmax(where)) if len(where) else 0
    return int(times[found]) if len(where) and where[found] else _NEVER


def rewind(
    until: int,
    frames: int,
    known: tuple[Integers, Integers],
    network: tuple[Integers, Integers, Integers, Integers],
    tables: Times,
    fire: Times,
    beats: Times,
) -> None:
    """Brings a network that nothing has happened in to where all before a cycle has.

    Args:
        until: the cycle.
        frames: what belongs to later ones has not happened.
        known: actors and edges, as of ``engine.run``, when the times were computed.
        network: actors, inputs, outputs and edges, of which what changes is set.
        tables: all tables of counts.
        fire: times of steps.
        beats: times of beats.
    """
    cycle = np.int32(min(until, _NEVER))
    actors, inputs, outputs, edges = network
    old_actors, old_edges = known
    for e, row in enumerate(edges):
        base, most = int(row[engine.E_BASE]), int(row[engine.E_BEATS]) * frames
        for time, column in ((engine.WRITTEN, engine.E_WRITTEN), (engine.READ, engine.E_READ)):
            times = beats[time, base : base + min(most, int(old_edges[e, column]))]
            row[column] = np.searchsorted(times, cycle)
        if row[engine.E_SINK] < 0 and not row[engine.E_WIRE]:
            row[engine.E_READ] = row[engine.E_WRITTEN]  # both are set at once
    for a, row in enumerate(actors):
        base, most = int(row[engine.A_FIRE]), int(row[engine.A_STEPS]) * frames
        times = fire[base : base + min(most, int(old_actors[a, engine.A_FIRED]))]
        fired = row[engine.A_FIRED] = int(np.searchsorted(times, cycle))
        for each in inputs[row[engine.A_IN0] : row[engine.A_IN1]]:
            count = each[engine.I_NEED : engine.I_NEED + 3]
            each[engine.I_NEED_AT], each[engine.I_NEED_SUM] = _at(fired, count)
            each[engine.I_NEXT] = _count(fired, count, tables)
        for each in outputs[row[engine.A_OUT0] : row[engine.A_OUT1]]:
            count = each[engine.O_GIVES : engine.O_GIVES + 3]
            each[engine.O_GIVES_AT], each[engine.O_GIVES_SUM] = _at(fired, count)
            each[engine.O_NEXT] = _count(fired, count, tables)
            given = _count(fired - 1, count, tables) if fired else 0
            edges[each[engine.O_EDGE], engine.E_OFFERED] = given


def _at(step: int, count: Integers) -> tuple[int, int]:
    """Place in its table, and sum before it, of a count after a step."""
    _, length, growth = map(int, count)
    return step % length, step // length * growth


def _count(step: int, count: Integers, tables: Times) -> int:
    at, before = _at(step, count)
    return before + int(tables[int(count[0]) + at])
