"""What the tests of whole builds share."""

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
def tiny_build(make_terminal) -> tuple[Terminal, Done]:
    """One undisturbed build of the tiny flow for zcu104."""
    terminal = make_terminal()
    return terminal, terminal.run("build", "--board", "zcu104", "--flow", str(TINY))
