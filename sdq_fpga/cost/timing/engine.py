"""The engine of the timing model: times of all beats, from what each must wait for.

All arrays are flat. A time is known once all that it waits for is known, so no clock is simulated:
each actor goes on until it meets a time that is not known yet, and is visited again when one of its
neighbours has gone on. Rows of the tables hold what is fixed, and how far each thing has got.
"""

import numba
import numpy as np

__all__ = ["DEADLOCK", "DONE", "LATCH", "LOCK", "NEVER", "peaks", "run"]

DONE, DEADLOCK = 0, 1

# In the column O_PLACES: what there is instead of places; see sdq_fpga.cost.timing.actor.
LOCK, LATCH = 0, -1
NEVER = 2**62

# Columns of the tables of integers that describe actors, inputs, outputs and edges. Those of the
# last line of each change while times are computed: A_FIRED is the next step, I_NEXT and O_NEXT are
# the counts of that step, I_FREE_STEP is the step that frees the next room. Of the beats that have
# left, the source of an edge knows E_HEARD, and of those that have come the sink knows E_TOLD.
(
    A_STEPS, A_IN0, A_IN1, A_OUT0, A_OUT1, A_WHOLE, A_FIRE, A_READY,
    A_FIRED, A_WAITS,
) = range(10)  # fmt: skip
(
    I_EDGE, I_BEATS, I_NEED, I_NEED_LEN, I_NEED_GROWTH, I_BUFFER, I_FREE, I_FREE_LEN,
    I_FREE_GROWTH, I_WAIT, I_RELEASE, I_WHOLE, I_BY_OUTPUT,
    I_NEXT, I_NEED_AT, I_NEED_SUM, I_FREE_STEP, I_FREE_AT, I_FREE_SUM,
) = range(19)  # fmt: skip
# Of outputs with a lock or a latch, O_NEWEST is the newest beat that was looked at. With a latch,
# O_ARRIVED is when that beat is, or was, in the register at the output; O_CLOSED when it closed.
(
    O_EDGE, O_BEATS, O_GIVES, O_GIVES_LEN, O_GIVES_GROWTH, O_LATENCY, O_PLACES, O_RELEASE,
    O_NEXT, O_GIVES_AT, O_GIVES_SUM, O_NEWEST, O_ARRIVED, O_CLOSED,
) = range(14)  # fmt: skip
(
    E_BASE, E_BEATS, E_DEPTH, E_FORWARD, E_SOURCE, E_SINK, E_WIRE, E_INPUT, E_OUTPUT,
    E_OFFERED, E_WRITTEN, E_READ, E_HEARD, E_TOLD,
) = range(14)  # fmt: skip

# Rows of the times of beats.
OFFERED, WRITTEN, READ = range(3)


# ruff: noqa: ANN001, ANN201, ANN202  # Numba infers types; all arrays hold integers
# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,misc"

# One function in the end, without counts of references to arrays: they take two thirds of the time.
_compiled = numba.njit(cache=True, _nrt=False)  # type: ignore[call-overload]
_inlined = numba.njit(cache=True, _nrt=False, inline="always")  # type: ignore[call-overload]


