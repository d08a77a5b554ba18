"""Times random nodes in Verilator, beside our timing model and FINN's analytic estimates.

    python benchmarks/timing_model.py --nodes 200 --results timing.jsonl --out docs/timing.md

Nodes are drawn as for the resource model (``random_nodes``), simulated many to a design but one
at a time, without stalls. A line of results is written after each design; what is there already is
not done again. The interval is that between the last beats of frames in steady state, the latency
that of a frame through the empty node.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np
from finn.util.basic import getHWCustomOp
from qonnx.core.modelwrapper import ModelWrapper
from random_nodes import DRAWS, draw_node, graph_of

from sdq_fpga.board import load_board
from sdq_fpga.cost.node import HardwareGraph, limits_of
from sdq_fpga.cost.ports import Port, input_ports
from sdq_fpga.cost.timing.schedule import Pipeline
from sdq_fpga.lower.describe import describe
from sdq_fpga.plain import Plain
from sdq_fpga.progress import SilentProgress
from sdq_fpga.rtl.design import RtlDesign
from sdq_fpga.rtl.generate import generate
from sdq_fpga.sim.bench import Drive, run_bench
from sdq_fpga.sim.simulate import build_simulation

_BOARD = "zcu104"
_MHZ = 100.0
_FRAMES = 5
_OURS = "Sdq"  # operators that FINN has no RTL of begin so


class TimedNode(Plain):
    """What was found of a node.

    Attributes:
        design: number of the design that it was simulated in, which is the seed that drew it.
        name: of the node.
        op: its type.
        interval: cycles between frames, simulated.
        latency: cycles of the first frame from its being offered, simulated.
        said_interval: by the timing model.
        said_latency: likewise.
        finn_cycles: FINN's estimate, which it takes for both; None for operators without one.
    """

    design: int
    name: str
    op: str
    interval: float
    latency: int
    said_interval: float
    said_latency: int
    finn_cycles: int | None


def _drawn(seed: int, count: int) -> ModelWrapper:
    """Nodes of all operators in turn; FIFOs have a model of their own."""
    rng = np.random.default_rng(seed)
    ops = [op for op in DRAWS if op != "StreamingFIFO_rtl"]
    names = [ops[(seed * count + k) % len(ops)] for k in range(count)]
    return graph_of([draw_node(op, rng, narrow=True) for op in names])


def timed(seed: int, count: int) -> Iterator[TimedNode]:
    """Draws, generates and simulates nodes."""
    model = _drawn(seed, count)
    with TemporaryDirectory() as scratch:
        work, rtl, build = (Path(scratch) / name for name in ("work", "rtl", "build"))
        for folder in (work, rtl, build):
            folder.mkdir()
        design = generate(
            model, load_board(_BOARD).part, _MHZ, work, rtl, Path(scratch) / "finn.log"
        )
        simulation = build_simulation(
            design, rtl, build, cycles=1000, cache=None, progress=SilentProgress()
        )
        # FINN has no estimate of a width converter, but says 0.
        estimates = {
            node.name: int(getHWCustomOp(node).get_exp_cycles()) or None
            for node in model.graph.node
            if not node.op_type.startswith(_OURS)
        }
        rng = np.random.default_rng(seed)
        for node in describe(model).nodes:
            frames = {
                stream: _frames(port, rng)
                for stream, port in zip(node.inputs, input_ports(node), strict=True)
            }
            seen = _simulate(design, simulation.executable, rtl, build, frames, node.outputs)
            graph = HardwareGraph((node,), node.inputs, node.outputs)
            said = Pipeline(graph).time({}, frames=_FRAMES)
            yield TimedNode(
                design=seed,
                name=node.name,
                op=node.op,
                interval=seen[0],
                latency=seen[1],
                said_interval=said.interval,
                said_latency=said.latency,
                finn_cycles=estimates.get(node.name),
            )


def _frames(port: Port, rng: np.random.Generator) -> np.ndarray:
    low, high = limits_of(port.datatype)
    values = rng.integers(low, high + 1, (_FRAMES, *port.folded))
    return 2 * (values > 0) - 1 if port.datatype == "BIPOLAR" else values


def _simulate(
    design: RtlDesign,
    executable: Path,
    rtl: Path,
    scratch: Path,
    frames: dict[str, np.ndarray],
    outputs: Sequence[str],
) -> tuple[float, int]:
    """Interval and latency of one node; the others of the design get no frames."""
    sources = {
        port.prefix: (port.stream, frames[port.tensor].reshape(_FRAMES, *port.stream.shape))
        for port in design.inputs
        if port.tensor in frames
    }
    sinks = {
        port.prefix: (port.stream, _FRAMES) for port in design.outputs if port.tensor in outputs
    }

    def run(alone: int) -> list[tuple[int, int, int, int]]:
        ran = run_bench(
            executable, sources, sinks, Drive(alone=alone), scratch=scratch, memories=rtl
        )
        return list(ran.frames)

    first = run(1)[0]
    ends = [last for *_, last in run(0)]
    middle = len(ends) // 2
    # From when it is offered: a node may not be ready at once.
    return (ends[-1] - ends[middle]) / (len(ends) - 1 - middle), first[3] + 1


def _table(found: Sequence[TimedNode], nodes: int) -> str:
    heads = ("operator", "nodes", "interval: mean", "worst", "exact", "latency: mean", "worst",
             "exact", "FINN's interval: mean", "worst", "FINN's latency: mean")  # fmt: skip
    rows = []
    for op in (*sorted({each.op for each in found}), ""):
        part = [each for each in found if op in {each.op, ""}]
        ours = [
            ([abs(getattr(e, f"said_{what}") / getattr(e, what) - 1) for e in part])
            for what in ("interval", "latency")
        ]
        finn = [e for e in part if e.finn_cycles is not None]
        cells = [op or "all", str(len(part))]
        for errors in ours:
            exact = sum(error == 0 for error in errors) / len(errors)
            cells += [f"{np.mean(errors):.2%}", f"{max(errors):.2%}", f"{exact:.0%}"]
        theirs = [[abs((e.finn_cycles or 0) / getattr(e, w) - 1) for e in finn]
                  for w in ("interval", "latency")]  # fmt: skip
        if finn:
            cells += [f"{np.mean(theirs[0]):.2%}", f"{max(theirs[0]):.2%}"]
            cells += [f"{np.mean(theirs[1]):.2%}"]
        else:
            cells += ["", "", ""]
        rows.append(f"| {' | '.join(cells)} |")
    head = f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}"
    return f"""# The timing model compared with simulation

