"""Simulates the RTL of a finished build again."""

from pathlib import Path

from sdq_fpga.errors import UserError
from sdq_fpga.progress import Progress
from sdq_fpga.run import open_run
from sdq_fpga.sim.figures import SimulationFigures
from sdq_fpga.stages.accelerator import read_model, verify_run
from sdq_fpga.stages.build import image_vectors
from sdq_fpga.stages.context import Workspace
from sdq_fpga.stages.model_build import MODEL_SETTINGS_FILE, random_vectors
from sdq_fpga.stages.settings import (
    SETTINGS_FILE,
    Settings,
    check_images,
    dataset_of,
    read_plain,
)

__all__ = ["simulate_again"]


def simulate_again(
    directory: Path,
    *,
    images: int,
    stall: float,
    seed: int,
    cache: Path | None,
    progress: Progress,
) -> SimulationFigures:
    """Verifies the RTL of a run on other images, stalls or seed; changes nothing in the run.

    Raises:
        UserError: it is not the directory of a finished build, or has fewer test images.
        StageError: its files have changed since they were made, or the simulation failed.
    """
    if not any((directory / name).is_file() for name in (SETTINGS_FILE, MODEL_SETTINGS_FILE)):
        raise UserError(
            f"{directory} is not the directory of a build",
            "give one that sdq-fpga build has made, such as runs/digits-cnn-zcu104",
        )
    with open_run(directory) as run:
        directory = run.directory
        for stage in ("export", "lower", "size", "generate"):
            run.require(stage)
        work = Workspace(directory, cache, progress)
        model = read_model(work)
        if (directory / SETTINGS_FILE).is_file():
            data = dataset_of(read_plain(Settings, directory / SETTINGS_FILE))
            check_images(data, images)
            vectors = image_vectors(model, data, images)
        else:
            vectors = random_vectors(model, images, seed)
        return verify_run(work, model, vectors, stall=stall, seed=seed).figures
