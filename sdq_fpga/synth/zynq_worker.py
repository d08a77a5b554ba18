"""The process that runs FINN's Zynq build; started by ``bitstream.make_bitstream`` only.

Its argument is the file of a ``ZynqJob``. The corrections of ``rtl.rewrites`` are made to a copy of
FINN's RTL library, and that copy is what is synthesised. What a process that was cut has finished
is taken over: each of the three partitions (DMA, accelerator, DMA), and the runs of the Vivado
project from their last checkpoint on.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import finn.xsi
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.base import Transformation
from qonnx.transformation.general import GiveReadableTensorNames, GiveUniqueNodeNames
from qonnx.transformation.infer_data_layouts import InferDataLayouts

import sdq_fpga.ops  # noqa: F401  # registers our operators with FINN
from sdq_fpga.errors import StageError
from sdq_fpga.lower.finn_session import finn_session
from sdq_fpga.rtl.rewrites import REWRITES, read_corrected, rtllib_dir
from sdq_fpga.shipped import shipped_dir
from sdq_fpga.synth.zynq_job import PROJECT, ZynqJob

__all__ = ["main"]

_LAUNCHED = "launched"
_FREQUENCY = "set FREQ_MHZ %s\n"
_LAUNCH = "    launch_runs -jobs"
_FINISHED = "zynq-iodma"  # what FINN writes into a partition when it is done
# Where different versions of Vivado put the description of the hardware.
_HANDOFFS = (
    f"{PROJECT}.gen/sources_1/bd/top/hw_handoff/top.hwh",
    f"{PROJECT}.srcs/sources_1/bd/top/hw_handoff/top.hwh",
)


def main(job: ZynqJob) -> None:
    """Runs the build; whatever FINN or Vivado throws ends the process."""
    # FINN's builder imports Vivado's simulator bindings, which this build does not use.
    finn.xsi.SimEngine = None
    work = Path(job.work)
    library = _corrected_library(work / "finn-rtllib")
    with finn_session(work, work / "finn.log", library, Path(job.dependencies)) as settings:
        # FINN's Tcl asks for these by the environment; its command line would set them.
        os.environ["FINN_RTLLIB"] = str(library)
        os.environ["FINN_CUSTOM_HLS"] = str(settings.finn_custom_hls)
        linked = _linked(job, work)
        project = _launched_project(work)
        if project is None:
            for left in work.glob("vivado_zynq_proj_*"):
                shutil.rmtree(left)
            _make_project(linked, job)
            project = _launched_project(work)
        else:
            _resume(project, settings.num_default_workers)
    if project is None:
        raise StageError("FINN has made no project", "see the log")
    _collect(project, Path(job.out))


def _corrected_library(destination: Path) -> Path:
    """Copies FINN's RTL library to ``destination`` with all corrections made."""
    shutil.copytree(rtllib_dir(), destination, dirs_exist_ok=True)
    for rewrite in REWRITES:
        (destination / rewrite.file).write_text(read_corrected(rewrite.file), encoding="utf-8")
    return destination


def _linked(job: ZynqJob, work: Path) -> ModelWrapper:
    """The graph of partitions, each of them packaged (as FINN's ZynqBuild does it).

    ZynqBuild itself would make the partitions in processes of their own, which on some platforms
    know neither our operators nor the corrected library.
    """
    from finn.transformation.fpgadataflow.make_zynq_proj import _build_sdp_kernel  # noqa: PLC0415

    prepared = work / "prepared.onnx"
    if not prepared.exists():
        model = _partitioned(job, work)
        hidden = prepared.with_suffix(".tmp")
        model.save(str(hidden))
        hidden.rename(prepared)
    model = ModelWrapper(str(prepared))
    for node in model.get_nodes_by_op_type("StreamingDataflowPartition"):
        file = getCustomOp(node).get_nodeattr("model")
        if ModelWrapper(file).get_metadata_prop("platform") == _FINISHED:
            continue
        part, period = _part(job), 1e3 / job.clock_mhz
        _build_sdp_kernel((node.name, file, part, period, False))
    return model


