"""Packs ``board_side`` into one file that Python runs as it is."""

import tempfile
from pathlib import Path

from sdq_fpga.deploy import board_side
from sdq_fpga.deploy.package import write_package

__all__ = ["board_program"]

_MAIN = "import sys\n\nfrom board_side.command import main\n\nsys.exit(main())\n"


def board_program() -> bytes:
    """The program of the board: a zip file with a ``__main__.py``; equal code, equal bytes."""
    folder = Path(board_side.__file__).parent
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        (scratch / "__main__.py").write_text(_MAIN, encoding="utf-8")
        sources = {f"board_side/{path.name}": path for path in folder.glob("*.py")}
        packed = scratch / "program"
        write_package(packed, {"__main__.py": scratch / "__main__.py", **sources})
        return packed.read_bytes()
