"""The shapes of a sliding-window generator (ConvolutionInputGenerator_rtl)."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sdq_fpga.cost.node import HardwareNode

__all__ = ["Windows"]

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Windows:
    """A generator's image and windows; pairs are (height, width).

    Attributes:
        image: pixels that come in.
        kernel: pixels of a window.
        stride: from one window to the next.
        dilation: from one pixel of a window to the next.
        out: windows.
        folds: beats of a pixel.
        by_group: whether a window is given channels by channels, as a depthwise unit takes it.
    """

    image: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    out: tuple[int, int]
    folds: int
    by_group: bool

    @classmethod
    def of(cls, node: HardwareNode) -> "Windows":
        """The shapes of a node."""

        def pair(name: str) -> tuple[int, int]:
            height, width = node.integers(name)
            return height, width

        folds = node.integer("IFMChannels") // node.integer("SIMD")
        return cls(
            pair("IFMDim"),
            pair("ConvKernelDim"),
            pair("Stride"),
            pair("Dilation"),
            pair("OFMDim"),
            folds,
            bool(node.integer("depthwise")) and folds > 1,
        )

    @property
    def beats_in(self) -> int:
        """Beats of a frame that come in."""
        return math.prod(self.image) * self.folds

    @property
    def positions(self) -> int:
        """Pixels of a window."""
        return math.prod(self.kernel)

    @property
    def span(self) -> tuple[int, int]:
        """Height and width of a window in the image."""
        (high, wide), (down, right) = self.kernel, self.dilation
        return (high - 1) * down + 1, (wide - 1) * right + 1

    @property
    def reach(self) -> int:
        """Pixels from the first to the last of a window, in order of their coming in."""
        high, wide = self.span
        return (high - 1) * self.image[1] + wide - 1

    @property
    def window(self) -> int:
        """Beats from the first to the last of a window, both included."""
        return (self.reach + 1) * self.folds

    @property
    def buffer(self) -> int:
        """Beats that the buffer of one pixel a cycle holds (get_buffer_depth of FINN)."""
        down, right = self.stride
        taps = self.positions
        more = max(0, right - 1 - taps) + max(0, (down - 1) * self.image[1] - taps)
        return self.window + more * self.folds

    def starts(self) -> Integers:
        """[windows] index of the first pixel of each."""
        rows = np.arange(self.out[0]) * self.stride[0]
        columns = np.arange(self.out[1]) * self.stride[1]
        found: Integers = (rows[:, None] * self.image[1] + columns).reshape(-1)
        return found

    def taps(self) -> Integers:
        """[pixels of a window] distance of each to the first."""
        rows = np.arange(self.kernel[0]) * self.dilation[0]
        columns = np.arange(self.kernel[1]) * self.dilation[1]
        found: Integers = (rows[:, None] * self.image[1] + columns).reshape(-1)
        return found
