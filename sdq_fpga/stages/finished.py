"""What can be had of a finished build: its page, and a synthesis without Vivado."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sdq_fpga.errors import UserError
from sdq_fpga.progress import Progress
from sdq_fpga.provenance import code_digest, tool_versions
from sdq_fpga.report.summary import Report
from sdq_fpga.rtl.design import RtlDesign
from sdq_fpga.run import RunDirectory, open_run
from sdq_fpga.stages.page import PAGE, SYNTHESIS, page_of
from sdq_fpga.stages.settings import SETTINGS_FILE, read_plain
from sdq_fpga.stages.target import MODEL_SETTINGS_FILE
from sdq_fpga.synth.figures import SynthesisFigures
from sdq_fpga.synth.yosys import family_of, synthesise_nodes

__all__ = ["open_finished", "synthesise_run", "write_page"]

_BUILT = ("export", "lower", "fold", "size", "generate", "simulate", "package")


@contextmanager
def open_finished(directory: Path) -> Iterator[RunDirectory]:
    """Opens the run directory of a build that has made its accelerator.

    Raises:
        UserError: it is no run directory, or the build has not finished.
        StageError: its files have changed since they were made.
    """
    if not any((directory / name).is_file() for name in (SETTINGS_FILE, MODEL_SETTINGS_FILE)):
        raise UserError(
            f"{directory} is not the directory of a build",
            "give one that sdq-fpga build has made, such as runs/digits-cnn-zcu104",
        )
    with open_run(directory) as run:
        for stage in _BUILT:
            run.require(stage)
        yield run


def synthesise_run(directory: Path, cache: Path | None, progress: Progress) -> SynthesisFigures:
    """Synthesises the accelerator of a run with Yosys, unless that was done before.

    Args:
        directory: of the run; gets a stage "synthesise", and its page anew.
        cache: keeps Yosys in machine code.
        progress: told of each step.

    Raises:
        UserError: it is not the directory of a finished build.
        StageError: Yosys is missing, or refuses the design.
    """
    with open_finished(directory) as run:
        family = family_of(read_plain(Report, run.directory / "report.json").accelerator.part)

        def step(out: Path) -> None:
            generated = run.directory / "generate"
            design = read_plain(RtlDesign, generated / "design.json")
            figures = synthesise_nodes(
                [generated / "rtl" / source for source in design.sources],
                design.top,
                family,
                out,
                memories=generated / "rtl",
                cache=cache,
                progress=progress,
            )
            (out / "figures.json").write_bytes(figures.to_bytes())

        inputs = {"code": code_digest(), "tools": tool_versions(), "family": family}
        made = run.stage(SYNTHESIS, inputs, ("generate",), step)
        run.write(PAGE, page_of(run.directory))
        return read_plain(SynthesisFigures, made / "figures.json")


def write_page(directory: Path) -> Path:
    """Writes the page of a finished build; returns its path.

    Raises:
        UserError: it is not the directory of a finished build.
        StageError: its files have changed since they were made.
    """
    with open_finished(directory) as run:
        return run.write(PAGE, page_of(run.directory))
