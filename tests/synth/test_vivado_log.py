"""Vivado's logs: followed line by line, and its failures recognised.

The excerpts are of the form in which Vivado is known to print these messages.
"""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdq_fpga.errors import StageError
from sdq_fpga.synth.vivado_failures import last_error, recognise
from sdq_fpga.synth.vivado_log import LogFollower
from sdq_fpga.synth.vivado_reports import (
    read_achieved,
    read_timing,
    read_utilization_summary,
)

OVERFLOW = """\
Running DRC as a precondition to command place_design
ERROR: [DRC UTLZ-1] Resource utilization: LUT as Logic over-utilized in Top Level Design (This \
design requires more LUT as Logic cells than are available in the target device. This design \
requires 71984 of such cell types but only 53200 compatible sites are available in the target \
device. Please analyze your synthesis results and constraints.)
ERROR: [Vivado_Tcl 4-23] Error(s) found during DRC. Placer not run.
ERROR: [Common 17-39] 'place_design' failed due to earlier errors.
"""
BLOCK_RAM = """\
ERROR: [Place 30-640] Place Check : This design requires more RAMB36/FIFO cells than are available \
in the target device. This design requires 300 of such cell types but only 140 compatible sites \
are available in the target device.
"""
PACKING = """\
ERROR: [Place 30-487] The packing of instances into the device could not be obeyed. There are a \
total of 4200 slices in the pblock
"""
LICENCE = """\
Attempting to get a license for feature 'Synthesis' and/or device 'xczu9eg'
WARNING: [Common 17-348] Failed to get the license for feature 'Synthesis' and/or device 'xczu9eg'
ERROR: [Common 17-345] A valid license was not found for feature 'Synthesis' and/or device \
'xczu9eg'. Please run the Vivado License Manager for assistance in determining
"""
BOARD = """\
ERROR: [Board 49-71] The board_part definition was not found for tul.com.tw:pynq-z2:part0:1.0. The \
project's board_part property was not set, but the project's part property was set to \
xc7z020clg400-1. Valid board_part values can be retrieved with the 'get_board_parts' Tcl command.
"""
KILLED = """\
Finished Applying XDC Timing Constraints : Time (s): cpu = 00:02:51 ; elapsed = 00:10:51 .
Parent process (pid /opt/Xilinx/Vivado/2022.2/bin/loader: line 312: 14499 Killed           \
       "$RDI_PROG" "$@"
"""
FORK = "ERROR: [Common 17-179] Fork failed: Cannot allocate memory\n"
FULL = "ERROR: [Common 17-1294] Unable to create directory [/run/.Xil/Vivado-1]. No space left\n"
SOURCES = "ERROR: [HLS 207-3776] 'bnn-library.h' file not found (top.cpp:5:10)\n"
PART = "ERROR: [Coretcl 2-106] Specified part could not be found: 'xczu7ev-ffvc1156-2-e'.\n"


@pytest.mark.parametrize(
    ("text", "what", "fix"),
    [
        (OVERFLOW, "it needs 71,984 LUT as Logic of 53,200", "--budget"),
        (BLOCK_RAM, "it needs 300 RAMB36/FIFO of 140", "--target-fps"),
        (PACKING, "The packing of instances into the device", "--budget"),
        (LICENCE, "no licence for xczu9eg (Synthesis)", "XILINXD_LICENSE_FILE"),
        (BOARD, "no files of the board tul.com.tw:pynq-z2:part0:1.0", "finn deps update"),
        (KILLED, "not enough memory", "goes on at the last checkpoint"),
        (FORK, "not enough memory", "goes on at the last checkpoint"),
        (FULL, "the disk is full", "free some space"),
        (SOURCES, "its bnn-library.h is missing", "finn deps update"),
        (PART, "xczu7ev-ffvc1156-2-e is not installed", "installer"),
    ],
)
def test_known_failures_are_explained(text, what, fix):
    found = recognise(f"INFO: [Synth 8-7079] before\n{text}INFO: [Common 17-206] Exiting Vivado\n")
    assert found is not None
    assert what in found.what
    assert fix in found.fix
    assert "\n" not in found.what + found.fix


def test_a_process_that_was_killed_ran_out_of_memory():
    assert recognise("", -9) is not None
    assert recognise("", 137) is not None
    assert recognise("nothing", 1) is None


