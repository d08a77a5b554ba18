"""Checks of single operators: what lint says, and how many cycles lie between frames."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from finn.util.basic import getHWCustomOp

from sdq_fpga.errors import StageError
from sdq_fpga.shipped import shipped_dir
from sdq_fpga.sim.bench import Drive, run_bench
from sdq_fpga.sim.verilator import lint
from tests.hw.farm import Case, Farm, _model, stream_of

# A file is named after what it holds, not after the module with its prefix; and a register has
# both an initial value, which an FPGA loads, and a reset.
_INTENDED = ("DECLFILENAME", "PROCASSINIT")


def operator(case: Case):
    """The operator of a case, without a folder."""
    return getHWCustomOp(_model(case, 0)[1])


def lint_case(case: Case, folder: Path) -> None:
    """Lints the module of a case with the case's parameters and none of the wrapper's ports."""
    op = operator(case)
    parameters = ", ".join(f".{name}({value})" for name, value in op.parameters().items())
    declarations, pins = ["input logic clk", "input logic rst"], [".clk", ".rst"]
    for way, ports, many in (
        ("in", op.inputs(), op.MANY_INPUTS),
        ("out", op.outputs(), op.MANY_OUTPUTS),
    ):
        data, back = ("input", "output") if way == "in" else ("output", "input")
        groups = [(way, ports)] if many else [(f"{way}{k}", [p]) for k, p in enumerate(ports)]
        for prefix, group in groups:
            width = sum(port.width for port in group)
            declarations += [
                f"{data} logic [{width - 1}:0] {prefix}_tdata",
                f"{data} logic [{len(group) - 1}:0] {prefix}_tvalid",
                f"{back} logic [{len(group) - 1}:0] {prefix}_tready",
            ]
            pins += [f".{prefix}_t{signal}" for signal in ("data", "valid", "ready")]
    top = folder / "linted.sv"
    top.write_text(
        f"module linted ({', '.join(declarations)});\n"
        f"{op.MODULE} #({parameters}) core ({', '.join(pins)});\nendmodule\n"
    )
    try:
        lint([*(shipped_dir("hw") / "ops" / name for name in op.SOURCES), top], "linted")
    except StageError as error:
        faults = [fault for fault in str(error).split("; ") if "%" in fault]
        left = [fault for fault in faults if not any(f"%Warning-{w}:" in fault for w in _INTENDED)]
        assert not left, "\n".join(left)


def intervals(farm: Farm) -> Sequence[int]:
    """Cycles between the last beats of frames that follow each other, the same for all of them.

    Measured for each operator alone, without stalls, at the output.
    """
    found = []
    for number, (op, case) in enumerate(zip(farm.ops, farm.cases, strict=True)):
        sources = {
            f"c{number}_in{k}": (stream_of(port), frames)
            for k, (port, frames) in enumerate(zip(op.inputs(), case.inputs, strict=True))
        }
        sinks = {
            f"c{number}_out{k}": (stream_of(port), len(expected))
            for k, (port, expected) in enumerate(zip(op.outputs(), case.expected, strict=True))
        }
        ran = run_bench(
            farm.executable, sources, sinks, Drive(), scratch=farm.work, memories=farm.work
        )
        steps = np.diff([last for *_, last in ran.frames])
        assert len(steps) and (steps == steps[0]).all(), (case, steps)
        found.append(int(steps[0]))
    return found
