"""The actors of FINN's sliding-window generator.

Mirrors finn-rtllib/swg/swg_template_default.sv and swg_template_parallel.sv, with the buffer sizes
of finn/custom_op/fpgadataflow/rtl/convolutioninputgenerator_rtl.py.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sdq_fpga.cost.node import HardwareNode
from sdq_fpga.cost.timing.actor import Actor, Cumulative, Input, Lock, Output, Places, every_step

__all__ = ["window_actor"]


@dataclass(frozen=True)
class _Windows:
    """The shapes of a generator; pairs are (height, width)."""

    image: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    out: tuple[int, int]
    folds: int

    @classmethod
    def of(cls, node: HardwareNode) -> "_Windows":
        def pair(name: str) -> tuple[int, int]:
            height, width = node.integers(name)
            return height, width

        return cls(
            pair("IFMDim"),
            pair("ConvKernelDim"),
            pair("Stride"),
            pair("Dilation"),
            pair("OFMDim"),
            node.integer("IFMChannels") // node.integer("SIMD"),
        )

    @property
    def beats_in(self) -> int:
        return math.prod(self.image) * self.folds

    @property
    def reach(self) -> int:
        """Positions from the first to the last of a window."""
        (high, wide), (down, right) = self.kernel, self.dilation
        return (high - 1) * down * self.image[1] + (wide - 1) * right

    def starts(self) -> npt.NDArray[np.int64]:
        """Index of the first position of each window."""
        rows = np.arange(self.out[0]) * self.stride[0]
        columns = np.arange(self.out[1]) * self.stride[1]
        found: npt.NDArray[np.int64] = (rows[:, None] * self.image[1] + columns).reshape(-1)
        return found

    def taps(self) -> npt.NDArray[np.int64]:
        """Distance of each position of a window to its first."""
        rows = np.arange(self.kernel[0]) * self.dilation[0]
        columns = np.arange(self.kernel[1]) * self.dilation[1]
        found: npt.NDArray[np.int64] = (rows[:, None] * self.image[1] + columns).reshape(-1)
        return found


def window_actor(node: HardwareNode) -> Actor:
    """The actor of a ConvolutionInputGenerator_rtl."""
    windows = _Windows.of(node)
    if node.integer("parallel_window") or windows.kernel == (1, 1):
        return _parallel(node, windows)
    return _default(node, windows)


def _default(node: HardwareNode, windows: _Windows) -> Actor:
    """One position of a window a cycle, from a memory that goes round."""
    folds, starts, taps = windows.folds, windows.starts(), windows.taps()
    by_group = bool(node.integer("depthwise")) and folds > 1
    groups = np.arange(folds)
    if by_group:
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
    high, wide = windows.stride
    taps_count = len(taps)
    buffer = (windows.reach + 1) * folds
    buffer += max(0, (wide - 1 - taps_count) * folds)
    buffer += max(0, ((high - 1) * windows.image[1] - taps_count) * folds)
    steps = len(order)
    taken = Input(
        windows.beats_in,
        Cumulative.of(order + 1, windows.beats_in),
        buffer=buffer,
        free=Cumulative.of(free, windows.beats_in),
        wait=1,
        release=1,
        whole_frames=True,
    )
    return Actor(node.name, steps, (taken,), (Output(steps, every_step(), 1, Places(1, 0)),))


def _parallel(node: HardwareNode, windows: _Windows) -> Actor:
    """A whole window a cycle, from registers and line buffers that shift with each input."""
    folds = windows.folds
    last = ((windows.starts() + windows.reach)[:, None] * folds + np.arange(folds)).reshape(-1)
    gives = np.zeros(windows.beats_in, np.int64)
    gives[last] = 1
    beats = len(last)
    out = Output(beats, Cumulative.of(np.cumsum(gives), beats), 1, Lock(behind=0, lag=0, release=0))
    ends = int(last[-1]) == windows.beats_in - 1
    taken = Input(windows.beats_in, every_step())
    return Actor(node.name, windows.beats_in, (taken,), (out,), whole_frames=ends)
