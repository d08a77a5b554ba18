"""What the tests of running on a board share."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sdq_fpga.deploy.board import Board
from sdq_fpga.deploy.emulate.environment import make_environment
from sdq_fpga.deploy.emulate.server import EmulatedBoard
from sdq_fpga.deploy.ssh import Login, Ssh
from sdq_fpga.progress import SilentProgress


@pytest.fixture(scope="session")
def board_cache(pytestconfig: pytest.Config) -> Path:
    """Kept from one call of pytest to the next: the environment takes a while to install."""
    return Path(pytestconfig.cache.mkdir("emulated-board"))


@pytest.fixture(scope="session")
def board_python(board_cache: Path) -> Path:
    return make_environment(board_cache, SilentProgress())


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    return tmp_path / "board"


@pytest.fixture
def emulated(disk: Path, board_python: Path) -> Iterator[EmulatedBoard]:
    with EmulatedBoard(disk, board_python, "Pynq-Z2") as board:
        yield board


@pytest.fixture
def connect(emulated: EmulatedBoard) -> Callable:
    """Connects to the emulated board as some user, over another login if one is given."""

    @contextmanager
    def connected(
        who: str = "ada@lab", login: Login | None = None, tries: int = 6
    ) -> Iterator[Board]:
        transport = Ssh(login or emulated.login, tries)
        try:
            yield Board(transport, "python3", emulated.lock, who)
        finally:
            transport.close()

    return connected
