"""The commands: parse, call one function, print."""

import json
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from sdq_fpga import __version__
from sdq_fpga.board import Board, load_board, load_boards
from sdq_fpga.console import ConsoleProgress
from sdq_fpga.cost.folding import parse_shares
from sdq_fpga.errors import SdqFpgaError, UserError
from sdq_fpga.flow import load_flow
from sdq_fpga.plain import Plain
from sdq_fpga.policy import Policy
from sdq_fpga.run import open_run

# The stages import torch, Brevitas and FINN, which takes seconds. Commands that need them import
# them when they run, so that --help and a misspelled board answer at once.

_CACHE = Path.home() / ".cache" / "sdq-fpga"
_DIRECTORY = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, dir_okay=False)

Command = Callable[..., Any]


class _Sentences(click.Group):
    """A group whose commands end in one sentence instead of a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command; our errors become their exit code, unless --debug is given."""
        try:
            return super().invoke(ctx)
        except SdqFpgaError as error:
            if ctx.params.get("debug"):
                raise
            click.echo(f"error: {error}", err=True)
            ctx.exit(error.exit_code)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            if ctx.params.get("debug"):
                raise
            said = " ".join(str(error).split())
            click.echo(
                f"error: something unforeseen happened ({type(error).__name__}: {said}); run "
                "the command with --debug and report what it prints.",
                err=True,
            )
            ctx.exit(1)


