"""What holds a network up: the path of waits that ends with its last beat."""

import numba
import numpy as np

from sdq_fpga.cost.timing.engine import (
    A_FIRE,
    A_IN0,
    A_OUT0,
    A_STEPS,
    BY_OUTPUT,
    E_BASE,
    E_BEATS,
    E_DEPTH,
    E_INPUT,
    E_OUTPUT,
    E_SINK,
    E_SOURCE,
    E_WIRE,
    FRAME,
    I_BUFFER,
    I_BY_OUTPUT,
    I_EDGE,
    I_NEED,
    I_NEED_GROWTH,
    I_NEED_LEN,
    I_RELEASE,
    O_EDGE,
    O_LATENCY,
    O_RELEASE,
    OFFERED,
    PREVIOUS,
    ROOM,
)

__all__ = ["full_fifos"]


# ruff: noqa: ANN001, ANN201, ANN202  # Numba infers types; all arrays hold integers
# mypy: disable-error-code="no-untyped-def,no-untyped-call,misc"
@numba.njit(cache=True)
def full_fifos(  # noqa: PLR0912, PLR0915  # one walk
    frames, until, actors, inputs, outputs, edges, tables, fire, offered, written, read, why_fire,
    why_written, why_read,
):  # fmt: skip
    """Walks back along what the last beat waited for.

    Args:
        frames: as of ``engine.run``, like all that follow but ``until``.
        until: cycle at which the walk ends.
        actors: the network.
        inputs: the network.
        outputs: the network.
        edges: the network.
        tables: the network.
        fire: times.
        offered: times.
        written: times.
        read: times.
        why_fire: what steps waited for.
        why_written: what beats waited for to go in.
        why_read: what beats waited for to come out.

    Returns:
        For each edge, how often the walk met its FIFO full.
    """
    met = np.zeros(edges.shape[0], np.int64)
    last = -1
    edge = -1
    for e in range(edges.shape[0]):
        if edges[e, E_SINK] < 0:
            m = edges[e, E_BASE] + edges[e, E_BEATS] * frames - 1
            if read[m] > last:
                last, edge = read[m], e
    # What is looked at: 0 a beat that is read, 1 one that is written, 2 a step.
    kind, who, k = 0, edge, edges[edge, E_BEATS] * frames - 1
    while k >= 0:
        if kind == 0:
            base = edges[who, E_BASE]
            if read[base + k] <= until:
                break
            i = edges[who, E_INPUT]
            a = edges[who, E_SINK]
            if a >= 0 and inputs[i, I_BUFFER] < 0:
                kind, who, k = 2, a, _at(fire, actors[a, A_FIRE], actors[a, A_STEPS] * frames,
                                         read[base + k])  # fmt: skip
                continue
            why = why_read[base + k]
            if why == PREVIOUS:
                k -= 1
            elif why == OFFERED:
                if edges[who, E_WIRE] == 1:
                    kind, who, k = _giver(edges, outputs, actors, fire, frames, who, offered, k)
                else:
                    kind = 1
            else:
                eo = outputs[actors[a, A_OUT0], O_EDGE]
                if why == FRAME or inputs[i, I_BY_OUTPUT] == 1:
                    release = 1 if why == FRAME else inputs[i, I_RELEASE]
                    kind, k = 1, _at(written, edges[eo, E_BASE], edges[eo, E_BEATS] * frames,
                                     read[base + k] - release)  # fmt: skip
                    who = eo
                else:
                    kind, k = 2, _at(fire, actors[a, A_FIRE], actors[a, A_STEPS] * frames,
                                     read[base + k] - inputs[i, I_RELEASE])  # fmt: skip
                    who = a
        elif kind == 1:
            base = edges[who, E_BASE]
            if edges[who, E_WIRE] == 1:
                kind = 0
            elif why_written[base + k] == PREVIOUS:
                k -= 1
            elif why_written[base + k] == ROOM:
                met[who] += 1
                kind, k = 0, k - edges[who, E_DEPTH]
            elif edges[who, E_SOURCE] < 0:
                break
            else:
                kind, who, k = _giver(edges, outputs, actors, fire, frames, who, offered, k)
        else:
            fire0 = actors[who, A_FIRE]
            t, why = fire[fire0 + k], why_fire[fire0 + k]
            if t <= until:
                break
            if why == PREVIOUS:
                k -= 1
            elif why == FRAME or why >= BY_OUTPUT:
                o = actors[who, A_OUT0] + (0 if why == FRAME else why - BY_OUTPUT)
                e = outputs[o, O_EDGE]
                release = 1 if why == FRAME else outputs[o, O_RELEASE]
                kind, k = 1, _at(written, edges[e, E_BASE], edges[e, E_BEATS] * frames, t - release)
                who = e
            else:
                i = actors[who, A_IN0] + why
                e = inputs[i, I_EDGE]
                table = inputs[i, I_NEED]
                length = inputs[i, I_NEED_LEN]
                need = (k // length) * inputs[i, I_NEED_GROWTH] + tables[table + k % length]
                if inputs[i, I_BUFFER] >= 0:
                    kind, who, k = 0, e, need - 1
                elif edges[e, E_WIRE] == 1:
                    kind, who, k = _giver(edges, outputs, actors, fire, frames, e, offered,
                                          need - 1)  # fmt: skip
                else:
                    kind, who, k = 1, e, need - 1
    return met


@numba.njit(cache=True)
def _at(times, base, count, t):
    """Index of the last of ``count`` ascending times that is not after t."""
    low, high = -1, count - 1
    while low < high:
        middle = (low + high + 1) // 2
        if times[base + middle] <= t:
            low = middle
        else:
            high = middle - 1
    return low


@numba.njit(cache=True)
def _giver(edges, outputs, actors, fire, frames, e, offered, m):
    """The step that gave beat m of an edge."""
    a, o = edges[e, E_SOURCE], edges[e, E_OUTPUT]
    given = offered[edges[e, E_BASE] + m] - outputs[o, O_LATENCY]
    return 2, a, _at(fire, actors[a, A_FIRE], actors[a, A_STEPS] * frames, given)
