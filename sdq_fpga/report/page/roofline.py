"""The roofline of a board, with a design in it, as coordinates of a chart with two log axes."""

import math
from dataclasses import dataclass

from sdq_fpga.cost.roofline import Roofline

__all__ = ["Mark", "RooflineChart", "roofline_chart"]

_WIDTH, _HEIGHT = 640.0, 260.0
_DECADES = 2  # of intensity on both sides of the design


@dataclass(frozen=True)
class Mark:
    """A place on an axis, or a level of the chart.

    Attributes:
        text: beside it.
        at: its coordinate.
    """

    text: str
    at: float


@dataclass(frozen=True)
class RooflineChart:
    """What is drawn, in units of the SVG, with the origin at the upper left.

    Attributes:
        width: of the drawing.
        height: likewise.
        roofs: heights of the peaks of products, of what is there.
        streams: (x, y) of both ends of what the streams carry.
        design: (x, y) of the design.
        rates: marks of the vertical axis, whole powers of ten.
        intensities: marks of the horizontal axis, likewise.
    """

    width: float
    height: float
    roofs: tuple[Mark, ...]
    streams: tuple[tuple[float, float], tuple[float, float]]
    design: tuple[float, float]
    rates: tuple[Mark, ...]
    intensities: tuple[Mark, ...]


def roofline_chart(roof: Roofline, a_second: float) -> RooflineChart:
    """The chart: products in a second against products for each byte of the streams.

    Args:
        roof: of the board.
        a_second: products that the design does in a second.
    """
    middle = math.log10(roof.intensity)
    left, right = middle - _DECADES, middle + _DECADES
    peaks = {
        "usable DSP slices": roof.dsp_roof,
        "usable LUTs": roof.lut_roof,
        "both": roof.roof,
    }
    heights = {name: math.log10(peak) for name, peak in peaks.items() if peak}
    slope = math.log10(roof.bandwidth)
    known = [math.log10(a_second), slope + middle, *heights.values()]
    low, high = math.floor(min(known) - 0.3), math.ceil(max(known) + 0.3)

    def x(value: float) -> float:
        return round((value - left) / (right - left) * _WIDTH, 2)

    def y(value: float) -> float:
        return round((high - value) / (high - low) * _HEIGHT, 2)

    # The line of the streams is cut where it leaves the drawing.
    first, last = max(left, low - slope), min(right, high - slope)
    return RooflineChart(
        width=_WIDTH,
        height=_HEIGHT,
        roofs=tuple(Mark(name, y(height)) for name, height in heights.items()),
        streams=((x(first), y(slope + first)), (x(last), y(slope + last))),
        design=(x(middle), y(math.log10(a_second))),
        rates=tuple(Mark(_scaled(power - 9), y(power)) for power in range(low, high + 1)),
        intensities=tuple(
            Mark(_scaled(power), x(power))
            for power in range(math.ceil(left), math.floor(right) + 1)
        ),
    )


def _scaled(power: int) -> str:
    """Ten to that power."""
    return f"{10**power:,}" if power >= 0 else f"{10.0**power:.{-power}f}"
