"""What a synthesis showed, as plain data."""

from collections.abc import Mapping
from typing import Self

from pydantic import Field

from sdq_fpga.errors import StageError
from sdq_fpga.plain import Plain
from sdq_fpga.synth.paths import LogicPaths

__all__ = ["Resources", "SynthesisFigures"]

_LUTRAM = {
    **dict.fromkeys(("RAM32X1S", "RAM64X1S"), 1),
    **dict.fromkeys(("RAM32X1D", "RAM64X1D", "RAM128X1S"), 2),
    **dict.fromkeys(("RAM32M", "RAM64M", "RAM128X1D", "RAM256X1S"), 4),
    **dict.fromkeys(("RAM32M16", "RAM64M8", "RAM256X1D", "RAM512X1S", "RAM64X8SW"), 8),
}
_SRL = dict.fromkeys(("SRL16", "SRL16E", "SRLC16", "SRLC16E", "SRLC32E"), 1)
_LUT = dict.fromkeys(("INV", *(f"LUT{inputs}" for inputs in range(1, 7)), "LUT6_2"), 1)
_FF = {f"FD{kind}{edge}": 1 for kind in ("RE", "SE", "CE", "PE") for edge in ("", "_1")}
_AMOUNTS: dict[str, dict[str, int]] = {
    "lut": {**_LUT, **_LUTRAM, **_SRL},
    "lutram": _LUTRAM,
    "srl": _SRL,
    "ff": _FF,
    "carry": {"CARRY4": 1, "CARRY8": 2},
    "dsp": {"DSP48E1": 1, "DSP48E2": 1},
    "bram18": {"RAMB18E1": 1, "RAMB18E2": 1, "RAMB36E1": 2, "RAMB36E2": 2},
    "uram": {"URAM288": 1},
}
_FREE = frozenset({"MUXF7", "MUXF8", "MUXF9", "GND", "VCC", "$scopeinfo"})
_KNOWN = _FREE.union(*_AMOUNTS.values())


class Resources(Plain):
    """What logic takes on a part of the 7 series or of UltraScale+.

    Attributes:
        lut: look-up tables, those used as memory included. None is shared by two functions:
            placed, two small ones often fit into one.
        lutram: those of ``lut`` that are memory.
        srl: those of ``lut`` that are shift registers.
        ff: flip-flops.
        carry: groups of four carry bits.
        dsp: DSP slices.
        bram18: block RAMs of 18 kbit; one of 36 kbit is two.
        uram: UltraRAMs.
    """

    lut: int
    lutram: int
    srl: int
    ff: int
    carry: int
    dsp: int
    bram18: int
    uram: int

    @classmethod
    def of_cells(cls, cells: Mapping[str, int]) -> Self:
        """Counts mapped cells, given as the number of each type.

        Raises:
            StageError: a cell is none that these parts have, or a latch.
        """
        strange = sorted(set(cells) - _KNOWN)
        if strange:
            raise StageError(
                f"the synthesis left cells that are no primitives: {', '.join(strange)}",
                "correct the RTL, or report it",
            )
        return cls(
            **{
                kind: sum(amount * cells.get(cell, 0) for cell, amount in amounts.items())
                for kind, amounts in _AMOUNTS.items()
            }
        )


class SynthesisFigures(Resources):
    """What the synthesis of a design showed.

    Attributes:
        seconds: time that it took.
        warnings: what the tool had to say, each once.
        nodes: the resources of one instance of each module that the top module has instances of;
            empty if they were not asked for. The rest is the top module's own logic.
        paths: the longest paths of the same modules.
    """

    seconds: float
    warnings: tuple[str, ...] = ()
    nodes: dict[str, Resources] = Field(default_factory=dict)
    paths: dict[str, LogicPaths] = Field(default_factory=dict)
