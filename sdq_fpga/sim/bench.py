"""Runs a compiled design: any number of AXI-Stream ports, random stalls, resets, probes.

The plan file and the lines that come back are those of hw/sim/harness.cpp.
"""

import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sdq_fpga.errors import StageError
from sdq_fpga.rtl.design import Stream
from sdq_fpga.rtl.ports import module_ports
from sdq_fpga.shipped import shipped_dir
from sdq_fpga.sim.streams import pack, unpack
from sdq_fpga.sim.verilator import compile_model

__all__ = ["BenchRun", "Cycle", "Drive", "compile_bench", "run_bench"]

_STALL_ONE = 2**16  # the harness takes probabilities in units of 1/65536


@dataclass(frozen=True)
class Drive:
    """How a design is driven; see hw/sim/harness.cpp for each.

    Attributes:
        stall: probability that a source holds back a beat in a cycle, and that a sink is not
            ready in it.
        burst: mean number of cycles for which such a decision holds; 0 for one.
        late: cycle before which no sink is ready.
        seed: of the stalls and of registers without a reset.
        alone: how many of the first frames go through an empty pipeline.
        gap: least cycles between the starts of two frames.
        reset: cycle of a reset after which everything starts again; 0 for none.
        patience: cycles without a transfer after which the design counts as stuck.
        constants: inputs that stay constant.
        probes: outputs to read at the end.
        writes: AXI-Lite writes (address, data) before the first frame.
        reads: AXI-Lite reads after the writes.
        coverage: file for the coverage of a design that was compiled with it; see
            ``sdq_fpga.sim.coverage``.
    """

    stall: float = 0.0
    burst: int = 0
    late: int = 0
    seed: int = 0
    alone: int = 0
    gap: int = 0
    reset: int = 0
    patience: int = 100_000
    constants: Mapping[str, int] = field(default_factory=dict)
    probes: Sequence[str] = ()
    writes: Sequence[tuple[int, int]] = ()
    reads: Sequence[int] = ()
    coverage: Path | None = None


@dataclass(frozen=True)
class Cycle:
    """A source that gives the same beats again and again.

    Attributes:
        beats: bytes [beats, width / 8], least significant first.
        per_frame: beats for one frame.
        frames: how many frames.
    """

    beats: npt.NDArray[np.uint8]
    per_frame: int
    frames: int


@dataclass(frozen=True)
class BenchRun:
    """What a simulation showed.

    Attributes:
        outputs: for each sink, integers [N, *shape].
        frames: (first in, last in, first out, last out) of each frame, in cycles; empty where the
            streams have different numbers of frames.
        cycles: cycles simulated.
        probes: values of the probes.
        reads: what was read, in order of ``Drive.reads``.
    """

    outputs: dict[str, npt.NDArray[np.int64]]
    frames: tuple[tuple[int, int, int, int], ...]
    cycles: int
    probes: dict[str, int]
    reads: tuple[int, ...] = ()


def compile_bench(sources: Sequence[Path], top: str, build: Path, **options: object) -> Path:
    """Compiles ``top`` with the harness.

    Args:
        sources: SystemVerilog files, packages first; one of them declares ``top`` with the ports
            ap_clk and ap_rst_n and ANSI-style declarations.
        top: name of the module.
        build: scratch directory.
        **options: those of ``compile_model``.

    Raises:
        StageError: there is no such module, no compiler, or Verilator refuses the sources.
    """
    declared = [path for path in sources if f"module {top} " in path.read_text(encoding="utf-8")]
    if not declared:
        raise StageError(f"no source declares module {top}", "report the design")
    ports = module_ports(declared[0].read_text(encoding="utf-8"), top, declared[0].name)
    build.mkdir(parents=True, exist_ok=True)
    folder = build / "harness"
    folder.mkdir(exist_ok=True)
    names = "".join(f" \\\n\tX({port.name})" for port in ports)
    (folder / "ports.h").write_text(f"#define PORTS(X){names}\n", encoding="utf-8")
    shipped = shipped_dir("hw") / "sim"
    wrapper = folder / "design.cpp"
    shutil.copyfile(shipped / "design.cpp", wrapper)
    harness = shipped / "harness.cpp"
    return compile_model(sources, top, harness, build, wrapper=wrapper, **options)  # type: ignore[arg-type]


