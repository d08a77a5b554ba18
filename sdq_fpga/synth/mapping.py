"""The commands by which Yosys maps an elaborated design to the primitives of a family."""

from dataclasses import dataclass
from typing import Literal

from sdq_fpga.errors import StageError
from sdq_fpga.synth.memories import memory_steps
from sdq_fpga.synth.netlist import DEEP_LUT_RAM, REGISTERS, Netlist

__all__ = ["Family", "Mapping", "mapping_of", "settling_steps"]

Family = Literal["xcup", "xc7"]
"""What Yosys calls UltraScale+ and the 7 series."""

# Multiplications for DSP slices, without the least widths of synth_xilinx.
_MULTIPLIER = "techmap -map +/mul2dsp.v -D DSP_B_MAXWIDTH=18 -D DSP_A_MAXWIDTH_PARTIAL=18"
_DSP48E1 = f"{_MULTIPLIER} -map +/xilinx/xc7_dsp_map.v -D DSP_A_MAXWIDTH=25 -D DSP_NAME=$__MUL25X18"
_DSP48E2 = f"{_MULTIPLIER} -map +/xilinx/xcu_dsp_map.v -D DSP_A_MAXWIDTH=27 -D DSP_NAME=$__MUL27X18"
_OPT_ROUNDS = 3  # after three, the nodes of an accelerator have the flip-flops of the flat design


@dataclass(frozen=True)
class Mapping:
    """How a design is mapped.

    Attributes:
        family: of the part.
        flatten: whether its hierarchy is dissolved.
        memories: whether there is anything to put into block RAM or LUT RAM.
        uram: whether a memory asks for UltraRAM.
        deep_luts: whether a deep memory asks for LUTs.
    """

    family: Family
    flatten: bool
    memories: bool
    uram: bool
    deep_luts: bool

    def steps(self, top: str) -> list[str]:
        """The commands, for a design that has been read."""
        options = f"-family {self.family} -noiopad -noclkbuf"
        if self.flatten:
            options += " -flatten"
        if self.uram:
            options += " -uram"
        if not self.memories:
            options += " -nobram -nolutram"  # reading their models takes seconds
        return [
            f"synth_xilinx {options} -top {top} -run begin:map_dsp",
            "chtype -set $__soft_mul t:$mul a:use_dsp=no %i",
            *self._wide_products(),
            f"{_DSP48E1} -D DSP_SIGNEDONLY=1 t:$mul a:use_dsp=yes %i",
            # Registers and adders go into a DSP48E1 only, where a DSP48E2 would take them as well.
            f"synth_xilinx {options.replace('xcup', 'xc7')} -run map_dsp:coarse",
            f"synth_xilinx {options} -top {top} -run coarse:map_memory",
            *memory_steps(self.family, options.split(), deep_luts=self.deep_luts),
            f"synth_xilinx {options} -top {top} -run map_memory:map_cells",
            # It stops where a round changes nothing but what it does not count as a change.
            "opt -full",
            f"synth_xilinx {options} -top {top} -run map_cells:",
        ]

    def _wide_products(self) -> list[str]:
        """What puts products into a DSP48E2 that are too wide for a DSP48E1."""
        if self.family == "xc7":
            return []
        wide = [f"t:$mul r:{port}_WIDTH>25 %i" for port in "AB"]
        return [f"{_DSP48E2} -D DSP_SIGNEDONLY=1 {products}" for products in wide]


def mapping_of(netlist: Netlist, text: str, top: str, family: Family, *, flatten: bool) -> Mapping:
    """How a design is mapped.

    Args:
        netlist: the design as elaborated.
        text: the same, prepared for mapping.
        top: name of its top module.
        family: of the part.
        flatten: whether its hierarchy is dissolved.

    Raises:
        StageError: it asks for UltraRAM that the family has not.
    """
    if netlist.wants_uram and family == "xc7":
        raise StageError(
            f"{top} has a memory in UltraRAM, which the 7 series has not",
            "use another memory style",
        )
    return Mapping(
        family=family,
        flatten=flatten,
        memories=netlist.has_memories,
        uram=netlist.wants_uram,
        deep_luts=DEEP_LUT_RAM in text,
    )


def settling_steps(*, hierarchy: bool) -> list[str]:
    """What comes before mapping; constants and unused signals travel from module to module."""
    rounds = ["opt", *["opt_hier", "opt"] * _OPT_ROUNDS] if hierarchy else []
    return [f"memory_map a:{REGISTERS}", *rounds]
