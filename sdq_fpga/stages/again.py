"""Simulates the RTL of a finished build again."""

from pathlib import Path

from sdq_fpga.progress import Progress
from sdq_fpga.sim.figures import SimulationFigures
from sdq_fpga.sim.verify import Model, Vectors
from sdq_fpga.stages.accelerator import read_model, verify_run
from sdq_fpga.stages.build import image_vectors
from sdq_fpga.stages.context import Workspace
from sdq_fpga.stages.finished import open_finished
from sdq_fpga.stages.model_build import random_vectors, read_vectors
from sdq_fpga.stages.settings import (
    SETTINGS_FILE,
    Settings,
    check_images,
    dataset_of,
    read_plain,
)
from sdq_fpga.stages.target import MODEL_SETTINGS_FILE, ModelSettings

__all__ = ["build_vectors", "simulate_again"]


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
    with open_finished(directory) as run:
        directory = run.directory
        work = Workspace(directory, cache, progress)
        model, vectors = _vectors(work, images, seed)
        return verify_run(work, model, vectors, stall=stall, seed=seed).figures


def build_vectors(
    directory: Path, images: int | None, cache: Path | None, progress: Progress
) -> tuple[Model, Vectors]:
    """The model of a run, and frames like those that its build is verified with.

    Args:
        directory: the run directory.
        images: how many frames; None for all test images, or as many as were simulated where the
            build began with a model.
        cache: directory of compiled simulations.
        progress: told of the work.

    Raises:
        UserError: it is not the directory of a finished build, or has fewer images.
        StageError: its files have changed since they were made.
    """
    with open_finished(directory) as run:
        return _vectors(Workspace(run.directory, cache, progress), images, None)


def _vectors(work: Workspace, images: int | None, seed: int | None) -> tuple[Model, Vectors]:
    """Images of the flow's dataset; or random frames, or with no seed, those of the build."""
    model, directory = read_model(work), work.directory
    if (directory / SETTINGS_FILE).is_file():
        data = dataset_of(read_plain(Settings, directory / SETTINGS_FILE))
        count = len(data.test_images) if images is None else images
        check_images(data, count)
        return model, image_vectors(model, data, count)
    settings = read_plain(ModelSettings, directory / MODEL_SETTINGS_FILE)
    count = images or settings.target.simulate.images
    if seed is None and settings.vectors is not None:
        return model, read_vectors(Path(settings.vectors), model, count)
    return model, random_vectors(model, count, settings.target.seed if seed is None else seed)
