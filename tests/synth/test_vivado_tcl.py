"""The Tcl for Vivado, run by a real Tcl interpreter against a stand-in that checks its commands.

No Vivado is at hand. The stand-in (``standin``) keeps the block designs that the scripts describe,
and refuses what Vivado would: files that are missing, modules and parameters that do not exist,
clocks and interfaces that lead nowhere.
"""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from finn.util.basic import pynq_part_map
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.util.cleanup import cleanup_model

from sdq_fpga.board import Board, load_board
from sdq_fpga.deploy.board_side.bitfile import read_bit_header, same_part
from sdq_fpga.errors import StageError
from sdq_fpga.lower.finn_session import finn_session
from sdq_fpga.lower.folding import fold
from sdq_fpga.lower.hardware import to_hardware
from sdq_fpga.lower.read.model import read_qonnx
from sdq_fpga.progress import SilentProgress
from sdq_fpga.synth.bitstream import BitstreamJob, make_bitstream
from sdq_fpga.synth.vivado import SHELLS
from sdq_fpga.synth.vivado_reports import AchievedFigures
from sdq_fpga.zoo import GraphBuilder

pytest.importorskip("tkinter", reason="Python has no Tcl: apt-get install python3-tk")

from standin_install import STANDIN, install

CLOCK_MHZ = 187.5


class Notes(SilentProgress):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


def branching() -> ModelWrapper:
    """Convolutions in DSP slices and LUTs, a pool, and a sum of two arms."""
    build = GraphBuilder(0)
    x = build.scaled_input((3, 6, 6))
    x = build.conv(x, 4, 3, pad=1, weight_bits=8)
    x = build.max_pool(build.quant_relu(build.batch_norm(x), 4), 2, stride=2)
    arm = build.batch_norm(build.conv(x, 4, 1, weight_bits=2), center=0.0)
    x = build.add(build.quant_identity(arm, 5, scale=x.scale), x)
    x = build.quant_relu(x, 4)
    build.output(build.linear(build.flatten(x), 5, weight_bits=3))
    return cleanup_model(ModelWrapper(build.finish()))


def folded(board: Board, directory: Path) -> Path:
    """The folded graph of the network, in a file."""
    network, _ = read_qonnx(branching())
    with finn_session(directory, directory / "finn.log"):
        model, _ = fold(to_hardware(network, board.dsp), board, 100.0, 20_000, {}, SilentProgress())
    file = directory / "folded.onnx"
    model.save(str(file))
    return file


@dataclass(frozen=True)
class Built:
    """A bitstream that was made in two goes, and the work on the way to it."""

    job: BitstreamJob
    work: Path
    out: Path
    notes: list[list[str]]
    errors: list[str]

    def scripts(self) -> dict[str, Path]:
        """The Tcl scripts that Vivado ran, by what they make."""
        stitched = {
            "dma" if "IODMA" in path.parent.name else "accelerator": path
            for path in self.work.glob("vivado_stitch_proj_*/make_project.tcl")
        }
        (shell,) = self.work.glob("vivado_zynq_proj_*/ip_config.tcl")
        return {**stitched, "shell": shell}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """FINN's Zynq build with the stand-in: killed while it places; then, too slow when routed.

    A clock that is not reached leaves all the work on the way.
    """
    folder = tmp_path_factory.mktemp("vivado")
    board = load_board("zcu104")
    vivado = install(folder)
    job = BitstreamJob(folded(board, folder), board, CLOCK_MHZ, vivado, "code")
    made = Built(job, folder / "work", folder / "out", [], [])
    made.out.mkdir()
    (vivado.directory / "crash").write_text("place_design\n")
    (vivado.directory / "slack").write_text("-0.25")
    for _ in range(2):
        notes = Notes()
        with pytest.raises(StageError) as caught:
            make_bitstream(job, made.work, made.out, notes)
        made.notes.append(notes.lines)
        made.errors.append(str(caught.value))
    return made


