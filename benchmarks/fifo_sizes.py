"""Compares the FIFOs that the timing model sizes with those that RTL simulation asks for.

    python benchmarks/fifo_sizes.py --count 201 --seed 11000 --runs runs/table \
        --rows runs/fifo-sizes.jsonl --out docs/fifo-sizes.md

Random networks are those of ``fuzz_networks``; from the folders that ``network_table`` makes, each
network is taken that is there. All are built with the depths that the model chose, and simulated.
The same design is then simulated with FIFOs of any depth, which count their words: as fast as
frames go in, for the interval, and with frames at that interval, for the greatest occupancies,
which is what FINN makes its FIFOs of. Rows are kept; those that are there are not made again.
"""

import json
import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import numpy as np
from fuzz_networks import build_network
from network_table import NETWORKS
from pages import write_page
from qonnx.core.modelwrapper import ModelWrapper

from sdq_fpga.board import load_board
from sdq_fpga.cost.timing.schedule import Pipeline
from sdq_fpga.cost.timing.sizing import FifoSizes, fifo_bits
from sdq_fpga.flow import SimulateSpec
from sdq_fpga.lower.describe import describe
from sdq_fpga.plain import Plain
from sdq_fpga.progress import SilentProgress
from sdq_fpga.rtl.generate import generate
from sdq_fpga.sim.bench import Drive
from sdq_fpga.sim.figures import SimulationFigures
from sdq_fpga.sim.simulate import Measured, Simulation, build_simulation
from sdq_fpga.zoo.random_net import draw

_FRAMES = 4
_UNLIMITED = 2**31 - 1
_TOLERANCE = 1.001  # of the interval, as the sizing has it
_RANDOM = "random"


class Sized(Plain):
    """A network, sized by the model and by simulation.

    Attributes:
        name: of the network; of a random one, with its seed.
        board: what it is built for; empty where the build failed.
        fifos: how many FIFOs there are.
        chosen: bits of FIFOs of the depths that the model chose.
        foretold_occupancy: bits by greatest occupancy, as the model foretells it.
        occupancy: bits by greatest occupancy in the RTL, with FIFOs of any depth and frames at the
            interval.
        foretold: interval with FIFOs of any depth, as the model foretells it.
        unlimited: that interval in the RTL.
        interval: that of the RTL as it is built, with the depths that the model chose.
        seconds: of building and simulating it all.
        failed: what went wrong, if something did.
    """

    name: str
    board: str = ""
    fifos: int = 0
    chosen: int = 0
    foretold_occupancy: int = 0
    occupancy: int = 0
    foretold: float = 0
    unlimited: float = 0
    interval: float = 0
    seconds: float
    failed: str | None = None

    @property
    def too_small(self) -> bool:
        """Whether the FIFOs make the network slower."""
        return self.interval > max(_TOLERANCE * self.unlimited, math.ceil(self.foretold))


def sized(name: str, board_name: str, run: Path, scratch: Path, cache: Path, began: float) -> Sized:
    """Simulates a network that is built with FIFOs of any depth.

    Args:
        name: of the network.
        board_name: what it is built for.
        run: its run directory, which is only read.
        scratch: empty directory.
        cache: of what all simulations are linked with.
        began: when its build began, by ``time.monotonic``.
    """
    board = load_board(board_name)
    sizes = FifoSizes.model_validate(json.loads((run / "size" / "fifos.json").read_bytes()))
    figures = json.loads((run / "simulate" / "figures.json").read_bytes())
    built = SimulationFigures.model_validate(figures)
    model = ModelWrapper(str(run / "size" / "folded.onnx"))
    widths = Pipeline(describe(model)).widths()
    for folder in ("work", "rtl", "sim"):
        (scratch / folder).mkdir()
    design = generate(
        model, board.part, board.clock_mhz.default, scratch / "work", scratch / "rtl",
        scratch / "log", probed=True,
    )  # fmt: skip
    interval = math.ceil(sizes.unlimited_interval)
    simulation = build_simulation(
        design, scratch / "rtl", scratch / "sim", cycles=3 * _FRAMES * interval, cache=cache,
        progress=SilentProgress(),
    )  # fmt: skip
    free = _simulated(simulation, interval, 0, scratch / "sim")
    paced = _simulated(simulation, interval, math.ceil(free.interval), scratch / "sim")
    peaks = {fifo: paced.probes[f"peak_{fifo}"] for fifo in widths}
    return Sized(
        name=name,
        board=board_name,
        fifos=len(widths),
        chosen=sizes.bits,
        foretold_occupancy=sizes.occupancy_bits,
        occupancy=fifo_bits(widths, peaks),
        foretold=sizes.unlimited_interval,
        unlimited=free.interval,
        interval=built.interval,
        seconds=time.monotonic() - began,
    )


