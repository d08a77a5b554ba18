"""A stand-in for Vivado in batch mode: runs the script in a real Tcl interpreter, and checks it.

vivado -mode batch -source FILE [-tclargs WORD...]

Every command is recorded in standin.jsonl in the working directory. The first that Vivado would
refuse ends the script with an error, as Vivado's own would.
"""

import os
import sys
from pathlib import Path

from block import Blocks
from design import RefusedError
from interpreter import Interpreter
from packager import Packager
from project import Project
from project_runs import Runs
from verilog import module_names


def main(script: str, arguments: list[str], programs: Path) -> int:
    interpreter = Interpreter()
    interpreter.tcl.setvar("argv", tuple(arguments))
    project = Project(interpreter)
    library = {
        name
        for folder in (Path(os.environ.get("FINN_RTLLIB", "/nowhere")), programs.parent / "hw/ops")
        for path in [*folder.rglob("*.sv"), *folder.rglob("*.v")]
        for name in module_names(path)
    }
    Blocks(interpreter, project, library)
    Packager(interpreter, project)
    Runs(interpreter, project, programs)
    code = 0
    with Path("vivado.log").open("a", encoding="utf-8") as log:
        log.write("****** Vivado v2022.2 (64-bit), a stand-in\n")
        try:
            interpreter.source(script)
        except RefusedError as error:
            log.write(f"{error}\n")
            print(error)
            code = 1
    return code


if __name__ == "__main__":
    if sys.argv[1:4] != ["-mode", "batch", "-source"]:
        sys.exit("vivado: only -mode batch -source FILE")
    sys.exit(main(sys.argv[4], sys.argv[6:], Path(os.environ["XILINX_VIVADO"]) / "bin"))
