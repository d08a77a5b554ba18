"""Compares methods of search under one budget of training, and makes the tables of docs/search.md.

    python benchmarks/compare_methods.py --flow digits-cnn --board pynq-z2 --seeds 3
        --make fps=125000:sdq,uniform --make bits=3:sdq,uniform --nets runs/nets
        --rows runs/methods.jsonl

Each search begins with the same float network of its seed. Methods that train while they search
have the flow's epochs of search, then of finetuning; the others finetune for the sum of both. A row
that is already in the file is not made again. Without ``--make``, only the float networks are
trained. Times are of one thread.
"""

import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TextIO

import click
from methods_rows import VARIANTS, Key, Row, Timing, row_key
from methods_work import Setting, make_floats, make_rows, simulated, timed

from sdq_fpga.flow import load_flow
from sdq_fpga.train import Devices


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


def _append(path: Path, line: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


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


def _overhead(timings: Iterable[Timing], key: Key) -> str:
    for each in timings:
        if each.key == key:
            return f"{each.search_seconds / each.steps / each.plain_seconds:.2f}"
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
            fps = [r.fps for r in some]
            cells = (
                method,
                ", ".join(str(r.key.seed) for r in some),
                _spread([r.accuracy for r in some], 100, 2),
                _spread([r.mean_weight_bits for r in some], 1, 2),
                _spread([r.mean_activation_bits for r in some], 1, 2),
                f"{statistics.fmean(fps):,.0f} ({min(fps):,.0f})",
                next(filter(None, (_overhead(timings, r.key) for r in some)), "not measured"),
                next(filter(None, (_share(timings, r.key) for r in some)), "not measured"),
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


def _wanted(text: str) -> tuple[str, list[str]]:
    """Reads "fps=100000:sdq,uniform"."""
    goal, _, methods = text.partition(":")
    unknown = sorted(set(methods.split(",")) - set(VARIANTS))
    if unknown:
        raise click.BadParameter(f"'{text}': choose methods from {', '.join(VARIANTS)}")
    return goal, methods.split(",")


@click.command()
@click.option("--flow", "flow_name", default="digits-cnn", show_default=True)
@click.option("--data", type=click.Path(path_type=Path), help="Directory of the dataset.")
@click.option("--board", default="pynq-z2", show_default=True)
@click.option("--budget", default="", help="What may be used, such as lut=10%,dsp=10% [80%].")
@click.option(
    "--make", "wanted", multiple=True, help="GOAL:METHOD,...; GOAL is bits=3 or fps=9000."
)
@click.option("--seeds", type=int, default=1, show_default=True, help="Seeds 0, 1, ...")
@click.option("--search-epochs", type=int, help="Instead of the flow's.")
@click.option("--finetune-epochs", type=int, help="Instead of the flow's.")
@click.option("--accelerator", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--jobs", type=int, default=1, show_default=True, help="Rows made at once.")
@click.option("--nets", type=click.Path(path_type=Path), required=True, help="Trained networks.")
@click.option("--rows", type=click.Path(path_type=Path), required=True, help="Kept as JSON lines.")
@click.option("--timing", is_flag=True, help="Take the time of searches too, of seed 0.")
@click.option("--simulate", type=click.Path(path_type=Path), help="Build too, in this directory.")
@click.option(
    "--out", type=click.File("w", "utf-8"), default="-", help="Markdown file [standard output]."
)
def main(
    flow_name: str, data: Path | None, board: str, budget: str, wanted: tuple[str, ...],
    seeds: int, search_epochs: int | None, finetune_epochs: int | None, accelerator: str,
    jobs: int, nets: Path, rows: Path, timing: bool, simulate: Path | None, out: TextIO,
) -> None:  # fmt: skip
    """Makes the rows that are missing, and prints the table of all that there are."""
    flow = load_flow(flow_name)
    for part, epochs in (("search", search_epochs), ("finetune", finetune_epochs)):
        if epochs is not None:
            spec = getattr(flow, part).model_copy(update={"epochs": epochs})
            flow = flow.model_copy(update={part: spec})
    setting = Setting(
        flow=flow, data=data, board=board, budget=budget, nets=nets,
        devices=Devices.model_validate({"accelerator": accelerator}),
    )  # fmt: skip
    asked = [
        (goal, method, seed)
        for seed in range(seeds)
        for goal, methods in map(_wanted, wanted)
        for method in methods
    ]
    timings = rows.with_suffix(".timing.jsonl")
    if not asked:
        make_floats([(setting, seed) for seed in range(seeds)], jobs)
    _make(setting, asked, rows, jobs)
    for goal, method, seed in asked:
        key = row_key(flow, board, budget, goal, method, seed)
        if simulate is not None:
            _simulate(setting, key, rows, simulate)
        if timing and seed == 0:
            _time(setting, key, timings)
    text = table(list(_made(rows).values()), list(map(Timing.model_validate_json, _lines(timings))))
    click.echo(text, out, nl=False)


def _made(rows: Path) -> dict[Key, Row]:
    """The last row of each key."""
    return {row.key: row for row in map(Row.model_validate_json, _lines(rows))}


def _make(setting: Setting, asked: list[tuple[str, str, int]], rows: Path, jobs: int) -> None:
    known = _made(rows)
    missing = [
        (setting, *each)
        for each in asked
        if row_key(setting.flow, setting.board, setting.budget, *each) not in known
    ]
    for row in make_rows(missing, jobs) if missing else ():
        if isinstance(row, BaseException):
            click.echo(f"left out: {row!r}", err=True)
            continue
        _append(rows, row.model_dump_json())
        key = row.key
        click.echo(f"{_setting(key)}: {key.method}, seed {key.seed}: {row.accuracy:.4f}", err=True)


def _simulate(setting: Setting, key: Key, rows: Path, runs: Path) -> None:
    row = _made(rows).get(key)
    if row is not None and row.simulated_fps is None:
        _append(rows, simulated(setting, row, runs).model_dump_json())


def _time(setting: Setting, key: Key, timings: Path) -> None:
    known = [each.key for each in map(Timing.model_validate_json, _lines(timings))]
    if key.search_epochs and key not in known:
        found = timed(setting, key.goal, key.method, key.seed)
        _append(timings, found.model_dump_json())


if __name__ == "__main__":
    main()
