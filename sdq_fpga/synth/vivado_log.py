"""Follows what Vivado and Vitis HLS log while they work.

Each process writes a log of its own: ``vivado.log`` of a project, ``runme.log`` of a run (one for
synthesis, one for implementation, one for each IP), ``vitis_hls.log`` of a DMA.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sdq_fpga.synth.vivado_reports import Achieved, read_utilization_summary

__all__ = ["LogFollower"]

_LOGS = frozenset({"vivado.log", "runme.log", "vitis_hls.log"})
_STEP = re.compile(r"^Command: (\w+)")
_DONE = re.compile(
    r"^(\w+): Time \(s\): cpu = [\d:.]+ ; elapsed = ([\d:.]+) \. Memory \(MB\): peak = ([\d.]+)"
)
_SLACK = re.compile(
    r"\[(Place 30-746|Route 35-57|Route 35-416|Physopt 32-\d+)\].*?WNS=\s*(-?\d+(?:\.\d+)?)"
)
_WHEN = {"Place": "placed", "Route": "routed", "Physopt": "optimised"}
_TOLD = frozenset(
    {"synth_design", "opt_design", "place_design", "phys_opt_design", "route_design",
     "write_bitstream", "csynth_design", "export_design"}
)  # fmt: skip
_PLACED = "*_utilization_placed.rpt"


@dataclass
class LogFollower:
    """Reads what has been added to the logs below a directory.

    Attributes:
        directory: where Vivado works.
    """

    directory: Path
    _read: dict[Path, int] = field(default_factory=dict)
    _slack: float | None = None
    _resources: Achieved | None = None

    def news(self) -> Iterator[str]:
        """Lines for the user on all that was logged since the last call: steps, times, slack."""
        for path in self._logs():
            if path.name in _LOGS:
                run = self._run(path)
                for line in self._new_lines(path):
                    told = self._told(run, line)
                    if told is not None:
                        yield told
        yield from self._utilization()

    def text(self) -> str:
        """Everything that was logged, the newest file last."""
        return "\n".join(
            path.read_text(encoding="utf-8", errors="replace") for path in self._logs()
        )

    def _logs(self) -> list[Path]:
        """In the order in which they were last written to."""
        logs = [path for path in self.directory.rglob("*.log") if path.is_file()]
        return sorted(logs, key=lambda path: (path.stat().st_mtime_ns, str(path)))

    def _run(self, path: Path) -> str:
        """What is being made: "synth_1", "impl_1", the name of an IP, or of a project."""
        if path.name == "runme.log":
            return path.parent.name
        return path.parent.name.rpartition("_")[0] or path.parent.name

    def _new_lines(self, path: Path) -> list[str]:
        """The whole lines that were added; half a line is left for the next time."""
        start = self._read.get(path, 0)
        size = path.stat().st_size
        if size < start:  # begun anew
            start = 0
        if size == start:
            return []
        with path.open("rb") as file:
            file.seek(start)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._read[path] = start + len(whole)
        return whole.decode("utf-8", "replace").splitlines()

    def _told(self, run: str, line: str) -> str | None:
        step = _STEP.match(line)
        if step is not None and step[1] in _TOLD:
            return f"{run}: {step[1]}"
        done = _DONE.match(line)
        if done is not None and done[1] in _TOLD:
            return f"{run}: {done[1]} took {done[2]}, {float(done[3]) / 1024:.1f} GiB of memory"
        slack = _SLACK.search(line)
        if slack is not None and float(slack[2]) != self._slack:
            self._slack = float(slack[2])
            return f"worst slack {self._slack:+.3f} ns, {_WHEN[slack[1].split()[0]]}"
        if line.startswith("ERROR: "):
            return line
        return None

    def _utilization(self) -> Iterator[str]:
        for path in self.directory.rglob(_PLACED):
            found = read_utilization_summary(path.read_text(encoding="utf-8", errors="replace"))
            if found is not None and found != self._resources:
                self._resources = found
                yield (
                    f"placed: {found.lut:,} LUT, {found.ff:,} FF, {found.dsp:,} DSP, "
                    f"{found.bram18:,} BRAM18, {found.uram:,} URAM"
                )
