"""How Yosys puts memories into block RAM, UltraRAM and LUTs.

Source: the step ``map_memory`` of Yosys's synth_xilinx.cc, taken apart to do two things in its
middle: deep memories in LUTs are mapped where Yosys has no primitive, and contents are taken out of
primitives. Yosys would read the Verilog of a primitive again for every other content, which takes
most of the time where weights are in thousands of LUT RAMs; what a memory takes does not depend on
its content once it is in a primitive.
"""

from collections.abc import Collection

from sdq_fpga.synth.netlist import DEEP_LUT_RAM

__all__ = ["DEEP_LUT_RAMS", "memory_steps"]

DEEP_LUT_RAMS = "lutrams_xcup.txt"
"""Of hw/synth: what Yosys lacks."""

_COMMON = "-logic-cost-rom 0.015625 -D HAS_SIZE_36 -D HAS_MIXWIDTH_SDP"
_BLOCK_RAMS = "-lib +/xilinx/brams_xc4v.txt"
_PRIMITIVES = {
    "xc7": f"-lib +/xilinx/lutrams_xc5v.txt {_BLOCK_RAMS} -D HAS_CASCADE -D HAS_CONFLICT_BUG",
    "xcup": f"-lib +/xilinx/lutrams_xcu.txt {_BLOCK_RAMS} -lib +/xilinx/urams.txt -D HAS_ADDRCE",
}
# By the option of synth_xilinx: what it means to memory_libmap.
_NOT_BY_ITSELF = {"-nobram": "-no-auto-block", "-nolutram": "-no-auto-distributed"}


def memory_steps(family: str, options: Collection[str], *, deep_luts: bool) -> list[str]:
    """Returns the commands that put a design's memories into primitives.

    ``synth_xilinx -run map_memory:`` has to follow, which makes cells of the part of them.

    Args:
        family: xcup or xc7.
        options: of synth_xilinx.
        deep_luts: whether a memory has the attribute ``DEEP_LUT_RAM``.
    """
    limits = [limit for option, limit in _NOT_BY_ITSELF.items() if option in options]
    if "-uram" not in options:
        limits.append("-no-auto-huge")
    deep = [f"memory_libmap -lib {DEEP_LUT_RAMS} a:{DEEP_LUT_RAM}"]
    return [
        *(deep if deep_luts and family == "xcup" else []),
        " ".join(["memory_libmap", _COMMON, _PRIMITIVES[family], *limits]),
        "setparam -unset INIT t:$__XILINX_*RAM_*",
    ]
