"""Board: the FPGA that a design is built for, its part, budget and clock."""

import re
from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from sdq_fpga.errors import UserError
from sdq_fpga.plain import Plain, find_yaml, shipped_names

__all__ = [
    "Board",
    "Budget",
    "Clock",
    "DspGeneration",
    "Shell",
    "ShellTakes",
    "load_board",
    "load_boards",
]

_SERIES_7 = re.compile(r"x[acq]7")  # of part numbers: commercial, automotive, defence


class DspGeneration(StrEnum):
    """The multiplier primitive of a part; decides which RTL core is generated."""

    DSP48E1 = "DSP48E1"
    DSP48E2 = "DSP48E2"
    DSP58 = "DSP58"


class Shell(StrEnum):
    """How the accelerator reaches memory on the board."""

    ZYNQ = "zynq"
    ALVEO = "alveo"


class Budget(Plain):
    """What the whole part offers, before a shell takes its share."""

    lut: int = Field(gt=0, description="6-input look-up tables")
    ff: int = Field(gt=0, description="flip-flops")
    bram18: int = Field(gt=0, description="18 Kbit block RAM halves")
    uram: int = Field(ge=0, description="288 Kbit UltraRAM blocks")
    dsp: int = Field(gt=0, description="DSP slices")


class ShellTakes(Plain):
    """What a shell takes of the budget."""

    lut: int = Field(default=0, ge=0)
    ff: int = Field(default=0, ge=0)
    bram18: int = Field(default=0, ge=0)
    uram: int = Field(default=0, ge=0)
    dsp: int = Field(default=0, ge=0)


# FINN's Zynq shell: the sum of Vivado's reports of what it is made of (two DMAs, SmartConnect,
# crossbar, protocol converter, resets, processor), the largest of four builds on an XC7Z020:
# bol-edu/2022-fall-ntu (89a6993) Final/High_Accuracy_Image_Classifier_Inference_on_PYNQ-Z2,
# impl_result/*/finn_zynq_link.runs/*/*_utilization_synth.rpt, and emre-akdag/finnDeneme (50606f2).
# Placed, two of these designs have 6,388 and 6,674 LUTs beside the accelerator. What UltraScale+
# takes is taken to be alike, as AMD's PG059 says of its interconnect.
_ZYNQ_SHELL = ShellTakes(lut=8_659, ff=11_124, bram18=4)


class Clock(Plain):
    """Clock of the accelerator in MHz."""

    default: float = Field(gt=0, le=1000)
    maximum: float = Field(gt=0, le=1000)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.default > self.maximum:
            raise ValueError(f"default {self.default} MHz is above maximum {self.maximum} MHz")
        return self


class Board(Plain):
    """One board, as in ``boards/NAME.yaml``."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    title: str = Field(description="the board's name as its maker writes it")
    part: str = Field(description="the full part number, as Vivado takes it")
    dsp: DspGeneration
    shell: Shell
    budget: Budget
    clock_mhz: Clock
    board_part: str | None = Field(
        default=None, description="Vivado's board part, where Vivado or the maker has one"
    )
    shell_takes: ShellTakes | None = Field(
        default=None,
        description="what the shell takes [as FINN's Zynq shell, on boards with another nothing]",
    )

    @model_validator(mode="after")
    def _slices_of_the_part(self) -> Self:
        if bool(_SERIES_7.match(self.part)) != (self.dsp is DspGeneration.DSP48E1):
            raise ValueError(f"part {self.part} has other DSP slices than {self.dsp}")
        return self

    @property
    def room(self) -> dict[str, int]:
        """By resource, what the shell leaves of the part."""
        none = _ZYNQ_SHELL if self.shell is Shell.ZYNQ else ShellTakes()
        taken = self.shell_takes or none
        whole = self.budget.model_dump()
        return {name: max(0, whole[name] - took) for name, took in taken.model_dump().items()}

    def clock_at(self, stated_mhz: float | None) -> float:
        """The clock that was stated in MHz, or else the board's default.

        Raises:
            UserError: the board can't do it.
        """
        clock_mhz = stated_mhz or self.clock_mhz.default
        if clock_mhz > self.clock_mhz.maximum:
            raise UserError(
                f"{clock_mhz:g} MHz is more than {self.name} can do",
                f"ask for a clock of at most {self.clock_mhz.maximum:g}",
            )
        return clock_mhz


def load_board(name_or_path: str) -> Board:
    """Loads a shipped board by name, or a user's own YAML by path.

    Raises:
        UserError: there is no such board, or the file is not valid.
    """
    return Board.from_yaml(find_yaml("boards", name_or_path))


def load_boards() -> list[Board]:
    """All shipped boards, sorted by name."""
    return [load_board(name) for name in shipped_names("boards")]
