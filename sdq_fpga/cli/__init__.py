"""The commands: parse, call one function, print.

The stages import torch, Brevitas and FINN, which takes seconds. Commands that need them import them
when they run, so that --help and a misspelled board answer at once.
"""

from sdq_fpga.cli.build import build, search
from sdq_fpga.cli.finished import learn, report, reproduce, synth, verify
from sdq_fpga.cli.group import main
from sdq_fpga.cli.run import run
from sdq_fpga.cli.show import boards, doctor
from sdq_fpga.cli.simulate import simulate
from sdq_fpga.cli.sweep import sweep

__all__ = ["main"]

_COMMANDS = (
    build,
    search,
    sweep,
    simulate,
    verify,
    synth,
    learn,
    reproduce,
    report,
    run,
    boards,
    doctor,
)
for _command in _COMMANDS:
    main.add_command(_command)
