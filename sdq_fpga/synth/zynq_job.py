"""What is asked of the process that runs FINN's Zynq build."""

from sdq_fpga.plain import Plain

__all__ = ["PROJECT", "ZynqJob"]

PROJECT = "finn_zynq_link"
"""What FINN calls the Vivado project of the shell."""


class ZynqJob(Plain):
    """What to build.

    Attributes:
        graph: file of the folded graph.
        platform: FINN's name of the board.
        clock_mhz: of the accelerator.
        dependencies: directory of what FINN needs.
        work: directory that keeps everything on the way.
        out: directory that gets accelerator.bit and accelerator.hwh.
    """

    graph: str
    platform: str
    clock_mhz: float
    dependencies: str
    work: str
    out: str
