"""Follows what Vivado and Vitis HLS log while they work.

Each process writes a log of its own: ``vivado.log`` of a project, ``runme.log`` of a run (one for
synthesis, one for implementation, one for each IP), ``vitis_hls.log`` of a DMA.
"""

import contextlib
import os
import re
from collections.abc import Iterator
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


class LogFollower:
    """Reads what is added to the logs below a directory; what is there already is of before.

    Args:
        directory: where Vivado works.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        # By inode: Vivado renames its log of before, and begins another of the same name.
        self._before: dict[int, int] = {}
        for path in self._logs():
            inode, start, data = _from(path, {})
            self._before[inode] = start + len(data)
        self._read = dict(self._before)
        self._slack: float | None = None
        self._resources: Achieved | None = None
        for _ in self._utilization():
            pass

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
        """Everything that was added, the newest file last."""
        return "\n".join(
            _from(path, self._before)[2].decode("utf-8", "replace") for path in self._logs()
        )

    def _logs(self) -> list[Path]:
        """In the order in which they were last written to."""
        logs = []
        for path in self._directory.rglob("*.log"):
            with contextlib.suppress(FileNotFoundError):  # Vivado removes some
                logs.append((path.stat().st_mtime_ns, path))
        return [path for _, path in sorted(logs)]

    def _run(self, path: Path) -> str:
        """What is being made: "synth_1", "impl_1", the name of an IP, or of a project."""
        if path.name == "runme.log":
            return path.parent.name
        return path.parent.name.rpartition("_")[0] or path.parent.name

    def _new_lines(self, path: Path) -> list[str]:
        """The whole lines that were added; half a line is left for the next time."""
        inode, start, data = _from(path, self._read)
        whole = data[: data.rfind(b"\n") + 1]
        self._read[inode] = start + len(whole)
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
        for path in self._directory.rglob(_PLACED):
            found = read_utilization_summary(path.read_text(encoding="utf-8", errors="replace"))
            if found is not None and found != self._resources:
                self._resources = found
                yield (
                    f"placed: {found.lut:,} LUT, {found.ff:,} FF, {found.dsp:,} DSP, "
                    f"{found.bram18:,} BRAM18, {found.uram:,} URAM"
                )


def _from(path: Path, places: dict[int, int]) -> tuple[int, int, bytes]:
    """A file from its place on, or from its start if it has none or is shorter by now.

    Returns:
        Its inode, the place, and what follows; nothing of a file that is gone.
    """
    try:
        with path.open("rb") as file:
            stat = os.fstat(file.fileno())
            start = places.get(stat.st_ino, 0)
            start = start if start <= stat.st_size else 0
            file.seek(start)
            return stat.st_ino, start, file.read()
    except FileNotFoundError:
        return 0, 0, b""
