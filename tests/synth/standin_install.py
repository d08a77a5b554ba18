"""Installs the stand-in for Vivado, as Vivado would be."""

import sys
from pathlib import Path

from sdq_fpga.shipped import shipped_dir
from sdq_fpga.synth.vivado import Vivado

STANDIN = Path(__file__).parent / "standin"
HEADERS = ("bnn-library.h", "dma.h", "streamtools.h")
BOARDS = {
    "tul.com.tw": "pynq-z2",
    "www.digilentinc.com": "pynq-z1",
    "avnet.com": "ultra96v2",
    "xilinx.com": "kv260_som",
}


def install(folder: Path) -> Vivado:
    """Puts bin/vivado, bin/vitis_hls and FINN's dependencies below ``folder``."""
    place = folder / "Vivado" / "2022.2"
    (place / "bin").mkdir(parents=True)
    for name, script in (("vivado", "vivado.py"), ("vitis_hls", "hls.py")):
        program = place / "bin" / name
        program.write_text(f'#!/bin/sh\nexec {sys.executable} {STANDIN / script} "$@"\n')
        program.chmod(0o755)
    (place / "hw").symlink_to(shipped_dir("hw"))
    dependencies = folder / "finn_deps"
    (dependencies / "finn-hlslib").mkdir(parents=True)
    for name in HEADERS:
        (dependencies / "finn-hlslib" / name).touch()
    for vendor, name in BOARDS.items():
        board = dependencies / "board_files" / name / "board.xml"
        board.parent.mkdir(parents=True)
        board.write_text(f'<board vendor="{vendor}" name="{name}"/>\n')
    return Vivado(place, dependencies)
