"""What the tests of whole builds share."""

import fcntl
import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest
from terminal import TINY, Done, Terminal


@pytest.fixture(scope="session")
def make_terminal(tmp_path_factory: pytest.TempPathFactory, cache: Path):
    def make() -> Terminal:
        root = tmp_path_factory.mktemp("terminal")
        for name in ("home", "tmp", "work"):
            (root / name).mkdir()
        return Terminal(root, cache)

    return make


@pytest.fixture
def terminal(make_terminal) -> Terminal:
    return make_terminal()


@pytest.fixture(scope="session")
def tiny_build(make_terminal, shared: Path) -> tuple[Terminal, Done]:
    """One undisturbed build of the tiny flow for zcu104; processes beside each other get copies."""
    kept, said = shared / "tiny-build", shared / "tiny-build.json"
    terminal = make_terminal()
    with (shared / ".tiny-build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not said.exists():
            done = terminal.run("build", "--board", "zcu104", "--flow", str(TINY))
            shutil.copytree(terminal.root, kept)
            said.write_text(json.dumps(asdict(done)))
            return terminal, done
    shutil.copytree(kept, terminal.root, dirs_exist_ok=True)
    return terminal, Done(**json.loads(said.read_text()))