@_compiled
def run(frames, gap, actors, inputs, outputs, edges, tables, fire, beats, may_go):
    """Computes all times.

    Args:
        frames: how many go through.
        gap: least cycles between the first beats of two frames at the network's inputs.
        actors: [actors, 10] in order of the data; columns A_*. For an actor that is stuck, A_WAITS
            is the edge from which a beat is missing, or -1 - the edge that takes none.
        inputs: [inputs, 19], columns I_*.
        outputs: [outputs, 14], columns O_*.
        edges: [edges, 14], columns E_*.
        tables: all tables of counts, one after the other.
        fire: [steps of all frames] when each step of each actor is made; result.
        beats: [3, beats of all frames] when each beat is offered to its edge; when it enters the
            edge's FIFO, or goes over a wire; when it leaves the FIFO; result.
        may_go: [actors] true; used up.

    Returns:
        DONE or DEADLOCK.
    """
    for e in range(edges.shape[0]):
        if edges[e, E_SOURCE] < 0:
            base, count = edges[e, E_BASE], edges[e, E_BEATS]
            for m in range(count * frames):
                beats[OFFERED, base + m] = (m // count) * gap
            edges[e, E_OFFERED] = count * frames
        if edges[e, E_SINK] < 0:
            # Times may go on from a cycle in which a beat was offered, and not yet written; that of
            # other edges is written when their sink is visited.
            _write(e, edges, beats)

    n_actors = actors.shape[0]
    # Round after round, so that a visit fills and empties FIFOs as far as they go. A wire has room
    # for a beat or two: who waits for that goes on at once, while the cache has all that it needs.
    a, idle = 0, 0
    while idle < n_actors:
        if a == n_actors:
            a = 0
        if not may_go[a]:
            a += 1
            idle += 1
            continue
        idle = 0
        may_go[a] = False
        _visit(a, frames, actors, inputs, outputs, edges, tables, fire, beats)
        _wake_sinks(a, actors, inputs, outputs, edges, may_go)
        a = _wake_sources(a, actors, inputs, edges, may_go)

    for a in range(n_actors):
        if actors[a, A_FIRED] < actors[a, A_STEPS] * frames:
            return DEADLOCK
        actors[a, A_WAITS] = edges.shape[0]
    return DONE


@_inlined
def _wake_sources(a, actors, inputs, edges, may_go):
    """Who waits for what an actor has taken may go on.

    Returns:
        The first of those that a wire leads from, or the actor.
    """
    first = a
    for i in range(actors[a, A_IN0], actors[a, A_IN1]):
        e = inputs[i, I_EDGE]
        source, gone = edges[e, E_SOURCE], edges[e, E_WRITTEN]
        if source >= 0 and gone > edges[e, E_HEARD]:
            edges[e, E_HEARD] = gone
            if actors[source, A_WAITS] == -1 - e:
                may_go[source] = True
                if edges[e, E_WIRE] == 1:
                    first = min(first, source)
    return first


@_inlined
def _wake_sinks(a, actors, inputs, outputs, edges, may_go):
    """Who waits for what an actor has given may go on."""
    for o in range(actors[a, A_OUT0], actors[a, A_OUT1]):
        e = outputs[o, O_EDGE]
        sink, i = edges[e, E_SINK], edges[e, E_INPUT]
        if sink < 0:
            continue
        come = edges[e, E_OFFERED if edges[e, E_WIRE] == 1 else E_WRITTEN]
        if actors[sink, A_IN1] - actors[sink, A_IN0] > 1:
            wanted = come > edges[e, E_TOLD]
        elif actors[sink, A_WAITS] == e and come >= inputs[i, I_NEXT]:
            wanted = True
        else:
            # It may take what it does not need yet, and make room thereby, or when all has come.
            held_up = actors[a, A_WAITS] == -1 - e or actors[a, A_WAITS] == edges.shape[0]
            wanted = inputs[i, I_BUFFER] >= 0 and held_up
            wanted = wanted and come > edges[e, E_READ] and come > edges[e, E_TOLD]
        if wanted:
            edges[e, E_TOLD] = come
            may_go[sink] = True


@_inlined
def _visit(a, frames, actors, inputs, outputs, edges, tables, fire, beats):
    """Lets an actor go on as far as it can."""
    in0, in1 = actors[a, A_IN0], actors[a, A_IN1]
    out0, out1 = actors[a, A_OUT0], actors[a, A_OUT1]
    plain = in1 - in0 == 1 and out1 - out0 == 1 and actors[a, A_WHOLE] == 0
    plain = plain and outputs[out0, O_PLACES] > 0
    for i in range(in0, in1):
        _write(inputs[i, I_EDGE], edges, beats)
    held = False
    again = True
    while again:
        for i in range(in0, in1):
            if inputs[i, I_BUFFER] >= 0:
                _take(a, i, frames, actors, inputs, outputs, edges, tables, fire, beats)
        went = False
        if not held:
            if plain:
                went = _plain_step(a, frames, actors, inputs, outputs, edges, tables, fire, beats)
            else:
                went = _step(a, frames, actors, inputs, outputs, edges, tables, fire, beats)
            # Who has all that the next step needs waits for room behind it.
            held = actors[a, A_WAITS] < 0
            for i in range(in0, in1):
                if inputs[i, I_BUFFER] >= 0:
                    held = held and edges[inputs[i, I_EDGE], E_READ] >= inputs[i, I_NEXT]
        # This makes room for beats that may be what the next step waits for.
        again = False
        for i in range(in0, in1):
            e = inputs[i, I_EDGE]
            moved = _write(e, edges, beats)
            if inputs[i, I_BUFFER] >= 0:
                come = edges[e, E_OFFERED if edges[e, E_WIRE] == 1 else E_WRITTEN]
                again |= (went or moved) and edges[e, E_READ] < come
            else:
                again |= moved and not held


@_inlined
def _step(  # noqa: PLR0912, PLR0915  # one loop
    a, frames, actors, inputs, outputs, edges, tables, fire, beats
):
    """Makes steps until one waits for what is not known yet; whether any was made."""
    steps, whole = actors[a, A_STEPS], actors[a, A_WHOLE] == 1
    total, base = steps * frames, actors[a, A_FIRE]
    in0, in1 = actors[a, A_IN0], actors[a, A_IN1]
    out0, out1 = actors[a, A_OUT0], actors[a, A_OUT1]
    began = k = actors[a, A_FIRED]
    waits = edges.shape[0]
    while k < total:
        t = np.int64(fire[base + k - 1]) + 1 if k else actors[a, A_READY]
        if whole and k and k % steps == 0:
            e = outputs[out0, O_EDGE]
            last = outputs[out0, O_BEATS] * (k // steps) - 1
            if edges[e, E_WRITTEN] <= last:
                waits = -1 - e
                break
            t = max(t, np.int64(beats[WRITTEN, edges[e, E_BASE] + last]) + 1)
        for i in range(in0, in1):
            e, need = inputs[i, I_EDGE], inputs[i, I_NEXT]
            beat = edges[e, E_BASE] + need - 1
            if inputs[i, I_BUFFER] >= 0:
                if edges[e, E_READ] < need:
                    come = edges[e, E_OFFERED if edges[e, E_WIRE] == 1 else E_WRITTEN]
                    # What has come, but can't be taken, waits for what has been made of others.
                    waits = e if come == edges[e, E_READ] else -1 - outputs[out0, O_EDGE]
                    break
                if need > 0:
                    t = max(t, beats[READ, beat] + inputs[i, I_WAIT])
            elif need > edges[e, E_READ]:
                if edges[e, E_WIRE] == 1:
                    if edges[e, E_OFFERED] < need:
                        waits = e
                        break
                    t = max(t, np.int64(beats[OFFERED, beat]))
                else:
                    if edges[e, E_WRITTEN] < need:
                        waits = e
                        break
                    t = max(t, beats[WRITTEN, beat] + edges[e, E_FORWARD])
        if waits < edges.shape[0]:
            break
        for o in range(out0, out1):
            e, places = outputs[o, O_EDGE], outputs[o, O_PLACES]
            if places > 0:
                x = edges[e, E_OFFERED] - places
                if x >= 0 and outputs[o, O_NEXT] > edges[e, E_OFFERED]:
                    if edges[e, E_WRITTEN] <= x:
                        waits = -1 - e
                        break
                    t = max(t, beats[WRITTEN, edges[e, E_BASE] + x] + outputs[o, O_RELEASE])
                continue
            if places == LATCH:
                after = _open(o, e, t, outputs, edges, beats)
            else:
                after = _unlocked(o, e, t, outputs, edges, beats)
            if after < 0:
                waits = -1 - e
                break
            t = after
        if waits < edges.shape[0]:
            break
        fire[base + k] = t
        k += 1
        for i in range(in0, in1):
            e, need = inputs[i, I_EDGE], inputs[i, I_NEXT]
            if inputs[i, I_BUFFER] < 0 and need > edges[e, E_READ]:
                beats[READ, edges[e, E_BASE] + need - 1] = t
                edges[e, E_READ] = need
                if edges[e, E_WIRE] == 1:
                    beats[WRITTEN, edges[e, E_BASE] + need - 1] = t
                    edges[e, E_WRITTEN] = need
            at = inputs[i, I_NEED_AT] + 1
            if at == inputs[i, I_NEED_LEN]:
                at = 0
                inputs[i, I_NEED_SUM] += inputs[i, I_NEED_GROWTH]
            inputs[i, I_NEED_AT] = at
            inputs[i, I_NEXT] = inputs[i, I_NEED_SUM] + tables[inputs[i, I_NEED] + at]
        for o in range(out0, out1):
            e = outputs[o, O_EDGE]
            had = edges[e, E_OFFERED]
            while edges[e, E_OFFERED] < outputs[o, O_NEXT]:
                beats[OFFERED, edges[e, E_BASE] + edges[e, E_OFFERED]] = t + outputs[o, O_LATENCY]
                edges[e, E_OFFERED] += 1
            at = outputs[o, O_GIVES_AT] + 1
            if at == outputs[o, O_GIVES_LEN]:
                at = 0
                outputs[o, O_GIVES_SUM] += outputs[o, O_GIVES_GROWTH]
            outputs[o, O_GIVES_AT] = at
            outputs[o, O_NEXT] = outputs[o, O_GIVES_SUM] + tables[outputs[o, O_GIVES] + at]
            # It goes on at once if there is room: the next step may wait for that.
            if edges[e, E_OFFERED] == had:
                continue
            if edges[e, E_WIRE] == 0:
                _write(e, edges, beats)
            elif inputs[edges[e, E_INPUT], I_BUFFER] >= 0:
                _take(
                    edges[e, E_SINK], edges[e, E_INPUT], frames, actors, inputs, outputs, edges,
                    tables, fire, beats,
                )  # fmt: skip
    actors[a, A_WAITS] = waits
    actors[a, A_FIRED] = k
    return k > began


@_inlined
def _plain_step(  # noqa: PLR0912, PLR0915  # one loop
    a, frames, actors, inputs, outputs, edges, tables, fire, beats
):
    """The same as ``_step`` of an actor of one input, and one output that has places.

    Most are such, and need not look up again at each step what is where.
    """
    total, base = actors[a, A_STEPS] * frames, actors[a, A_FIRE]
    i, o = actors[a, A_IN0], actors[a, A_OUT0]
    e, f = inputs[i, I_EDGE], outputs[o, O_EDGE]
    buffered, wait = inputs[i, I_BUFFER] >= 0, inputs[i, I_WAIT]
    wire = edges[e, E_WIRE] == 1
    came, forward = (OFFERED, 0) if wire else (WRITTEN, edges[e, E_FORWARD])
    come = edges[e, E_OFFERED if wire else E_WRITTEN]
    taken, in_base = edges[e, E_READ], edges[e, E_BASE]
    need, need_at, need_sum = inputs[i, I_NEXT], inputs[i, I_NEED_AT], inputs[i, I_NEED_SUM]
    need_len, need_growth = inputs[i, I_NEED_LEN], inputs[i, I_NEED_GROWTH]
    need_table = inputs[i, I_NEED]
    offered, written, out_base = edges[f, E_OFFERED], edges[f, E_WRITTEN], edges[f, E_BASE]
    gives, gives_at, gives_sum = outputs[o, O_NEXT], outputs[o, O_GIVES_AT], outputs[o, O_GIVES_SUM]
    gives_len, gives_growth = outputs[o, O_GIVES_LEN], outputs[o, O_GIVES_GROWTH]
    gives_table = outputs[o, O_GIVES]
    places, release = outputs[o, O_PLACES], outputs[o, O_RELEASE]
    latency = outputs[o, O_LATENCY]
    queued = edges[f, E_WIRE] == 0
    at_once = not queued and inputs[edges[f, E_INPUT], I_BUFFER] >= 0
    began = k = actors[a, A_FIRED]
    t = np.int64(fire[base + k - 1]) if k else actors[a, A_READY] - 1
    waits = edges.shape[0]
    while k < total:
        t += 1
        if buffered:
            if taken < need:
                waits = e if come == taken else -1 - f
                break
            if need > 0:
                t = max(t, beats[READ, in_base + need - 1] + wait)
        elif need > taken:
            if come < need:
                waits = e
                break
            t = max(t, beats[came, in_base + need - 1] + forward)
        if gives > offered >= places:
            if written <= offered - places:
                waits = -1 - f
                break
            t = max(t, beats[WRITTEN, out_base + offered - places] + release)
        fire[base + k] = t
        k += 1
        if not buffered and need > taken:
            beats[READ, in_base + need - 1] = t
            taken = need
            if wire:
                beats[WRITTEN, in_base + need - 1] = t
        need_at += 1
        if need_at == need_len:
            need_at = 0
            need_sum += need_growth
        need = need_sum + tables[need_table + need_at]
        if gives > offered:
            while offered < gives:
                beats[OFFERED, out_base + offered] = t + latency
                offered += 1
            edges[f, E_OFFERED] = offered
            if queued:
                _write(f, edges, beats)
            elif at_once:
                _take(
                    edges[f, E_SINK], edges[f, E_INPUT], frames, actors, inputs, outputs, edges,
                    tables, fire, beats,
                )  # fmt: skip
            written = edges[f, E_WRITTEN]
        gives_at += 1
        if gives_at == gives_len:
            gives_at = 0
            gives_sum += gives_growth
        gives = gives_sum + tables[gives_table + gives_at]
    if not buffered:
        edges[e, E_READ] = taken
        if wire:
            edges[e, E_WRITTEN] = taken
    inputs[i, I_NEXT], inputs[i, I_NEED_AT], inputs[i, I_NEED_SUM] = need, need_at, need_sum
    outputs[o, O_NEXT], outputs[o, O_GIVES_AT], outputs[o, O_GIVES_SUM] = gives, gives_at, gives_sum
    actors[a, A_WAITS] = waits
    actors[a, A_FIRED] = k
    return k > began


@_inlined
def _unlocked(o, e, t, outputs, edges, beats):
    """First cycle from t on in which no beat of an output is offered in vain; -1: not known yet."""
    base, q = edges[e, E_BASE], outputs[o, O_NEWEST]
    while True:
        while q + 1 < edges[e, E_OFFERED] and beats[OFFERED, base + q + 1] <= t:
            q += 1
        outputs[o, O_NEWEST] = q
        if q < 0:
            return t
        if edges[e, E_WRITTEN] <= q:
            return -1
        if beats[WRITTEN, base + q] <= t:
            return t
        t = np.int64(beats[WRITTEN, base + q])


@_inlined
def _open(o, e, t, outputs, edges, beats):
    """First cycle from t on in which the latch of an output is open; -1 if not known yet.

    A beat is in the queue from the cycle before it is offered to the one before it is in the
    register at the output. A cycle in which there is one in the queue, and the one in the register
    does not leave, closes the latch for the next cycle. It stays so until the cycle after one in
    which the queue is empty.
    """
    base = edges[e, E_BASE]
    while True:
        j = outputs[o, O_NEWEST] + 1
        while j < edges[e, E_OFFERED] and beats[OFFERED, base + j] <= t:
            came = np.int64(beats[OFFERED, base + j])
            if j == 0 or came - 1 > outputs[o, O_ARRIVED]:  # the queue was empty
                outputs[o, O_CLOSED] = NEVER
            if j > 0:
                # The beat before may stay in the register in the cycle before this one.
                closes = max(came, outputs[o, O_ARRIVED] + 1)
                if edges[e, E_WRITTEN] <= j - 1:
                    return t if outputs[o, O_CLOSED] == NEVER and t < closes else -1
                left = np.int64(beats[WRITTEN, base + j - 1])
                if outputs[o, O_CLOSED] == NEVER and left >= closes:
                    outputs[o, O_CLOSED] = closes
                came = max(came, left + 1)
            outputs[o, O_ARRIVED] = came
            outputs[o, O_NEWEST] = j
            j += 1
        if t < outputs[o, O_CLOSED] or t > outputs[o, O_ARRIVED]:
            return t
        t = outputs[o, O_ARRIVED] + 1


@_inlined
def _take(  # noqa: PLR0912  # one loop
    a, i, frames, actors, inputs, outputs, edges, tables, fire, beats
):
    """Takes beats into the buffer of an input, while there are some and there is room."""
    e, eo = inputs[i, I_EDGE], outputs[actors[a, A_OUT0], O_EDGE]
    count, wire = inputs[i, I_BEATS], edges[e, E_WIRE] == 1
    came = OFFERED if wire else WRITTEN
    come = edges[e, E_OFFERED if wire else E_WRITTEN]
    forward = 0 if wire else edges[e, E_FORWARD]
    base, base_out, gone = edges[e, E_BASE], edges[eo, E_BASE], edges[eo, E_WRITTEN]
    fired, total = actors[a, A_FIRED], actors[a, A_STEPS] * frames
    p, at, whole = inputs[i, I_FREE_STEP], inputs[i, I_FREE_AT], inputs[i, I_FREE_SUM]
    began = j = edges[e, E_READ]
    while j < come:
        t = np.int64(beats[came, base + j]) + forward
        if j > 0:
            t = max(t, np.int64(beats[READ, base + j - 1]) + 1)
        if inputs[i, I_WHOLE] == 1 and j > 0 and j % count == 0:
            last = outputs[actors[a, A_OUT0], O_BEATS] * (j // count) - 1
            if gone <= last:
                break
            t = max(t, np.int64(beats[WRITTEN, base_out + last]) + 1)
        room = j - inputs[i, I_BUFFER] + 1
        if room > 0:
            while p < total and whole + tables[inputs[i, I_FREE] + at] < room:
                p += 1
                at += 1
                if at == inputs[i, I_FREE_LEN]:
                    at = 0
                    whole += inputs[i, I_FREE_GROWTH]
            if inputs[i, I_BY_OUTPUT] == 1:
                if gone <= p:
                    break
                t = max(t, beats[WRITTEN, base_out + p] + inputs[i, I_RELEASE])
            else:
                if fired <= p:
                    break
                t = max(t, fire[actors[a, A_FIRE] + p] + inputs[i, I_RELEASE])
        beats[READ, base + j] = t
        if wire:
            beats[WRITTEN, base + j] = t
        j += 1
    inputs[i, I_FREE_STEP], inputs[i, I_FREE_AT], inputs[i, I_FREE_SUM] = p, at, whole
    edges[e, E_READ] = j
    if wire:
        edges[e, E_WRITTEN] = j
    return j > began


@_inlined
def _write(e, edges, beats):
    """Moves beats that are offered into the FIFO of an edge, while it has room."""
    if edges[e, E_WIRE] == 1:
        return False
    base, depth, forward = edges[e, E_BASE], edges[e, E_DEPTH], edges[e, E_FORWARD]
    port = edges[e, E_SINK] < 0
    began = m = edges[e, E_WRITTEN]
    gone = edges[e, E_READ]
    while m < edges[e, E_OFFERED]:
        t = np.int64(beats[OFFERED, base + m])
        if m > 0:
            t = max(t, np.int64(beats[WRITTEN, base + m - 1]) + 1)
        if depth > 0 and m >= depth:
            if gone <= m - depth:
                break
            t = max(t, np.int64(beats[READ, base + m - depth]) + 1)
        beats[WRITTEN, base + m] = t
        if port:
            beats[READ, base + m] = max(
                t + forward, np.int64(beats[READ, base + m - 1]) + 1 if m else 0
            )
            gone = m + 1
        m += 1
    edges[e, E_WRITTEN] = m
    if port:
        edges[e, E_READ] = gone
    return m > began


@numba.njit(cache=True)
def peaks(frames, edges, beats):
    """Greatest number of beats in each edge's FIFO, counted at the end of each cycle."""
    found = np.zeros(edges.shape[0], np.int64)
    for e in range(edges.shape[0]):
        if edges[e, E_WIRE] == 1:
            continue
        written, read = beats[WRITTEN, edges[e, E_BASE] :], beats[READ, edges[e, E_BASE] :]
        # What no step needs may stay in the FIFO in the end.
        gone, most = 0, edges[e, E_READ]
        for m in range(edges[e, E_BEATS] * frames):
            while gone < min(m + 1, most) and read[gone] <= written[m]:
                gone += 1
            found[e] = max(found[e], m + 1 - gone)
    return found