@click.group(cls=_Sentences, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    r"""From a float PyTorch network to a verified mixed-precision FPGA accelerator.

    \b
    Example: sdq-fpga build --board zcu104
    """
    if not debug:
        warnings.simplefilter("ignore")  # of torch and Brevitas, about their own insides


def _options(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    def apply(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return apply


def _note_debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.find_root().params["debug"] = True


_debug = click.option(
    "--debug",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_note_debug,
    help="Show the traceback of an error.",
)
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON to standard output.")
_cache = click.option(
    "--cache",
    type=_DIRECTORY,
    default=_CACHE,
    show_default="~/.cache/sdq-fpga",
    help="Where compiled simulations are kept.",
)
_board_and_flow = _options(
    click.option(
        "--board", "board_name", required=True, help="A board's name, or a path to your own YAML."
    ),
    click.option(
        "--flow",
        "flow_name",
        default="digits-cnn",
        show_default=True,
        help="A flow's name, or a path to your own YAML.",
    ),
)
_own = _options(
    click.option(
        "--net",
        "own_net",
        metavar="MODULE:FUNCTION",
        help="A function of your own that makes a torch module, instead of the flow's network.",
    ),
    click.option(
        "--dataset",
        "own_dataset",
        metavar="MODULE:FUNCTION",
        help="A function of your own that makes (train, test), instead of the flow's dataset.",
    ),
)
_goal = _options(
    click.option(
        "--target-fps",
        type=click.FloatRange(min=0, min_open=True),
        help="Frames per second to reach [default: the most that fits the board].",
    ),
    click.option(
        "--target-latency",
        type=click.FloatRange(min=0, min_open=True),
        metavar="MICROSECONDS",
        help="Microseconds that a frame may take from first input to last output, in an empty "
        "pipeline [default: any].",
    ),
    click.option(
        "--clock-mhz",
        type=click.FloatRange(min=0, min_open=True),
        help="Clock of the accelerator [default: the board's].",
    ),
    click.option(
        "--budget",
        "shares",
        metavar="SHARES",
        callback=lambda _, __, said: {} if said is None else parse_shares(said),
        help="What may be used of the board, such as dsp=40%,lut=50% [80% of each].",
    ),
)
_what_to_build = _options(
    _board_and_flow,
    _own,
    click.option("--data", type=_DIRECTORY, help="Directory of the dataset."),
    click.option("--target-bits", type=float, help="Mean weight bits that the search ends at."),
    click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True),
    click.option(
        "--run", "run_directory", type=_DIRECTORY, help="Run directory [default: runs/FLOW-BOARD]."
    ),
    _cache,
    _as_json,
)


@main.command()
@_debug
@_what_to_build
@click.option("--policy", "policy_file", type=_FILE, help="Bits to use instead of searching.")
@click.option("--model", type=_FILE, help="A QONNX model to build instead of a flow.")
@click.option("--input-type", help="Type of the model's inputs, such as UINT8 or FIXED<8,4>.")
@click.option("--vectors", type=_FILE, help="Frames (.npz) to verify a model with [random].")
@click.option("--images", type=click.IntRange(4), help="Frames to simulate [default: the flow's].")
@_goal
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
@click.option("--vivado", type=_DIRECTORY, help="Directory that holds bin/vivado.")
def build(as_json: bool, vivado: Path | None, cache: Path, **stated: Any) -> None:
    r"""Train, search, lower, generate and verify an accelerator; a bitstream with Vivado.

    \b
    Examples:
      sdq-fpga build --board zcu104
      sdq-fpga build --board pynq-z2 --target-bits 4 --target-fps 50000
      sdq-fpga build --board zcu104 --flow mnist-mlp --data ~/mnist
      sdq-fpga build --board zcu104 --net my_pkg.nets:make_net --dataset my_pkg.data:make_datasets
      sdq-fpga build --board zcu104 --model resnet8.onnx --target-fps 1000
    """
    if stated["model"] is not None:
        report = _build_model(stated, cache, vivado)
    else:
        report = _with_build(stated, cache, lambda build: build.everything(vivado))
    from sdq_fpga.report.table import report_table  # noqa: PLC0415

    if as_json:
        click.echo(report.to_bytes().decode(), nl=False)
    else:
        _stdout().print(report_table(report))
    if not report.accelerator.simulation.verdict.rtl_exact:
        sys.exit(1)


@main.command()
@_debug
@_what_to_build
@click.option("--out", type=_FILE, help="Also write the policy to this file.")
def search(as_json: bool, out: Path | None, cache: Path, **stated: Any) -> None:
    r"""Train a network and search its bits; the policy is what build --policy takes.

    \b
    Example: sdq-fpga search --board zcu104 --target-bits 3 --out policy.json
    """
    policy = _with_build(stated, cache, lambda build: build.search())
    if out is not None:
        _write(out, policy.to_bytes())
    if as_json:
        click.echo(policy.to_bytes().decode(), nl=False)
        return
    table = Table(title=f"mean weight bits {policy.mean_weight_bits:.2f}", title_justify="left")
    for heading in ("layer", "weights", "weight bits", "activation bits"):
        table.add_column(heading)
    for layer in policy.layers:
        activation = "raw" if layer.activation_bits is None else str(layer.activation_bits)
        table.add_row(
            layer.shape.name, f"{layer.shape.weights:,}", str(layer.weight_bits), activation
        )
    _stdout().print(table)


@main.command()
@_debug
@_board_and_flow
@_own
@click.option("--policy", "policy_file", type=_FILE, help="Bits of the flow's layers.")
@click.option("--bits", type=click.IntRange(2, 8), help="Bits of all layers [4].")
@click.option("--model", type=_FILE, help="A QONNX model instead of a flow.")
@click.option("--input-type", help="Type of the model's inputs, such as UINT8 or FIXED<8,4>.")
@_goal
@click.option(
    "--what-if", "changes", multiple=True, metavar="LAYER=BITS", help="Show the difference."
)
@click.option("--sweep", metavar="bits=LOW..HIGH", help="Frames/s against bits of all layers.")
@click.option("--plot", type=_FILE, help="Draw the sweep into this PNG.")
@click.option("--rtl", is_flag=True, help="Also simulate the RTL, and show the error.")
@_cache
@_as_json
def simulate(as_json: bool, rtl: bool, cache: Path, **stated: Any) -> None:
    r"""Foretell latency, frame rate and resources of a design, before anything is trained.

    \b
    Examples:
      sdq-fpga simulate --board zcu104 --bits 3
      sdq-fpga simulate --board zcu104 --what-if block2.conv=2
      sdq-fpga simulate --board zcu104 --rtl
      sdq-fpga simulate --board pynq-z2 --flow mnist-mlp --sweep bits=2..8 --plot bits.png
      sdq-fpga simulate --board zcu104 --flow cifar10-resnet20
      sdq-fpga simulate --board zcu104 --net my_pkg.nets:make_net
      sdq-fpga simulate --board zcu104 --model resnet8.onnx --target-fps 1000
      sdq-fpga simulate --board zcu104 --model resnet8.onnx --what-if Conv_3=2
    """
    if stated["sweep"] is not None and rtl:
        raise UserError("--rtl simulates one design", "leave out --sweep")
    if stated["sweep"] is None and stated["plot"] is not None:
        raise UserError("--plot draws a sweep", "add --sweep bits=2..8")
    board = load_board(stated["board_name"])
    policy_file = stated["policy_file"]
    policy = None if policy_file is None else Policy.from_file(policy_file)
    flow = load_flow(stated["flow_name"])
    progress = _loading(cache)
    from sdq_fpga.report.estimate import draw_sweep, print_estimates, print_sweep  # noqa: PLC0415
    from sdq_fpga.stages.foretell import (  # noqa: PLC0415
        Foretelling,
        foretell,
        simulated,
        sweep,
    )
    from sdq_fpga.stages.own import own_flow  # noqa: PLC0415

    flow = own_flow(flow, stated["own_net"], stated["own_dataset"], None)
    asked = Foretelling(
        board=board,
        clock_mhz=_clock(stated, board),
        target_fps=stated["target_fps"],
        target_latency_us=stated["target_latency"],
        flow=flow,
        policy=policy,
        bits=stated["bits"],
        model=stated["model"],
        input_type=stated["input_type"],
        shares=stated["shares"],
    )
    if stated["sweep"] is None:
        found = foretell(asked, stated["changes"], progress)
        if rtl:
            found = found.model_copy(update={"rtl": simulated(asked, cache, progress)})
        _print(found, as_json, lambda console: print_estimates(found, console))
        return
    swept = sweep(asked, stated["sweep"], progress)
    if stated["plot"] is not None:
        draw_sweep(swept, stated["plot"])
    _print(swept, as_json, lambda console: print_sweep(swept, console))


@main.command()
@_debug
@click.argument("run_directory", metavar="RUN", type=_DIRECTORY)
@click.option("--images", type=click.IntRange(4), default=100, show_default=True)
@click.option("--stall", type=click.FloatRange(0, 0.99), default=0.3, show_default=True)
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True)
@_cache
@_as_json
def verify(run_directory: Path, as_json: bool, cache: Path, **stated: Any) -> None:
    r"""Simulate the RTL of a finished build again, with other images, stalls or seed.

    \b
    Example: sdq-fpga verify runs/digits-cnn-zcu104 --images 300 --stall 0.5 --seed 7
    """
    progress = _loading(cache)
    from sdq_fpga.report.table import simulation_table  # noqa: PLC0415
    from sdq_fpga.stages.again import simulate_again  # noqa: PLC0415

    figures = simulate_again(run_directory, **stated, cache=cache, progress=progress)
    if as_json:
        click.echo(figures.to_bytes().decode(), nl=False)
    else:
        _stdout().print(simulation_table(figures))
    if not figures.verdict.bit_exact:
        sys.exit(1)


@main.command()
@_debug
@click.argument("run_directory", metavar="RUN", type=_DIRECTORY)
@click.option(
    "--open", "with_open_tools", is_flag=True, required=True, help="With Yosys, without Vivado."
)
@_cache
@_as_json
def synth(run_directory: Path, as_json: bool, cache: Path, with_open_tools: bool) -> None:
    r"""Synthesise the RTL of a finished build out of context, and count what it takes.

    With Vivado installed, build itself goes on to the bitstream.

    \b
    Example: sdq-fpga synth runs/digits-cnn-zcu104 --open
    """
    progress = _loading(cache)
    from sdq_fpga.report.table import synthesis_table  # noqa: PLC0415
    from sdq_fpga.stages.finished import synthesise_run  # noqa: PLC0415

    figures = synthesise_run(run_directory, cache, progress)
    _print(figures, as_json, lambda console: console.print(synthesis_table(figures)))


@main.command()
@_debug
@click.argument("run_directory", metavar="RUN", type=_DIRECTORY)
@click.option("--open", "show", is_flag=True, help="Show it in the browser.")
def report(run_directory: Path, show: bool) -> None:
    r"""Write the page of a finished build: RUN/report.html, one file that needs no network.

    \b
    Example: sdq-fpga report runs/digits-cnn-zcu104 --open
    """
    _loading(_CACHE)
    from sdq_fpga.stages.finished import write_page  # noqa: PLC0415

    page = write_page(run_directory)
    click.echo(page)
    if show:
        click.launch(page.as_uri())


@main.command()
@_debug
@click.argument("run_directory", metavar="RUN", type=_DIRECTORY)
@click.option("--board-host", metavar="USER@HOST", help="The board, over SSH.")
@click.option("--local", is_flag=True, help="This is the board's own shell.")
@click.option("--emulate", is_flag=True, help="An emulated board, over SSH on this machine.")
@click.option(
    "--input", "inputs", multiple=True, metavar="[NAME=]FILE", help="Frames, as a .npy file."
)
@click.option("--dataset", is_flag=True, help="Run the test images, and compare every answer.")
@click.option("--throughput", is_flag=True, help="Run batches of growing size.")
@click.option("--watch", is_flag=True, help="Keep a live table.")
@click.option("--images", type=click.IntRange(1), help="How many test images [all of them].")
@click.option("--batch", type=click.IntRange(1, 2**20), default=64, show_default=True)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(1),
    default=600,
    show_default=True,
    help="Seconds without news after which the run is ended.",
)
@click.option("--output", type=_DIRECTORY, help="Gets the outputs [default: RUN/board].")
@click.option("--identity", "keys", multiple=True, type=_FILE, help="A private key for SSH.")
@click.option("--known-hosts", type=_FILE, help="Host keys [default: ~/.ssh/known_hosts].")
@click.option("--ask-password", is_flag=True, help="Ask for the password of the board's user.")
@click.option(
    "--board-python", default="python3", show_default=True, help="Command of the board's Python."
)
@_cache
@_as_json
def run(as_json: bool, watch: bool, cache: Path, **stated: Any) -> None:
    r"""Run a finished build on a board, real or emulated.

    \b
    Examples:
      sdq-fpga run runs/digits-cnn-pynq-z2 --board-host xilinx@192.168.2.99 --input x.npy
      sdq-fpga run runs/digits-cnn-pynq-z2 --emulate --dataset
      sdq-fpga run runs/digits-cnn-pynq-z2 --emulate --throughput --batch 32
    """
    asked, way = _board_run(stated)
    progress = _loading(cache)
    from sdq_fpga.report.board import board_tables, told, watched  # noqa: PLC0415
    from sdq_fpga.stages.on_board import BoardRun, Way, run_on_board  # noqa: PLC0415

    with watched(Console(stderr=True)) if watch else told(progress) as tell:
        figures = run_on_board(
            BoardRun(**asked), Way(**way), cache=cache, progress=progress, tell=tell
        )
    _print(figures, as_json, lambda console: console.print(*board_tables(figures)))
    if figures.match is not None and figures.match.differing:
        sys.exit(1)