@given(st.text(alphabet=st.characters(codec="ascii"), max_size=300))
def test_other_text_is_not_mistaken(text):
    known = recognise(text)
    assert known is None or any(word in text.lower() for word in ("memory", "killed", "space"))


def test_the_last_error_is_not_the_consequence_of_another():
    assert last_error(OVERFLOW).startswith("[DRC UTLZ-1]")
    assert last_error("ERROR: [Vivado 12-13638] Failed runs(s) : 'impl_1'\n") is None


# ---- following -----------------------------------------------------------------------------------

RUNME = """\
Command: place_design
Starting Placer Task
INFO: [Place 30-611] Multithreading enabled for place_design using a maximum of 8 CPUs

Phase 1 Placer Initialization
INFO: [Place 30-746] Post Placement Timing Summary WNS=-0.412. For the most accurate timing
place_design completed successfully
place_design: Time (s): cpu = 00:01:42 ; elapsed = 00:00:36 . Memory (MB): peak = 3568.453 ; gain
Command: route_design
INFO: [Route 35-416] Intermediate Timing Summary | WNS=0.222  | TNS=0.000  | WHS=-0.473 | THS=-7 |
INFO: [Route 35-416] Intermediate Timing Summary | WNS=0.222  | TNS=0.000  | WHS=-0.400 | THS=-6 |
INFO: [Route 35-57] Estimated Timing Summary | WNS=0.037  | TNS=0.000  | WHS=0.010  | THS=0.000  |
"""
TOLD = [
    "impl_1: place_design",
    "worst slack -0.412 ns, placed",
    "impl_1: place_design took 00:00:36, 3.5 GiB of memory",
    "impl_1: route_design",
    "worst slack +0.222 ns, routed",
    "worst slack +0.037 ns, routed",
]


def log_in(folder: Path) -> Path:
    path = folder / "vivado_zynq_proj_x" / "finn_zynq_link.runs" / "impl_1" / "runme.log"
    path.parent.mkdir(parents=True)
    return path


@given(cuts=st.lists(st.integers(0, len(RUNME)), max_size=8))
def test_lines_are_told_once_however_the_log_grows(tmp_path_factory, cuts):
    folder = tmp_path_factory.mktemp("log")
    path, follower, told = log_in(folder), LogFollower(folder), []
    ends = [*sorted(cuts), len(RUNME)]
    for start, end in zip([0, *ends], ends, strict=False):
        with path.open("a") as file:
            file.write(RUNME[start:end])
        told += follower.news()
    assert told == TOLD


def test_a_log_that_is_begun_anew_is_read_from_its_start(tmp_path):
    path, follower = log_in(tmp_path), LogFollower(tmp_path)
    path.write_text(RUNME)
    assert len(list(follower.news())) == len(TOLD)
    path.write_text("Command: place_design\n")
    assert list(follower.news()) == ["impl_1: place_design"]


# ---- what was achieved ---------------------------------------------------------------------------

SERIES_7 = """
+----------------------------+-------+-------+------------+-----------+-------+
|          Site Type         |  Used | Fixed | Prohibited | Available | Util% |
+----------------------------+-------+-------+------------+-----------+-------+
| Slice LUTs                 | 12345 |     0 |          0 |     53200 | 23.20 |
|   LUT as Logic             | 11000 |     0 |          0 |     53200 | 20.68 |
| Slice Registers            | 23456 |     0 |          0 |    106400 | 22.05 |
| Block RAM Tile             |  10.5 |     0 |          0 |       140 |  7.50 |
| DSPs                       |    24 |     0 |          0 |       220 | 10.91 |
"""
ULTRASCALE = """
| CLB LUTs*                  |  7123 |     0 |          0 |    230400 |  3.09 |
| CLB Registers              |  9876 |     0 |          0 |    460800 |  2.14 |
| Block RAM Tile             |    12 |     0 |          0 |       312 |  4.01 |
| URAM                       |     3 |     0 |          0 |        96 |  3.12 |
| DSPs                       |    24 |     0 |          0 |      1728 |  1.39 |
"""
TIMING = """
| Design Timing Summary
    WNS(ns)      TNS(ns)  TNS Failing Endpoints  TNS Total Endpoints      WHS(ns)      THS(ns)
    -------      -------  ---------------------  -------------------      -------      -------
     {slack}        0.000                      0                20412        0.010        0.000

Clock                        Waveform(ns)       Period(ns)      Frequency(MHz)
-----                        ------------       ----------      --------------
clk_pl_0                     {{0.000 5.000}}      10.000          100.000
  clk_out1_top_clk_wiz_0_0   {{0.000 2.667}}      5.333           187.512
"""
INTRA = """
------------------------------------------------------------------------------------------------
| Intra Clock Table
| -----------------
------------------------------------------------------------------------------------------------

Clock                            WNS(ns)      TNS(ns)  TNS Failing Endpoints  TNS Total Endpoints
-----                            -------      -------  ---------------------  -------------------
clk_pl_0                           7.013        0.000                      0                  311
  clk_out1_top_clk_wiz_0_0        -0.120       -1.004                     12                20101

------------------------------------------------------------------------------------------------
| Inter Clock Table
| -----------------
------------------------------------------------------------------------------------------------

From Clock                   To Clock                         WNS(ns)      TNS(ns)
----------                   --------                         -------      -------
clk_pl_0                     clk_out1_top_clk_wiz_0_0          -1.500       -9.000
"""


