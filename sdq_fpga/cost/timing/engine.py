"""The engine of the timing model: times of all beats, from what each must wait for.

All arrays are flat. A time is known once all that it waits for is known, so no clock is simulated:
each actor goes on until it meets a time that is not known yet, and is visited again when one of its
neighbours has gone on. With each time goes what it waited for last, for
``sdq_fpga.cost.timing.critical``.
"""

import numba
import numpy as np

__all__ = ["DEADLOCK", "DONE", "LATCH", "LOCK", "peaks", "run"]

DONE, DEADLOCK = 0, 1

# What a step, or a beat, waited for last: the step or beat before it; a beat's being offered; room;
# the frame before. Steps that waited for an input have its number, for an output BY_OUTPUT more.
PREVIOUS, OFFERED, ROOM, FRAME = -1, -2, -3, -4
BY_OUTPUT = 64

# In the column O_PLACES: what there is instead of places; see sdq_fpga.cost.timing.actor.
LOCK, LATCH = 0, -1
_NEVER = 2**62

# Columns of the tables of integers that describe actors, inputs, outputs and edges.
A_STEPS, A_IN0, A_IN1, A_OUT0, A_OUT1, A_WHOLE, A_FIRE, A_READY = range(8)
(
    I_EDGE, I_BEATS, I_NEED, I_NEED_LEN, I_NEED_GROWTH, I_BUFFER, I_FREE, I_FREE_LEN,
    I_FREE_GROWTH, I_WAIT, I_RELEASE, I_WHOLE, I_BY_OUTPUT, I_ACTOR,
) = range(14)  # fmt: skip
O_EDGE, O_BEATS, O_GIVES, O_GIVES_LEN, O_GIVES_GROWTH, O_LATENCY, O_PLACES, O_RELEASE = range(8)
E_BASE, E_BEATS, E_DEPTH, E_FORWARD, E_SOURCE, E_SINK, E_WIRE, E_INPUT, E_OUTPUT = range(9)


