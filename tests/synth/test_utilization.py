"""Hierarchical utilization reports of Vivado."""

import pytest

from sdq_fpga.cost.measured import Amounts
from sdq_fpga.errors import StageError
from sdq_fpga.synth.utilization import measured_nodes, read_utilization
from tests.cost import nodes

# Written by hand, in the format of report_utilization -hierarchical of Vivado 2022.2.
REPORT = """\
Copyright 1986-2022 Xilinx, Inc. All Rights Reserved.
---------------------------------------------------------------------------------------------
| Tool Version : Vivado v.2022.2 (lin64) Build 3671981 Fri Oct 14 04:59:54 MDT 2022
| Command      : report_utilization -hierarchical -file utilization.rpt
| Design       : sdq_fpga_top
| Device       : xczu7ev-ffvc1156-2-e
| Design State : Synthesized
---------------------------------------------------------------------------------------------

Utilization Design Information

Table of Contents
-----------------
1. Utilization by Hierarchy

1. Utilization by Hierarchy
---------------------------

+----------------------+--------------------+------------+------------+---------+------+------+--------+--------+------+------------+
|       Instance       |       Module       | Total LUTs | Logic LUTs | LUTRAMs | SRLs |  FFs | RAMB36 | RAMB18 | URAM | DSP Blocks |
+----------------------+--------------------+------------+------------+---------+------+------+--------+--------+------+------------+
| sdq_fpga_top         |              (top) |        431 |        321 |      44 |   66 | 1102 |      2 |      3 |    1 |          9 |
|   (sdq_fpga_top)     |              (top) |          2 |          2 |       0 |    0 |    3 |      0 |      0 |    0 |          0 |
|   MVAU_rtl_0_inst    |         MVAU_rtl_0 |        180 |        134 |      12 |   34 |  443 |      0 |      0 |    0 |          9 |
|     core             |            mvu_axi |        170 |        124 |      12 |   34 |  440 |      0 |      0 |    0 |          9 |
|   MVAU_rtl_0_memory  | MVAU_rtl_0_mem...r |        230 |        166 |      32 |   32 |  622 |      2 |      1 |    0 |          0 |
|   StreamingFIFO_rtl_0_inst | StreamingFIFO |         19 |         19 |       0 |    0 |   34 |      0 |      2 |    1 |          0 |
+----------------------+--------------------+------------+------------+---------+------+------+--------+--------+------+------------+
* Note: The sum of lower-level cells may be larger than their parent cells total, due to cross-hierarchy LUT combining

"""  # noqa: E501


def test_rows_are_found_by_their_path():
    found = read_utilization(REPORT)
    assert list(found) == [
        "sdq_fpga_top",
        "sdq_fpga_top/MVAU_rtl_0_inst",
        "sdq_fpga_top/MVAU_rtl_0_inst/core",
        "sdq_fpga_top/MVAU_rtl_0_memory",
        "sdq_fpga_top/StreamingFIFO_rtl_0_inst",
    ]
    assert found["sdq_fpga_top"] == Amounts(lut=431, ff=1102, dsp=9, bram18=7, uram=1)
    assert found["sdq_fpga_top/MVAU_rtl_0_inst/core"].lut == 170


def test_nodes_and_memories_are_put_together(tmp_path):
    path = tmp_path / "utilization.rpt"
    path.write_text(REPORT)
    matrix, fifo = nodes.matrix(8, 4, 27, 8, 1, 9), nodes.fifo(8, 1, 600, "block")
    unit, queue = measured_nodes([matrix, fifo], path, "sdq_fpga_top", "example")
    assert unit.origin == "example"
    assert unit.found == Amounts(lut=180, ff=443, dsp=9)
    assert unit.memory == Amounts(lut=230, ff=622, bram18=5)
    assert unit.total == Amounts(lut=410, ff=1065, dsp=9, bram18=5)
    assert (unit.node.op, unit.node.integer("SIMD")) == ("MVAU_rtl", 9)
    assert queue.memory is None
    assert queue.found == Amounts(lut=19, ff=34, bram18=2, uram=1)


def test_a_report_of_the_7_series_with_percentages():
    text = (
        REPORT.replace(" URAM | DSP Blocks |", " DSP48 Blocks |")
        .replace("|    1 |          9 |", "| 9(4.09%) |")
        .replace("|    0 |          0 |", "| 0(0.00%) |")
        .replace("|    0 |          9 |", "| 9(4.09%) |")
        .replace("|    1 |          0 |", "| 0(0.00%) |")
    )
    found = read_utilization(text)
    assert found["sdq_fpga_top"] == Amounts(lut=431, ff=1102, dsp=9, bram18=7, uram=0)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Instance", "Site Type", "no table of instances"),
        ("Total LUTs", "Some LUTs", "no column Total LUTs or CLB LUTs"),
        ("        431 ", "       many ", "'many' for sdq_fpga_top"),
        ("        431 ", "      431.5 ", "'431.5' for sdq_fpga_top"),
        ("        431 ", "      1,431 ", "'1,431' for sdq_fpga_top"),
    ],
)
def test_refusals(old, new, message):
    with pytest.raises(StageError, match=message):
        read_utilization(REPORT.replace(old, new))


def test_a_node_without_a_row_is_named(tmp_path):
    path = tmp_path / "utilization.rpt"
    path.write_text(REPORT)
    with pytest.raises(StageError, match="no row for SdqPad_rtl_0 below sdq_fpga_top"):
        measured_nodes([nodes.elements("SdqPad_rtl", 4, 1)], path, "sdq_fpga_top", "example")
    with pytest.raises(StageError, match="can't be read"):
        measured_nodes([], tmp_path / "none.rpt", "sdq_fpga_top", "example")


@pytest.mark.parametrize("name", ["MVAU_rtl_0_inst", "MVAU_rtl_0"])
def test_the_instance_that_has_the_nodes_is_found(tmp_path, name):
    # As in a shell, and as FINN's block design calls the instances of nodes.
    text = REPORT.replace("MVAU_rtl_0_inst   ", name.ljust(18)).replace("_rtl_0_inst |", "_rtl_0 |")
    text = text.replace("| sdq_fpga_top         |", "| top_wrapper          |")
    path = tmp_path / "utilization.rpt"
    path.write_text(text)
    matrix, fifo = nodes.matrix(8, 4, 27, 8, 1, 9), nodes.fifo(8, 1, 600, "block")
    unit, queue = measured_nodes([matrix, fifo], path, None, "example")
    assert unit.found == Amounts(lut=180, ff=443, dsp=9)
    assert queue.found == Amounts(lut=19, ff=34, bram18=2, uram=1)
    with pytest.raises(StageError, match="no row for any node"):
        measured_nodes([nodes.elements("SdqPad_rtl", 4, 1)], path, None, "example")
