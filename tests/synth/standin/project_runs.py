"""The runs of the stand-in's project: what synthesis and implementation leave on the disk.

The file ``crash`` beside the directory of the programs makes one step fail, once: its first line
names the step, the rest is what the log then says; an empty rest is a process that was killed.
"""

import json
import os
import signal
import struct
from pathlib import Path

from design import RefusedError
from interpreter import Interpreter, options
from project import Project

_STEPS = {
    "synth_1": ("synth_design",),
    "impl_1": ("opt_design", "place_design", "phys_opt_design", "route_design", "write_bitstream"),
}
_CHECKPOINTS = {
    "synth_design": "top_wrapper.dcp",
    "opt_design": "top_wrapper_opt.dcp",
    "place_design": "top_wrapper_placed.dcp",
    "phys_opt_design": "top_wrapper_physopt.dcp",
    "route_design": "top_wrapper_routed.dcp",
}
_SAYS = {
    "place_design": "INFO: [Place 30-746] Post Placement Timing Summary WNS=0.412. For the most "
    "accurate timing information please run report_timing.\n",
    "route_design": "INFO: [Route 35-57] Estimated Timing Summary | WNS={slack}  | TNS=0.000  | "
    "WHS=0.010  | THS=0.000  |\n",
}
_UTILIZATION = """
| Site Type                  |  Used | Fixed | Prohibited | Available | Util% |
| CLB LUTs                   |  7123 |     0 |          0 |    230400 |  3.09 |
| CLB Registers              |  9876 |     0 |          0 |    460800 |  2.14 |
| Block RAM Tile             |  12.5 |     0 |          0 |       312 |  4.01 |
| URAM                       |     0 |     0 |          0 |        96 |  0.00 |
| DSPs                       |    24 |     0 |          0 |      1728 |  1.39 |
"""
_TIMING = """
------------------------------------------------------------------------------------------------
| Design Timing Summary
| ---------------------
------------------------------------------------------------------------------------------------

    WNS(ns)      TNS(ns)  TNS Failing Endpoints  TNS Total Endpoints      WHS(ns)      THS(ns)
    -------      -------  ---------------------  -------------------      -------      -------
      {slack}        0.000                      0                20412        0.010        0.000
"""


