"""Measures what a search costs beside uniform quantization-aware training.

    python benchmarks/search_overhead.py --out docs/search-overhead.md

Processor time of one thread. Images are drawn at random, but for the digits, and float networks are
not trained: neither changes what a step takes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import torch
from methods_rows import searching
from pages import write_page
from search_clock import Floats, alternated, timed_hardware

from sdq_fpga.board import load_board
from sdq_fpga.cost.folding import parse_shares
from sdq_fpga.data import Dataset, load_dataset
from sdq_fpga.flow import Flow, load_flow
from sdq_fpga.nets import class_count, frame_shape, make_net
from sdq_fpga.search import BoardGoal, search
from sdq_fpga.search.choice import Choice
from sdq_fpga.search.dbp import Dbp
from sdq_fpga.search.methods.sdq import dropping
from sdq_fpga.search.on_board import OnBoard
from sdq_fpga.search.space import Space
from sdq_fpga.search.task import Goal, limits_of
from sdq_fpga.stages.untrained import hardware_of_flow, uniform_policy
from sdq_fpga.train import seeded, steps_per_epoch

_UNIFORM_BITS = 3
_STEPS = 12  # of a search of which not all is run
_PULL = 0.1  # of the layers that resist a drop, where there is no network

_HEADS = (
    "flow", "goal", "run", "steps", "uniform step, ms", "search step, ms", "ratio",
    "dearest epoch", "term, ms", "looks and settling, s", "hardware term",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A flow on a board.

    Attributes:
        board: name of the board.
        budget: what may be used of it; "" for 80 % of each.
        images: of an epoch; None for those of scikit-learn's digits.
        whole: whether its search is run to the end.
    """

    board: str
    budget: str
    images: int | None
    whole: bool


CASES = {
    "digits-cnn": Case("pynq-z2", "lut=10%,ff=10%,dsp=10%,bram18=10%", None, whole=True),
    "mnist-mlp": Case("pynq-z2", "", 60_000, whole=True),
    "cifar10-cnv": Case("zcu104", "", 50_000, whole=False),
    "cifar10-resnet20": Case("zcu104", "", 50_000, whole=False),
}


@click.command()
@click.option("--flow", "flows", type=click.Choice(list(CASES)), multiple=True, default=list(CASES))
@click.option("--seed", default=0)
@click.option("--out", type=click.Path(path_type=Path), help="Markdown file [standard output].")
def main(flows: Sequence[str], seed: int, out: Path | None) -> None:
    """Writes the page."""
    torch.set_num_threads(1)
    rows = []
    for name in flows:
        flow = load_flow(name)
        for row in _rows(flow, CASES[name], seed):
            click.echo(row, err=True)
            rows.append(row)
    options = "".join(f" --flow {name}" for name in flows) if list(flows) != list(CASES) else ""
    page = _PAGE.format(
        steps_run=_STEPS, options=options, heads=" | ".join(_HEADS), rows="\n".join(rows)
    )
    write_page(page, out)


def _goals(flow: Flow, case: Case) -> list[tuple[Goal, str]]:
    """The flow's mean bits, and a frame rate half-way between what most and fewest bits reach."""
    board, bits = load_board(case.board), flow.search.activation_bits[-1]

    def goal(fps: float) -> BoardGoal:
        return BoardGoal(
            graph=hardware_of_flow(flow, uniform_policy(flow, bits), board),
            bits=bits,
            board=board,
            clock_mhz=board.clock_mhz.default,
            target_fps=fps,
            shares=parse_shares(case.budget) if case.budget else {},
            fifo_trials=flow.simulate.fifo_trials,
        )

    limit = OnBoard(goal(1.0), Space.of(flow.search, make_net(flow.network), Choice), "prices")
    fps = round((limit.speed(limit.lowest) * limit.speed(limit.highest)) ** 0.5)
    mean = flow.search.target_bits
    return [(mean, f"{mean:g} bits"), (goal(fps), f"{fps:,} frames/s, {board.name}")]


