"""Overlay and DMA registers over the Verilated accelerator.

An emulated bitstream is a .bit file whose data is a zip file: ``harness`` (the compiled model, see
hw/sim/harness.cpp), ``memories/`` (its memory files) and ``accelerator.json`` (ports and clock). A
batch is simulated when all DMAs have been started with the same number of frames, in a process of
its own, while the driver polls the registers.
"""

from __future__ import annotations

import io
import json
import struct
import subprocess
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from .memory import device_bytes

__all__ = ["MMIO", "Bitstream", "Dma", "Overlay"]

_CONTROL, _ADDRESS_LOW, _ADDRESS_HIGH, _COUNT = 0x00, 0x10, 0x14, 0x1C
_START, _DONE, _IDLE = 0x1, 0x2, 0x4
_STEADY = 4  # frames from which on an interval is told


class MMIO:
    """Registers of 32 bits: they keep what was written."""

    def __init__(self) -> None:
        self._registers: dict[int, int] = {}

    def read(self, offset: int = 0) -> int:
        """The value at an offset."""
        return self._registers.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        """Sets the value at an offset."""
        if not 0 <= value < 2**32 or offset % 4:
            raise ValueError(f"{value} does not fit a register at {offset}")
        self._registers[offset] = value


class Dma(MMIO):
    """FINN's IODMA: address at 0x10 and 0x14, frames at 0x1C, control at 0x00."""

    def __init__(self, accelerator: _Accelerator, port: dict[str, Any]) -> None:
        super().__init__()
        self._accelerator = accelerator
        self.port = port
        self.running = False
        self.done = False

    @property
    def mmio(self) -> MMIO:
        """Its registers."""
        return self

    @property
    def frames(self) -> int:
        """Frames to move."""
        return super().read(_COUNT)

    @property
    def memory(self) -> memoryview:
        """The memory to move them from, or to."""
        address = super().read(_ADDRESS_LOW) | super().read(_ADDRESS_HIGH) << 32
        return device_bytes(address, self.frames * self.port["beats"] * self.port["bytes"])

    def read(self, offset: int = 0) -> int:
        """A register; of the control register, "done" is cleared by it."""
        if offset != _CONTROL:
            return super().read(offset)
        self._accelerator.look()
        bits = (_DONE if self.done else 0) | (_START if self.running else _IDLE)
        self.done = False
        return bits

    def write(self, offset: int, value: int) -> None:
        """A register; a 1 in the control register starts the transfer."""
        super().write(offset, value)
        if offset == _CONTROL and value & _START:
            self.running, self.done = True, False
            self._accelerator.begin()


