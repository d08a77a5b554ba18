"""What can be had of a finished build."""

import sys
from pathlib import Path
from typing import Any

import click

from sdq_fpga.cli.follow import follow_unless_first
from sdq_fpga.cli.options import CACHE, DIRECTORY, FILE, cache_option, debug_option, json_option
from sdq_fpga.cli.output import loading, print_plain, stdout
from sdq_fpga.errors import UserError
from sdq_fpga.integrity import check_integrity
from sdq_fpga.report.integrity import print_integrity

__all__ = ["learn", "report", "reproduce", "synth", "verify"]


@click.command()
@debug_option
@click.argument("run_directory", metavar="RUN", type=DIRECTORY)
@click.option("--simulate", is_flag=True, help="Also simulate the RTL again, with other frames.")
@click.option("--images", type=click.IntRange(4), help="Frames to simulate [100].")
@click.option("--stall", type=click.FloatRange(0, 0.99), help="Share of stalls [0.3].")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), help="Of frames and stalls [0].")
@cache_option
@json_option
def verify(run_directory: Path, as_json: bool, cache: Path, simulate: bool, **stated: Any) -> None:
    """Check every file of a run against the hashes in its manifest and its lock, offline.

    With --simulate, then simulate the RTL of the finished build again, with other frames, stalls
    or seed.

    \b
    Examples:
      sdq-fpga verify runs/digits-cnn-zcu104
      sdq-fpga verify runs/digits-cnn-zcu104 --simulate --images 300 --stall 0.5 --seed 7
    """
    given = {name: value for name, value in stated.items() if value is not None}
    if given and not simulate:
        raise UserError(
            f"--{next(iter(given))} is about a simulation", "add --simulate, or leave it out"
        )
    found = check_integrity(run_directory)
    if found.faults or not simulate:
        print_plain(found, as_json, lambda console: print_integrity(found, console))
        if found.faults:
            sys.exit(1)
        return
    progress = loading(cache)
    from sdq_fpga.report.table import simulation_table  # noqa: PLC0415
    from sdq_fpga.stages.again import simulate_again  # noqa: PLC0415

    if not as_json:
        print_integrity(found, stdout())
    options = {"images": 100, "stall": 0.3, "seed": 0} | given
    figures = simulate_again(run_directory, **options, cache=cache, progress=progress)
    if as_json:
        click.echo(figures.to_bytes().decode(), nl=False)
    else:
        stdout().print(simulation_table(figures))
    if not figures.verdict.bit_exact:
        sys.exit(1)


@click.command()
@debug_option
@click.argument("run_directory", metavar="RUN", type=DIRECTORY)
@click.option(
    "--open", "with_open_tools", is_flag=True, required=True, help="With Yosys, without Vivado."
)
@cache_option
@json_option
def synth(run_directory: Path, as_json: bool, cache: Path, with_open_tools: bool) -> None:
    """Synthesise the RTL of a finished build out of context, and count what it takes.

    With Vivado installed, build itself goes on to the bitstream.

    \b
    Example: sdq-fpga synth runs/digits-cnn-zcu104 --open
    """
    progress = loading(cache)
    from sdq_fpga.report.table import synthesis_table  # noqa: PLC0415
    from sdq_fpga.stages.finished import synthesise_run  # noqa: PLC0415

    figures = synthesise_run(run_directory, cache, progress)
    print_plain(figures, as_json, lambda console: console.print(synthesis_table(figures)))


@click.command()
@debug_option
@click.argument("run_directory", metavar="RUN", type=DIRECTORY)
@click.option("--report", type=FILE, help="Vivado's utilization, hierarchical.")
@click.option("--timing", type=FILE, help="Vivado's timing summary [that of the bitstream].")
@click.option(
    "--data", type=click.Path(path_type=Path, dir_okay=False), required=True, help="Gets the nodes."
)
@click.option("--top", help="Path of the instance that has those of the nodes [found].")
@cache_option
@json_option
def learn(run_directory: Path, as_json: bool, cache: Path, data: Path, **stated: Any) -> None:
    """Keep what Vivado found for a build, to fit the hardware model on.

    --report is that of report_utilization -hierarchical of the synthesised or placed design, and
    gives what each node takes. --timing is that of report_timing_summary of the routed design; a
    run with a bitstream knows its clock without. Clocks go into a file beside that of nodes:
    xcup.clocks.jsonl.

    \b
    Examples:
      sdq-fpga learn runs/digits-cnn-zcu104 --report utilization.rpt --data xcup.jsonl
      sdq-fpga learn runs/digits-cnn-zcu104 --timing timing.rpt --data xcup.jsonl
    """
    loading(cache)
    from sdq_fpga.report.learnt import print_learnt  # noqa: PLC0415
    from sdq_fpga.stages.learn import clocks_beside  # noqa: PLC0415
    from sdq_fpga.stages.learn import learn as keep  # noqa: PLC0415

    found = keep(run_directory, data, **stated)
    files = data, clocks_beside(data)
    print_plain(found, as_json, lambda console: print_learnt(found, *files, console))


@click.command()
@debug_option
@click.argument("lock_file", metavar="LOCK", type=FILE)
@click.option(
    "--run", "run_directory", type=DIRECTORY, help="A new directory [that of the lock, and -again]."
)
@click.option("--data", type=DIRECTORY, help="Directory of the dataset.")
@click.option("--model", type=FILE, help="The model that was built.")
@click.option("--vectors", type=FILE, help="The frames (.npz) that it was verified with.")
@click.option("--pinned", type=DIRECTORY, help="A run whose trained network is taken.")
@cache_option
@json_option
def reproduce(lock_file: Path, run_directory: Path | None, as_json: bool, **stated: Any) -> None:
    """Make a build again from its build.lock.json, and compare every file.

    Training may differ between processors; --pinned RUN takes the trained network from the first
    run, and makes everything from the export on again.

    \b
    Examples:
      sdq-fpga reproduce runs/digits-cnn-zcu104/build.lock.json
      sdq-fpga reproduce build.lock.json --run runs/again --pinned runs/digits-cnn-zcu104
    """
    first = lock_file.absolute().parent
    directory = run_directory or Path(f"{first}-again")
    if directory.resolve() == first.resolve():
        raise UserError(f"{directory} has the build of the lock itself", "give another with --run")
    progress = loading(stated["cache"])
    from sdq_fpga.report.reproduction import print_reproduction  # noqa: PLC0415
    from sdq_fpga.stages.lock import read_lock  # noqa: PLC0415
    from sdq_fpga.stages.reproduce import reproduce as make_again  # noqa: PLC0415

    lock = read_lock(lock_file)
    if lock.settings is not None:
        data = None if stated["data"] is None else str(stated["data"].resolve())
        follow_unless_first(lock.settings.model_copy(update={"data": data}), directory)
    found = make_again(lock, directory, progress=progress, **stated)
    print_plain(found, as_json, lambda console: print_reproduction(found, console))
    if found.differences:
        sys.exit(1)


@click.command()
@debug_option
@click.argument("run_directory", metavar="RUN", type=DIRECTORY)
@click.option("--open", "show", is_flag=True, help="Show it in the browser.")
def report(run_directory: Path, show: bool) -> None:
    """Write the page of a finished build: RUN/report.html, one file that needs no network.

    \b
    Example: sdq-fpga report runs/digits-cnn-zcu104 --open
    """
    loading(CACHE)
    from sdq_fpga.stages.finished import write_page  # noqa: PLC0415

    page = write_page(run_directory)
    click.echo(page)
    if show:
        click.launch(page.as_uri())
