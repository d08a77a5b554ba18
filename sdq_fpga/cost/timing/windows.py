"""The actors of FINN's sliding-window generator.

Mirrors finn-rtllib/swg/swg_template_default.sv and swg_template_parallel.sv, with the buffer sizes
of finn/custom_op/fpgadataflow/rtl/convolutioninputgenerator_rtl.py.
"""

import numpy as np

from sdq_fpga.cost.node import HardwareNode
from sdq_fpga.cost.timing.actor import Actor, Cumulative, Input, Lock, Output, Places, every_step
from sdq_fpga.cost.windows import Windows

__all__ = ["window_actor"]


def window_actor(node: HardwareNode) -> Actor:
    """The actor of a ConvolutionInputGenerator_rtl."""
    windows = Windows.of(node)
    if node.integer("parallel_window") or windows.kernel == (1, 1):
        return _parallel(node, windows)
    return _default(node, windows)


def _default(node: HardwareNode, windows: Windows) -> Actor:
    """One position of a window a cycle, from a memory that goes round."""
    folds, starts, taps = windows.folds, windows.starts(), windows.taps()
    groups = np.arange(folds)
    if windows.by_group:
        # positions, groups, taps
        element = (starts[:, None, None] + taps) * folds + groups[:, None]
        first = starts[:, None] * folds + groups
        per_window = len(taps)
    else:
        # positions, taps, groups
        element = (starts[:, None, None] + taps[:, None]) * folds + groups
        first = (starts * folds)[:, None]
        per_window = len(taps) * folds
    order = element.reshape(-1)
    first = first.reshape(-1)
    following = np.repeat(np.append(first[1:], windows.beats_in), per_window)
    current = np.append(order[1:], windows.beats_in)
    free = np.minimum(following, current)
    free[-1] = windows.beats_in
    # Later elements are not needed again once a later one may be overwritten.
    free = np.minimum.accumulate(free[::-1])[::-1]
    steps = len(order)
    taken = Input(
        windows.beats_in,
        Cumulative.of(order + 1, windows.beats_in),
        buffer=windows.buffer,
        free=Cumulative.of(free, windows.beats_in),
        wait=1,
        release=1,
        whole_frames=True,
    )
    return Actor(node.name, steps, (taken,), (Output(steps, every_step(), 1, Places(1, 0)),))


def _parallel(node: HardwareNode, windows: Windows) -> Actor:
    """A whole window a cycle, from registers and line buffers that shift with each input."""
    folds = windows.folds
    last = ((windows.starts() + windows.reach)[:, None] * folds + np.arange(folds)).reshape(-1)
    gives = np.zeros(windows.beats_in, np.int64)
    gives[last] = 1
    beats = len(last)
    out = Output(beats, Cumulative.of(np.cumsum(gives), beats), 1, Lock())
    ends = int(last[-1]) == windows.beats_in - 1
    taken = Input(windows.beats_in, every_step())
    return Actor(node.name, windows.beats_in, (taken,), (out,), whole_frames=ends)
