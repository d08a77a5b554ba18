"""Builds random networks for random boards, and compares their RTL with QONNX.

    python benchmarks/fuzz_networks.py --count 500 --seed 0

Each network that fails is made as small as it can be while it still fails, and is kept as a JSON
file, which the tests build from then on.
"""

import shutil
import sys
import tempfile
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import click
import numpy as np

from sdq_fpga.board import load_board
from sdq_fpga.flow import SimulateSpec
from sdq_fpga.progress import SilentProgress
from sdq_fpga.report.summary import AcceleratorFigures
from sdq_fpga.run import open_run
from sdq_fpga.zoo.random_net import NetSpec, build, draw, smaller

__all__ = ["build_network", "check_network"]

_BOARDS = ("zcu104", "pynq-z2")
_REGRESSIONS = Path(__file__).resolve().parent.parent / "tests" / "networks" / "regressions"
_MOST_SHRINKS = 60
# What the timing model may be off by.
_INTERVAL_ERROR = 0.02
_LATENCY_ERROR = 0.05
_CYCLES_ERROR = 2  # of networks that take hardly any


def build_network(
    spec: NetSpec, choice: int, work: Path, cache: Path | None, trials: int | None = None
) -> AcceleratorFigures:
    """Builds and simulates one network; the run is in ``work / "run"``.

    Args:
        spec: the network.
        choice: draws the board and the frame rate.
        work: scratch directory.
        cache: directory of compiled simulations, or None: of many networks they take gigabytes.
        trials: of the sizing of FIFOs; None draws them too.
    """
    from sdq_fpga.stages.model_build import ModelBuild  # noqa: PLC0415  # imports torch and FINN
    from sdq_fpga.stages.target import ModelSettings, Target  # noqa: PLC0415

    rng = np.random.default_rng(choice)
    board = load_board(_BOARDS[int(rng.integers(2))])
    model = work / "model.onnx"
    model.write_bytes(build(spec).SerializeToString())
    target = Target(
        board=board,
        clock_mhz=board.clock_mhz.default,
        target_fps=float(10 ** rng.uniform(3.0, 6.0)),
        seed=choice,
        simulate=SimulateSpec(
            images=4, fifo_trials=int(rng.choice([0, 0, 0, 6])) if trials is None else trials
        ),
    )
    with open_run(work / "run") as run:
        settings = ModelSettings(name="model.onnx", target=target)
        try:
            made = ModelBuild(settings, model, run, cache, SilentProgress())
            return made.everything(None).accelerator
        except Exception as error:
            if "frames/s" not in str(error):  # a rate that is out of reach
                raise
            fastest = target.model_copy(update={"target_fps": None})
            settings = ModelSettings(name="model.onnx", target=fastest)
            made = ModelBuild(settings, model, run, cache, SilentProgress())
            return made.everything(None).accelerator


def check_network(spec: NetSpec, choice: int, work: Path, cache: Path | None) -> str | None:
    """Builds one network and says what is wrong with it, or None; as ``build_network``."""
    try:
        figures = build_network(spec, choice, work, cache)
    except Exception as error:  # whatever it is, it is a finding
        return f"{type(error).__name__}: {error}\n{traceback.format_exc(limit=-3)}"
    simulated = figures.simulation
    if not simulated.verdict.bit_exact:
        return f"not bit-exact: {simulated.verdict}"
    for what, predicted, seen, share in (
        ("interval", figures.predicted_interval, simulated.interval, _INTERVAL_ERROR),
        ("latency", figures.predicted_latency, simulated.latency, _LATENCY_ERROR),
    ):
        if abs(predicted - seen) > max(_CYCLES_ERROR, share * seen):
            return f"mistimed: {what} {predicted:g} predicted, {seen:g} simulated"
    return None


def _check(seed: int) -> tuple[int, str | None]:
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        return seed, check_network(draw(seed), seed, Path(name), None)


def _kind(problem: str) -> str:
    return problem.split(":", 1)[0]


def _shrink(spec: NetSpec, choice: int, kind: str) -> NetSpec:
    tries = 0
    again = True
    while again:
        again = False
        for candidate in smaller(spec):
            tries += 1
            if tries > _MOST_SHRINKS:
                return spec
            work = Path(tempfile.mkdtemp(prefix="shrink-"))
            problem = check_network(candidate, choice, work, None)
            shutil.rmtree(work)
            if problem is not None and _kind(problem) == kind:
                spec, again = candidate, True
                break
    return spec


@click.command()
@click.option("--count", type=click.IntRange(1), default=500, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the first network.")
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True)
@click.option("--shrink/--no-shrink", default=True, show_default=True)
def main(count: int, seed: int, jobs: int, shrink: bool) -> None:
    """Builds and verifies COUNT random networks."""
    found: Counter[str] = Counter()
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        for done, (number, problem) in enumerate(pool.map(_check, range(seed, seed + count)), 1):
            found["bit-exact" if problem is None else _kind(problem)] += 1
            if problem is not None:
                click.echo(f"network {number}: {problem}")
                spec = draw(number)
                if shrink:
                    spec = _shrink(spec, number, _kind(problem))
                _REGRESSIONS.mkdir(parents=True, exist_ok=True)
                (_REGRESSIONS / f"network-{number}.json").write_bytes(spec.to_bytes())
            click.echo(f"{done} of {count}: {dict(found)}", err=True)
    click.echo(f"{count} networks from seed {seed}: {dict(found)}")
    if found["bit-exact"] < count:
        sys.exit(1)


if __name__ == "__main__":
    main()
