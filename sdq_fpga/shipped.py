"""Finds the files that ship with the package: hw/, flows/ and boards/."""

from pathlib import Path

__all__ = ["shipped_dir"]

_PACKAGE = Path(__file__).resolve().parent


def shipped_dir(name: str) -> Path:
    """Returns the directory of shipped files called ``name`` ("hw", "flows" or "boards").

    An installed wheel carries them under ``sdq_fpga/shipped/``; a checkout (and an editable
    install of one) has them at its top level.
    """
    installed = _PACKAGE / "shipped" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name
