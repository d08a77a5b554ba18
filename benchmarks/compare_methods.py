"""Compares methods of search under one budget of training, and makes the tables of docs/search.md.

    python benchmarks/compare_methods.py --flow digits-cnn --board pynq-z2 --goal bits=3 --seeds 3
        --rows runs/methods.jsonl

Each search begins with the same float network of its seed. Methods that train while they search
have the flow's epochs of search, then of finetuning; the others finetune for the sum of both. A row
that is already in the file is not made again. Times are processor time of one thread.
"""

import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

import click
import torch
from methods_case import Case
from methods_rows import VARIANTS, Key, Row, Timing, variant

from sdq_fpga.board import load_board
from sdq_fpga.data import load_dataset
from sdq_fpga.flow import load_flow
from sdq_fpga.nets import class_count, frame_shape, make_net
from sdq_fpga.progress import SilentProgress
from sdq_fpga.run import open_run
from sdq_fpga.stages.build import Build
from sdq_fpga.stages.settings import Settings

_CACHE = Path.home() / ".cache" / "sdq-fpga"


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


def _append(path: Path, line: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def _simulated(case: Case, row: Row, runs: Path, data: Path | None) -> Row:
    """The row with what the RTL of the same search does."""
    key = row.key
    flow = variant(case.flow, key.method)
    what, _, number = key.goal.partition("=")
    settings = Settings(
        flow=flow,
        board=case.board,
        clock_mhz=case.clock_mhz,
        seed=key.seed,
        target_bits=float(number) if what == "bits" else None,
        target_fps=float(number) if what == "fps" else None,
        data=None if data is None else str(data.resolve()),
        shares=case.shares,
    )
    directory = runs / f"{key.flow}-{key.board}-{key.goal}-{key.method}-{key.seed}"
    with open_run(directory) as run:
        report = Build(settings, run, _CACHE, SilentProgress()).everything(None)
    found = report.accelerator.simulation
    return row.model_copy(
        update={
            "simulated_fps": case.clock_mhz * 1e6 / found.interval,
            "bit_exact": found.verdict.bit_exact,
        }
    )


# ---- the table ---------------------------------------------------------------------------------


def _spread(values: Sequence[float], scale: float, digits: int) -> str:
    mean = statistics.fmean(values) * scale
    if len(values) < 2:
        return f"{mean:.{digits}f}"
    return f"{mean:.{digits}f} ± {statistics.stdev(values) * scale:.{digits}f}"


def _share(timings: Iterable[Timing], key: Key) -> str:
    for each in timings:
        if each.key == key:
            return f"{each.hardware_seconds / each.search_seconds:.0%}"
    return ""


def _setting(key: Key) -> str:
    budget = key.budget or "80 % of each"
    return f"{key.flow}, {key.board} ({budget}), {key.goal.replace('=', ' ')}"


def table(rows: Sequence[Row], timings: Sequence[Timing]) -> str:
    """The rows of each setting and method as one line, mean and standard deviation over seeds."""
    text = []
    for setting in dict.fromkeys(_setting(row.key) for row in rows):
        text += ["", f"### {setting}", ""]
        text += [
            "| method | seeds | accuracy, % | weight bits | activation bits "
            "| frames/s by the model (least) | search epoch | hardware term |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for method in VARIANTS:
            some = [r for r in rows if _setting(r.key) == setting and r.key.method == method]
            if not some:
                continue
            ratios = [
                r.epoch_seconds / r.plain_seconds
                for r in some
                if r.epoch_seconds is not None and r.plain_seconds
            ]
            fps = [r.fps for r in some]
            cells = (
                method,
                ", ".join(str(r.key.seed) for r in some),
                _spread([r.accuracy for r in some], 100, 2),
                _spread([r.mean_weight_bits for r in some], 1, 2),
                _spread([r.mean_activation_bits for r in some], 1, 2),
                f"{statistics.fmean(fps):,.0f} ({min(fps):,.0f})",
                f"{statistics.median(ratios):.2f}" if ratios else "none",
                next(filter(None, (_share(timings, r.key) for r in some)), "not measured")
                if ratios
                else "none",
            )
            text.append("| " + " | ".join(cells) + " |")
        floats = {r.key.seed: r.float_accuracy for r in rows if _setting(r.key) == setting}
        text += ["", f"Float network: {_spread(list(floats.values()), 100, 2)} %."]
    simulated = [row for row in rows if row.simulated_fps is not None]
    if simulated:
        text += ["", "### Built and simulated", ""]
        text += [
            "| setting | method | seed | frames/s of the RTL | bit-exact |",
            "|---|---|---|---|---|",
        ]
        text += [
            f"| {_setting(r.key)} | {r.key.method} | {r.key.seed} | {r.simulated_fps:,.0f} | "
            f"{'yes' if r.bit_exact else '**NO**'} |"
            for r in simulated
        ]
    return "\n".join(text).strip() + "\n"


# ---- the command -------------------------------------------------------------------------------


@click.command()
@click.option("--flow", "flow_name", default="digits-cnn", show_default=True)
@click.option("--data", type=click.Path(path_type=Path), help="Directory of the dataset.")
@click.option("--board", "board_name", multiple=True, default=("pynq-z2",), show_default=True)
@click.option("--budget", default="", help="What may be used, such as lut=10%,dsp=10% [80%].")
@click.option("--goal", "goals", multiple=True, help="bits=3 or fps=100000; several may be given.")
@click.option("--method", "methods", multiple=True, type=click.Choice(list(VARIANTS)))
@click.option("--seeds", type=int, default=1, show_default=True, help="Seeds 0, 1, ...")
@click.option("--search-epochs", type=int, help="Instead of the flow's.")
@click.option("--finetune-epochs", type=int, help="Instead of the flow's.")
@click.option("--rows", type=click.Path(path_type=Path), required=True, help="Kept as JSON lines.")
@click.option("--timing", is_flag=True, help="Take the hardware term's time, of seed 0.")
@click.option("--simulate", type=click.Path(path_type=Path), help="Build too, in this directory.")
@click.option("--out", type=click.Path(path_type=Path), help="File for the table of all rows.")
def main(
    flow_name: str, data: Path | None, board_name: tuple[str, ...], budget: str,
    goals: tuple[str, ...], methods: tuple[str, ...], seeds: int, search_epochs: int | None,
    finetune_epochs: int | None, rows: Path, timing: bool, simulate: Path | None, out: Path | None,
) -> None:  # fmt: skip
    """Makes the rows that are missing, and prints the table of all that there are."""
    torch.set_num_threads(1)
    flow = load_flow(flow_name)
    for part, epochs in (("search", search_epochs), ("finetune", finetune_epochs)):
        if epochs is not None:
            spec = getattr(flow, part).model_copy(update={"epochs": epochs})
            flow = flow.model_copy(update={part: spec})
    net = make_net(flow.network)
    dataset = (
        load_dataset(flow.dataset, data, frame_shape(net), class_count(net)) if goals else None
    )
    timings = rows.with_suffix(".timing.jsonl")
    for name in board_name if dataset is not None else ():
        board = load_board(name)
        case = Case(flow, dataset, board, board.clock_mhz.default, budget)
        for seed in range(seeds):
            for goal in goals:
                for method in methods or VARIANTS:
                    _one(case, case.key(goal, method, seed), rows, simulate, data)
                    if timing and seed == 0:
                        _time(case, case.key(goal, method, seed), timings)
    made = {row.key.model_dump_json(): row for row in map(Row.model_validate_json, _lines(rows))}
    text = table(list(made.values()), list(map(Timing.model_validate_json, _lines(timings))))
    if out is None:
        click.echo(text)
    else:
        out.write_text(text, encoding="utf-8")


def _one(case: Case, key: Key, rows: Path, simulate: Path | None, data: Path | None) -> None:
    known = {row.key: row for row in map(Row.model_validate_json, _lines(rows))}
    row = known.get(key)
    if row is None:
        row = case.row(key)
        _append(rows, row.model_dump_json())
        click.echo(f"{_setting(key)}: {key.method}, seed {key.seed}: {row.accuracy:.4f}", err=True)
    if simulate is not None and row.simulated_fps is None:
        _append(rows, _simulated(case, row, simulate, data).model_dump_json())


def _time(case: Case, key: Key, timings: Path) -> None:
    known = [each.key for each in map(Timing.model_validate_json, _lines(timings))]
    if key.search_epochs and key not in known:
        _append(timings, case.timing(key).model_dump_json())


if __name__ == "__main__":
    main()
