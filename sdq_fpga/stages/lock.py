"""The lock of a build: what was stated, which code and tools made it, and every file's hash."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import Field, ValidationError, model_validator

from sdq_fpga.errors import UserError
from sdq_fpga.integrity import LOCK, TOP
from sdq_fpga.plain import Plain
from sdq_fpga.report.summary import BitstreamStatus, Report
from sdq_fpga.run import Run, read_manifest
from sdq_fpga.stages.page import SYNTHESIS
from sdq_fpga.stages.settings import Settings, read_plain
from sdq_fpga.stages.target import ModelSettings

__all__ = ["LOCK", "TOP", "BuildLock", "figures_of", "lock_of", "outputs_of", "read_lock"]

_FORMAT = 1
_REPORT = "report.json"


class BuildLock(Plain):
    """What it takes to make a build again, and what comes out.

    Attributes:
        settings: of a build of a flow, without the dataset's directory on this machine.
        model: of a build of a model, without the path of its frames.
        inputs: SHA-256 of what is not in this file: "dataset", or "model" and "vectors".
        code: SHA-256 of this package and its hardware sources.
        tools: versions of Python and of what a build calls.
        figures: SHA-256 of the report without what it says of the bitstream (``figures_of``).
        outputs: by stage of the build, SHA-256 of every file; the report is under ``TOP``.
    """

    format: int = Field(default=_FORMAT, ge=_FORMAT, le=_FORMAT)
    settings: Settings | None = None
    model: ModelSettings | None = None
    inputs: Mapping[str, str]
    code: str
    tools: Mapping[str, str]
    figures: str
    outputs: Mapping[str, Mapping[str, str]]

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.settings is None) == (self.model is None):
            raise ValueError("a build is of a flow or of a model")
        return self


def lock_of(
    directory: Path,
    stated: Settings | ModelSettings,
    inputs: Mapping[str, str],
    *,
    code: str,
    tools: Mapping[str, str],
) -> BuildLock:
    """The lock of a finished build.

    Args:
        directory: of the run, with its reports.
        stated: what the user stated.
        inputs: SHA-256 of what was read from elsewhere.
        code: SHA-256 of this package.
        tools: versions.
    """
    of_flow = isinstance(stated, Settings)
    plain = stated.model_copy(update={"data" if of_flow else "vectors": None})
    return BuildLock(
        settings=plain if isinstance(plain, Settings) else None,
        model=plain if isinstance(plain, ModelSettings) else None,
        inputs=inputs,
        code=code,
        tools=tools,
        figures=figures_of(directory),
        outputs=outputs_of(directory, read_manifest(directory)),
    )


def outputs_of(directory: Path, manifest: Run) -> dict[str, dict[str, str]]:
    """SHA-256 of the files of each stage of a build, and of the report.

    The page shows nothing that is not in these, and a synthesis is no part of a build.
    """
    report = hashlib.sha256((directory / _REPORT).read_bytes()).hexdigest()
    return {TOP: {_REPORT: report}} | {
        name: dict(each.outputs) for name, each in manifest.stages.items() if name != SYNTHESIS
    }


def figures_of(directory: Path) -> str:
    """SHA-256 of a run's report without what it says of the bitstream.

    That depends on which Vivado is installed, and where.
    """
    report = read_plain(Report, directory / _REPORT)
    unsaid = BitstreamStatus(made=False, message="")
    return hashlib.sha256(report.model_copy(update={"bitstream": unsaid}).to_bytes()).hexdigest()


def read_lock(path: Path) -> BuildLock:
    """Reads a lock.

    Raises:
        UserError: it can't be read, or is no lock of this version.
    """
    try:
        return BuildLock.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(
            f"{path} can't be read ({error.strerror})", f"give the {LOCK} of a run"
        ) from error
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"])) or "the file"
        raise UserError(
            f"{path} is no lock of a build ({place}: {fault['msg']})",
            f"give the {LOCK} that a build by this version has written",
        ) from error
