"""Runs a finished build on a board, real or emulated."""

import getpass
import io
import platform
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from sdq_fpga.deploy.board import LOCK, Board
from sdq_fpga.deploy.bundle import BITSTREAM, HANDOFF, make_bundle
from sdq_fpga.deploy.emulate.environment import make_environment
from sdq_fpga.deploy.emulate.server import EmulatedBoard
from sdq_fpga.deploy.figures import OUTPUTS, BoardFigures, Match
from sdq_fpga.deploy.frames import codes_bytes, read_inputs
from sdq_fpga.deploy.job import Event, Job, Outcome, run_job
from sdq_fpga.deploy.ssh import Login, Ssh
from sdq_fpga.deploy.transport import Local, Transport
from sdq_fpga.errors import StageError, UserError
from sdq_fpga.lower.host import HostSide
from sdq_fpga.plain import Plain
from sdq_fpga.progress import Progress
from sdq_fpga.report.summary import AcceleratorFigures, Report
from sdq_fpga.rtl.design import RtlDesign
from sdq_fpga.run import open_run, write_atomically
from sdq_fpga.stages.measured import keep_measured
from sdq_fpga.synth.vivado import SHELLS

__all__ = ["BoardRun", "Way", "run_on_board"]

if TYPE_CHECKING:
    from sdq_fpga.sim.verify import Vectors

PlainT = TypeVar("PlainT", bound=Plain)
Codes = Mapping[str, npt.NDArray[np.int64]]

_REPORT = "report.json"
_ALONE = 6  # frames that the board runs alone for the latency, besides those asked for


@dataclass(frozen=True)
class Way:
    """How to get to the board.

    Attributes:
        login: over SSH; None where this is the board's own shell, or for an emulated board.
        emulate: whether the board is emulated.
        local: whether this is the board's own shell.
        python: the command of its Python, with pynq and the driver.
    """

    login: Login | None = None
    emulate: bool = False
    local: bool = False
    python: str = "python3"


@dataclass(frozen=True)
class BoardRun:
    """What to run.

    Attributes:
        directory: the run directory of a finished build.
        inputs: NAME=FILE.npy, or FILE.npy for a model of one input.
        dataset: whether to take the frames that the build is verified with instead, and compare.
        images: how many of those; None for all on a board, and on an emulated one for as many as
            the build has simulated.
        throughput: whether to measure the throughput with batches of growing size instead.
        batch: frames in one batch; the largest of a throughput test.
        timeout_s: seconds without news after which the run is ended.
        output: directory that gets the outputs; None for RUN/board.
    """

    directory: Path
    inputs: tuple[str, ...] = ()
    dataset: bool = False
    images: int | None = None
    throughput: bool = False
    batch: int = 64
    timeout_s: float = 600.0
    output: Path | None = None


@dataclass(frozen=True)
class _Build:
    """What is read from the run directory."""

    figures: AcceleratorFigures
    design: RtlDesign
    host: HostSide

    @property
    def interval(self) -> int:
        """Cycles between frames, as simulated."""
        return round(self.figures.simulation.interval) + 1


@dataclass(frozen=True)
class _Given:
    """Frames, and what is expected of them where that is known."""

    frames: Mapping[str, npt.NDArray[np.generic]]
    expected: Codes | None
    vectors: "Vectors | None"


def run_on_board(
    asked: BoardRun, way: Way, *, cache: Path, progress: Progress, tell: Callable[[Event], None]
) -> BoardFigures:
    """Copies a build to a board, runs it there, and brings the outputs back.

    What a real board shows is kept, for the page of the run.

    Args:
        asked: what to run.
        way: how to get to the board.
        cache: directory of compiled simulations, and of emulated boards.
        progress: told how far it is.
        tell: given the board's events as they come.

    Raises:
        UserError: the directory is not of a finished build, the inputs do not fit, the board is
            another, or its host key is not the known one.
        StageError: the board can't be reached or is in use, its disk is full, or the driver fails.
    """
    build = _read_build(asked.directory)
    figures = _ran(asked, build, way, cache, progress, tell)
    if not way.emulate:
        keep_measured(asked.directory, figures)
    return figures


