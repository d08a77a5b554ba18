"""Finds Vivado, and says what keeps it from making a bitstream before anything else is done.

Beside Vivado itself, FINN's Zynq shell needs Vitis HLS for its two DMAs, and the sources of these
(finn-hlslib), which ``finn deps update`` fetches, with the files of boards that Vivado lacks.
"""

import re
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from sdq_fpga.board import Board, Shell
from sdq_fpga.errors import UserError

__all__ = ["OLDEST", "SHELLS", "Vivado", "why_no_bitstream"]

# FINN's names of the boards that it has a Zynq shell for (finn/util/basic.py, pynq_part_map).
SHELLS = {
    "pynq-z1": "Pynq-Z1",
    "pynq-z2": "Pynq-Z2",
    "zcu102": "ZCU102",
    "zcu104": "ZCU104",
    "ultra96-v2": "Ultra96-V2",
    "kv260": "KV260_SOM",
}

OLDEST = (2022, 2)
"""The first version that is supported."""

_DEPENDENCIES = "finn_deps"
_VERSION = re.compile(r"(?:^|/)(20\d\d)\.(\d)(?:/|$)")
# After this version Vitis HLS is called by vitis-run (finn/util/hls.py).
_LAST_VITIS_HLS = (2024, 2)


@dataclass(frozen=True)
class Vivado:
    """An installation.

    Attributes:
        directory: that holds bin/vivado.
        dependencies: where ``finn deps update`` has put what FINN needs.
    """

    directory: Path
    dependencies: Path

    @classmethod
    def find(cls, directory: Path | None, dependencies: Path | None = None) -> Self | None:
        """Finds Vivado; None if nobody says where it is and it is not on PATH.

        Args:
            directory: where the user says it is (the directory that holds bin/vivado).
            dependencies: where the user says that FINN's dependencies are; None for where
                ``finn deps update`` puts them.

        Raises:
            UserError: it is not where the user says.
        """
        if directory is not None:
            if not (directory / "bin" / "vivado").is_file():
                raise UserError(
                    f"there is no Vivado in {directory}",
                    "give the directory that holds bin/vivado, such as /opt/Xilinx/Vivado/2022.2",
                )
            place = directory.resolve()
        else:
            found = shutil.which("vivado")
            if found is None:
                return None
            place = Path(found).resolve().parent.parent
        return cls(place, (dependencies or _installed_dependencies()).resolve())

    @property
    def version(self) -> tuple[int, int] | None:
        """Year and number, by the name of the directory, as FINN reads it."""
        match = _VERSION.search(self.directory.as_posix())
        return None if match is None else (int(match[1]), int(match[2]))

    def lacks(self) -> str | None:
        """Says what is missing for a bitstream, and how to get it; None if nothing is."""
        version = self.version
        if version is None:
            return (
                f"{self.directory} has no version in its path, by which FINN chooses its commands; "
                "give a directory such as /opt/Xilinx/Vivado/2022.2"
            )
        if version < OLDEST:
            return (
                f"Vivado {version[0]}.{version[1]} is too old; install {OLDEST[0]}.{OLDEST[1]} or "
                "later"
            )
        hls = "vitis_hls" if version <= _LAST_VITIS_HLS else "vitis-run"
        if not self._has_program(hls):
            return (
                f"{hls}, which makes the shell's DMAs, is not on PATH; install Vitis HLS "
                f"{version[0]}.{version[1]} and source its settings64.sh"
            )
        if not (self.dependencies / "finn-hlslib" / "dma.h").is_file():
            return (
                f"there is no finn-hlslib in {self.dependencies}; run: finn deps update, or give "
                "its directory with --finn-deps"
            )
        return None

    def check(self, board: Board) -> None:
        """Makes sure that nothing is missing for a board.

        Raises:
            UserError: something is.
        """
        if not _has_shell(board):
            raise UserError(_no_shell(board), "leave --vivado out, or give another --board")
        missing = self.lacks()
        if missing is not None:
            what, _, fix = missing.partition("; ")
            raise UserError(what, fix)

    def _has_program(self, name: str) -> bool:
        beside = self.directory / "bin" / name
        return beside.is_file() or shutil.which(name) is not None


def why_no_bitstream(board: Board, vivado: Vivado | None) -> str | None:
    """Says in one line what keeps a bitstream from being made; None if nothing does."""
    if vivado is None:
        return (
            "not made: Vivado is not on PATH; install AMD Vivado 2022.2 or later and give its "
            "directory with --vivado"
        )
    if not _has_shell(board):
        return f"not made: {_no_shell(board)}"
    missing = vivado.lacks()
    return None if missing is None else f"not made: {missing}"


def _has_shell(board: Board) -> bool:
    return board.shell is Shell.ZYNQ and board.name in SHELLS


def _no_shell(board: Board) -> str:
    return f"there is no shell for {board.name} yet, only for {', '.join(SHELLS)}"


def _installed_dependencies() -> Path:
    """Where FINN keeps them unless it is told otherwise (finn/interface/settings.py)."""
    spec = find_spec("finn")
    places = () if spec is None else spec.submodule_search_locations or ()
    return next((Path(place) for place in places), Path()) / _DEPENDENCIES
