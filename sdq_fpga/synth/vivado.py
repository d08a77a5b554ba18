"""The bitstream, where Vivado is installed: FINN's Zynq shell around the folded graph.

Vivado is found on PATH or where the user says. FINN wants its place in environment variables, so
the synthesis runs in a process of its own, which gets them.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from sdq_fpga.board import Board, Shell
from sdq_fpga.errors import StageError, UserError
from sdq_fpga.progress import Progress

__all__ = ["SHELLS", "find_vivado", "make_bitstream", "why_no_bitstream"]

# FINN's names of the boards that it has a Zynq shell for (finn/util/basic.py, pynq_part_map).
SHELLS = {
    "pynq-z1": "Pynq-Z1",
    "pynq-z2": "Pynq-Z2",
    "zcu102": "ZCU102",
    "zcu104": "ZCU104",
    "ultra96-v2": "Ultra96-V2",
    "kv260": "KV260_SOM",
}


def find_vivado(directory: Path | None) -> Path | None:
    """Finds the installation directory of Vivado (the one that holds bin/vivado).

    Args:
        directory: where the user says it is; None to look on PATH.

    Raises:
        UserError: it is not where the user says.
    """
    if directory is not None:
        if not (directory / "bin" / "vivado").is_file():
            raise UserError(
                f"there is no Vivado in {directory}",
                "give the directory that holds bin/vivado, for example /opt/Xilinx/Vivado/2022.2",
            )
        return directory.resolve()
    found = shutil.which("vivado")
    return None if found is None else Path(found).resolve().parent.parent


def why_no_bitstream(board: Board, vivado: Path | None) -> str | None:
    """Says in one line what keeps a bitstream from being made; None if nothing does."""
    if vivado is None:
        return (
            "not made: Vivado is not on PATH; install AMD Vivado 2022.2 or later and give its "
            "directory with --vivado"
        )
    if board.shell is not Shell.ZYNQ or board.name not in SHELLS:
        return f"not made: there is no shell for {board.name} yet, only for {', '.join(SHELLS)}"
    return None


def make_bitstream(
    graph: Path, board: Board, clock_mhz: float, vivado: Path, out: Path, progress: Progress
) -> None:
    """Synthesises, places and routes; writes accelerator.bit and accelerator.hwh into ``out``.

    Args:
        graph: the folded hardware graph.
        board: which must have a shell (see ``why_no_bitstream``).
        clock_mhz: clock of the accelerator.
        vivado: its installation directory.
        out: where the bitstream and the log go.
        progress: told when it begins; it takes from ten minutes to hours.

    Raises:
        StageError: it failed, naming the log.
    """
    work = out.with_name(f"{out.name}.vivado")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    log = work / "vivado.log"
    environment = dict(os.environ)
    environment["PATH"] = f"{vivado / 'bin'}{os.pathsep}{environment.get('PATH', '')}"
    environment["XILINX_VIVADO"] = str(vivado)
    command = [
        sys.executable,
        "-m",
        "sdq_fpga.synth.zynq_worker",
        str(graph),
        SHELLS[board.name],
        str(1e3 / clock_mhz),
        str(work),
        str(out),
    ]
    progress.note("Vivado is building the bitstream; this takes from ten minutes to hours")
    with log.open("w", encoding="utf-8") as file:
        result = subprocess.run(
            command, env=environment, cwd=work, stdout=file, stderr=subprocess.STDOUT, check=False
        )
    if result.returncode != 0:
        kept = out.with_name("vivado-failed")
        shutil.rmtree(kept, ignore_errors=True)
        work.rename(kept)
        lines = (kept / log.name).read_text(encoding="utf-8", errors="replace").splitlines()
        last = next((line for line in reversed(lines) if line.strip()), "it said nothing")
        raise StageError(
            f"Vivado did not make the bitstream ({last.replace(str(work), str(kept))})",
            f"see {kept / log.name}",
        )
    shutil.copyfile(log, out / log.name)
    shutil.rmtree(work)