def run_bench(
    executable: Path,
    sources: Mapping[str, tuple[Stream, npt.NDArray[np.int64]]],
    sinks: Mapping[str, tuple[Stream, int]],
    drive: Drive,
    *,
    scratch: Path,
    memories: Path,
    cycles: Mapping[str, Cycle] | None = None,
    arrived: Callable[[int], None] = lambda _: None,
) -> BenchRun:
    """Streams frames through a compiled design.

    Args:
        executable: what ``compile_bench`` returned.
        sources: by prefix of the port: how its frames lie in beats, and integers [N, *shape].
        sinks: by prefix of the port: how its frames lie in beats, and how many to expect.
        drive: stalls, resets and the like.
        scratch: directory for the files that go in and out.
        memories: directory in which the design finds its memory files.
        cycles: by prefix of the port: further sources, whose beats come again and again.
        arrived: called with 1 after each frame that has left.

    Raises:
        StageError: the design is stuck, violates AXI-Stream, fails one of its assertions, or does
            not find a memory file.
    """
    plan = [f"{name} {int(value)}" for name, value in _numbers(drive).items()]
    for name, (stream, frames) in sources.items():
        file = scratch / f"{name}.in"
        file.write_bytes(pack(frames, stream).tobytes())
        plan.append(f"source {name} {file} {stream.width // 8} {stream.beats} {len(frames)}")
    for name, cycle in (cycles or {}).items():
        file = scratch / f"{name}.in"
        file.write_bytes(cycle.beats.tobytes())
        width = cycle.beats.shape[1]
        plan.append(f"cycle {name} {file} {width} {cycle.per_frame} {cycle.frames}")
    for name, (stream, count) in sinks.items():
        file = scratch / f"{name}.out"
        plan.append(f"sink {name} {file} {stream.width // 8} {stream.beats} {count}")
    plan += [f"set {name} {value}" for name, value in drive.constants.items()]
    plan += [f"probe {name}" for name in drive.probes]
    plan += [f"write {address} {data}" for address, data in drive.writes]
    plan += [f"read {address}" for address in drive.reads]
    plan += [f"coverage {drive.coverage}"] if drive.coverage else []
    (scratch / "plan.txt").write_text("\n".join(plan) + "\n", encoding="utf-8")
    said = _follow(executable, scratch / "plan.txt", memories, arrived)
    outputs = {}
    for name, (stream, count) in sinks.items():
        raw = np.frombuffer((scratch / f"{name}.out").read_bytes(), np.uint8)
        outputs[name] = unpack(raw.reshape(count, stream.beats, stream.width // 8), stream)
    return BenchRun(
        outputs=outputs,
        frames=tuple(said.times),
        cycles=said.cycles,
        probes=said.probes,
        reads=tuple(said.reads),
    )


def _numbers(drive: Drive) -> dict[str, int]:
    return {
        "stall": round(drive.stall * _STALL_ONE),
        "burst": drive.burst,
        "late": drive.late,
        "seed": drive.seed,
        "alone": drive.alone,
        "gap": drive.gap,
        "reset": drive.reset,
        "patience": drive.patience,
    }


@dataclass
class _Said:
    """The lines of the harness."""

    times: list[tuple[int, int, int, int]] = field(default_factory=list)
    probes: dict[str, int] = field(default_factory=dict)
    reads: list[int] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    cycles: int = -1


def _follow(executable: Path, plan: Path, memories: Path, arrived: Callable[[int], None]) -> _Said:
    """Runs the harness and reads its lines as they come."""
    found = _Said()
    with subprocess.Popen(
        [str(executable), str(plan)],
        cwd=memories,  # memories are named without a directory
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None  # noqa: S101  # we asked for a pipe
        for line in process.stdout:
            match line.split():
                case ["frame", _, *cells]:
                    first_in, last_in, first_out, last_out = map(int, cells)
                    found.times.append((first_in, last_in, first_out, last_out))
                    arrived(1)
                case ["probe", name, value]:
                    found.probes[name] = int(value)
                case ["read", _, value]:
                    found.reads.append(int(value))
                case ["done", count]:
                    found.cycles = int(count)
                case [_, *_]:
                    found.other.append(line.strip())
    if process.returncode != 0 or found.cycles < 0:
        said = found.other[0] if found.other else f"exit code {process.returncode}"
        raise StageError(
            f"the simulated design failed after {len(found.times)} frames ({said})",
            "report the network and the board; the RTL is kept in the run directory",
        )
    return found