def _simulated(simulation: Simulation, interval: int, gap: int, scratch: Path) -> Measured:
    """With FIFOs of any depth; timing does not depend on what is in the frames."""
    design = simulation.design
    return simulation.run(
        {
            port.tensor: np.ones((_FRAMES, *port.stream.shape), np.int64)
            for port in design.inputs
        },
        Drive(
            gap=gap,
            constants={f"limit_{probe.name}": _UNLIMITED for probe in design.probes},
            probes=[f"peak_{probe.name}" for probe in design.probes],
        ),
        estimated_interval=interval,
        scratch=scratch,
    )  # fmt: skip


def _random(seed: int, cache: Path) -> Sized:
    began = time.monotonic()
    name = f"{_RANDOM} {seed}"
    with tempfile.TemporaryDirectory(prefix="fifos-") as folder:
        work = Path(folder)
        try:
            trials = SimulateSpec().fifo_trials
            figures = build_network(draw(seed), seed, work, cache, trials)
            (probed := work / "probed").mkdir()
            return sized(name, figures.board, work / "run", probed, cache, began)
        except Exception as error:  # whatever it is, it is a finding
            return Sized(name=name, failed=_said(error), seconds=time.monotonic() - began)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0]


def _made(rows: Path, count: int, seed: int, runs: Path | None, cache: Path) -> Iterator[Sized]:
    """All rows that are asked for, those that are kept first; new ones are kept."""
    lines = rows.read_text(encoding="utf-8").splitlines() if rows.is_file() else []
    kept = {row.name + row.board: row for row in map(Sized.model_validate_json, lines)}
    yield from kept.values()
    random = {row.name for row in kept.values() if row.name.startswith(_RANDOM)}
    for name, network in NETWORKS.items():
        for board in network.fps:
            folder = None if runs is None else runs / f"{name}-{board}"
            if folder is None or name + board in kept or not (folder / "row.json").is_file():
                continue
            click.echo(f"{name} for {board}", err=True)
            with tempfile.TemporaryDirectory(prefix="fifos-") as scratch:
                began = time.monotonic()
                row = sized(name, board, folder / "run", Path(scratch), cache, began)
            yield _keep(rows, row, cache)
    for number in range(seed, seed + count):
        if f"{_RANDOM} {number}" not in random:
            click.echo(f"{_RANDOM} {number}", err=True)
            yield _keep(rows, _random(number, cache), cache)


def _keep(rows: Path, row: Sized, cache: Path) -> Sized:
    for model in cache.glob("model-*"):  # of many networks they take gigabytes
        model.unlink()
    rows.parent.mkdir(parents=True, exist_ok=True)
    with rows.open("a", encoding="utf-8") as file:
        file.write(row.model_dump_json() + "\n")
    return row


def _cells(row: Sized) -> str:
    if row.failed is not None:
        return f"| {row.name} | {row.failed} |" + " |" * 9
    cells = (
        row.name, row.board, row.fifos, f"{row.chosen:,}", f"{row.occupancy:,}",
        f"{row.chosen / row.occupancy:.2f}", f"{row.foretold_occupancy:,}", f"{row.foretold:,.0f}",
        f"{row.unlimited:,.0f}", f"{row.interval:,.0f}", "**NO**" if row.too_small else "yes",
    )  # fmt: skip
    return f"| {' | '.join(map(str, cells))} |"


