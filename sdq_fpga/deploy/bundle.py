"""The package that goes to the board: bitstream, the driver's settings, and what it is for."""

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sdq_fpga.deploy.driver_settings import driver_settings
from sdq_fpga.deploy.package import write_package
from sdq_fpga.lower.host import HostSide
from sdq_fpga.rtl.design import RtlDesign

__all__ = ["BITSTREAM", "HANDOFF", "PACKAGE", "Bundle", "make_bundle"]

BITSTREAM = "accelerator.bit"
HANDOFF = "accelerator.hwh"
PACKAGE = "package.zip"
"""What a build with a bitstream calls it."""
_FORMAT = 1


@dataclass(frozen=True)
class Bundle:
    """One package.

    Attributes:
        data: the zip file.
        digest: its SHA-256, which is also its name on the board.
        description: package.json: board, part, kind, inputs, and the hash of every file.
    """

    data: bytes
    digest: str
    description: Mapping[str, Any]


def make_bundle(
    design: RtlDesign,
    host: HostSide,
    *,
    board: str,
    part: str,
    clock_mhz: float,
    emulated: bool,
    bitstream: Mapping[str, bytes],
) -> Bundle:
    """Packs a bitstream; equal arguments give equal bytes.

    Args:
        design: the accelerator.
        host: what is left to the host.
        board: name of the board.
        part: its part.
        clock_mhz: clock of the accelerator.
        emulated: whether the bitstream is a simulation for an emulated board.
        bitstream: files by name: accelerator.bit, and the hardware handoff where there is one.

    Raises:
        UserError: the design takes weights in a way that the driver can't give them.
    """
    files = {
        **bitstream,
        "settings.json": driver_settings(design, clock_mhz),
        "host.json": host.to_bytes(),
    }
    description = {
        "format": _FORMAT,
        "board": board,
        "part": part,
        "clock_mhz": clock_mhz,
        "emulated": emulated,
        "bitstream": BITSTREAM,
        "inputs": [
            {
                "name": source.name,
                "shape": list(port.stream.shape),
                "low": source.low,
                "high": source.high,
            }
            for source, port in zip(host.inputs, design.inputs, strict=True)
        ],
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
    }
    files["package.json"] = json.dumps(description, indent=1, sort_keys=True).encode()
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        for each, content in files.items():
            (scratch / each).write_bytes(content)
        packed = scratch / "packed"
        write_package(packed, {each: scratch / each for each in files})
        data = packed.read_bytes()
    return Bundle(data, hashlib.sha256(data).hexdigest(), description)
