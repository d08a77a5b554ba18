"""The commands of the board's program."""

from __future__ import annotations

import argparse
import errno
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .board import identify
from .install import install
from .jobs import cancel, forget, job_folder, poll, start, supervise, write_json
from .refused import Refused

__all__ = ["main"]

_REFUSED = 3


def main() -> int:
    """Does one command; returns the exit code."""
    stated = _parser().parse_args()
    program = [sys.executable, sys.argv[0], "--root", stated.root, "--lock", stated.lock]
    root = Path(stated.root).expanduser().absolute()
    try:
        for folder in ("incoming", "packages", "jobs"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        answer = _do(stated, root, program)
    except Refused as refused:
        answer = {"error": refused.what, "fix": refused.fix, "code": refused.code}
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        answer = {"error": "the board's disk is full", "fix": "free some space", "code": "full"}
    if "error" in answer and stated.command == "work":
        path = job_folder(root, stated.job) / "refused.json"
        write_json(path, {"state": "failed", **answer})
    print(json.dumps(answer))
    return _REFUSED if "error" in answer else 0


def _do(stated: argparse.Namespace, root: Path, program: list[str]) -> dict[str, Any]:
    lock = Path(stated.lock)
    does: dict[str, Callable[[], dict[str, Any]]] = {
        "identify": lambda: identify(root),
        "install": lambda: install(root, stated.name, stated.digest, stated.size),
        "start": lambda: start(root, lock, stated.job, program),
        "poll": lambda: poll(root, lock, stated.job, stated.offset),
        "cancel": lambda: cancel(root, stated.job),
        "forget": lambda: forget(root, stated.job),
        "supervise": lambda: supervise(root, stated.job, stated.lock_descriptor, program),
        "work": lambda: _work(root, stated.job),
    }
    return does[stated.command]()


def _work(root: Path, name: str) -> dict[str, Any]:
    # NumPy takes a second to import on a board, and the other commands are many.
    from .work import work  # noqa: PLC0415

    return work(root, name)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="The board's side of sdq-fpga run.")
    parser.add_argument("--root", required=True)
    parser.add_argument("--lock", required=True)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("identify")
    command = commands.add_parser("install")
    command.add_argument("name")
    command.add_argument("digest")
    command.add_argument("size", type=int)
    for name in ("start", "poll", "cancel", "forget", "supervise", "work"):
        command = commands.add_parser(name)
        command.add_argument("job")
        if name == "poll":
            command.add_argument("offset", type=int)
        if name == "supervise":
            command.add_argument("lock_descriptor", type=int)
    return parser
