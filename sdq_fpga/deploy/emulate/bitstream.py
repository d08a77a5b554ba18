"""The bitstream of an emulated board: the compiled simulation of a design, as a .bit file."""

import json
import tempfile
from pathlib import Path

from sdq_fpga.deploy.board_side.bitfile import EMULATED, bit_bytes
from sdq_fpga.deploy.driver_settings import input_dma, output_dma
from sdq_fpga.deploy.package import write_package
from sdq_fpga.rtl.design import Port
from sdq_fpga.sim.simulate import Simulation, patience

__all__ = ["emulated_bitstream"]


def emulated_bitstream(
    simulation: Simulation, *, part: str, clock_mhz: float, estimated_interval: int
) -> bytes:
    """Packs a compiled simulation.

    Args:
        simulation: the compiled design.
        part: the part that it was built for.
        clock_mhz: clock of the accelerator, at which the emulated board counts time.
        estimated_interval: cycles a frame may take; a design that is far slower is stuck.
    """
    design = simulation.design
    described = {
        "clock_mhz": clock_mhz,
        "patience": patience(estimated_interval),
        "inputs": [_port(port, input_dma(i)) for i, port in enumerate(design.inputs)],
        "outputs": [_port(port, output_dma(i)) for i, port in enumerate(design.outputs)],
    }
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        (scratch / "accelerator.json").write_text(json.dumps(described), encoding="utf-8")
        packed = scratch / "packed"
        memories = {f"memories/{each}": simulation.rtl / each for each in design.memories}
        write_package(
            packed,
            {
                "harness": simulation.executable,
                "accelerator.json": scratch / "accelerator.json",
                **memories,
            },
        )
        return bit_bytes(f"{EMULATED};{design.top}", part, packed.read_bytes())


def _port(port: Port, dma: str) -> dict[str, object]:
    stream = port.stream
    return {"dma": dma, "prefix": port.prefix, "bytes": stream.width // 8, "beats": stream.beats}
