"""What pytest is told for all tests: its own options, and what all tests share."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# How long one example takes depends on what else the machine does, and says nothing of the code.
settings.register_profile("patient", settings(), deadline=None)
settings.load_profile("patient")

# At the end, no process is left alone with a long file; and the second one does not begin with a
# file that wants what the first one is just making.
LONG = ("stages/test_build.py", "networks", "stages", "synth", "search", "hw", "sim", "cost")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long comes first."""
    tests = Path(__file__).parent

    def place(item: pytest.Item) -> int:
        path = item.path.relative_to(tests)
        found = [LONG.index(each) for each in (str(path), path.parts[0]) if each in LONG]
        return min(found, default=len(LONG))

    items.sort(key=place)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--hw-coverage", metavar="DIR", help="write coverage of tests/hw's RTL there")


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of all processes that run tests side by side."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def cache(shared: Path) -> Path:
    """Compiled simulations: most of a small one's compile time goes into what all have."""
    return shared / "compiled"
