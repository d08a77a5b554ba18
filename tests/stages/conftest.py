"""What the tests of whole builds share."""

from pathlib import Path

import pytest
from workplace import TINY, Done, Workplace


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compiled simulations, shared by all tests."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def make_workplace(tmp_path_factory: pytest.TempPathFactory, cache: Path):
    def make() -> Workplace:
        root = tmp_path_factory.mktemp("workplace")
        for name in ("home", "tmp", "work"):
            (root / name).mkdir()
        return Workplace(root, cache)

    return make


@pytest.fixture
def workplace(make_workplace) -> Workplace:
    return make_workplace()


@pytest.fixture(scope="session")
def tiny_build(make_workplace) -> tuple[Workplace, Done]:
    """One undisturbed build of the tiny flow for zcu104."""
    workplace = make_workplace()
    return workplace, workplace.run("build", "--board", "zcu104", "--flow", str(TINY))