def _part(job: ZynqJob) -> str:
    from finn.util.basic import pynq_part_map  # noqa: PLC0415

    return str(pynq_part_map[job.platform])


def _partitioned(job: ZynqJob, work: Path) -> ModelWrapper:
    """Adds the DMAs, and cuts the graph at them."""
    from finn.transformation.fpgadataflow.create_dataflow_partition import (  # noqa: PLC0415
        CreateDataflowPartition,
    )
    from finn.transformation.fpgadataflow.floorplan import Floorplan  # noqa: PLC0415
    from finn.transformation.fpgadataflow.insert_dwc import InsertDWC  # noqa: PLC0415
    from finn.transformation.fpgadataflow.insert_iodma import InsertIODMA  # noqa: PLC0415
    from finn.transformation.fpgadataflow.specialize_layers import (  # noqa: PLC0415
        SpecializeLayers,
    )
    from finn.util.basic import pynq_native_port_width  # noqa: PLC0415

    steps: tuple[Transformation, ...] = (
        InsertIODMA(pynq_native_port_width[job.platform]),
        InsertDWC(),
        SpecializeLayers(_part(job)),
        Floorplan(),
        CreateDataflowPartition(partition_model_dir=str(work / "partitions")),
    )
    model = ModelWrapper(job.graph).transform(InferDataLayouts())
    for step in steps:
        for each in (step, GiveUniqueNodeNames(), GiveReadableTensorNames()):
            model = model.transform(each)
    return model


def _make_project(linked: ModelWrapper, job: ZynqJob) -> None:
    """Makes the Vivado project of the shell, and runs it to the bitstream."""
    from finn.transformation.fpgadataflow import make_zynq_proj, templates  # noqa: PLC0415

    # FINN cuts the clock down to whole megahertz, at times by one too many.
    text = templates.custom_zynq_shell_template
    for wanted, instead in (
        (_FREQUENCY, f"set WHOLE_MHZ %s\nset FREQ_MHZ {job.clock_mhz:.10g}\n"),
        (_LAUNCH, f"    close [open {_LAUNCHED} w]\n{_LAUNCH}"),
    ):
        if text.count(wanted) != 1:
            raise StageError(
                f"FINN's shell has no line '{wanted.strip()}'",
                "install the version of finn-plus in the lock file",
            )
        text = text.replace(wanted, instead)
    templates.custom_zynq_shell_template = text
    linked.transform(make_zynq_proj.MakeZYNQProject(job.platform, 1e3 / job.clock_mhz))


def _launched_project(work: Path) -> Path | None:
    """The project whose runs were begun."""
    found = sorted(work.glob(f"vivado_zynq_proj_*/{_LAUNCHED}"))
    return found[0].parent if found else None


def _resume(project: Path, jobs: int) -> None:
    """Lets the runs of a project go on at their last checkpoints."""
    script = shipped_dir("hw") / "vivado" / "resume.tcl"
    command = ["vivado", "-mode", "batch", "-source", str(script), "-tclargs", PROJECT, str(jobs)]
    subprocess.run(command, cwd=project, check=True)


def _collect(project: Path, out: Path) -> None:
    bitfile = project / f"{PROJECT}.runs" / "impl_1" / "top_wrapper.bit"
    handoff = next((project / name for name in _HANDOFFS if (project / name).is_file()), None)
    if not bitfile.is_file() or handoff is None:
        raise StageError(f"Vivado has left no bitstream in {project}", "see its logs there")
    shutil.copyfile(bitfile, out / "accelerator.bit")
    shutil.copyfile(handoff, out / "accelerator.hwh")


if __name__ == "__main__":
    main(ZynqJob.model_validate_json(Path(sys.argv[1]).read_bytes()))