def _summary(what: str, rows: Sequence[Sized]) -> str:
    made = [row for row in rows if row.failed is None]
    ratios = [row.chosen / row.occupancy for row in made if row.occupancy]
    errors = [abs(row.foretold_occupancy / row.occupancy - 1) for row in made if row.occupancy]
    shares = [row.interval / row.unlimited for row in made if row.unlimited]
    cells = (
        what, len(made), f"{np.mean(ratios):.3f}", f"{max(ratios):.3f}", f"{np.mean(errors):.2%}",
        f"{max(errors):.2%}", f"{max(shares):.4f}", sum(row.too_small for row in made),
        len(rows) - len(made),
    )  # fmt: skip
    return f"| {' | '.join(map(str, cells))} |"


def _page(rows: Sequence[Sized]) -> str:
    random = [row for row in rows if row.name.startswith(_RANDOM)]
    named = [row for row in rows if not row.name.startswith(_RANDOM)]
    heads = (
        "network", "board", "FIFOs", "bits", "bits by occupancy in the RTL", "ratio",
        "by occupancy in the model", "interval foretold, any depth", "in the RTL, any depth",
        "in the RTL, these depths", "kept",
    )  # fmt: skip
    sums = (
        "networks", "how many", "bits / bits by occupancy: mean", "worst",
        "occupancies of the model, off by: mean", "worst",
        "interval / that with any depth: worst", "too small", "failed",
    )  # fmt: skip
    groups = [("of the table", named), ("random", random)]
    lines = [
        "# FIFO sizes: the timing model compared with RTL simulation",
        "",
        "Made by `python benchmarks/fifo_sizes.py --rows FILE --runs DIR --out docs/fifo-sizes.md`",
        "from rows that are kept; the first table says how many there are, others have not been",
        "run. *Bits* are of the FIFOs as they are built, with the depths that the timing",
        "model chose. *Bits by occupancy* are what they would be if each were as deep as the most",
        "words that it ever holds in a simulation of the RTL with FIFOs of any depth and frames at",
        "the interval, which is how FINN sizes them; the same foretold by the model is beside it.",
        "In all of them a FIFO has 32 words at least. *Kept*: the RTL as it is built is not",
        f"deadlocked, and its interval is at most {_TOLERANCE - 1:.1%} longer than that of the RTL",
        "with FIFOs of any depth, or at most what is foretold of that once the first frames have",
        f"passed. Intervals are of {_FRAMES} frames. *Failed*: not built or not simulated, and not",
        "counted before.",
        "",
        "| " + " | ".join(sums) + " |",
        "|" + "---|" * len(sums),
        *(_summary(what, some) for what, some in groups if some),
        "",
        "| " + " | ".join(heads) + " |",
        "|" + "---|" * len(heads),
        *(_cells(row) for _, some in groups for row in some),
    ]
    return "\n".join(lines) + "\n"


@click.command()
@click.option("--count", type=click.IntRange(0), default=201, show_default=True)
@click.option("--seed", type=int, default=11_000, show_default=True, help="Of the first network.")
@click.option(
    "--runs", type=click.Path(path_type=Path), help="What network_table made [no such networks]."
)
@click.option(
    "--rows", type=click.Path(path_type=Path), default=Path("runs/fifo-sizes.jsonl"),
    show_default=True, help="Where rows are kept.",
)  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), help="Markdown file [standard output].")
def main(count: int, seed: int, runs: Path | None, rows: Path, out: Path | None) -> None:
    """Sizes the FIFOs of networks by the model and by RTL simulation, and writes the table."""
    with tempfile.TemporaryDirectory(prefix="fifos-") as cache:
        made = sorted(_made(rows, count, seed, runs, Path(cache)), key=lambda row: row.name)
    page = _page(made)
    write_page(page, out)


if __name__ == "__main__":
    main()
