"""Packs everything that a board, or somebody else, needs of a build into one zip file."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

__all__ = ["write_package"]

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can say; no build time, so equal bytes


def write_package(path: Path, contents: Mapping[str, Path]) -> None:
    """Writes a zip file whose bytes depend on its contents alone.

    Args:
        path: the zip file to write.
        contents: files and directories by the name they get inside.
    """
    files: dict[str, Path] = {}
    for name, source in contents.items():
        if source.is_dir():
            for each in source.rglob("*"):
                if each.is_file():
                    files[f"{name}/{each.relative_to(source).as_posix()}"] = each
        else:
            files[name] = source
    with zipfile.ZipFile(path, "w", compression=zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name].read_bytes())