def test_utilization_of_both_families():
    found = read_utilization_summary(SERIES_7)
    assert found is not None
    assert (found.lut, found.ff, found.dsp, found.bram18, found.uram) == (12345, 23456, 24, 21, 0)
    found = read_utilization_summary(ULTRASCALE)
    assert found is not None
    assert (found.lut, found.ff, found.dsp, found.bram18, found.uram) == (7123, 9876, 24, 24, 3)
    assert read_utilization_summary(ULTRASCALE[: len(ULTRASCALE) // 2]) is None


@pytest.mark.parametrize("slack", [0.037, -0.25, 0.0])
def test_timing(slack):
    found = read_timing(TIMING.format(slack=slack), 5.4)
    assert found.slack_ns == slack
    assert found.clock_mhz == 187.512
    assert found.fastest_mhz == pytest.approx(1e3 / (5.333 - slack), abs=1e-3)


def test_slack_within_the_clock_is_told_from_that_between_clocks():
    found = read_timing(TIMING.format(slack=-1.5) + INTRA, 5.4)
    assert (found.slack_ns, found.clock_slack_ns) == (-1.5, -0.12)
    assert read_timing(TIMING.format(slack=-1.5), 5.4).clock_slack_ns is None
    lines = (TIMING.format(slack=0.2) + INTRA).replace("clk_out1_top_clk_wiz_0_0", "ap_clk")
    assert read_timing(lines, 5.4).clock_slack_ns is None  # of two clocks that nobody knows
    only = "\n".join(line for line in lines.splitlines() if not line.startswith("clk_pl_0"))
    found = read_timing(only, 5.4)
    assert (found.clock_mhz, found.clock_slack_ns) == (187.512, -0.12)


def test_timing_without_a_clock_of_that_name():
    text = TIMING.format(slack=0.1).replace("clk_out1", "other")
    found = read_timing(text, 5.0)
    assert found.clock_mhz is None
    assert found.fastest_mhz == pytest.approx(1e3 / 4.9, abs=1e-3)


def test_reports_that_are_missing_or_damaged_are_named(tmp_path):
    with pytest.raises(StageError, match=r"no report \*_utilization_placed"):
        read_achieved(tmp_path, 5.0)
    (tmp_path / "top_wrapper_utilization_placed.rpt").write_text(ULTRASCALE)
    with pytest.raises(StageError, match=r"no report \*_timing_summary_routed"):
        read_achieved(tmp_path, 5.0)
    (tmp_path / "top_wrapper_timing_summary_routed.rpt").write_text("nothing")
    with pytest.raises(StageError, match="states no slack"):
        read_achieved(tmp_path, 5.0)
    (tmp_path / "top_wrapper_timing_summary_routed.rpt").write_text(TIMING.format(slack=0.1))
    assert read_achieved(tmp_path, 5.0).resources.uram == 3


def test_what_was_logged_before_is_not_told_again(tmp_path):
    path = log_in(tmp_path)
    path.write_text(LICENCE)
    follower = LogFollower(tmp_path)
    # Vivado keeps its log of before under another name, and begins a longer one.
    path.rename(path.with_name("runme_123.backup.log"))
    path.write_text(RUNME + OVERFLOW)
    assert list(follower.news())[: len(TOLD)] == TOLD
    assert "Common 17-345" not in follower.text()
    known = recognise(follower.text())
    assert known is not None
    assert "does not fit" in known.what