class _Accelerator:
    """The simulated design with its DMAs."""

    def __init__(self, folder: Path) -> None:
        described = json.loads((folder / "accelerator.json").read_text(encoding="utf-8"))
        (folder / "harness").chmod(0o755)
        (folder / "memories").mkdir(exist_ok=True)
        self._folder = folder
        self._patience = int(described["patience"])
        self.clock_mhz = float(described["clock_mhz"])
        self.inputs = {each["dma"]: Dma(self, each) for each in described["inputs"]}
        self.outputs = {each["dma"]: Dma(self, each) for each in described["outputs"]}
        self._process: subprocess.Popen[str] | None = None
        self.cycles: dict[str, Any] | None = None

    def begin(self) -> None:
        """Simulates, if every DMA has been started."""
        dmas = [*self.inputs.values(), *self.outputs.values()]
        if not all(dma.running for dma in dmas):
            return
        if len({dma.frames for dma in dmas}) != 1:
            raise RuntimeError("the DMAs were started for different numbers of frames")
        plan = [f"patience {self._patience}", "seed 0"]
        for kind, side in (("source", self.inputs), ("sink", self.outputs)):
            for name, dma in side.items():
                file, port = self._folder / f"{name}.data", dma.port
                if kind == "source":
                    file.write_bytes(dma.memory)
                plan.append(
                    f"{kind} {port['prefix']} {file} {port['bytes']} {port['beats']} {dma.frames}"
                )
        (self._folder / "plan.txt").write_text("\n".join(plan) + "\n", encoding="utf-8")
        self._process = subprocess.Popen(
            [str(self._folder / "harness"), str(self._folder / "plan.txt")],
            cwd=str(self._folder / "memories"),
            stdout=(self._folder / "said.txt").open("w"),
            stderr=subprocess.STDOUT,
            text=True,
        )

    def look(self) -> None:
        """Takes the answers, if the simulation has ended.

        Raises:
            RuntimeError: it failed; a real accelerator would hang.
        """
        if self._process is None:
            return
        try:
            code = self._process.wait(0.02)  # the driver polls without a pause
        except subprocess.TimeoutExpired:
            return
        self._process = None
        said = (self._folder / "said.txt").read_text(encoding="utf-8", errors="replace")
        if code != 0:
            last = (said.strip().splitlines() or [f"exit code {code}"])[-1]
            raise RuntimeError(f"the simulated accelerator failed ({last})")
        for name, dma in self.outputs.items():
            dma.memory[:] = (self._folder / f"{name}.data").read_bytes()
        for dma in (*self.inputs.values(), *self.outputs.values()):
            dma.running, dma.done = False, True
        self._measure(said)

    def _measure(self, said: str) -> None:
        lines = [line.split() for line in said.splitlines()]
        frames = [[int(cell) for cell in line[2:]] for line in lines if line[:1] == ["frame"]]
        (total,) = (int(line[1]) for line in lines if line[:1] == ["done"])
        half = len(frames) // 2
        self.cycles = {
            "frames": len(frames),
            "total": total,
            "latency": frames[0][3] - frames[0][0] + 1,
            "interval": (frames[-1][3] - frames[half][3]) / (len(frames) - 1 - half)
            if len(frames) >= _STEADY
            else None,
            "clock_mhz": self.clock_mhz,
        }


class Overlay:
    """A loaded bitstream; its DMAs are attributes, by their names.

    Args:
        bitfile_name: an emulated bitstream.
        download: whether to load it, which an emulated board always does.
        device: the device, of which there is one here.

    Raises:
        RuntimeError: it is a bitstream for a real board, or damaged.
    """

    def __init__(self, bitfile_name: str, download: bool = True, device: object = None) -> None:
        self.device = device
        self.bitfile_name = bitfile_name
        self._files = tempfile.TemporaryDirectory(prefix="overlay-")
        with zipfile.ZipFile(io.BytesIO(_data(Path(bitfile_name)))) as archive:
            archive.extractall(self._files.name)
        self._accelerator = _Accelerator(Path(self._files.name))
        dmas = {**self._accelerator.inputs, **self._accelerator.outputs}
        self.ip_dict = {name: {"type": "IODMA"} for name in dmas}
        for name, dma in dmas.items():
            setattr(self, name, dma)

    @property
    def emulated_cycles(self) -> dict[str, Any] | None:
        """Cycles of the last batch: frames, total, latency, interval; and the clock in MHz."""
        return self._accelerator.cycles


class Bitstream:
    """Of the driver's instrumentation, which is not emulated."""

    def __init__(self, bitfile_name: str, **_: Any) -> None:
        raise RuntimeError(f"{bitfile_name}: an emulated board loads overlays only")


def _data(path: Path) -> bytes:
    """The data of an emulated bitstream: what follows the fields of the header."""
    raw = path.read_bytes()
    at = 13
    while raw[at : at + 1] != b"e":
        (length,) = struct.unpack_from(">H", raw, at + 1)
        if raw[at : at + 1] == b"a" and not raw[at + 3 :].startswith(b"sdq-fpga-emulated"):
            raise RuntimeError(f"{path} is for a real board")
        at += 3 + length
    return raw[at + 5 :]
