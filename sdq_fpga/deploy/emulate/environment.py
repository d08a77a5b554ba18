"""The Python environment of an emulated board: the driver's, not ours, as on a real board."""

import fcntl
import hashlib
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from sdq_fpga.errors import StageError
from sdq_fpga.progress import Progress

__all__ = ["make_environment"]

_LOCK = Path(__file__).with_name("requirements.lock")


def make_environment(cache: Path, progress: Progress) -> Path:
    """Makes the environment, if it isn't there yet, and returns its Python.

    Args:
        cache: directory that keeps it, by the hash of its lock file.
        progress: told that it takes a while.

    Raises:
        StageError: pip can't install it.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    key = hashlib.sha256(_LOCK.read_bytes()).hexdigest()[:16]
    final = cache / f"board-environment-{version}-{key}"
    python = final / "bin" / "python"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with (cache / f".{final.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not python.exists():
                _make(final, progress)
    except OSError as error:
        raise StageError(
            f"the emulated board's environment can't be made ({error})",
            "give a directory with room for 250 MB with --cache",
        ) from error
    return python


def _make(final: Path, progress: Progress) -> None:
    staged = final.with_name(f".{final.name}.new")
    shutil.rmtree(staged, ignore_errors=True)
    progress.note("installing finn-plus-driver for the emulated board, once; it takes a minute")
    venv.EnvBuilder(symlinks=True).create(staged)
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python"]
    command += [str(staged / "bin" / "python"), "install", "--no-deps", "-r", str(_LOCK)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        shutil.rmtree(staged, ignore_errors=True)
        said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise StageError(
            f"the emulated board's environment can't be installed ({said})",
            "see whether the Python package index can be reached",
        )
    # Python finds its environment by where it is, so it may be moved.
    staged.rename(final)