def _ran(
    asked: BoardRun,
    build: _Build,
    way: Way,
    cache: Path,
    progress: Progress,
    tell: Callable[[Event], None],
) -> BoardFigures:
    """Runs what was asked for, and saves the outputs."""
    if asked.throughput:
        job = Job("throughput", (), sizes=_sizes(asked.batch), timeout_s=asked.timeout_s)
        cycles = 2 * asked.batch * build.interval
        return _figures(build, way, *_run(asked, build, way, job, cycles, cache, progress, tell))
    given = _given(asked, build, way, cache, progress)
    codes = {each.stream: each.codes(given.frames[each.name]) for each in build.host.inputs}
    count = len(next(iter(codes.values())))
    job = Job(
        mode="frames",
        inputs=codes_bytes(codes, build.host),
        batch=min(asked.batch, count),
        timeout_s=asked.timeout_s,
    )
    cycles = (count + _ALONE) * build.interval
    where, outcome = _run(asked, build, way, job, cycles, cache, progress, tell)
    found = {
        each.stream: values.reshape(count, *port.stream.shape)
        for each, port, values in zip(
            build.host.outputs, build.design.outputs, outcome.outputs, strict=True
        )
    }
    folder = asked.output or asked.directory / OUTPUTS
    _save(folder, build.host, found)
    progress.note(
        f"outputs are in {folder}: output-N.npy as the model gives them, codes-N.npy as integers"
    )
    figures = _figures(build, way, where, outcome)
    if given.expected is None:
        return figures
    match = _match(build.host, found, given.expected, given.vectors)
    return figures.model_copy(update={"match": match})


def _run(
    asked: BoardRun,
    build: _Build,
    way: Way,
    job: Job,
    cycles: int,
    cache: Path,
    progress: Progress,
    tell: Callable[[Event], None],
) -> tuple[str, Outcome]:
    """Makes the package, and runs a job with it; also tells the board's address."""
    bitstream = _emulated(asked, build, cycles, cache, progress) if way.emulate else _real(asked)
    bundle = make_bundle(
        build.design,
        build.host,
        board=build.figures.board,
        part=build.figures.part,
        clock_mhz=build.figures.clock_mhz,
        emulated=way.emulate,
        bitstream=bitstream,
    )
    who = f"{getpass.getuser()}@{platform.node()}"
    with _reached(way, build.figures.board, cache, progress, who) as board:
        board.install(bundle, progress)
        return board.transport.where, run_job(board, bundle, job, tell)


def _read_build(directory: Path) -> _Build:
    if not (directory / _REPORT).is_file():
        raise UserError(
            f"{directory} is not the directory of a finished build",
            "give one that sdq-fpga build has made, such as runs/digits-cnn-zcu104",
        )
    with open_run(directory) as run:  # not for longer: others may run the same build
        for stage in ("lower", "generate"):
            run.require(stage)
        return _Build(
            figures=_read(Report, directory / _REPORT).accelerator,
            design=_read(RtlDesign, directory / "generate" / "design.json"),
            host=_read(HostSide, directory / "lower" / "host.json"),
        )


def _read(model: type[PlainT], path: Path) -> PlainT:
    try:
        return model.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise StageError(
            f"{path} is missing or damaged", "let sdq-fpga build make it again"
        ) from error


def _given(asked: BoardRun, build: _Build, way: Way, cache: Path, progress: Progress) -> _Given:
    if not asked.dataset:
        frames = read_inputs(asked.inputs, build.host)
        return _Given(frames, None, None)
    try:  # with torch and FINN, which a board has not
        from sdq_fpga.stages.again import build_vectors  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise UserError(
            f"the test images can't be read here, as {error.name} is not installed",
            "run it from another machine with --board-host, or give frames with --input",
        ) from error

    default = build.figures.simulation.verdict.images if way.emulate else None
    model, vectors = build_vectors(asked.directory, asked.images or default, cache, progress)
    from sdq_fpga.lower.integer import execute_integer  # noqa: PLC0415

    codes = {each.stream: each.codes(vectors.frames[each.name]) for each in model.host.inputs}
    return _Given(vectors.frames, execute_integer(model.network, codes), vectors)