def _rows(flow: Flow, case: Case, seed: int) -> Iterator[str]:
    """The rows of a flow."""
    with seeded(seed):
        net = make_net(flow.network).eval()
    spec, frame, classes = flow.search, frame_shape(net), class_count(net)
    if case.images is None:
        data = load_dataset(flow.dataset, None, frame, classes)
    else:
        data = _drawn(case.images if case.whole else _STEPS * spec.batch_size, frame, classes)
    images = len(data.train_images) if case.images is None else case.images
    steps = steps_per_epoch(images, spec.batch_size)
    count = spec.epochs * steps

    bits = {"weight_bits": (_UNIFORM_BITS,), "activation_bits": (_UNIFORM_BITS,)}
    epochs = spec.epochs if case.whole else 1
    plain = searching(**bits, epochs=epochs, qer_weight=0.0)(flow)
    searched = searching(epochs=epochs)(flow)

    def both(goal: Goal, every: int) -> tuple[Floats, Floats, list[float]]:
        """[steps] seconds of a search and of uniform training; and those of all that steers."""
        with timed_hardware() as spent:
            of_search, training = alternated(
                lambda clock: search(searched, net, data, goal, seed, clock),
                lambda clock: search(plain, net, data, float(_UNIFORM_BITS), seed, clock),
                every,
            )
        return of_search.steps, training.steps, spent

    if not case.whole:
        taken, uniform, spent = both(spec.target_bits, 1)
        taken -= np.array(spent).reshape(_STEPS, -1).sum(axis=1)
        undecided = slice(1, _STEPS * 3 // 4)
        trained, per_step = np.median(taken[undecided]), np.median(uniform[undecided])
    dearest = "not known"
    for goal, text in _goals(flow, case):
        if case.whole:
            taken, uniform, spent = both(goal, steps)
            step, per_step = taken.mean(), uniform.mean()
            ratios = taken.reshape(-1, steps).sum(axis=1) / uniform.reshape(-1, steps).sum(axis=1)
            dearest = f"{ratios.max():.2f}"
        else:
            spent = _steering(flow, goal, count, seed)
            step = trained + sum(spent) / count
        term = float(np.median(np.array(spent).reshape(count, -1).sum(axis=1)))
        cells = (
            flow.name,
            text,
            "whole" if case.whole else "parts",
            f"{spec.epochs} x {steps}",
            f"{1e3 * per_step:.2f}",
            f"{1e3 * step:.2f}",
            f"{step / per_step:.2f}",
            dearest,
            f"{1e3 * term:.3f}",
            f"{sum(spent) - term * count:.2f}",
            f"{sum(spent) / (step * count):.1%}",
        )
        yield f"| {' | '.join(cells)} |"


def _drawn(count: int, frame: tuple[int, ...], classes: int) -> Dataset:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, *frame), dtype=np.uint8)
    labels = rng.integers(0, classes, count)
    return Dataset("drawn", images, labels, images[:classes], labels[:classes])


def _steering(flow: Flow, goal: Goal, steps: int, seed: int) -> list[float]:
    """Seconds of all that steers, over a whole search, without a network.

    Each layer resists a drop by a pull that stays, in place of the gradient of the task.
    """
    spec = flow.search
    with seeded(seed), timed_hardware() as spent:
        space = Space.of(spec, make_net(flow.network), Dbp)
        steered = [
            dropping(limit, spec.drop_threshold, steps) for limit in limits_of(spec, space, goal)
        ]
        logits = [each.logit for each in space.choices]
        pulls = (_PULL * torch.rand(len(logits))).tolist()
        optimizer = torch.optim.Adam(logits, lr=spec.dbp_learning_rate, fused=True)
        for done in range(1, steps + 1):
            for each in steered:
                each.term()
            for pull, choice in zip(pulls, space.choices, strict=True):
                if not choice.deterministic:
                    beta = choice.beta.item()
                    own = choice.logit.grad
                    slope = torch.tensor(-pull * beta * (1 - beta))
                    choice.logit.grad = slope if own is None else own + slope
            optimizer.step()
            optimizer.zero_grad()
            for choice in space.choices:
                choice.bound()
            for each in steered:
                for choice in each.step(done):
                    optimizer.state.pop(choice.logit, None)
    return spent


_PAGE = """# What a search costs beside uniform training

Made by `python benchmarks/search_overhead.py{options} --out docs/search-overhead.md`. Method `sdq`;
processor time of one thread. Images are drawn at random, but for the digits of scikit-learn, and
float networks are not trained.

- **Uniform step**: of quantization-aware training at 3 bits in the same loop, with the same batch,
  quantizers, teacher and optimizer, without QER, and without anything that decides. It takes turns
  with the search, epoch by epoch (in *parts* step by step), so that both meet the same machine.
- **Search step**: mean over the whole search. **Ratio**: of both. **Dearest epoch**: ratio of the
  epoch that took the longest.
- **Term**: expected resources or bits with their gradient, multiplier and drops, median of a step.
  **Looks and settling**: all that comes beside in the whole search: looks at the board where the
  policy has moved (folding, prices, tables), and deciding the bits in the end; below 0 where steps
  after the bits are settled take less than the median. **Hardware term**: both, as a share of the
  whole search.
- **Run**: *whole* searches were run to their end, as the flow states it. Of those in *parts*, the
  training was run for {steps_run} steps, and taken to be that of those in which all layers are
  undecided (later ones take less); and steering for the flow's number of steps without a network,
  each layer resisting its drops by a pull that stays. The search step is the sum of both, and the
  dearest epoch is not known.

| {heads} |
|---|---|---|---|---|---|---|---|---|---|---|
{rows}

The frame rate is half-way (in its logarithm) between what the most bits of all candidates reach
and what the fewest do. Budgets: 10 % of LUTs, flip-flops, DSP slices and block RAMs for the digits,
80 % of everything for the others. Checking that a goal is in reach, before the search, is not in
it.
"""


if __name__ == "__main__":
    main()