Made by `python benchmarks/timing_model.py --nodes {nodes} --results FILE --out docs/timing.md`.
Random nodes ({len(found)} of them, all operators in turn), each alone and without stalls in
Verilator. Errors are |foretold / simulated - 1|. *Exact* is the share of nodes without any error.
FINN has one estimate of cycles for a node, which it takes as interval and adds up to a latency;
of width converters and of operators that are ours (Sdq...), it has none.

{head}
{chr(10).join(rows)}
"""


@click.command()
@click.option("--nodes", default=200, show_default=True, help="How many nodes.")
@click.option("--at-once", default=10, show_default=True, help="How many to a design.")
@click.option("--results", required=True, type=click.Path(path_type=Path), help="JSON lines.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the table there.")
def main(nodes: int, at_once: int, results: Path, out: Path | None) -> None:
    """Times random nodes, and writes what was found."""
    lines = results.read_text().splitlines() if results.exists() else []
    found = [TimedNode.from_data(json.loads(line), str(results)) for line in lines]
    done = {each.design for each in found}
    for seed in range(-(-nodes // at_once)):
        if seed in done:
            continue
        made = list(timed(seed, at_once))
        with results.open("a") as file:
            file.writelines(f"{each.model_dump_json()}\n" for each in made)
        found += made
        click.echo(f"{len(found)} nodes")
    table = _table(found, nodes)
    click.echo(table)
    if out is not None:
        out.write_text(table)


if __name__ == "__main__":
    main()