def _emulated(
    asked: BoardRun, build: _Build, cycles: int, cache: Path, progress: Progress
) -> dict[str, bytes]:
    # With FINN, which a board has not.
    from sdq_fpga.deploy.emulate.bitstream import emulated_bitstream  # noqa: PLC0415
    from sdq_fpga.sim.simulate import build_simulation  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as scratch:
        simulation = build_simulation(
            build.design,
            asked.directory.resolve() / "generate" / "rtl",
            Path(scratch),
            cycles=cycles,
            cache=cache,
            progress=progress,
        )
        figures = build.figures
        return {
            BITSTREAM: emulated_bitstream(
                simulation,
                part=figures.part,
                clock_mhz=figures.clock_mhz,
                estimated_interval=build.interval,
            )
        }


def _real(asked: BoardRun) -> dict[str, bytes]:
    with open_run(asked.directory) as run:
        if not (asked.directory / "bitstream" / BITSTREAM).is_file():
            raise UserError(
                f"the build in {asked.directory} has no bitstream",
                "build it where Vivado is installed, or run it on an emulated board with --emulate",
            )
        run.require("bitstream")
        folder = asked.directory / "bitstream"
        return {name: (folder / name).read_bytes() for name in (BITSTREAM, HANDOFF)}


@contextmanager
def _reached(way: Way, board: str, cache: Path, progress: Progress, who: str) -> Iterator[Board]:
    """Connects to the board, or makes an emulated one and connects to that."""
    with ExitStack() as stack:
        lock = LOCK
        transport: Transport
        if way.emulate:
            python = make_environment(cache, progress)
            emulated = EmulatedBoard(cache / f"board-{board}", python, SHELLS.get(board, board))
            lock = emulated.lock
            if way.local:
                transport = emulated.local()
            else:
                stack.enter_context(emulated)
                transport = Ssh(emulated.login)
        elif way.login is not None:
            transport = Ssh(way.login)
        else:
            transport = Local(Path.home())
        stack.callback(transport.close)
        yield Board(transport, way.python, lock, who)


def _sizes(largest: int) -> list[int]:
    """1, 2, 4, ... and the largest."""
    return sorted({*(2**i for i in range(largest.bit_length()) if 2**i < largest), largest})


def _figures(build: _Build, way: Way, where: str, outcome: Outcome) -> BoardFigures:
    state = outcome.state
    return BoardFigures.from_data(
        {
            "board": build.figures.board,
            "where": where,
            "emulated": way.emulate,
            "frames": state.get("frames"),
            "latency_s": state.get("latency_s"),
            "frames_per_second": state.get("frames_per_second"),
            "watts": state.get("watts"),
            "cycles": state.get("cycles"),
            "throughput": state.get("rows", ()),
        },
        f"what {where} answered",
    )


def _save(folder: Path, host: HostSide, found: Codes) -> None:
    """Writes the model's outputs, and the integers that they are made of."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number, each in enumerate(host.outputs):
            values = each.values(found[each.stream])
            for name, array in (("output", values), ("codes", found[each.stream])):
                file = io.BytesIO()
                np.save(file, array, allow_pickle=False)
                write_atomically(folder / f"{name}-{number}.npy", file.getvalue())
    except OSError as error:
        raise UserError(
            f"outputs can't be written into {folder} ({error.strerror})", "give another --output"
        ) from error


def _match(host: HostSide, found: Codes, expected: Codes, vectors: "Vectors | None") -> Match:
    count = len(next(iter(found.values())))
    wrong = {
        name: values.reshape(count, -1) != expected[name].reshape(count, -1)
        for name, values in found.items()
    }
    frames = np.any(np.concatenate(list(wrong.values()), axis=1), axis=1)
    return Match(
        values=sum(values.size for values in found.values()),
        differing=sum(int(np.count_nonzero(each)) for each in wrong.values()),
        answers_differing=int(np.count_nonzero(frames)),
        accuracy=_accuracy(host, found, vectors),
        expected_accuracy=_accuracy(host, expected, vectors),
    )


def _accuracy(host: HostSide, codes: Codes, vectors: "Vectors | None") -> float | None:
    from sdq_fpga.sim.verify import accuracy  # noqa: PLC0415

    if vectors is None:
        return None
    return accuracy(
        host, {each.name: each.scores(codes[each.stream]) for each in host.outputs}, vectors
    )
