"""What a real board showed, kept in the run directory for its page."""

import hashlib
from pathlib import Path

from pydantic import ValidationError

from sdq_fpga.deploy.bundle import BITSTREAM
from sdq_fpga.deploy.figures import MEASURED, OUTPUTS, BoardFigures, Measured
from sdq_fpga.errors import StageError
from sdq_fpga.run import Run, read_manifest, write_atomically

__all__ = ["BITSTREAM_STAGE", "keep_measured", "measured_of"]

BITSTREAM_STAGE = "bitstream"
"""The stage that Vivado makes."""


def keep_measured(directory: Path, figures: BoardFigures) -> None:
    """Writes down what a real board showed, and of which bitstream.

    The last throughput test and the last other run are kept beside each other.

    Args:
        directory: of a run that has a bitstream.
        figures: of the run on the board.

    Raises:
        StageError: what was written down before is damaged.
    """
    bitstream = (directory / BITSTREAM_STAGE / BITSTREAM).read_bytes()
    before = measured_of(directory, read_manifest(directory))
    if before is not None and figures.throughput:
        figures = before.model_copy(update={"throughput": figures.throughput})
    elif before is not None:
        figures = figures.model_copy(update={"throughput": before.throughput})
    measured = Measured(bitstream=hashlib.sha256(bitstream).hexdigest(), figures=figures)
    folder = directory / OUTPUTS
    folder.mkdir(exist_ok=True)
    write_atomically(folder / MEASURED, measured.to_bytes())


def measured_of(directory: Path, manifest: Run) -> BoardFigures | None:
    """What a board showed of the present bitstream; None where none has run it.

    Args:
        directory: of the run.
        manifest: of the run.

    Raises:
        StageError: what was written down is damaged.
    """
    path, stage = directory / OUTPUTS / MEASURED, manifest.stages.get(BITSTREAM_STAGE)
    if stage is None or not path.is_file():
        return None
    try:
        measured = Measured.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise StageError(
            f"{path} is damaged", "delete it, and run on the board again for new figures"
        ) from error
    return measured.figures if measured.bitstream == stage.outputs.get(BITSTREAM) else None