# ruff: noqa: ANN001, ANN201, ANN202  # Numba infers types; all arrays hold integers
# mypy: disable-error-code="no-untyped-def,no-untyped-call,misc"
@numba.njit(cache=True)
def run(  # noqa: PLR0912, PLR0915  # one loop, kept in one piece for the compiler
    frames, gap, actors, inputs, outputs, edges, tables, fire, offered, written, read, why_fire,
    why_written, why_read, waits,
):  # fmt: skip
    """Computes all times.

    Args:
        frames: how many go through.
        gap: least cycles between the first beats of two frames at the network's inputs.
        actors: [actors, 8] in order of the data; columns A_*.
        inputs: [inputs, 14], columns I_*.
        outputs: [outputs, 8], columns O_*.
        edges: [edges, 9], columns E_*.
        tables: all tables of counts, one after the other.
        fire: [steps of all frames] when each step of each actor is made; result.
        offered: [beats of all frames] when each beat is offered to its edge; result.
        written: when it enters the edge's FIFO, or goes over a wire; result.
        read: when it leaves the FIFO; result.
        why_fire: what each step waited for last; result.
        why_written: OFFERED, PREVIOUS or ROOM; result.
        why_read: OFFERED, PREVIOUS, ROOM or FRAME; result.
        waits: [actors] for an actor that is stuck, the edge from which a beat is missing, or
            -1 - the edge that takes none; result.

    Returns:
        DONE or DEADLOCK.
    """
    n_edges = edges.shape[0]
    fired = np.zeros(actors.shape[0], np.int64)
    n_offered = np.zeros(n_edges, np.int64)
    n_written = np.zeros(n_edges, np.int64)
    n_read = np.zeros(n_edges, np.int64)
    # Where each table of counts is, and the count of the whole periods before: of the next step of
    # inputs and outputs, and of the step that frees the next room.
    need_at = np.zeros(inputs.shape[0], np.int64)
    need_sum = np.zeros(inputs.shape[0], np.int64)
    free_step = np.zeros(inputs.shape[0], np.int64)
    free_at = np.zeros(inputs.shape[0], np.int64)
    free_sum = np.zeros(inputs.shape[0], np.int64)
    gives_at = np.zeros(outputs.shape[0], np.int64)
    gives_sum = np.zeros(outputs.shape[0], np.int64)
    # Of outputs with a lock or a latch: the newest beat that was looked at. With a latch: when that
    # beat is, or was, in the register at the output; and when the latch closed.
    newest = np.full(outputs.shape[0], -1, np.int64)
    arrived = np.full(outputs.shape[0], -1, np.int64)
    closed = np.full(outputs.shape[0], _NEVER, np.int64)

    for e in range(n_edges):
        if edges[e, E_SOURCE] < 0:
            base, beats = edges[e, E_BASE], edges[e, E_BEATS]
            for m in range(beats * frames):
                offered[base + m] = (m // beats) * gap
            n_offered[e] = beats * frames

    n_actors = actors.shape[0]
    # The first that may go on does so: it then goes as far as FIFOs let it, at one visit.
    may_go = np.ones(n_actors, np.bool_)
    a = 0
    while a < n_actors:
        if not may_go[a]:
            a += 1
            continue
        may_go[a] = False
        steps, total, fire0 = actors[a, A_STEPS], actors[a, A_STEPS] * frames, actors[a, A_FIRE]
        in0, in1 = actors[a, A_IN0], actors[a, A_IN1]
        out0, out1 = actors[a, A_OUT0], actors[a, A_OUT1]
        moved = True
        moved_ever = False
        while moved:
            moved = False
            for i in range(in0, in1):
                e = inputs[i, I_EDGE]
                if edges[e, E_SOURCE] < 0 and _write(
                    e, edges, offered, written, read, why_written, n_offered, n_written, n_read
                ):
                    moved = True
                if inputs[i, I_BUFFER] >= 0 and _take(
                    i, frames, actors, inputs, outputs, edges, tables, fire, offered, written, read,
                    why_read, why_written, fired, n_offered, n_written, n_read, free_step, free_at,
                    free_sum,
                ):  # fmt: skip
                    moved = True

            # ---- steps
            blocked = False
            while fired[a] < total:
                k = fired[a]
                t = actors[a, A_READY]
                why = PREVIOUS
                if k > 0:
                    t = fire[fire0 + k - 1] + 1
                if actors[a, A_WHOLE] == 1 and k > 0 and k % steps == 0:
                    e = outputs[out0, O_EDGE]
                    last = outputs[out0, O_BEATS] * (k // steps) - 1
                    if n_written[e] <= last:
                        waits[a] = -1 - e
                        break
                    if written[edges[e, E_BASE] + last] + 1 > t:
                        t = written[edges[e, E_BASE] + last] + 1
                        why = FRAME
                for i in range(in0, in1):
                    e = inputs[i, I_EDGE]
                    need = need_sum[i] + tables[inputs[i, I_NEED] + need_at[i]]
                    if inputs[i, I_BUFFER] >= 0:
                        if need == 0:
                            continue
                        if n_read[e] < need:
                            blocked = True
                            break
                        came = read[edges[e, E_BASE] + need - 1] + inputs[i, I_WAIT]
                    elif need == n_read[e]:
                        continue
                    elif edges[e, E_WIRE] == 1:
                        if n_offered[e] < need:
                            blocked = True
                            break
                        came = offered[edges[e, E_BASE] + need - 1]
                    else:
                        if n_written[e] < need:
                            blocked = True
                            break
                        came = written[edges[e, E_BASE] + need - 1] + edges[e, E_FORWARD]
                    if came > t:
                        t = came
                        why = i - in0
                if blocked:
                    waits[a] = e
                    break
                for o in range(out0, out1):
                    e = outputs[o, O_EDGE]
                    base = edges[e, E_BASE]
                    if outputs[o, O_PLACES] > 0:
                        after = gives_sum[o] + tables[outputs[o, O_GIVES] + gives_at[o]]
                        x = n_offered[e] - outputs[o, O_PLACES]
                        if after > n_offered[e] and x >= 0:
                            if n_written[e] <= x:
                                blocked = True
                                break
                            if written[base + x] + outputs[o, O_RELEASE] > t:
                                t = written[base + x] + outputs[o, O_RELEASE]
                                why = BY_OUTPUT + o - out0
                        continue
                    if outputs[o, O_PLACES] == LATCH:
                        after = _open(
                            o, e, t, edges, offered, written, n_offered, n_written, newest,
                            arrived, closed,
                        )  # fmt: skip
                        if after < 0:
                            blocked = True
                            break
                        if after > t:
                            t = after
                            why = BY_OUTPUT + o - out0
                        continue
                    q = newest[o]
                    while True:
                        while q + 1 < n_offered[e] and offered[base + q + 1] <= t:
                            q += 1
                        if q < 0:
                            break
                        if n_written[e] <= q:
                            blocked = True
                            break
                        if written[base + q] <= t:
                            break
                        t = written[base + q]
                        why = BY_OUTPUT + o - out0
                    newest[o] = q
                    if blocked:
                        break
                if blocked:
                    waits[a] = -1 - e
                    break
                fire[fire0 + k] = t
                why_fire[fire0 + k] = why
                fired[a] = k + 1
                moved = True
                for i in range(in0, in1):
                    need = need_sum[i] + tables[inputs[i, I_NEED] + need_at[i]]
                    need_at[i] += 1
                    if need_at[i] == inputs[i, I_NEED_LEN]:
                        need_at[i] = 0
                        need_sum[i] += inputs[i, I_NEED_GROWTH]
                    e = inputs[i, I_EDGE]
                    if inputs[i, I_BUFFER] < 0 and need > n_read[e]:
                        read[edges[e, E_BASE] + need - 1] = t
                        n_read[e] = need
                        if edges[e, E_WIRE] == 1:
                            written[edges[e, E_BASE] + need - 1] = t
                            n_written[e] = need
                for o in range(out0, out1):
                    e = outputs[o, O_EDGE]
                    after = gives_sum[o] + tables[outputs[o, O_GIVES] + gives_at[o]]
                    gives_at[o] += 1
                    if gives_at[o] == outputs[o, O_GIVES_LEN]:
                        gives_at[o] = 0
                        gives_sum[o] += outputs[o, O_GIVES_GROWTH]
                    if after == n_offered[e]:
                        continue
                    while n_offered[e] < after:
                        offered[edges[e, E_BASE] + n_offered[e]] = t + outputs[o, O_LATENCY]
                        n_offered[e] += 1
                    # It goes on at once if there is room: the next step may wait for that.
                    if edges[e, E_WIRE] == 0:
                        _write(
                            e, edges, offered, written, read, why_written, n_offered, n_written,
                            n_read,
                        )  # fmt: skip
                    elif inputs[edges[e, E_INPUT], I_BUFFER] >= 0:
                        _take(
                            edges[e, E_INPUT], frames, actors, inputs, outputs, edges, tables, fire,
                            offered, written, read, why_read, why_written, fired, n_offered,
                            n_written, n_read, free_step, free_at, free_sum,
                        )  # fmt: skip
            for o in range(out0, out1):
                e = outputs[o, O_EDGE]
                if _write(
                    e, edges, offered, written, read, why_written, n_offered, n_written, n_read
                ):
                    moved = True
                if edges[e, E_SINK] >= 0:
                    continue
                base = edges[e, E_BASE]
                while n_read[e] < n_written[e]:
                    j = n_read[e]
                    read[base + j] = written[base + j] + edges[e, E_FORWARD]
                    why_read[base + j] = OFFERED
                    if j > 0 and read[base + j - 1] + 1 > read[base + j]:
                        read[base + j] = read[base + j - 1] + 1
                        why_read[base + j] = PREVIOUS
                    n_read[e] = j + 1
                    moved = True
            moved_ever = moved_ever or moved
        if not moved_ever:
            continue
        # Whoever is at the other end of a stream may go on.
        first = a
        for i in range(in0, in1):
            other = edges[inputs[i, I_EDGE], E_SOURCE]
            if other >= 0:
                may_go[other] = True
                first = min(first, other)
        for o in range(out0, out1):
            other = edges[outputs[o, O_EDGE], E_SINK]
            if other >= 0:
                may_go[other] = True
        a = first

    state = DONE
    for a in range(n_actors):
        if fired[a] == actors[a, A_STEPS] * frames:
            waits[a] = edges.shape[0]
        else:
            state = DEADLOCK
    return state


@numba.njit(cache=True)
def _open(o, e, t, edges, offered, written, n_offered, n_written, newest, arrived, closed):
    """First cycle from t on in which the latch of an output is open; -1 if not known yet.

    A beat is in the queue from the cycle before it is offered to the one before it is in the
    register at the output. A cycle in which there is one in the queue, and the one in the register
    does not leave, closes the latch for the next cycle. It stays so until the cycle after one in
    which the queue is empty.
    """
    base = edges[e, E_BASE]
    while True:
        while newest[o] + 1 < n_offered[e] and offered[base + newest[o] + 1] <= t:
            j = newest[o] + 1
            came = np.int64(offered[base + j])
            if j == 0 or came - 1 > arrived[o]:  # the queue was empty
                closed[o] = _NEVER
            if j > 0:
                # The beat before may stay in the register in the cycle before this one.
                closes = max(came, arrived[o] + 1)
                if n_written[e] <= j - 1:
                    return t if closed[o] == _NEVER and t < closes else -1
                if closed[o] == _NEVER and written[base + j - 1] >= closes:
                    closed[o] = closes
                came = max(came, written[base + j - 1] + 1)
            arrived[o] = came
            newest[o] = j
        if t < closed[o] or t > arrived[o]:
            return t
        t = arrived[o] + 1


@numba.njit(cache=True)
def _take(  # noqa: PLR0912, PLR0915
    i, frames, actors, inputs, outputs, edges, tables, fire, offered, written, read, why_read,
    why_written, fired, n_offered, n_written, n_read, free_step, free_at, free_sum,
):  # fmt: skip
    """Takes beats into the buffer of an input, while there are some and there is room."""
    a = inputs[i, I_ACTOR]
    total = actors[a, A_STEPS] * frames
    moved = False
    e = inputs[i, I_EDGE]
    base, beats = edges[e, E_BASE], inputs[i, I_BEATS]
    wire = edges[e, E_WIRE] == 1
    while n_read[e] < beats * frames:
        j = n_read[e]
        why = OFFERED
        if wire:
            if n_offered[e] <= j:
                break
            t = np.int64(offered[base + j])
        else:
            if n_written[e] <= j:
                break
            t = written[base + j] + edges[e, E_FORWARD]
        if j > 0 and read[base + j - 1] + 1 > t:
            t = read[base + j - 1] + 1
            why = PREVIOUS
        if inputs[i, I_WHOLE] == 1 and j > 0 and j % beats == 0:
            eo = outputs[actors[a, A_OUT0], O_EDGE]
            last = outputs[actors[a, A_OUT0], O_BEATS] * (j // beats) - 1
            if n_written[eo] <= last:
                break
            if written[edges[eo, E_BASE] + last] + 1 > t:
                t = written[edges[eo, E_BASE] + last] + 1
                why = FRAME
        room = j - inputs[i, I_BUFFER] + 1
        if room > 0:
            p, at, whole = free_step[i], free_at[i], free_sum[i]
            while p < total and whole + tables[inputs[i, I_FREE] + at] < room:
                p += 1
                at += 1
                if at == inputs[i, I_FREE_LEN]:
                    at = 0
                    whole += inputs[i, I_FREE_GROWTH]
            free_step[i], free_at[i], free_sum[i] = p, at, whole
            if inputs[i, I_BY_OUTPUT] == 1:
                eo = outputs[actors[a, A_OUT0], O_EDGE]
                if n_written[eo] <= p:
                    break
                freed = written[edges[eo, E_BASE] + p] + inputs[i, I_RELEASE]
            else:
                if fired[a] <= p:
                    break
                freed = fire[actors[a, A_FIRE] + p] + inputs[i, I_RELEASE]
            if freed > t:
                t = freed
                why = ROOM
        read[base + j] = t
        why_read[base + j] = why
        n_read[e] = j + 1
        if wire:
            written[base + j] = t
            n_written[e] = j + 1
        moved = True
    return moved


@numba.njit(cache=True)
def _write(e, edges, offered, written, read, why_written, n_offered, n_written, n_read):
    """Moves beats that are offered into the FIFO of an edge, while it has room."""
    if edges[e, E_WIRE] == 1:
        return False
    base, depth = edges[e, E_BASE], edges[e, E_DEPTH]
    moved = False
    while n_written[e] < n_offered[e]:
        m = n_written[e]
        t = np.int64(offered[base + m])
        why = OFFERED
        if m > 0 and written[base + m - 1] + 1 > t:
            t = written[base + m - 1] + 1
            why = PREVIOUS
        if depth > 0 and m >= depth:
            if n_read[e] <= m - depth:
                break
            if read[base + m - depth] + 1 > t:
                t = read[base + m - depth] + 1
                why = ROOM
        written[base + m] = t
        why_written[base + m] = why
        n_written[e] = m + 1
        moved = True
    return moved


@numba.njit(cache=True)
def peaks(frames, edges, written, read):
    """Greatest number of beats in each edge's FIFO, counted at the end of each cycle."""
    found = np.zeros(edges.shape[0], np.int64)
    for e in range(edges.shape[0]):
        if edges[e, E_WIRE] == 1:
            continue
        base = edges[e, E_BASE]
        gone = 0
        for m in range(edges[e, E_BEATS] * frames):
            while gone <= m and read[base + gone] <= written[base + m]:
                gone += 1
            found[e] = max(found[e], m + 1 - gone)
    return found