def _board_run(stated: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What to run, and how to get to the board, from what was stated."""
    from sdq_fpga.deploy.ssh import Login, parse_login  # noqa: PLC0415

    host = stated["board_host"]
    if (host is not None) + (stated["emulate"] or stated["local"]) != 1:
        raise UserError(
            "one board is needed", "give --board-host USER@HOST, or --emulate, or --local"
        )
    if bool(stated["inputs"]) + stated["dataset"] + stated["throughput"] != 1:
        raise UserError("one thing to run is needed", "give --input, --dataset or --throughput")
    if stated["images"] is not None and not stated["dataset"]:
        raise UserError("--images counts test images", "add --dataset, or leave it out")
    login = None
    if host is not None:
        user, name, port = parse_login(host)
        password = None
        if stated["ask_password"]:
            password = click.prompt(f"Password on {host}", hide_input=True, err=True)
        login = Login(name, user, port, stated["keys"], stated["known_hosts"], password)
    asked = {"directory": stated["run_directory"], "inputs": stated["inputs"]}
    for name in ("dataset", "images", "throughput", "batch", "timeout_s", "output"):
        asked[name] = stated[name]
    way = {"login": login, "python": stated["board_python"]}
    return asked, way | {name: stated[name] for name in ("emulate", "local")}


@main.command()
@_debug
@_as_json
def boards(as_json: bool) -> None:
    r"""List the boards that ship with this package.

    \b
    Example: sdq-fpga boards --json
    """
    known = load_boards()
    if as_json:
        click.echo(json.dumps([board.model_dump(mode="json") for board in known], indent=1))
        return
    table = Table()
    table.add_column("board", no_wrap=True)
    for heading in ("part", "DSP", "LUT", "FF", "BRAM18", "URAM", "DSPs", "MHz"):
        table.add_column(heading, overflow="fold")
    for board in known:
        budget = [f"{value:,}" for value in board.budget.model_dump().values()]
        table.add_row(
            board.name, board.part, str(board.dsp), *budget, f"{board.clock_mhz.default:g}"
        )
    _stdout().print(table)


@main.command()
@_debug
@click.option("--vivado", type=_DIRECTORY, help="Directory that holds bin/vivado.")
@_as_json
def doctor(vivado: Path | None, as_json: bool) -> None:
    r"""Show what is installed, what is missing, and what each missing thing would enable.

    \b
    Example: sdq-fpga doctor
    """
    from sdq_fpga.doctor import examine  # noqa: PLC0415

    findings = examine(vivado)
    if as_json:
        click.echo(json.dumps([each.model_dump(mode="json") for each in findings], indent=1))
    else:
        table = Table()
        for heading in ("what", "found", "for", "how to get it"):
            table.add_column(heading, overflow="fold")
        for each in findings:
            table.add_row(
                each.name,
                each.found or ("MISSING" if each.required else "not installed"),
                each.enables,
                "" if each.found else each.how,
            )
        _stdout().print(table)
    if any(each.found is None and each.required for each in findings):
        sys.exit(1)


def _print(found: Plain, as_json: bool, show: Callable[[Console], None]) -> None:
    if as_json:
        click.echo(found.to_bytes().decode(), nl=False)
    else:
        show(_stdout())


def _with_build(stated: dict[str, Any], cache: Path, use: Callable[[Any], Any]) -> Any:
    """Checks what was stated, opens the run directory, and lets ``use`` have the build."""
    board = load_board(stated["board_name"])
    flow = load_flow(stated["flow_name"])
    policy_file = stated.get("policy_file")
    policy = None if policy_file is None else Policy.from_file(policy_file)
    clock_mhz = _clock(stated, board)
    if stated.get("images") is not None:
        simulate = flow.simulate.model_copy(update={"images": stated["images"]})
        flow = flow.model_copy(update={"simulate": simulate})
    own_net, own_dataset, data = (stated[each] for each in ("own_net", "own_dataset", "data"))
    if own_net is not None or own_dataset is not None:
        from sdq_fpga.stages.own import own_flow  # noqa: PLC0415

        flow = own_flow(flow, own_net, own_dataset, None if data is None else data.resolve())
    directory = stated["run_directory"] or Path("runs") / f"{flow.name}-{board.name}"
    with open_run(directory) as run:
        progress = _loading(cache)
        from sdq_fpga.stages.build import Build  # noqa: PLC0415
        from sdq_fpga.stages.settings import Settings  # noqa: PLC0415

        target_bits = stated["target_bits"]
        settings = Settings.from_data(
            {
                "flow": flow,
                "board": board,
                "clock_mhz": clock_mhz,
                "seed": stated["seed"],
                "target_bits": flow.search.target_bits if target_bits is None else target_bits,
                "target_fps": stated.get("target_fps"),
                "target_latency_us": stated.get("target_latency"),
                "policy": policy,
                "data": None if stated["data"] is None else str(stated["data"].resolve()),
                "weight_memory": stated.get("weight_memory", "auto"),
                "writable_weights": stated.get("writable_weights", False),
                "shares": stated.get("shares", {}),
            },
            "what the options state",
        )
        return use(Build(settings, run, cache, progress))


def _build_model(stated: dict[str, Any], cache: Path, vivado: Path | None) -> Any:
    """Builds a given model."""
    model: Path = stated["model"]
    for option in ("policy_file", "data", "target_bits", "own_net", "own_dataset"):
        if stated[option] is not None:
            name = option.removesuffix("_file").removeprefix("own_").replace("_", "-")
            raise UserError(f"--{name} has no meaning with --model", "leave one of them out")
    board = load_board(stated["board_name"])
    clock_mhz = _clock(stated, board)
    directory = stated["run_directory"] or Path("runs") / f"{model.stem}-{board.name}"
    with open_run(directory) as run:
        progress = _loading(cache)
        from sdq_fpga.stages.model_build import ModelBuild, ModelSettings  # noqa: PLC0415

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


def _clock(stated: dict[str, Any], board: Board) -> float:
    clock_mhz: float = stated.get("clock_mhz") or board.clock_mhz.default
    if clock_mhz > board.clock_mhz.maximum:
        raise UserError(
            f"{clock_mhz:g} MHz is more than {board.name} can do",
            f"give at most {board.clock_mhz.maximum:g} with --clock-mhz",
        )
    return clock_mhz


def _loading(cache: Path) -> ConsoleProgress:
    """Prepares for the import of the stages, and says that it takes a while."""
    # torch makes a directory for its compiler when it is imported; /tmp is not ours to write in.
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache / "torch"))
    progress = ConsoleProgress(Console(stderr=True))
    progress.note("loading torch, Brevitas and FINN, which takes some seconds")
    return progress


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise UserError(
            f"{path} can't be written ({error.strerror})", "give another file"
        ) from error


def _stdout() -> Console:
    # Into a file or a pipe, tables are as wide as they need to be.
    return Console(highlight=False, width=None if sys.stdout.isatty() else 160)
