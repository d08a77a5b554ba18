"""Runs FINN as a library: its settings made here, its output in a log, its asserts explained."""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import finn.util.settings
from finn.interface.settings import FINNSettings

from sdq_fpga.errors import SdqFpgaError, StageError

__all__ = ["explained", "finn_session"]


@contextlib.contextmanager
def finn_session(
    directory: Path, log: Path, rtl_library: Path | None = None, dependencies: Path | None = None
) -> Iterator[FINNSettings]:
    """Lets FINN work inside ``directory`` with the settings yielded, and restores its own then.

    Args:
        directory: where FINN puts what it generates; must exist.
        log: file that takes everything that FINN prints and logs.
        rtl_library: FINN's RTL library to use instead of the installed one.
        dependencies: what ``finn deps update`` has fetched, if not where FINN looks by itself.
    """
    # Not FINNSettings.init(): that reads the environment and files in ~/.finn, and makes ~/.finn.
    settings = FINNSettings()
    settings._auto_set_envvars = False
    settings._flow_config = directory / "flow.yaml"  # only its directory is used
    settings._settings_path = directory / "settings.yaml"
    settings.finn_build_dir = str(directory)
    if rtl_library is not None:
        settings.finn_rtllib = str(rtl_library)
    if dependencies is not None:
        settings.finn_deps = str(dependencies)
    previous = finn.util.settings._SETTINGS
    logger = logging.getLogger("finn_logger")
    propagate = logger.propagate
    finn.util.settings._SETTINGS = settings
    logger.propagate = False
    try:
        with log.open("a", encoding="utf-8") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            handler = logging.StreamHandler(file)
            logger.addHandler(handler)
            try:
                with contextlib.redirect_stdout(file):
                    yield settings
            finally:
                logger.removeHandler(handler)
    finally:
        finn.util.settings._SETTINGS = previous
        logger.propagate = propagate


@contextlib.contextmanager
def explained(doing: str, fix: str) -> Iterator[None]:
    """Gives a sentence to whatever FINN or QONNX throws: most of it is a bare assert.

    Args:
        doing: what was being done, for example "FINN could not streamline the network".
        fix: what the user may try.

    Raises:
        StageError: instead of any exception that is not already one of ours.
    """
    try:
        yield
    except (SdqFpgaError, OSError):
        raise
    except Exception as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise StageError(f"{doing} ({said})", fix) from error