class Runs:
    """launch_runs and what belongs to it."""

    def __init__(self, interpreter: Interpreter, project: Project, programs: Path) -> None:
        self.interpreter = interpreter
        self.project = project
        self.crash = programs.parent / "crash"
        self.slack = (
            (programs.parent / "slack").read_text()
            if (programs.parent / "slack").exists()
            else "0.037"
        )
        self.done: dict[str, list[str]] = {name: [] for name in _STEPS}
        self.failed: set[str] = set()
        for name in (
            "launch_runs", "wait_on_run", "get_runs", "reset_runs", "open_run",
            "report_utilization", "open_project",
        ):  # fmt: skip
            interpreter.command(name, getattr(self, name))

    def _folder(self, run: str) -> Path:
        return self.project.directory / f"{self.project.name}.runs" / run

    def _state(self) -> Path:
        return self.project.directory / f"{self.project.name}.xpr"

    def save(self) -> None:
        """Keeps the project, as Vivado does with every change."""
        data = {"done": self.done, "failed": sorted(self.failed), "part": self.project.part}
        self._state().write_text(json.dumps(data), encoding="utf-8")

    def open_project(self, name: str) -> str:
        path = Path(name).resolve()
        data = json.loads(path.read_text(encoding="utf-8"))
        self.project.directory, self.project.name = path.parent, path.stem
        self.project.part = data["part"]
        self.done, self.failed = data["done"], set(data["failed"])
        return path.stem

    def get_runs(self, *words: str) -> list[str]:
        _, rest = options(words, (), ("-quiet",))
        found = [name for name in _STEPS if not rest or name == rest[0]]
        for name in found:
            whole = self.done[name] == list(_STEPS[name])
            self.project.properties[name, "PROGRESS"] = "100%" if whole else "0%"
            status = f"{_STEPS[name][-1]} Complete!" if whole else "Not started"
            failed = (
                f"{_STEPS[name][len(self.done[name])]} ERROR" if name in self.failed else status
            )
            self.project.properties[name, "STATUS"] = failed
        return found

    def reset_runs(self, *words: str) -> None:
        found, (name,) = options(words, ("-from_step",), ("-prev_step",))
        step = found.get("-from_step", _STEPS[name][0])
        at = _STEPS[name].index(step)
        if at > len(self.done[name]):
            raise RefusedError(
                f"[Vivado 12-1088] {step} of {name} can't be reset before it was reached"
            )
        self.done[name] = self.done[name][:at]
        self.failed.discard(name)
        for later in _STEPS[name][at:]:
            if later in _CHECKPOINTS:
                (self._folder(name) / _CHECKPOINTS[later]).unlink(missing_ok=True)
        self.save()

    def launch_runs(self, *words: str) -> None:
        found, names = options(words, ("-jobs", "-to_step"))
        if not 1 <= int(found["-jobs"]) <= 64:
            raise RefusedError(f"[Vivado 12-1017] {found['-jobs']} jobs")
        if self.project.directory.joinpath(f"{self.project.name}.xpr").exists() is False:
            self.save()
        for name in ("synth_1", *names):
            if name in self.failed:
                raise RefusedError(
                    f"[Common 17-69] Run '{name}' needs to be reset before launching."
                )
            for step in _STEPS[name][len(self.done[name]) :]:
                if not self._step(name, step):
                    return

    def _step(self, name: str, step: str) -> bool:
        folder = self._folder(name)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "runme.log").open("a", encoding="utf-8") as log:
            log.write(f"Command: {step}\nStarting {step}\n")
            log.write("Phase 1 Build\n" + _SAYS.get(step, "").format(slack=self.slack))
            if self.crash.exists():
                wanted, _, text = self.crash.read_text(encoding="utf-8").partition("\n")
                if wanted == step:
                    self.crash.unlink()
                    log.write(text)
                    if text:
                        self.failed.add(name)
                    self.save()
                    log.flush()
                    if not text:
                        os.kill(os.getpid(), signal.SIGKILL)
                    return False
            log.write(
                f"{step} completed successfully\n{step}: Time (s): cpu = 00:00:09 ; elapsed = "
            )
            log.write("00:00:07 . Memory (MB): peak = 3210.500 ; gain = 12.000\n")
        self.done[name].append(step)
        if step in _CHECKPOINTS:
            (folder / _CHECKPOINTS[step]).write_text("checkpoint", encoding="utf-8")
        if step == "place_design":
            (folder / "top_wrapper_utilization_placed.rpt").write_text(_UTILIZATION)
        if step == "route_design":
            text = _TIMING.format(slack=self.slack)
            (folder / "top_wrapper_timing_summary_routed.rpt").write_text(text)
        if step == "write_bitstream":
            (folder / "top_wrapper.bit").write_bytes(_bitstream(self.project.part))
            handoff = (
                self.project.directory / f"{self.project.name}.gen/sources_1/bd/top/hw_handoff"
            )
            handoff.mkdir(parents=True, exist_ok=True)
            (handoff / "top.hwh").write_text("<EDKSYSTEM/>\n", encoding="utf-8")
        self.save()
        return True

    def wait_on_run(self, name: str) -> None:
        if name in self.failed:
            raise RefusedError(f"[Vivado 12-13638] Failed runs(s) : '{name}'")
        if self.failed:
            raise RefusedError(f"[Vivado 12-13638] Failed runs(s) : '{sorted(self.failed)[0]}'")

    def open_run(self, name: str) -> None:
        if self.done[name] != list(_STEPS[name]):
            raise RefusedError(f"[Project 1-1] {name} has not finished")

    def report_utilization(self, *words: str) -> None:
        found, _ = options(words, ("-file", "-format", "-hierarchical_depth"), ("-hierarchical",))
        Path(found["-file"]).write_text("<RptDoc/>\n", encoding="utf-8")


def _bitstream(part: str) -> bytes:
    """The header of a .bit file, and no configuration."""
    fields = {b"a": b"top_wrapper;UserID=0XFFFFFFFF", b"b": part.removeprefix("xc").encode()}
    data = struct.pack(">H9sH", 9, b"\x0f\xf0\x0f\xf0\x0f\xf0\x0f\xf0\x00", 1)
    for key, value in fields.items():
        data += key + struct.pack(">H", len(value) + 1) + value + b"\0"
    return data + b"e" + struct.pack(">I", 0)
