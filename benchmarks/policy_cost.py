"""Measures the cost of policies: its speed, and what its tables say against the whole model.

    python benchmarks/policy_cost.py --out docs/policy_cost.md

Weights are random. Times are of one thread; the tables and the whole model have the same
coefficients, so that errors are those of the tables alone.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np
import torch
from onnx import ModelProto
from scipy.stats import spearmanr

from sdq_fpga import zoo
from sdq_fpga.board import Board, load_board
from sdq_fpga.cost.bits import with_bits
from sdq_fpga.cost.folding.figures import Resources, usable
from sdq_fpga.cost.folding.network import apply_choice
from sdq_fpga.cost.folding.program import RESOURCES, Floats
from sdq_fpga.cost.folding.solve import Solution, solve
from sdq_fpga.cost.node import HardwareGraph
from sdq_fpga.cost.policies import PolicyTables, fixed_folding, refolded, variables_of, worth
from sdq_fpga.cost.resources import total_resources
from sdq_fpga.cost.streams import insert_streams
from sdq_fpga.flow import load_flow
from sdq_fpga.search.hardware import HardwareCost
from sdq_fpga.stages.untrained import hardware_of_flow, hardware_of_model, uniform_policy

_BATCH = 100_000
_EXACT = 50  # policies that are compared with the whole model
_LOWERED = 5  # that are lowered again
_CLOCK_MHZ = 100.0
_BITS = range(2, 9)

_HEADS = (
    "network", "nodes", "variables", "whole model, ms", "one policy, ms", "policies/s",
    "torch, ms", "with gradient, ms", "to tabulate, s", "folded anew, s", "different",
)  # fmt: skip

Integers = np.ndarray


@dataclass(frozen=True)
class Case:
    """A network on a board: the frames/s at which its folding stays fixed for speed."""

    title: str
    make: Callable[[], ModelProto]
    board: str
    fps: float


CASES = {
    "resnet8": Case("ResNet-8, 32x32x3", zoo.resnet8, "zcu104", 10_000),
    "resnet20": Case("ResNet-20, 32x32x3", zoo.resnet20, "zcu104", 4_000),
    "resnet18": Case(
        "ResNet-18, 224x224x3", zoo.resnet18, str(Path(__file__).parent / "data/u250.yaml"), 100
    ),
}


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option(
    "--again", type=click.Choice(list(CASES)), multiple=True, default=("resnet8", "resnet20"),
    help="Networks that are folded again; minutes each.",
)  # fmt: skip
@click.option("--policies", default=24, help="Policies for which they are.")
def main(out: Path, again: Sequence[str], policies: int) -> None:
    """Writes the page."""
    torch.set_num_threads(1)
    speed, rows = [], []
    for name, case in CASES.items():
        board = load_board(case.board)
        with TemporaryDirectory() as scratch:
            path = Path(scratch) / "model.onnx"
            path.write_bytes(case.make().SerializeToString())
            graph = hardware_of_model(path, None, board)
        solution = solve(graph, board, _CLOCK_MHZ, case.fps, {})
        speed.append(_speed(case, board, graph, solution))
        click.echo(speed[-1])
        if name in again:
            rows += _folded_again(case, board, graph, policies)
            click.echo("\n".join(rows[-2:]))
    page = _PAGE.format(
        exact=_EXACT,
        heads=" | ".join(_HEADS),
        speed="\n".join(speed),
        lowered=_lowered_again(),
        lowered_count=_LOWERED,
        folded=policies,
        again="\n".join(rows),
        options=f"--policies {policies} " + " ".join(f"--again {name}" for name in again),
    )
    out.write_text(page, encoding="utf-8")


def _policies(tables: PolicyTables, count: int, seed: int = 0) -> Integers:
    rng = np.random.default_rng(seed)
    shape = count, len(tables.variables)
    return rng.integers(tables.lowest, tables.highest + 1, shape)


def _changed(graph: HardwareGraph, tables: PolicyTables, policy: Integers) -> HardwareGraph:
    bits: dict[bool, dict[str, int]] = {True: {}, False: {}}
    for each, own in zip(tables.variables, policy, strict=True):
        bits[each.weights].update({name: int(own) + more for name, more in each.layers.items()})
    return with_bits(graph, bits[True], bits[False])


# ---- speed -------------------------------------------------------------------------------------


def _seconds(work: Callable[[], object], times: int) -> float:
    """Processor time of one call, after one that does not count."""
    work()
    began = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - began) / times


def _speed(case: Case, board: Board, graph: HardwareGraph, solution: Solution) -> str:
    variables = variables_of(solution.graph, _BITS)
    began = time.process_time()
    tables = fixed_folding(solution.graph, board, variables)
    fixed = time.process_time() - began
    began = time.process_time()
    refolded(graph, solution.graph, board, solution.interval, worth(solution, board, {}), variables)
    anew = time.process_time() - began
    batch = _policies(tables, _BATCH)
    cost = HardwareCost(tables, worth(solution, board, {}))
    bits = torch.full((len(variables),), 3.5, requires_grad=True)

    def step() -> None:
        cost.priced(cost.probabilities(bits)).backward()

    whole = _seconds(
        lambda: total_resources(_changed(solution.graph, tables, batch[0]).nodes, board.dsp), 5
    )
    different = sum(
        total_resources(_changed(solution.graph, tables, each).nodes, board.dsp) != tables.of(each)
        for each in batch[:_EXACT]
    )
    cells = (
        case.title,
        f"{len(solution.graph.nodes)}",
        f"{len(variables)}",
        f"{1e3 * whole:.1f}",
        f"{1e3 * _seconds(lambda: tables.resources(batch[:1]), 200):.2f}",
        f"{_BATCH / _seconds(lambda: tables.resources(batch), 2):,.0f}",
        f"{1e3 * _seconds(lambda: cost.priced(cost.probabilities(bits)), 200):.2f}",
        f"{1e3 * _seconds(step, 200):.2f}",
        f"{fixed:.1f}",
        f"{anew:.1f}",
        f"{different} of {_EXACT}",
    )
    return f"| {' | '.join(cells)} |"


# ---- lowered again -----------------------------------------------------------------------------


def _lowered_again() -> str:
    """Errors in percent of each resource over policies of the default flow."""
    flow, board = load_flow("digits-cnn"), load_board("zcu104")
    base = uniform_policy(flow, 4)
    graph = hardware_of_flow(flow, base, board)
    solution = solve(graph, board, _CLOCK_MHZ, 200_000, {})
    tables = fixed_folding(solution.graph, board, variables_of(solution.graph, _BITS))
    errors = []
    for policy in _policies(tables, _LOWERED):
        bits = iter(policy.tolist())
        weights = [next(bits) for _ in base.layers]
        layers = tuple(
            layer.model_copy(
                update={
                    "weight_bits": own,
                    "activation_bits": None if layer.activation_bits is None else next(bits),
                }
            )
            for layer, own in zip(base.layers, weights, strict=True)
        )
        lowered = hardware_of_flow(flow, base.model_copy(update={"layers": layers}), board)
        folded = tuple(apply_choice(n, solution.chosen[n.name]) for n in lowered.nodes)
        nodes = insert_streams(HardwareGraph(folded, lowered.inputs, lowered.outputs)).nodes
        real, ours = total_resources(nodes, board.dsp), tables.of(policy)
        errors.append([_error(ours, real, name) for name in RESOURCES])
    found = np.array(errors)
    return ", ".join(
        f"{name} {np.abs(found[:, k]).mean():.1%} (at most {np.abs(found[:, k]).max():.1%})"
        for k, name in enumerate(RESOURCES)
    )


def _error(ours: Resources, real: Resources, name: str) -> float:
    return (getattr(ours, name) - getattr(real, name)) / max(1, getattr(real, name))


# ---- folded again ------------------------------------------------------------------------------


def _folded_again(case: Case, board: Board, graph: HardwareGraph, count: int) -> list[str]:
    """At a frame rate, and at the most that fits: what the program then finds for each policy."""
    limits = usable(board, {})
    shares = np.array([1 / limits[name] if limits[name] else 0.0 for name in RESOURCES])
    slow = solve(graph, board, _CLOCK_MHZ, case.fps, {})
    fast = solve(graph, board, _CLOCK_MHZ, None, {})
    prices = worth(fast, board, {})
    variables = variables_of(graph, _BITS)
    by_share = dict(zip(RESOURCES, shares, strict=True))
    interval = int(_CLOCK_MHZ * 1e6 / case.fps)
    tables = {
        "as it is": (
            fixed_folding(slow.graph, board, variables),
            fixed_folding(fast.graph, board, variables),
        ),
        "folded anew": (
            refolded(graph, slow.graph, board, interval, by_share, variables),
            refolded(graph, fast.graph, board, fast.interval, prices, variables),
        ),
    }
    policies = _policies(tables["as it is"][0], count, seed=1)
    rows, taken, intervals = [], [], []
    for policy in policies:
        changed = _changed(graph, tables["as it is"][0], policy)
        found = solve(changed, board, _CLOCK_MHZ, case.fps, {}).resources
        taken.append(_vector(found) @ shares)
        intervals.append(solve(changed, board, _CLOCK_MHZ, None, {}).interval)
    weights = np.array([prices[name] for name in RESOURCES])
    for what, (at_rate, at_most) in tables.items():
        ours = at_rate.resources(policies) @ shares
        errors = np.abs(ours / np.array(taken) - 1)
        cells = (
            case.title,
            what,
            f"{errors.mean():.1%}",
            f"{errors.max():.1%}",
            f"{_rank(ours, taken):.3f}",
            f"{_rank(at_most.resources(policies) @ weights, intervals):.3f}",
        )
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def _vector(found: Resources) -> Floats:
    return np.array([getattr(found, name) for name in RESOURCES], np.float64)


def _rank(ours: Floats, theirs: Sequence[float]) -> float:
    return float(spearmanr(ours, theirs)[0])


_PAGE = """# The cost of policies

