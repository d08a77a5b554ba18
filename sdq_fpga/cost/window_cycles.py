"""Sliding windows: what FINN can generate of them, and the cycles of a frame."""

import numba
import numpy as np

from sdq_fpga.cost.node import HardwareNode
from sdq_fpga.cost.windows import Windows

__all__ = ["can_generate", "fill_of_windows", "window_cycles"]

_LEAST_LINE_BUFFER = 2  # pixels
_AFTER_ARRIVAL = 1  # cycles from a pixel's coming in to its being given
_AFTER_FREEING = 1  # cycles from a pixel's last use to the one that takes its place


def fill_of_windows(node: HardwareNode) -> float:
    """Share of the image that must have come in before the first window is complete."""
    shape = Windows.of(node)
    return shape.window / (shape.beats_in)


def _is_whole(node: HardwareNode) -> bool:
    return bool(node.integer("parallel_window")) or node.integers("ConvKernelDim") == (1, 1)


def can_generate(node: HardwareNode) -> bool:
    """Whether FINN can generate a window generator as it is folded.

    Whole windows need all channels in a beat. With hardly any windows, counters would have no
    bits, of which FINN takes the logarithm; and addresses must not step over the buffer
    (prepare_codegen_default and prepare_codegen_parallel in convolutioninputgenerator_rtl.py).
    Where whole windows leave a single pixel or none from one row of a window to the next, the line
    buffer, which then has that depth, delays by another number of pixels (swg_ram_buffer in
    swg_common.sv).
    """
    shape = Windows.of(node)
    for image, span, stride in zip(shape.image, shape.span, shape.stride, strict=True):
        if max(span, stride) > image:
            return False
    return _can_be_whole(node, shape) if _is_whole(node) else _can_be_cyclic(shape)


def _can_be_whole(node: HardwareNode, shape: Windows) -> bool:
    if shape.positions > 1 and shape.folds > 1 and not node.integer("depthwise"):
        return False
    (_, width), (high, wide), (down, right) = shape.image, shape.kernel, shape.dilation
    if width == 1:  # FINN turns a column into a row
        width, high, wide, down, right = shape.image[0], wide, high, right, down
    if high > 1 and width * down - (wide - 1) * right - 1 < _LEAST_LINE_BUFFER:
        return False
    out = shape.out
    loops = [*out, shape.folds]
    if shape.folds > 1:
        loops[2] -= 1
    elif out[1] == 1:
        loops[0] -= 1
    else:
        loops[1] -= 1
    return max(*loops, 1) > 1


def _can_be_cyclic(shape: Windows) -> bool:
    width, (high, wide), (down, right) = shape.image[1], shape.kernel, shape.stride
    span = shape.span
    folds = shape.folds
    skipped = width % (span[1] + (shape.out[1] - 1) * right)
    to_next = -shape.window + right * folds + 1
    to_row = -shape.window + (skipped + span[1] + (down - 1) * width) * folds + 1
    if max(abs(to_next), abs(to_row)) > shape.buffer:
        return False
    inner = [folds, high, wide] if shape.by_group else [high, wide, folds]
    if inner[2] > 1:
        inner[2] -= 1
    elif inner[1] > 1:
        inner[1] -= 1
    else:
        inner[0] -= 1
    return max(*shape.out, *inner) > 1


def window_cycles(node: HardwareNode) -> int:
    """Cycles between frames if nothing holds the generator up.

    Whole windows take a pixel a cycle (swg_template_parallel.sv). One pixel of a window a cycle
    (swg_template_default.sv): each window waits for its last pixel, which waits for room. The
    timing model has the same from pixels, which takes longer.
    """
    shape = Windows.of(node)
    beats = shape.beats_in
    starts = shape.starts() * shape.folds
    if _is_whole(node):
        # Where its last pixel ends a window, a frame waits for that window to leave.
        return beats + int(starts[-1] + shape.window == beats)
    groups = shape.folds if shape.by_group else 1
    return int(
        _follow(starts, shape.window, groups, shape.folds, shape.positions, shape.buffer, beats)
    )


# mypy: disable-error-code="no-untyped-def,no-untyped-call,misc"
@numba.njit(cache=True)
def _follow(starts, window, groups, folds, taps, buffer, beats):  # noqa: ANN001, ANN202
    """Cycles of a frame.

    Args:
        starts: [windows] index of the first beat of each.
        window: beats from a window's first to its last.
        groups: in which a window is given, one after the other: 1, or as many as folds.
        folds: beats of a pixel.
        taps: pixels of a window.
        buffer: beats that are kept.
        beats: of a frame.
    """
    reach = window - (groups - 1)  # to the last beat of the first group
    tail = (groups - 1) * taps  # steps after that group
    length = taps * folds
    began = np.zeros(len(starts), np.int64)
    arrived = reach
    ended = arrived + _AFTER_ARRIVAL + tail
    began[0] = ended - length
    giver = 0  # the window by whose steps the room is made
    for index in range(1, len(starts) + 1):
        # After the last window come the beats that none has.
        last = starts[index] + reach if index < len(starts) else beats
        arrived += last - starts[index - 1] - reach
        place = last - buffer  # which the last beat takes
        while giver + 1 < index and starts[giver + 1] < place:
            giver += 1
        into = place - starts[giver]
        if into > 0:
            # Places are free one by one as beats are given for the last time. All that the next
            # window leaves out is free at once, and then takes as many cycles to be filled.
            steps = into
            if groups > 1:
                steps = (min(into, groups) - 1) * taps + 1 + max(0, into - groups)
            arrived = max(arrived, began[giver] + steps + _AFTER_FREEING)
        if index < len(starts):
            ended = max(ended + length, arrived + _AFTER_ARRIVAL + tail)
            began[index] = ended - length
    return max(ended + 1, arrived)
