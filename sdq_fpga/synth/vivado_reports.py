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
_CLOCK = re.compile(r"^\s*(\S+)\s+\{[^}]*\}\s+([\d.]+)\s+([\d.]+)", re.MULTILINE)
_SHELLS = "clk_out1"  # how the clock of the accelerator begins, in the shell
_INTRA = re.compile(r"\| Intra Clock Table(.*?)(?:\| Inter Clock Table|\Z)", re.DOTALL)


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
        clock_mhz: that the shell's clock generator really makes, or that of the only clock; None
            where the report has neither.
        fastest_mhz: at which the worst path would just do.
        clock_slack_ns: worst setup slack of the paths within that clock; the design's own may be of
            another clock, or of a path between two. None where the report does not say.
    """

    slack_ns: float
    clock_mhz: float | None
    fastest_mhz: float
    clock_slack_ns: float | None = None


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
    clocks = _CLOCK.findall(text)
    shells = [each for each in clocks if each[0].startswith(_SHELLS)]
    name, period, mhz = (shells or clocks)[0] if shells or len(clocks) == 1 else (None, None, None)
    worst = float(slack[1])
    return Timing(
        slack_ns=worst,
        clock_mhz=float(mhz) if mhz else None,
        fastest_mhz=round(1e3 / (float(period or period_ns) - worst), 3),
        clock_slack_ns=None if name is None else _slack_within(text, name),
    )


def _slack_within(text: str, clock: str) -> float | None:
    """The worst slack of the paths within a clock; None where the report has no such row."""
    table = _INTRA.search(text)
    row = table and re.search(rf"^\s*{re.escape(clock)}\s+(-?\d[\d.]*)", table[1], re.MULTILINE)
    return float(row[1]) if row else None


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
