"""What holds a network up: the path of waits that ends with its last beat."""

import numba
import numpy as np

from sdq_fpga.cost.timing.engine import (
    A_FIRE,
    A_IN0,
    A_IN1,
    A_OUT0,
    A_OUT1,
    A_STEPS,
    A_WHOLE,
    E_BASE,
    E_BEATS,
    E_DEPTH,
    E_FORWARD,
    E_INPUT,
    E_OUTPUT,
    E_SINK,
    E_SOURCE,
    E_WIRE,
    I_BEATS,
    I_BUFFER,
    I_BY_OUTPUT,
    I_EDGE,
    I_NEED,
    I_NEED_GROWTH,
    I_NEED_LEN,
    I_RELEASE,
    I_WAIT,
    I_WHOLE,
    O_BEATS,
    O_EDGE,
    O_LATENCY,
    O_RELEASE,
    OFFERED,
    READ,
    WRITTEN,
)

__all__ = ["full_fifos"]

FIRED = 3  # a step, beside the rows of the times of beats


# ruff: noqa: ANN001, ANN201, ANN202  # Numba infers types; all arrays hold integers
# mypy: disable-error-code="no-untyped-def,no-untyped-call,misc"
@numba.njit(cache=True)
def full_fifos(  # noqa: PLR0912, PLR0915  # one walk
    frames, until, actors, inputs, outputs, edges, tables, fire, beats
):
    """Walks back along what the last beat waited for.

    Args:
        frames: as of ``engine.run``, like all that follow but ``until``.
        until: cycle at which the walk ends, if it has met a full FIFO by then.
        actors: the network.
        inputs: the network.
        outputs: the network.
        edges: the network.
        tables: the network.
        fire: times.
        beats: times.

    Returns:
        For each edge, how often the walk met its FIFO full.
    """
    offered, written, read = beats[OFFERED], beats[WRITTEN], beats[READ]
    met = np.zeros(edges.shape[0], np.int64)
    found = False
    last = -1
    edge = -1
    for e in range(edges.shape[0]):
        if edges[e, E_SINK] < 0:
            m = edges[e, E_BASE] + edges[e, E_BEATS] * frames - 1
            if read[m] > last:
                last, edge = read[m], e
    # What is looked at: a beat that is read, one that is written, a step.
    kind, who, k = READ, edge, edges[edge, E_BEATS] * frames - 1
    while k >= 0:
        if kind == READ:
            base, i, a = edges[who, E_BASE], edges[who, E_INPUT], edges[who, E_SINK]
            t = np.int64(read[base + k])
            if t <= until and found:
                break
            wire = edges[who, E_WIRE] == 1
            came = offered[base + k] if wire else written[base + k] + edges[who, E_FORWARD]
            if a >= 0 and inputs[i, I_BUFFER] < 0:
                kind, who, k = FIRED, a, _step_at(a, t, frames, actors, fire)
            elif came == t and wire:
                kind, who, k = _giver(who, k, frames, actors, outputs, edges, fire, beats)
            elif came == t:
                kind = WRITTEN
            elif k > 0 and read[base + k - 1] + 1 == t:
                k -= 1
            else:
                eo = outputs[actors[a, A_OUT0], O_EDGE]
                new_frame = inputs[i, I_WHOLE] == 1 and k % inputs[i, I_BEATS] == 0
                last = outputs[actors[a, A_OUT0], O_BEATS] * (k // inputs[i, I_BEATS]) - 1
                if new_frame and written[edges[eo, E_BASE] + last] + 1 == t:
                    kind, who, k = WRITTEN, eo, last
                elif inputs[i, I_BY_OUTPUT] == 1:
                    kind, who = WRITTEN, eo
                    k = _beat_at(eo, t - inputs[i, I_RELEASE], frames, edges, written)
                else:
                    kind, who = FIRED, a
                    k = _step_at(a, t - inputs[i, I_RELEASE], frames, actors, fire)
        elif kind == WRITTEN:
            base, depth = edges[who, E_BASE], edges[who, E_DEPTH]
            t = np.int64(written[base + k])
            if edges[who, E_WIRE] == 1:
                kind = READ
            elif offered[base + k] == t:
                if edges[who, E_SOURCE] < 0:
                    break
                kind, who, k = _giver(who, k, frames, actors, outputs, edges, fire, beats)
            elif k > 0 and written[base + k - 1] + 1 == t:
                k -= 1
            else:
                met[who] += 1
                found = True
                kind, k = READ, k - depth
        else:
            t = np.int64(fire[actors[who, A_FIRE] + k])
            if t <= until and found:
                break
            if k == 0 or fire[actors[who, A_FIRE] + k - 1] + 1 == t:
                k -= 1
                continue
            kind, who, k = _wanted(
                who, k, t, frames, actors, inputs, outputs, edges, tables, fire, beats
            )
    return met


@numba.njit(cache=True)
def _wanted(a, k, t, frames, actors, inputs, outputs, edges, tables, fire, beats):
    """What step k of an actor, made at t, waited for last, if not for the step before it."""
    for i in range(actors[a, A_IN0], actors[a, A_IN1]):
        e, table, length = inputs[i, I_EDGE], inputs[i, I_NEED], inputs[i, I_NEED_LEN]
        m = k // length * inputs[i, I_NEED_GROWTH] + tables[table + k % length] - 1
        if m < 0:
            continue
        beat = edges[e, E_BASE] + m
        if inputs[i, I_BUFFER] >= 0:
            if beats[READ, beat] + inputs[i, I_WAIT] == t:
                return READ, e, m
        elif edges[e, E_WIRE] == 1:
            if beats[OFFERED, beat] == t:
                return _giver(e, m, frames, actors, outputs, edges, fire, beats)
        elif beats[WRITTEN, beat] + edges[e, E_FORWARD] == t:
            return WRITTEN, e, m
    # It waited for beats to leave: of the frame before, for room, or while steps are stopped.
    out0 = actors[a, A_OUT0]
    whole = actors[a, A_WHOLE] == 1 and k % actors[a, A_STEPS] == 0
    found = outputs[out0, O_EDGE], -1
    for o in range(out0, actors[a, A_OUT1]):
        e = outputs[o, O_EDGE]
        release = 1 if whole else outputs[o, O_RELEASE]
        m = _beat_at(e, t - release, frames, edges, beats[WRITTEN])
        if m >= 0 and (found[1] < 0 or beats[WRITTEN, edges[e, E_BASE] + m] == t - release):
            found = e, m
    return WRITTEN, *found


@numba.njit(cache=True)
def _last(times, t):
    """Index of the last of some ascending times that is not after t."""
    return np.searchsorted(times, t, side="right") - 1


@numba.njit(cache=True)
def _step_at(a, t, frames, actors, fire):
    first = actors[a, A_FIRE]
    return _last(fire[first : first + actors[a, A_STEPS] * frames], t)


@numba.njit(cache=True)
def _beat_at(e, t, frames, edges, times):
    first = edges[e, E_BASE]
    return _last(times[first : first + edges[e, E_BEATS] * frames], t)


@numba.njit(cache=True)
def _giver(e, m, frames, actors, outputs, edges, fire, beats):
    """The step that gave beat m of an edge."""
    a, o = edges[e, E_SOURCE], edges[e, E_OUTPUT]
    given = beats[OFFERED, edges[e, E_BASE] + m] - outputs[o, O_LATENCY]
    return FIRED, a, _step_at(a, given, frames, actors, fire)
