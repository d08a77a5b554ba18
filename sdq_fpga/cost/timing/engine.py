"""The engine of the timing model: times of all beats, from what each must wait for.

All arrays are flat. A time is known once all that it waits for is known, so no clock is simulated:
each actor goes on until it meets a time that is not known yet, and that, round and round, until
everything is done or nothing moves.
"""

import numba
import numpy as np

__all__ = ["DEADLOCK", "DONE", "run"]

DONE, DEADLOCK = 0, 1

# Columns of the tables of integers that describe actors, inputs, outputs and edges.
A_STEPS, A_IN0, A_IN1, A_OUT0, A_OUT1, A_WHOLE, A_FIRE = range(7)
(
    I_EDGE, I_BEATS, I_NEED, I_NEED_LEN, I_NEED_GROWTH, I_BUFFER, I_FREE, I_FREE_LEN,
    I_FREE_GROWTH, I_WAIT, I_RELEASE, I_WHOLE, I_BY_OUTPUT,
) = range(13)  # fmt: skip
(
    O_EDGE, O_BEATS, O_GIVES, O_GIVES_LEN, O_GIVES_GROWTH, O_LATENCY, O_PLACES, O_RELEASE,
    O_BEHIND, O_LAG,
) = range(10)  # fmt: skip
E_BASE, E_BEATS, E_DEPTH, E_FORWARD, E_SOURCE, E_SINK, E_WIRE = range(7)


