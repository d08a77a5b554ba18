"""Builds through the command line, as a user starts them."""

import contextlib
import io
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from sdq_fpga.cli import main
from sdq_fpga.flow import Flow

TINY = Path(__file__).with_name("tiny.yaml")
COMMAND = (sys.executable, "-m", "sdq_fpga")
TIMEOUT_S = 600

# Processes that are killed are forked from one that has imported everything already.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["sdq_fpga.stages.build", "sdq_fpga.stages.model_build"])


def changed(flow: Flow, **stages: dict[str, object]) -> Flow:
    """A flow with other entries of its stages."""
    made = {name: getattr(flow, name).model_copy(update=to) for name, to in stages.items()}
    return flow.model_copy(update=made)


@dataclass(frozen=True)
class Done:
    """A finished command."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Terminal:
    """An empty working directory, with a home and a directory for temporary files of its own."""

    root: Path
    cache: Path

    def environment(self, path: str | None = None) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"] if path is None else path,
            "HOME": str(self.root / "home"),
            "TMPDIR": str(self.root / "tmp"),
        }

    def arguments(self, *arguments: str) -> list[str]:
        cached = (
            ("--cache", str(self.cache)) if arguments[0] in {"build", "search", "sweep"} else ()
        )
        return [*COMMAND, *arguments, *cached]

    def run(self, *arguments: str, path: str | None = None) -> Done:
        """Runs a command in a process of its own."""
        done = subprocess.run(
            self.arguments(*arguments),
            cwd=self.root / "work",
            env=self.environment(path),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def call(self, *arguments: str, path: str | None = None) -> Done:
        """The same in this process, which has imported everything already: seconds less."""
        out, err = io.StringIO(), io.StringIO()
        with (
            patch.dict(os.environ, self.environment(path), clear=True),
            patch.object(tempfile, "tempdir", None),
            patch.object(sys, "path", list(sys.path)),
            contextlib.chdir(self.root / "work"),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                main(self.arguments(*arguments)[len(COMMAND) :], prog_name="sdq-fpga")
                code = 0
            except SystemExit as stopped:
                code = stopped.code if isinstance(stopped.code, int) else 1
        self._forget_modules()
        return Done(code, out.getvalue(), err.getvalue())

    def _forget_modules(self) -> None:
        """Forgets the user's own modules, as a process does that ends."""
        for name, module in list(sys.modules.items()):
            if (getattr(module, "__file__", None) or "").startswith(f"{self.root}{os.sep}"):
                del sys.modules[name]

    def run_and_kill(self, when: Callable[[], bool], *arguments: str) -> None:
        """Starts a command and kills it, and all that it started, as soon as ``when`` says so."""
        process = FORKS.Process(target=_session, args=(self, arguments))
        process.start()
        deadline = time.monotonic() + TIMEOUT_S
        while not when():
            assert process.is_alive(), "the command ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.002)
        os.killpg(process.pid, signal.SIGKILL)
        process.join()
        assert process.exitcode == -signal.SIGKILL


def _session(terminal: Terminal, arguments: tuple[str, ...]) -> None:
    """Runs a command in a session of its own."""
    os.setsid()
    with Path(os.devnull).open("r+b") as nothing:
        for descriptor in range(3):
            os.dup2(nothing.fileno(), descriptor)
    environment = terminal.environment()
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None
    os.chdir(terminal.root / "work")
    main(terminal.arguments(*arguments)[len(COMMAND) :], prog_name="sdq-fpga")


def tree(directory: Path) -> dict[str, bytes]:
    """Every file of a run by its path, but for the logs, which are no output."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
        and path.name not in {"finn.log", ".lock"}
        and path.relative_to(directory).parts[0] != "tensorboard"
    }
