"""An accelerator made by hand: its answers are its inputs. Its simulation is a small script."""

import io
import sys
import zipfile
from pathlib import Path

import numpy as np

from sdq_fpga.deploy.board_side.bitfile import EMULATED, bit_bytes
from sdq_fpga.deploy.bundle import Bundle, make_bundle
from sdq_fpga.deploy.job import Job
from sdq_fpga.lower.host import HostInput, HostOutput, HostSide
from sdq_fpga.rtl.design import Port, RtlDesign, Stream

STREAM = Stream(width=16, element_bits=4, elements=3, beats=2, signed=False, shape=(6,))
PART = "xc7z020clg400-1"

# Reads the plan of hw/sim/harness.cpp. Every answer is the frame itself; it waits for a file.
ECHO = """
import os, sys, time
plan = [line.split() for line in open(sys.argv[1])]
(source,) = [line for line in plan if line[0] == "source"]
(sink,) = [line for line in plan if line[0] == "sink"]
frames = int(sink[5])
while not os.path.exists({gate!r}):
    time.sleep(0.05)
open(sink[2], "wb").write(open(source[2], "rb").read())
for frame in range(frames):
    print("frame", frame, 10 * frame, 10 * frame + 1, 10 * frame + 6, 10 * frame + 7)
print("done", 10 * frames)
"""
CRASH = "import sys\nprint('stuck: no transfer for 100000 cycles')\nsys.exit(3)\n"
HANG = "import time\ntime.sleep(60)\n"


def design() -> RtlDesign:
    ports = [Port(prefix=f"{side}_axis_0", tensor=side, stream=STREAM) for side in ("s", "m")]
    return RtlDesign(
        top="echo", sources=("echo.sv",), memories=(), inputs=(ports[0],), outputs=(ports[1],)
    )


def host() -> HostSide:
    return HostSide(
        inputs=(
            HostInput(
                name="x", stream="s", shape=(6,), stream_shape=(6,), channels_first=False,
                low=0, high=15,
            ),
        ),
        outputs=(
            HostOutput(
                name="y", stream="m", shape=(6,), channels_first=False, scale=(1.0,), offset=(0.0,)
            ),
        ),
    )  # fmt: skip


def bitstream(script: str = "", part: str = PART, emulated: bool = True, padding: int = 0) -> bytes:
    """An emulated bitstream; ``padding`` bytes that can't be compressed make it larger."""
    text = f"#!{sys.executable}\n{script or ECHO.format(gate='/')}"
    described = (
        '{"clock_mhz": 100, "patience": 1000,'
        '"inputs": [{"dma": "idma0", "prefix": "s_axis_0", "bytes": 2, "beats": 2}],'
        '"outputs": [{"dma": "odma0", "prefix": "m_axis_0", "bytes": 2, "beats": 2}]}'
    )
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in (
            ("harness", text),
            ("accelerator.json", described),
            ("padding", np.random.default_rng(1).bytes(padding)),
        ):
            archive.writestr(zipfile.ZipInfo(name), content)  # without the time of day
    return bit_bytes(f"{EMULATED};echo" if emulated else "echo", part, data.getvalue())


def bundle(
    script: str = "",
    *,
    board: str = "pynq-z2",
    emulated: bool = True,
    bit: bytes | None = None,
    padding: int = 0,
) -> Bundle:
    return make_bundle(
        design(),
        host(),
        board=board,
        part=PART,
        clock_mhz=100.0,
        emulated=emulated,
        bitstream={"accelerator.bit": bit or bitstream(script, padding=padding)},
    )


def frames(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 16, (count, 6)).astype(np.uint8)


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def job(count: int = 3, **options: object) -> Job:
    return Job("frames", [npy(frames(count))], **{"batch": 2, "timeout_s": 120.0, **options})


def installed(folder: Path) -> list[str]:
    """Names of what a board has, half-done things included."""
    root = folder / "home" / ".sdq-fpga"
    return sorted(path.name for path in (root / "packages").glob("*"))
