"""Takes a package apart: whole, or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Any

from .bitfile import read_bit_header, same_part
from .board import check_board
from .refused import Refused

__all__ = ["check_package", "file_hash", "install", "unpack"]

_DESCRIPTION = "package.json"
_LARGEST = 2**31  # bytes of a file; no bitstream is as large
_FIX = "make the package again"
_FULL = (errno.ENOSPC, errno.EDQUOT)
# What zipfile lets through of a damaged file: offsets before its beginning are an OSError.
_NOT_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    RuntimeError,
    OverflowError,
    OSError,
)


def install(root: Path, name: str, digest: str, size: int) -> dict[str, Any]:
    """Installs a package that was copied to ``incoming``, if it is whole and not there yet.

    Args:
        root: the root of everything.
        name: name of its file in ``incoming``.
        digest: SHA-256 that the zip file must have.
        size: its bytes.

    Returns:
        Whether it is installed, and, if not, how many bytes have come so far.

    Raises:
        Refused: it is damaged, for another board, holds what it should not, or the disk is full.
    """
    if not re.fullmatch("[0-9a-f]{64}", digest) or not re.fullmatch(r"[0-9a-z.-]+", name):
        raise Refused("a package has a SHA-256 and a plain name", _FIX, "wrong")
    final, incoming = root / "packages" / digest, root / "incoming" / name
    if final.is_dir():
        try:
            check_package(final)
        except Refused as refused:
            if refused.code != "damaged":
                raise
            shutil.rmtree(str(final))
        else:
            return {"installed": True}
    have = incoming.stat().st_size if incoming.is_file() else 0
    if have < size:
        return {"installed": False, "have": have}
    if have != size or file_hash(incoming) != digest:
        incoming.unlink()
        raise Refused("the package was damaged on its way", "copy it again", "damaged")
    staged = Path(tempfile.mkdtemp(prefix=".new-", dir=str(final.parent)))
    try:
        unpack(incoming, staged)
        check_package(staged)
        staged.rename(final)
    except OSError as error:
        if error.errno in _FULL:
            raise Refused("the board's disk is full", "free some space on it", "full") from error
        if not final.is_dir():  # else somebody else has installed the same
            raise
    finally:
        shutil.rmtree(str(staged), ignore_errors=True)
    incoming.unlink()
    return {"installed": True}


def unpack(archive: Path, target: Path) -> None:
    """Unpacks a zip file of plain files into ``target``, and nothing outside it.

    Raises:
        Refused: it is no zip file, or has entries that are links, lie outside, come twice, or are
            larger than they say.
    """
    try:
        with zipfile.ZipFile(str(archive)) as opened:
            seen = set()
            for entry in opened.infolist():
                path = _inside(entry)
                if path in seen:
                    raise Refused(f"the package holds {path} twice", _FIX, "wrong")
                seen.add(path)
                place = target / path
                place.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(entry) as source, place.open("xb") as file:
                    shutil.copyfileobj(source, file)
                    file.flush()
                    os.fsync(file.fileno())
                if place.stat().st_size != entry.file_size:
                    raise Refused(f"{path} is not as large as the package says", _FIX, "wrong")
    except _NOT_ZIP as error:
        if isinstance(error, OSError) and error.errno in _FULL:
            raise
        raise Refused(f"the package is no zip file of files ({error})", _FIX, "wrong") from error


def _inside(entry: zipfile.ZipInfo) -> PurePosixPath:
    """The path of an entry, if it is a plain file inside."""
    name, path = entry.filename, PurePosixPath(entry.filename)
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if (
        path.is_absolute()
        or not path.parts
        or str(path) != name
        or any(part == ".." or ":" in part or "\\" in part for part in path.parts)
        or "\0" in entry.orig_filename
    ):
        raise Refused(f"the package holds a file outside itself ({name!r})", _FIX, "wrong")
    methods = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    if kind not in (0, stat.S_IFREG) or entry.flag_bits & 1 or entry.compress_type not in methods:
        raise Refused(f"the package holds something else than files ({name!r})", _FIX, "wrong")
    if entry.file_size > _LARGEST:
        raise Refused(f"{name} is too large", _FIX, "wrong")
    return path


def check_package(folder: Path) -> dict[str, Any]:
    """Checks an unpacked package: every hash, the board, and the part of the bitstream.

    Returns:
        Its description, package.json.

    Raises:
        Refused: it is damaged, or for another board or part.
    """
    try:
        package: dict[str, Any] = json.loads((folder / _DESCRIPTION).read_text(encoding="utf-8"))
        expected = dict(package["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refused("the package has no readable package.json", _FIX, "damaged") from error
    found = {
        path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()
    }
    if found.keys() - {_DESCRIPTION} != expected.keys():
        raise Refused("the package has other files than it says", "copy it again", "damaged")
    for name, digest in sorted(expected.items()):
        if file_hash(found[name]) != digest:
            raise Refused(f"{name} is not what was packed", "copy it again", "damaged")
    check_board(package)
    header = read_bit_header(folder / package["bitstream"])
    if not same_part(package["part"], header.part):
        raise Refused(
            f"the bitstream is for {header.part}, and {package['board']} has {package['part']}",
            "build it for this board",
            "wrong",
        )
    if header.emulated != package["emulated"]:
        raise Refused("the bitstream is of another kind than the package says", _FIX, "wrong")
    return package


def file_hash(path: Path) -> str:
    """SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