def words_of(script: Path) -> list[list[str]]:
    """Every command that was recorded of a script's run."""
    lines = (script.parent / "standin.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_the_whole_flow_goes_through(built):
    header = read_bit_header(built.out / "accelerator.bit")
    assert same_part(header.part, built.job.board.part)
    assert (built.out / "accelerator.hwh").is_file()
    for name, script in built.scripts().items():
        assert ["validate_bd_design"] in words_of(script), name


def test_the_accelerator_is_the_same_graph(built):
    def nodes(path: Path) -> Counter[tuple[object, ...]]:
        names = ("PE", "SIMD", "depth", "numInputVectors", "inWidth", "outWidth", "ram_style")
        return Counter(
            (node.op_type, *(repr(a) for a in node.attribute if a.name in names))
            for node in ModelWrapper(str(path)).graph.node
        )

    wanted = nodes(built.job.graph)
    kinds = {kind for kind, *_ in wanted}
    assert {"MVAU_rtl", "SdqMvuLut_rtl", "SdqElementwise_rtl", "SdqDuplicate_rtl"} < kinds
    first, second, accelerator = sorted(
        (nodes(path) for path in built.work.glob("partitions/*.onnx")), key=Counter.total
    )
    assert [kind for kind, *_ in (*first, *second)] == ["IODMA_hls"] * 2
    assert accelerator == wanted


def test_the_shell_has_the_clock_that_was_asked_for(built):
    asked = [each for each in words_of(built.scripts()["shell"]) if "CLKOUT1" in str(each)]
    assert f"CONFIG.CLKOUT1_REQUESTED_OUT_FREQ {CLOCK_MHZ}" in " ".join(asked[0]).replace("\\", "")


def test_it_goes_on_at_the_last_checkpoint(built):
    killed, slow = built.errors
    assert "not enough memory" in killed
    assert (
        "does not reach 187.5 MHz: its worst path is 0.250 ns too long; give --clock-mhz 179"
        in slow
    )
    assert "goes on where it stopped" in built.notes[1][0]
    (project,) = built.work.glob("vivado_zynq_proj_*")
    runs = project / "finn_zynq_link.runs"
    said = (runs / "impl_1" / "runme.log").read_text()
    assert [said.count(f"Starting {step}") for step in ("opt_design", "place_design")] == [1, 2]
    assert (runs / "synth_1" / "runme.log").read_text().count("Starting synth_design") == 1
    assert len(list(built.work.glob("code_gen_ipgen_*IODMA*"))) == 2  # made once each


def test_it_tells_steps_slack_and_resources_as_they_appear(built):
    first, second = (" / ".join(notes) for notes in built.notes)
    assert "impl_1: place_design / worst slack +0.412 ns, placed" in first
    assert "route_design" not in first
    assert "worst slack -0.250 ns, routed / impl_1: route_design took 00:00:07, 3.1 GiB" in second
    assert "placed: 7,123 LUT, 9,876 FF, 24 DSP, 25 BRAM18, 0 URAM" in second
    assert "synth_design" not in second  # told the first time


# ---- faults, which the stand-in must find --------------------------------------------------------


def run_again(
    built: Built, name: str, change: Callable[[str], str], folder: Path, **environment: str
) -> str:
    """Runs a script with a change in a new directory; what the stand-in says."""
    script = built.scripts()[name]
    text = script.read_text()
    changed = change(text)
    assert changed != text or environment, "the fault was not put in"
    project = folder / "project"
    shutil.copytree(
        script.parent / "data", project / "data"
    ) if name != "shell" else project.mkdir()
    (project / script.name).write_text(changed.replace(str(script.parent), str(project)))
    done = subprocess.run(
        [sys.executable, str(STANDIN / "vivado.py"), "-mode", "batch", "-source", script.name],
        cwd=project,
        env={
            "PATH": os.environ["PATH"],
            "XILINX_VIVADO": str(built.job.vivado.directory),
            "FINN_RTLLIB": str(built.work / "finn-rtllib"),
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode != 0) == bool(done.stdout), done.stderr
    return done.stdout


def replaced(pattern: str, by: str) -> Callable[[str], str]:
    """Changes the first line that matches."""
    return lambda text: re.sub(pattern, by, text, count=1, flags=re.MULTILINE)


def dropped(pattern: str) -> Callable[[str], str]:
    """Leaves out the first line that matches."""
    return replaced(rf"^.*{pattern}.*\n", "")


FAULTS = {
    "a file that is missing": (
        "accelerator", replaced(r"/fifo\.sv$", "/gone.sv"), "gone.sv' does not exist",
    ),
    "a source that is left out": (
        "accelerator",
        lambda text: re.sub(r"^add_files.*/thresholding\.sv\n", "", text, flags=re.MULTILINE),
        "module 'thresholding' not found",
    ),
    "a cell of no module": (
        "accelerator", replaced(r"-reference \S*Thresholding_rtl_0 ", "-reference nothing "),
        "no source has the module nothing",
    ),
    "a clock that is not connected": (
        "accelerator", dropped(r"ap_clk\] \[get_bd_pins \S*Thresholding_rtl_0/ap_clk"),
        "Thresholding_rtl_0/ap_clk is not connected",
    ),
    "a clock driven by the reset": (
        "accelerator",
        replaced(r"get_bd_ports ap_clk\] (.*Thresholding)", r"get_bd_ports ap_rst_n] \1"),
        "is driven by /ap_rst_n, no clock",
    ),
    "a reset that is not connected": (
        "accelerator", dropped(r"ap_rst_n\] \[get_bd_pins \S*Thresholding_rtl_0/ap_rst_n"),
        "Thresholding_rtl_0/ap_rst_n is not connected",
    ),
    "a stream that is not connected": (
        "accelerator", dropped(r"connect_bd_intf_net .*Thresholding_rtl_0/in0_V"),
        "Thresholding_rtl_0/in0_V is not connected",
    ),
    "weights that are not connected": (
        "accelerator", dropped(r"connect_bd_intf_net .*_wstrm/m_axis_0"),
        "in1_V is not connected",
    ),
    "a port that there is not": (
        "accelerator", replaced(r"(Thresholding_rtl_0/in)0_V\]", r"\g<1>7_V]"),
        "No interface pins matched",
    ),
    "a stream to two readers": (
        "accelerator",
        replaced(r"^(connect_bd_intf_net .*Thresholding_rtl_0/in0_V\])$", r"\1\n\1"),
        "is connected twice",
    ),
    "a command that there is not": (
        "accelerator", replaced(r"^save_bd_design", "safe_bd_design"),
        'invalid command name "safe_bd_design"',
    ),
    "an option that there is not": (
        "accelerator", replaced(r"-import_files", "-import_all"), "Unknown option '-import_all'",
    ),
    "a parameter that there is not": (
        "shell", replaced("CONFIG.USE_LOCKED", "CONFIG.USE_LOCK"), "has no parameter USE_LOCK",
    ),
    "a value that a parameter may not have": (
        "shell", replaced(r"CONFIG.PRIMITIVE \{PLL\}", "CONFIG.PRIMITIVE {DCM}"),
        "Value 'DCM' is out of the range for PRIMITIVE",
    ),
    "more masters than there can be": (
        "shell", replaced(r"^set NUM_AXIMM .*", "set NUM_AXIMM 17"),
        "Value '17' is out of the range for NUM_SI",
    ),
    "a master port too many": (
        "shell", replaced(r"^set NUM_AXILITE .*", "set NUM_AXILITE 3"),
        "axi_interconnect_0/M02_AXI is not connected",
    ),
    "a clock of the shell that is not connected": (
        "shell", dropped(r"get_bd_pins zynq_ps/saxihp0_fpd_aclk"),
        "zynq_ps/saxihp0_fpd_aclk is not connected",
    ),
    "an IP that nobody has": (
        "shell", replaced(r"-vlnv xilinx_finn:finn:\w+:1.0", "-vlnv xilinx_finn:finn:other:1.0"),
        "IP definition not found for VLNV: xilinx_finn:finn:other:1.0",
    ),
    "a directory of IP that is missing": (
        "shell", replaced(r"\[list /\S+", "[list /nowhere"), "no directory /nowhere",
    ),
    "addresses that overlap": (
        "shell", replaced(r"set axi_peripheral_base \[expr \$offset \+ \$range\]", ""),
        "overlap",
    ),
    "a DMA that is not connected to the accelerator": (
        "shell", dropped(r"connect_bd_intf_net .*idma0/m_axis_0"),
        "idma0/m_axis_0 is not connected",
    ),
    "a board that nobody has files of": (
        "shell", replaced("xilinx.com:zcu104:part0:1.1", "xilinx.com:zcu999:part0:1.1"),
        "The board_part definition was not found for xilinx.com:zcu999:part0:1.1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(built, tmp_path, fault):
    name, change, expected = FAULTS[fault]
    assert expected in run_again(built, name, change, tmp_path)


def wrapper_of(text: str, kind: str) -> Path:
    """The generated top of a node."""
    match = re.search(rf"add_files -norecurse (\S*{kind}\S*\.v)$", text, re.MULTILINE)
    assert match is not None
    return Path(match[1])


@pytest.mark.parametrize(
    ("kind", "pattern", "by", "expected"),
    [
        ("SdqMvuLut_rtl_0", r"\.MW\(", ".ROWS(", "sdq_mvu_lut has no parameter ROWS"),
        ("SdqMvuLut_rtl_0", r"weights\.dat", "other.dat", "other.dat, which is missing"),
        ("SdqElementwise_rtl_0", r"\bwire\b", "logic", "SystemVerilog (logic)"),
        ("Thresholding_rtl_0", r"parameter  PE = 1", "parameter  PE = 2", "bits wide, and"),
    ],
)
def test_a_fault_in_generated_verilog_is_found(built, tmp_path, kind, pattern, by, expected):
    def change(text: str) -> str:
        wrapper = wrapper_of(text, kind)
        source = wrapper.read_text()
        (tmp_path / wrapper.name).write_text(re.sub(pattern, by, source))
        assert re.search(pattern, source), "the fault was not put in"
        return text.replace(str(wrapper), str(tmp_path / wrapper.name))

    assert expected in run_again(built, "accelerator", change, tmp_path)


def test_without_the_environment_that_finn_expects(built, tmp_path):
    said = run_again(built, "accelerator", lambda text: text, tmp_path, FINN_RTLLIB="/nowhere")
    assert "no directory /nowhere/memstream" in said


@pytest.mark.parametrize("name", sorted(SHELLS))
def test_the_shell_of_every_board(built, tmp_path, name):
    board = load_board(name)

    def change(text: str) -> str:
        text = re.sub(r"^set BOARD .*", f"set BOARD {SHELLS[name]}", text, flags=re.MULTILINE)
        return re.sub(
            r"^set FPGA_PART .*", f"set FPGA_PART {board.part} ", text, flags=re.MULTILINE
        )

    assert run_again(built, "shell", change, tmp_path) == ""
    record = words_of(tmp_path / "project" / "ip_config.tcl")
    assert ["set_property", "board_part", board.board_part, "project"] in record
    assert pynq_part_map[SHELLS[name]] == board.part


def test_work_of_a_build_that_was_killed_is_waited_for(built, tmp_path):
    work = tmp_path / "vivado"
    with work.with_name(".vivado.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(StageError, match="Vivado is still at work in"):
            make_bitstream(built.job, work, tmp_path, SilentProgress())
    assert not work.exists()


def test_a_finished_project_is_not_made_again(built, tmp_path):
    """And its work is removed with success, for which this is the last test of it."""
    (project,) = built.work.glob("vivado_zynq_proj_*")
    report = project / "finn_zynq_link.runs" / "impl_1" / "top_wrapper_timing_summary_routed.rpt"
    report.write_text(report.read_text().replace("-0.25", "0.125"))
    said = (report.parent / "runme.log").read_text()
    make_bitstream(built.job, built.work, tmp_path, notes := Notes())
    figures = AchievedFigures.model_validate_json((tmp_path / "achieved.json").read_bytes())
    assert (figures.resources.lut, figures.timing.slack_ns) == (7123, 0.125)
    assert notes.lines == [f"Vivado goes on where it stopped, in {built.work}"]
    assert "route_design" in said
    assert not built.work.exists()
