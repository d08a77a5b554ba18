"""The process that runs FINN's Zynq build; started by ``vivado.make_bitstream`` only.

Arguments: the folded graph, FINN's name of the board, the clock period in ns, a scratch directory,
and the directory that gets accelerator.bit and accelerator.hwh. The corrections of
``rtl.rewrites`` are made to a copy of FINN's RTL library, and that copy is what is synthesised.
"""

import shutil
import sys
from pathlib import Path

import finn.xsi
from qonnx.core.modelwrapper import ModelWrapper

import sdq_fpga.ops  # noqa: F401  # registers our operators with FINN
from sdq_fpga.lower.finn_session import finn_session
from sdq_fpga.rtl.rewrites import REWRITES, read_corrected, rtllib_dir

__all__ = ["main"]


def corrected_library(destination: Path) -> Path:
    """Copies FINN's RTL library to ``destination`` with all corrections made."""
    shutil.copytree(rtllib_dir(), destination)
    for rewrite in REWRITES:
        (destination / rewrite.file).write_text(read_corrected(rewrite.file), encoding="utf-8")
    return destination


def main(graph: Path, platform: str, period_ns: float, work: Path, out: Path) -> None:
    """Runs the build; whatever FINN or Vivado throws ends the process."""
    # FINN's builder imports Vivado's simulator bindings, which this build does not use.
    finn.xsi.SimEngine = None
    from finn.transformation.fpgadataflow.make_zynq_proj import ZynqBuild  # noqa: PLC0415

    library = corrected_library(work / "finn-rtllib")
    with finn_session(work, work / "finn.log", library):
        model = ModelWrapper(str(graph))
        model = model.transform(
            ZynqBuild(platform, period_ns, partition_model_dir=str(work / "partitions"))
        )
    bitfile = Path(model.get_metadata_prop("bitfile"))
    shutil.copyfile(bitfile, out / "accelerator.bit")
    shutil.copyfile(model.get_metadata_prop("hw_handoff"), out / "accelerator.hwh")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]), Path(sys.argv[4]), Path(sys.argv[5]))
