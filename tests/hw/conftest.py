"""What all farms share."""

from pathlib import Path

import pytest

from tests.hw import farm


@pytest.fixture(scope="session", autouse=True)
def _setup(request: pytest.FixtureRequest, cache: Path):
    """A cache, and coverage."""
    farm.CACHE = cache
    folder = request.config.getoption("--hw-coverage")
    if folder:
        farm.COVERAGE = Path(folder).resolve()
        farm.COVERAGE.mkdir(parents=True, exist_ok=True)
    yield
    farm.CACHE = farm.COVERAGE = None
