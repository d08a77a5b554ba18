"""What all farms share."""

import os
from pathlib import Path

import pytest

from tests.hw import farm


@pytest.fixture(scope="session", autouse=True)
def _setup(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """A cache, as half of a small farm's compile time goes into what all have; and coverage."""
    base = tmp_path_factory.getbasetemp()
    # Processes that run tests side by side have folders beside each other.
    farm.CACHE = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "farms"
    folder = request.config.getoption("--hw-coverage")
    if folder:
        farm.COVERAGE = Path(folder).resolve()
        farm.COVERAGE.mkdir(parents=True, exist_ok=True)
    yield
    farm.CACHE = farm.COVERAGE = None
