"""The header of a .bit file: which part a bitstream is for, and whether it is emulated.

The format is Xilinx's: a preamble of 13 bytes, then fields, each a letter and a big-endian length
of two bytes: a (design), b (part), c (date), d (time), as C strings; then e with a length of four
bytes, and the configuration data. Vivado writes the part without "xc" for 7-series parts, and
without speed grade ("7z020clg400"). The stand-in of an emulated board has the same header, and a
design whose name begins with ``EMULATED``.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import NamedTuple

from .refused import Refused

__all__ = ["EMULATED", "BitHeader", "bit_bytes", "read_bit_header", "same_part"]

EMULATED = "sdq-fpga-emulated"
_PREAMBLE = b"\x00\x09\x0f\xf0\x0f\xf0\x0f\xf0\x0f\xf0\x00\x00\x01"
_LONGEST_HEADER = 5 * 65536
_FIX = "build the bitstream again"


class BitHeader(NamedTuple):
    """What the header says.

    Attributes:
        design: name of the design.
        part: the part, as in the file.
        emulated: whether it is for an emulated board.
        offset: where the data begins.
        size: bytes of data.
    """

    design: str
    part: str
    emulated: bool
    offset: int
    size: int


def read_bit_header(path: Path) -> BitHeader:
    """Reads the header of a .bit file.

    Raises:
        Refused: it is no .bit file, or is cut.
    """
    with path.open("rb") as file:
        head = file.read(_LONGEST_HEADER)
    if not head.startswith(_PREAMBLE):
        raise Refused(f"{path.name} is not a bitstream", _FIX, "wrong")
    at, fields = len(_PREAMBLE), {}
    try:
        while head[at : at + 1] != b"e":
            (length,) = struct.unpack_from(">H", head, at + 1)
            text = head[at + 3 : at + 3 + length]
            if len(text) != length or not text.endswith(b"\0"):
                raise ValueError
            fields[head[at : at + 1].decode("ascii")] = text[:-1].decode("ascii")
            at += 3 + length
        (size,) = struct.unpack_from(">I", head, at + 1)
        design, part = fields["a"], fields["b"]
    except (struct.error, ValueError, KeyError) as error:
        raise Refused(f"the header of {path.name} is damaged", _FIX, "damaged") from error
    if at + 5 + size != path.stat().st_size:
        raise Refused(f"{path.name} is not as long as its header says", _FIX, "damaged")
    return BitHeader(design, part, design.startswith(EMULATED), at + 5, size)


def bit_bytes(design: str, part: str, data: bytes) -> bytes:
    """The contents of a .bit file. No date and time: equal designs have equal bytes."""
    fields = b"".join(
        letter + struct.pack(">H", len(text) + 1) + text + b"\0"
        for letter, text in (
            (b"a", design.encode("ascii")),
            (b"b", part.encode("ascii")),
            (b"c", b""),
            (b"d", b""),
        )
    )
    return _PREAMBLE + fields + b"e" + struct.pack(">I", len(data)) + data


def same_part(part: str, in_header: str) -> bool:
    """Whether a full part number such as xc7z020clg400-1 is the part of a header.

    What the header may leave out is "xc" and the speed and temperature grade, two characters at
    most.
    """
    whole, short = _plain(part), _plain(in_header)
    return bool(short) and whole.startswith(short) and len(whole) - len(short) <= 2


def _plain(part: str) -> str:
    return re.sub("^xc", "", re.sub("[^a-z0-9]", "", part.lower()))