Made by `python benchmarks/policy_cost.py --out docs/policy_cost.md {options}`.
`sdq_fpga/cost/policies` tabulates what a network takes at all bits of its layers;
`sdq_fpga/search/hardware.py` is the same in torch, differentiable. Weights are random, bits 2 to
8; activations that meet in a sum or a concatenation change by the same number. Times are processor
time of one thread.

## Speed

Of {exact} random policies, as many are *different* of which the tables say anything else than the
whole model does (`with_bits`, then the sum over all nodes). The folding is that of a frame rate.

| {heads} |
|---|---|---|---|---|---|---|---|---|---|---|
{speed}

## Against lowering

Accumulators and thresholds of other bits are estimated, as nobody has trained the weights. Of
{lowered_count} random policies of the default flow, lowered again and folded alike, the mean error
is: {lowered}.

## Against folding again

Bits change no cycles, so a search may let the folding be *as it is*, or ask what the network would
take if each stage were *folded anew* so that the interval stays (`refolded`). {folded} random
policies of each network, all bits drawn, were folded again by the integer program: for a frame
rate, where the sum of shares of the board is compared (*error*, *rank*: Spearman's correlation),
and for the most frames/s, where the rank is that of the interval by the resources at the prices
that the first design has.

| network | folding | mean error | largest error | rank | rank of intervals |
|---|---|---|---|---|---|
{again}

Folded anew is nearer, at the price of some seconds once, in which all foldings of all stages at all
bits are listed (`Refolding`); which of them are worth the least at other prices, or keep another
interval, is looked up. It is what a search descends.

## More bits

Some RTL comes out smaller with a bit more. `PolicyTables.monotone` gives tables by which more bits
are never worth less, for a search to descend; `tests/cost/test_policies.py` bounds by how much
they, and the RTL itself, differ. `PolicyTables.convex` gives each bit its part of what several bits
less free together.
"""


if __name__ == "__main__":
    main()
