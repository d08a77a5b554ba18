"""Reads what Vivado achieved from the reports that every implementation writes."""

import re
from pathlib import Path

from sdq_fpga.errors import StageError
from sdq_fpga.plain import Plain

__all__ = [
    "Achieved",
    "AchievedFigures",
    "Timing",
    "read_achieved",
    "read_timing",
    "read_utilization_summary",
]

# Rows of report_utilization, as older and newer parts call them.
_ROWS = {
    "lut": ("CLB LUTs", "Slice LUTs"),
    "ff": ("CLB Registers", "Slice Registers"),
    "bram36": ("Block RAM Tile",),
    "dsp": ("DSPs",),
    "uram": ("URAM",),
}
_OPTIONAL = frozenset({"uram"})  # parts of the 7 series have none
_SLACKS = re.compile(r"WNS\(ns\)\s+TNS\(ns\)[^\n]*\n[-\s]*\n\s*(-?[\d.]+|NA)\s")
_CLOCK = re.compile(r"^\s*(clk_out1\S*)\s+\{[^}]*\}\s+([\d.]+)\s+([\d.]+)", re.MULTILINE)


class Achieved(Plain):
    """What the placed design takes: the accelerator with its shell and DMAs.

    Attributes:
        bram18: block RAMs of 18 kbit; one of 36 kbit is two.
    """

    lut: int
    ff: int
    dsp: int
    bram18: int
    uram: int


class Timing(Plain):
    """What the routed design reaches.

    Attributes:
        slack_ns: worst setup slack, negative if the clock is too fast.
        clock_mhz: that the shell's clock generator really makes; None where the report has no
            clock of that name.
        fastest_mhz: at which the worst path would just do.
    """

    slack_ns: float
    clock_mhz: float | None
    fastest_mhz: float


class AchievedFigures(Plain):
    """What Vivado achieved, the shell and its DMAs included."""

    resources: Achieved
    timing: Timing


def read_utilization_summary(text: str) -> Achieved | None:
    """Reads a report_utilization of a placed design; None while it is not whole.

    Args:
        text: of the report.
    """
    found: dict[str, float] = {}
    for line in text.splitlines():
        cells = [cell.strip().rstrip("*") for cell in line.strip().strip("|").split("|")]
        for kind, names in _ROWS.items():
            if len(cells) > 1 and cells[0] in names and re.fullmatch(r"[\d.]+", cells[1]):
                found.setdefault(kind, float(cells[1]))
    if not found.keys() >= _ROWS.keys() - _OPTIONAL:
        return None
    return Achieved(
        lut=int(found["lut"]),
        ff=int(found["ff"]),
        dsp=int(found["dsp"]),
        bram18=round(2 * found["bram36"]),
        uram=int(found.get("uram", 0)),
    )


def read_timing(text: str, period_ns: float, source: str = "the timing report") -> Timing:
    """Reads a report_timing_summary of a routed design.

    Args:
        text: of the report.
        period_ns: of the clock that was asked for.
        source: where it is from, for errors.

    Raises:
        StageError: it has no slack.
    """
    slack = _SLACKS.search(text)
    if slack is None or slack[1] == "NA":
        raise StageError(f"{source} states no slack", "report the version of Vivado")
    clock = _CLOCK.search(text)
    period = float(clock[2]) if clock else period_ns
    worst = float(slack[1])
    return Timing(
        slack_ns=worst,
        clock_mhz=float(clock[3]) if clock else None,
        fastest_mhz=round(1e3 / (period - worst), 3),
    )


def read_achieved(run: Path, period_ns: float) -> AchievedFigures:
    """Reads both reports of an implementation.

    Args:
        run: its directory (impl_1).
        period_ns: of the clock that was asked for.

    Raises:
        StageError: one is missing, or can't be read.
    """
    texts = {}
    for kind in ("utilization_placed", "timing_summary_routed"):
        paths = sorted(run.glob(f"*_{kind}.rpt"))
        if not paths:
            raise StageError(f"{run} has no report *_{kind}.rpt", "see the logs beside it")
        texts[kind] = paths[0].read_text(encoding="utf-8", errors="replace")
    resources = read_utilization_summary(texts["utilization_placed"])
    if resources is None:
        raise StageError(
            f"the utilization report in {run} lacks a row", "report the version of Vivado"
        )
    timing = read_timing(texts["timing_summary_routed"], period_ns, str(run))
    return AchievedFigures(resources=resources, timing=timing)
