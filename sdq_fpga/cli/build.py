"""Builds and searches."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from sdq_fpga.board import Board, load_board
from sdq_fpga.cli.follow import follow_unless_first
from sdq_fpga.cli.options import (
    DIRECTORY,
    FILE,
    clock_of,
    debug_option,
    goal_options,
    training_options,
    what_to_build,
)
from sdq_fpga.cli.output import check_writable, loading, print_plain, stdout, write_file
from sdq_fpga.errors import UserError
from sdq_fpga.flow import Flow, load_flow
from sdq_fpga.policy import Policy
from sdq_fpga.run import open_run

__all__ = ["build", "search"]

_TARGETS = ("target_bits", "target_fps", "target_latency")
_SEVERAL = ("accuracy_drop", "pareto")  # goals for which several designs are searched


@click.command()
@debug_option
@what_to_build
@click.option("--policy", "policy_file", type=FILE, help="Bits to use instead of searching.")
@click.option("--model", type=FILE, help="A QONNX model to build instead of a flow.")
@click.option("--input-type", help="Type of the model's inputs, such as UINT8 or FIXED<8,4>.")
@click.option("--vectors", type=FILE, help="Frames (.npz) to verify a model with [random].")
@click.option("--images", type=click.IntRange(4), help="Frames to simulate [default: the flow's].")
@goal_options
@click.option(
    "--weight-memory",
    type=click.Choice(["auto", "distributed", "block", "ultra", "stream"]),
    default="auto",
    show_default=True,
    help="What weights are kept in; auto: the best for each layer; stream: nothing, they come in "
    "by ports of their own.",
)
@click.option(
    "--writable-weights", is_flag=True, help="Let weights be changed at run time, by AXI-Lite."
)
@training_options
@click.option("--vivado", "vivado_directory", type=DIRECTORY, help="Directory with bin/vivado.")
@click.option(
    "--finn-deps",
    type=DIRECTORY,
    help="What finn deps update has fetched, for Vivado [default: where it puts that].",
)
def build(
    as_json: bool,
    vivado_directory: Path | None,
    finn_deps: Path | None,
    cache: Path,
    **stated: Any,
) -> None:
    """Train, search, lower, generate and verify an accelerator; a bitstream with Vivado.

    \b
    Examples:
      sdq-fpga build --board zcu104
      sdq-fpga build --board pynq-z2 --target-bits 4 --target-fps 50000
      sdq-fpga build --board zcu104 --flow mnist-mlp --data ~/mnist
      sdq-fpga build --board zcu104 --net my_pkg.nets:make_net --dataset my_pkg.data:make_datasets
      sdq-fpga build --board zcu104 --model resnet8.onnx --target-fps 1000
    """
    from sdq_fpga.synth.vivado import Vivado  # noqa: PLC0415

    vivado = Vivado.find(vivado_directory, finn_deps)
    if vivado is not None and vivado_directory is not None:
        vivado.check(load_board(stated["board_name"]))
    if stated["model"] is not None:
        report, tried = _build_model(stated, cache, vivado), None
    else:
        report, tried = _with_build(
            stated, cache, lambda build: (build.everything(vivado), build.tried())
        )
    from sdq_fpga.report.designs import designs_table  # noqa: PLC0415
    from sdq_fpga.report.table import report_table  # noqa: PLC0415

    if as_json:
        click.echo(report.to_bytes().decode(), nl=False)
    else:
        if tried is not None:
            stdout().print(designs_table(tried))
        stdout().print(report_table(report))
    if not report.accelerator.simulation.verdict.rtl_exact:
        sys.exit(1)


@click.command()
@debug_option
@what_to_build
@goal_options
@training_options
@click.option("--out", type=FILE, help="Also write the policy to this file.")
@click.option(
    "--pareto",
    type=click.IntRange(2, 100),
    metavar="N",
    help="Search N policies from the slowest to the fastest, into pareto/ of the run directory.",
)
def search(as_json: bool, out: Path | None, cache: Path, **stated: Any) -> None:
    """Train a network and search its bits; the policy is what build --policy takes.

    \b
    Examples:
      sdq-fpga search --board zcu104 --target-bits 3 --out policy.json
      sdq-fpga search --board pynq-z2 --target-fps 100000 --out policy.json
      sdq-fpga search --board pynq-z2 --target-fps 100000 --method uniform
      sdq-fpga search --board pynq-z2 --target-latency 3.5 --budget lut=60%
      sdq-fpga search --board pynq-z2 --accuracy-drop 1% --out policy.json
      sdq-fpga search --board pynq-z2 --pareto 4
    """
    if stated["pareto"] is not None:
        _search_several(stated, cache, out, as_json)
        return

    if out is not None:
        check_writable(out)

    def use(build: Any) -> Any:
        policy = build.search()
        return policy, build.tried(), () if as_json else build.aim(policy)

    policy, tried, foretold = _with_build(stated, cache, use)
    from sdq_fpga.report.designs import designs_table  # noqa: PLC0415

    if out is not None:
        write_file(out, policy.to_bytes())
    if as_json:
        click.echo(policy.to_bytes().decode(), nl=False)
        return
    if tried is not None:
        stdout().print(designs_table(tried))
    table = Table(title=f"mean weight bits {policy.mean_weight_bits:.2f}", title_justify="left")
    for heading in ("layer", "weights", "weight bits", "activation bits"):
        table.add_column(heading)
    for layer in policy.layers:
        activation = "raw" if layer.activation_bits is None else str(layer.activation_bits)
        table.add_row(
            layer.shape.name, f"{layer.shape.weights:,}", str(layer.weight_bits), activation
        )
    stdout().print(table)
    for line in foretold:
        stdout().print(line, highlight=False, soft_wrap=True)


def _search_several(stated: dict[str, Any], cache: Path, out: Path | None, as_json: bool) -> None:
    if out is not None:
        raise UserError("--pareto finds several policies", "leave --out out")
    if stated["accuracy_drop"] is not None:
        raise UserError(
            "--pareto and --accuracy-drop search different designs", "leave one of them out"
        )
    found, where = _with_build(stated, cache, lambda build: (build.pareto(), build.directory))
    from sdq_fpga.report.designs import designs_table  # noqa: PLC0415

    def show(console: Console) -> None:
        console.print(designs_table(found))
        console.print(f"policies are in {where / 'pareto'}, the plot is {where / 'pareto.png'}")

    print_plain(found, as_json, show)


def _with_build(stated: dict[str, Any], cache: Path, use: Callable[[Any], Any]) -> Any:
    """Checks what was stated, opens the run directory, and lets ``use`` have the build."""
    _check_goals(stated)
    board = load_board(stated["board_name"])
    flow = load_flow(stated["flow_name"])
    policy_file = stated.get("policy_file")
    policy = None if policy_file is None else Policy.from_file(policy_file)
    clock_mhz = clock_of(stated, board)
    if stated.get("images") is not None:
        simulate = flow.simulate.model_copy(update={"images": stated["images"]})
        flow = flow.model_copy(update={"simulate": simulate})
    for option in ("method", "target_bits"):
        if policy is not None and stated[option] is not None:
            name = option.replace("_", "-")
            raise UserError(f"--{name} has no meaning with --policy", "leave one of them out")
    if stated["method"] is not None:
        searched = flow.search.model_copy(update={"method": stated["method"]})
        flow = flow.model_copy(update={"search": searched})
    own_net, own_dataset, data = (stated[each] for each in ("own_net", "own_dataset", "data"))
    if own_net is not None or own_dataset is not None:
        from sdq_fpga.stages.own import own_flow  # noqa: PLC0415

        flow = own_flow(flow, own_net, own_dataset, None if data is None else data.resolve())
    directory = stated["run_directory"] or Path("runs") / f"{flow.name}-{board.name}"
    progress = None
    if _processes(stated) > 1:
        progress = loading(cache)
        settings = _settings(stated, flow, board, policy, clock_mhz)
        follow_unless_first(settings, directory)
    with open_run(directory) as run:
        progress = progress or loading(cache)
        from sdq_fpga.stages.build import CHECKPOINT_EVERY_S, Build  # noqa: PLC0415

        every_s = stated["checkpoint_every"]
        every_s = CHECKPOINT_EVERY_S if every_s is None else every_s
        settings = _settings(stated, flow, board, policy, clock_mhz)
        return use(Build(settings, run, cache, progress, every_s))


def _processes(stated: dict[str, Any]) -> int:
    return int((stated["devices"] or 1) * (stated["nodes"] or 1))


def _settings(
    stated: dict[str, Any], flow: Flow, board: Board, policy: Policy | None, clock_mhz: float
) -> Any:
    """What the options state about the build of a flow."""
    from sdq_fpga.stages.settings import Settings  # noqa: PLC0415

    target_bits = stated["target_bits"]
    if not any(stated.get(goal) for goal in (*_TARGETS, *_SEVERAL)):
        target_bits = flow.search.target_bits
    devices = ("accelerator", "devices", "nodes", "precision")
    return Settings.from_data(
        {
            "flow": flow,
            "board": board,
            "clock_mhz": clock_mhz,
            "seed": stated["seed"],
            "target_bits": target_bits,
            "target_fps": stated.get("target_fps"),
            "target_latency_us": stated.get("target_latency"),
            "accuracy_drop": stated["accuracy_drop"],
            "pareto": stated.get("pareto"),
            "policy": policy,
            "data": None if stated["data"] is None else str(stated["data"].resolve()),
            "weight_memory": stated.get("weight_memory", "auto"),
            "writable_weights": stated.get("writable_weights", False),
            "shares": stated.get("shares", {}),
            "devices": {name: stated[name] for name in devices if stated[name] is not None},
        },
        "what the options state",
    )


def _check_goals(stated: dict[str, Any]) -> None:
    """Makes sure that what several designs are searched for is not stated in another way, too.

    Raises:
        UserError: it is.
    """
    for several in _SEVERAL:
        for other in (*_TARGETS, "policy_file"):
            if stated.get(several) and stated.get(other):
                name = other.removesuffix("_file").replace("_", "-")
                raise UserError(
                    f"--{several.replace('_', '-')} finds by itself what --{name} states",
                    "leave one of them out",
                )
        if stated.get(several) and _processes(stated) > 1:
            raise UserError(
                f"--{several.replace('_', '-')} searches in one process",
                "leave --devices and --nodes out",
            )


def _build_model(stated: dict[str, Any], cache: Path, vivado: Any) -> Any:
    """Builds a given model."""
    model: Path = stated["model"]
    training = ("accelerator", "devices", "nodes", "precision", "checkpoint_every")
    for option in (
        "policy_file",
        "data",
        "target_bits",
        "accuracy_drop",
        "method",
        "own_net",
        "own_dataset",
        *training,
    ):
        if stated[option] is not None:
            name = option.removesuffix("_file").removeprefix("own_").replace("_", "-")
            raise UserError(f"--{name} has no meaning with --model", "leave one of them out")
    board = load_board(stated["board_name"])
    clock_mhz = clock_of(stated, board)
    directory = stated["run_directory"] or Path("runs") / f"{model.stem}-{board.name}"
    with open_run(directory) as run:
        progress = loading(cache)
        from sdq_fpga.stages.model_build import ModelBuild  # noqa: PLC0415
        from sdq_fpga.stages.target import ModelSettings  # noqa: PLC0415

        vectors = stated["vectors"]
        settings = ModelSettings.from_data(
            {
                "name": model.name,
                "target": {
                    "board": board,
                    "clock_mhz": clock_mhz,
                    "target_fps": stated["target_fps"],
                    "target_latency_us": stated["target_latency"],
                    "seed": stated["seed"],
                    "simulate": {} if stated["images"] is None else {"images": stated["images"]},
                    "weight_memory": stated["weight_memory"],
                    "writable_weights": stated["writable_weights"],
                    "shares": stated["shares"],
                },
                "vectors": None if vectors is None else str(vectors.resolve()),
                "input_type": stated["input_type"],
            },
            "what the options state",
        )
        return ModelBuild(settings, model, run, cache, progress).everything(vivado)