@numba.njit(cache=True, inline="always")
def _count(tables, start, length, growth, step):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    return (step // length) * growth + tables[start + step % length]


@numba.njit(cache=True)
def run(  # noqa: PLR0912, PLR0915  # one loop, kept in one piece for the compiler
    frames, gap, actors, inputs, outputs, edges, tables, fire, offered, written, read
):  # type: ignore[no-untyped-def]
    """Computes all times.

    Args:
        frames: how many go through.
        gap: least cycles between the first beats of two frames at the network's inputs.
        actors: [actors, 7] in order of the data; columns A_*.
        inputs: [inputs, 13], columns I_*.
        outputs: [outputs, 10], columns O_*.
        edges: [edges, 7], columns E_*.
        tables: all tables of counts, one after the other.
        fire: [steps of all frames] when each step of each actor is made; result.
        offered: [beats of all frames] when each beat is offered to its edge; result.
        written: when it enters the edge's FIFO, or goes over a wire; result.
        read: when it leaves the FIFO; result.

    Returns:
        DONE or DEADLOCK.
    """
    n_edges = edges.shape[0]
    fired = np.zeros(actors.shape[0], np.int64)
    n_offered = np.zeros(n_edges, np.int64)
    n_written = np.zeros(n_edges, np.int64)
    n_read = np.zeros(n_edges, np.int64)
    freeing = np.zeros(inputs.shape[0], np.int64)
    newest = np.full(outputs.shape[0], -1, np.int64)

    for e in range(n_edges):
        if edges[e, E_SOURCE] < 0:
            base, beats = edges[e, E_BASE], edges[e, E_BEATS]
            for m in range(beats * frames):
                offered[base + m] = (m // beats) * gap
            n_offered[e] = beats * frames

    while True:
        moved = False
        complete = True
        for a in range(actors.shape[0]):
            total = actors[a, A_STEPS] * frames
            # ---- beats into buffers
            for i in range(actors[a, A_IN0], actors[a, A_IN1]):
                if inputs[i, I_BUFFER] < 0:
                    continue
                e = inputs[i, I_EDGE]
                base, beats = edges[e, E_BASE], inputs[i, I_BEATS]
                wire = edges[e, E_WIRE] == 1
                while n_read[e] < beats * frames:
                    j = n_read[e]
                    if wire:
                        if n_offered[e] <= j:
                            break
                        t = offered[base + j]
                    else:
                        if n_written[e] <= j:
                            break
                        t = written[base + j] + edges[e, E_FORWARD]
                    if j > 0 and read[base + j - 1] + 1 > t:
                        t = read[base + j - 1] + 1
                    if inputs[i, I_WHOLE] == 1 and j > 0 and j % beats == 0:
                        o = actors[a, A_OUT0]
                        eo = outputs[o, O_EDGE]
                        last = outputs[o, O_BEATS] * (j // beats) - 1
                        if n_written[eo] <= last:
                            break
                        t = max(t, written[edges[eo, E_BASE] + last] + 1)
                    room = j - inputs[i, I_BUFFER] + 1
                    if room > 0:
                        p = freeing[i]
                        while p < total and _count(
                            tables, inputs[i, I_FREE], inputs[i, I_FREE_LEN],
                            inputs[i, I_FREE_GROWTH], p,
                        ) < room:  # fmt: skip
                            p += 1
                        freeing[i] = p
                        if inputs[i, I_BY_OUTPUT] == 1:
                            eo = outputs[actors[a, A_OUT0], O_EDGE]
                            if n_written[eo] <= p:
                                break
                            freed = written[edges[eo, E_BASE] + p]
                        else:
                            if fired[a] <= p:
                                break
                            freed = fire[actors[a, A_FIRE] + p]
                        t = max(t, freed + inputs[i, I_RELEASE])
                    read[base + j] = t
                    n_read[e] = j + 1
                    if wire:
                        written[base + j] = t
                        n_written[e] = j + 1
                    moved = True

            # ---- steps
            steps = actors[a, A_STEPS]
            blocked = False
            while fired[a] < total and not blocked:
                k = fired[a]
                t = np.int64(0)
                if k > 0:
                    t = fire[actors[a, A_FIRE] + k - 1] + 1
                if actors[a, A_WHOLE] == 1 and k > 0 and k % steps == 0:
                    o = actors[a, A_OUT0]
                    eo = outputs[o, O_EDGE]
                    last = outputs[o, O_BEATS] * (k // steps) - 1
                    if n_written[eo] <= last:
                        break
                    t = max(t, written[edges[eo, E_BASE] + last] + 1)
                for i in range(actors[a, A_IN0], actors[a, A_IN1]):
                    e = inputs[i, I_EDGE]
                    base = edges[e, E_BASE]
                    need = _count(
                        tables, inputs[i, I_NEED], inputs[i, I_NEED_LEN], inputs[i, I_NEED_GROWTH],
                        k,
                    )  # fmt: skip
                    if inputs[i, I_BUFFER] >= 0:
                        if need > 0:
                            if n_read[e] < need:
                                blocked = True
                                break
                            t = max(t, read[base + need - 1] + inputs[i, I_WAIT])
                    elif need > n_read[e]:
                        j = n_read[e]
                        if edges[e, E_WIRE] == 1:
                            if n_offered[e] <= j:
                                blocked = True
                                break
                            came = offered[base + j]
                        else:
                            if n_written[e] <= j:
                                blocked = True
                                break
                            came = written[base + j] + edges[e, E_FORWARD]
                        t = max(t, came)
                if blocked:
                    break
                for o in range(actors[a, A_OUT0], actors[a, A_OUT1]):
                    e = outputs[o, O_EDGE]
                    base = edges[e, E_BASE]
                    if outputs[o, O_PLACES] > 0:
                        after = _count(
                            tables, outputs[o, O_GIVES], outputs[o, O_GIVES_LEN],
                            outputs[o, O_GIVES_GROWTH], k,
                        )  # fmt: skip
                        x = n_offered[e] - outputs[o, O_PLACES]
                        if after > n_offered[e] and x >= 0:
                            if n_written[e] <= x:
                                blocked = True
                                break
                            t = max(t, written[base + x] + outputs[o, O_RELEASE])
                    else:
                        q = newest[o]
                        while True:
                            while (
                                q + 1 < n_offered[e]
                                and offered[base + q + 1] + outputs[o, O_LAG] <= t
                            ):
                                q += 1
                            x = q - outputs[o, O_BEHIND]
                            if x < 0:
                                break
                            if n_written[e] <= x:
                                blocked = True
                                break
                            if written[base + x] + outputs[o, O_RELEASE] <= t:
                                break
                            t = written[base + x] + outputs[o, O_RELEASE]
                        newest[o] = q
                        if blocked:
                            break
                if blocked:
                    break
                fire[actors[a, A_FIRE] + k] = t
                fired[a] = k + 1
                moved = True
                for i in range(actors[a, A_IN0], actors[a, A_IN1]):
                    if inputs[i, I_BUFFER] >= 0:
                        continue
                    e = inputs[i, I_EDGE]
                    need = _count(
                        tables, inputs[i, I_NEED], inputs[i, I_NEED_LEN], inputs[i, I_NEED_GROWTH],
                        k,
                    )  # fmt: skip
                    if need > n_read[e]:
                        read[edges[e, E_BASE] + n_read[e]] = t
                        n_read[e] += 1
                        if edges[e, E_WIRE] == 1:
                            written[edges[e, E_BASE] + n_written[e]] = t
                            n_written[e] += 1
                for o in range(actors[a, A_OUT0], actors[a, A_OUT1]):
                    e = outputs[o, O_EDGE]
                    after = _count(
                        tables, outputs[o, O_GIVES], outputs[o, O_GIVES_LEN],
                        outputs[o, O_GIVES_GROWTH], k,
                    )  # fmt: skip
                    while n_offered[e] < after:
                        offered[edges[e, E_BASE] + n_offered[e]] = t + outputs[o, O_LATENCY]
                        n_offered[e] += 1
                # A beat enters its FIFO at once if there is room: the next step may wait for that.
                for o in range(actors[a, A_OUT0], actors[a, A_OUT1]):
                    _write(outputs[o, O_EDGE], edges, offered, written, read, n_offered, n_written,
                           n_read)  # fmt: skip
            if fired[a] < total:
                complete = False
            for o in range(actors[a, A_OUT0], actors[a, A_OUT1]):
                if _write(outputs[o, O_EDGE], edges, offered, written, read, n_offered, n_written,
                          n_read):  # fmt: skip
                    moved = True
        # ---- the network's inputs and outputs
        for e in range(n_edges):
            if edges[e, E_SOURCE] < 0 and _write(
                e, edges, offered, written, read, n_offered, n_written, n_read
            ):
                moved = True
            if edges[e, E_SINK] < 0:
                base = edges[e, E_BASE]
                while n_read[e] < n_written[e]:
                    j = n_read[e]
                    t = written[base + j] + edges[e, E_FORWARD]
                    if j > 0 and read[base + j - 1] + 1 > t:
                        t = read[base + j - 1] + 1
                    read[base + j] = t
                    n_read[e] = j + 1
                    moved = True
                if n_read[e] < edges[e, E_BEATS] * frames:
                    complete = False
        if complete:
            return DONE
        if not moved:
            return DEADLOCK


@numba.njit(cache=True)
def _write(e, edges, offered, written, read, n_offered, n_written, n_read):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Moves beats that are offered into the FIFO of an edge, while it has room."""
    if edges[e, E_WIRE] == 1:
        return False
    base, depth = edges[e, E_BASE], edges[e, E_DEPTH]
    moved = False
    while n_written[e] < n_offered[e]:
        m = n_written[e]
        t = offered[base + m]
        if m > 0 and written[base + m - 1] + 1 > t:
            t = written[base + m - 1] + 1
        if depth > 0 and m >= depth:
            if n_read[e] <= m - depth:
                break
            t = max(t, read[base + m - depth] + 1)
        written[base + m] = t
        n_written[e] = m + 1
        moved = True
    return moved


@numba.njit(cache=True)
def peaks(frames, edges, written, read):  # type: ignore[no-untyped-def]  # noqa: ANN001
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
