"""Makes a build again from its lock, and compares every file."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from sdq_fpga.errors import UserError
from sdq_fpga.progress import Progress
from sdq_fpga.provenance import code_digest, tool_versions
from sdq_fpga.report.reproduction import Difference, Reproduction
from sdq_fpga.run import Run, RunDirectory, open_run, read_manifest
from sdq_fpga.stages.build import Build
from sdq_fpga.stages.lock import TOP, BuildLock, figures_of, outputs_of
from sdq_fpga.stages.measured import BITSTREAM_STAGE
from sdq_fpga.stages.model_build import ModelBuild

__all__ = ["reproduce"]

_TRAINED = ("reach", "train", "search", "finetune")


def reproduce(
    lock: BuildLock,
    directory: Path,
    *,
    data: Path | None,
    model: Path | None,
    vectors: Path | None,
    pinned: Path | None,
    cache: Path | None,
    progress: Progress,
) -> Reproduction:
    """Builds again, up to the package, and compares.

    A bitstream is not made again: that takes hours, a licence, and the same Vivado.

    Args:
        lock: of the build.
        directory: a new one, or one in which this was begun.
        data: directory of the dataset, where the flow needs one.
        model: the model that was built, where it was no flow.
        vectors: file of the frames that it was verified with, where one was given.
        pinned: a run whose trained network is taken, as training may differ between processors;
            everything from the export on is made again.
        cache: directory of compiled simulations.
        progress: told how far it is.

    Raises:
        UserError: an input is missing, is not needed, or is not the one of the lock; or the pinned
            run is of another build.
        StageError: a stage failed.
    """
    _check_inputs(lock, model, vectors, pinned)
    with open_run(directory) as run:
        if pinned is not None:
            _take_trained(lock, pinned, run)
        if lock.settings is not None:
            stated = lock.settings.model_copy(
                update={"data": None if data is None else str(data.resolve())}
            )
            build = Build(stated, run, cache, progress)
            _check_same(lock, build.inputs)
            build.everything(None)
        elif lock.model is not None and model is not None:
            asked = lock.model.model_copy(
                update={"vectors": None if vectors is None else str(vectors.resolve())}
            )
            model_build = ModelBuild(asked, model, run, cache, progress)
            _check_same(lock, model_build.inputs)
            model_build.everything(None)
        manifest = read_manifest(run.directory)
        found = _compared(outputs_of(run.directory, manifest), figures_of(run.directory))
    before = {"code": lock.code} | dict(lock.tools)
    now = {"code": code_digest()} | tool_versions()
    return Reproduction(
        directory=str(directory),
        files=sum(map(len, found.values())),
        differences=tuple(_differences(_compared(lock.outputs, lock.figures), found)),
        tools={
            name: (before.get(name, "none"), now.get(name, "none"))
            for name in sorted(before.keys() | now.keys())
            if before.get(name) != now.get(name)
        },
        pinned=pinned is not None,
        left_out=(BITSTREAM_STAGE,) if BITSTREAM_STAGE in lock.outputs else (),
    )


def _compared(
    outputs: Mapping[str, Mapping[str, str]], figures: str
) -> dict[str, Mapping[str, str]]:
    """The hashes that two builds must share, where one may have Vivado and the other not."""
    rest = {name: each for name, each in outputs.items() if name not in (TOP, BITSTREAM_STAGE)}
    return {TOP: dict.fromkeys(outputs.get(TOP, ()), figures)} | rest


def _check_inputs(
    lock: BuildLock, model: Path | None, vectors: Path | None, pinned: Path | None
) -> None:
    if (lock.model is None) != (model is None):
        raise UserError(
            "the build was of a flow" if lock.model is None else "the build was of a model",
            "leave --model out" if lock.model is None else f"give {lock.model.name} with --model",
        )
    if ("vectors" in lock.inputs) != (vectors is not None):
        raise UserError(
            "the build was verified with frames of its own"
            if vectors is None
            else "the build was verified with random frames",
            "give their file with --vectors" if vectors is None else "leave --vectors out",
        )
    if pinned is not None and lock.settings is None:
        raise UserError("nothing of the build of a model is trained", "leave --pinned out")


def _check_same(lock: BuildLock, inputs: Mapping[str, str]) -> None:
    """Refuses other inputs than were built, before any time is spent."""
    for name, digest in lock.inputs.items():
        if inputs.get(name) != digest:
            raise UserError(f"{name} is not what the lock was made with", "give the one that was")


def _take_trained(lock: BuildLock, pinned: Path, run: RunDirectory) -> None:
    """Takes the trained network over; it stays as it is, whatever would be trained here."""
    theirs, ours = read_manifest(pinned).stages, read_manifest(run.directory).stages
    wanted = {name: lock.outputs[name] for name in _TRAINED if name in lock.outputs}
    for name, outputs in wanted.items():
        if name not in theirs or theirs[name].outputs != outputs:
            raise UserError(
                f"{name} of {pinned} is not that of the lock", "give the run that the lock is of"
            )
    others = [name for name in wanted if name in ours and ours[name].outputs != wanted[name]]
    run.save(Run(stages={name: each for name, each in ours.items() if name not in others}))
    for name in wanted:
        run.take_over(name, pinned)
    run.pin(wanted)


def _differences(
    before: Mapping[str, Mapping[str, str]], now: Mapping[str, Mapping[str, str]]
) -> Iterator[Difference]:
    for stage in dict.fromkeys((*before, *now)):
        old, new = before.get(stage, {}), now.get(stage, {})
        for file in sorted(old.keys() | new.keys()):
            if file not in new:
                yield Difference(stage=stage, file=file, what="missing")
            elif file not in old:
                yield Difference(stage=stage, file=file, what="new")
            elif old[file] != new[file]:
                yield Difference(stage=stage, file=file, what="differs")
