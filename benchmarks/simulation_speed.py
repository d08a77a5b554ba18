"""How fast the RTL of a finished build simulates: compilation, and cycles per second.

    python benchmarks/simulation_speed.py runs/table/cnv-w1a1-zcu104/run

With optimisation and without, one simulation alone and two at the same time, which is how a build
verifies (without and with stalls). All in one run, so that ratios hold on a machine that does
other things as well; cycles per second of processor time are those of a core with nothing else.
"""

import resource
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np

from sdq_fpga.progress import SilentProgress
from sdq_fpga.rtl.design import RtlDesign
from sdq_fpga.sim.bench import Drive
from sdq_fpga.sim.simulate import Simulation, build_simulation
from sdq_fpga.stages.settings import read_plain

_MANY, _FEW = 10**9, 1  # cycles for which compiling with optimisation is worth it, and not
_LIMIT = 10**7  # cycles of an interval, beyond which a design is stuck

Frames = Mapping[str, np.ndarray]


def _frames(design: RtlDesign, count: int) -> Frames:
    """Random values that fill the inputs."""
    rng = np.random.default_rng(0)
    found = {}
    for port in design.inputs:
        stream = port.stream
        span = 2**stream.element_bits
        codes = rng.integers(0, span, (count, *stream.shape))
        if stream.bipolar:
            codes = 2 * codes - 1
        found[port.tensor] = codes - span // 2 if stream.signed else codes
    return found


def _processor() -> float:
    """Seconds of processor time of all processes that were started and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _run(simulation: Simulation, frames: Frames, folder: Path, stall: float) -> int:
    folder.mkdir()
    drive = Drive(stall=stall, alone=1)
    return simulation.run(frames, drive, estimated_interval=_LIMIT, scratch=folder).cycles


@click.command()
@click.argument("run", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--frames", "count", type=click.IntRange(4), default=8, show_default=True)
def main(run: Path, count: int) -> None:
    """Measures the simulation of a run directory."""
    design = read_plain(RtlDesign, run / "generate" / "design.json")
    frames = _frames(design, count)
    click.echo(
        "| C++ | compile s | of the processor | cycles/s alone | per processor s | of two at once |"
    )
    click.echo("|---|---|---|---|---|---|")
    for name, cycles in (("-O1", _MANY), ("-O0", _FEW)):
        with TemporaryDirectory() as scratch, ThreadPoolExecutor(2) as pool:
            folder = Path(scratch)
            began, idle = time.monotonic(), _processor()
            simulation = build_simulation(
                design,
                run / "generate" / "rtl",
                folder,
                cycles=cycles,
                cache=None,
                progress=SilentProgress(),
            )
            compiled, built = time.monotonic(), _processor()
            alone = _run(simulation, frames, folder / "alone", 0.0)
            middle, ran = time.monotonic(), _processor()
            both = [
                pool.submit(_run, simulation, frames, folder / kind, stall)
                for kind, stall in (("free", 0.0), ("stalled", 0.3))
            ]
            together = sum(each.result() for each in both)
            end = time.monotonic()
        click.echo(
            f"| {name} | {compiled - began:.0f} | {built - idle:.0f} "
            f"| {alone / (middle - compiled):,.0f} | {alone / (ran - built):,.0f} "
            f"| {together / (end - middle):,.0f} |"
        )


if __name__ == "__main__":
    main()
