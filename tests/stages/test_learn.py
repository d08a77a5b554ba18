"""sdq-fpga learn: what Vivado found for a run's nodes, kept to fit the hardware model on."""

import json

import pytest

from sdq_fpga.cost.clock import read_clock_model
from sdq_fpga.cost.clock_measured import corrected
from sdq_fpga.cost.measured import read_clocks, read_measured

HEAD = "| Instance | Module | Total LUTs | FFs | RAMB36 | RAMB18 | URAM | DSP Blocks |"

TIMING = """
------------------------------------------------------------------------------------------------
| Design Timing Summary
| ---------------------
------------------------------------------------------------------------------------------------

    WNS(ns)      TNS(ns)  TNS Failing Endpoints  TNS Total Endpoints      WHS(ns)      THS(ns)
    -------      -------  ---------------------  -------------------      -------      -------
     {slack}        0.000                      0                20412        0.010        0.000

------------------------------------------------------------------------------------------------
| Clock Summary
| -------------
------------------------------------------------------------------------------------------------

Clock   Waveform(ns)         Period(ns)      Frequency(MHz)
-----   ------------         ----------      --------------
ap_clk  {{0.000 2.000}}        4.000           250.000
"""


def report_of(run, tops, lut):
    """A hierarchical report as Vivado writes it, with so many LUTs for each node of the run."""
    nodes = json.loads((run / "size" / "folding.json").read_text())["nodes"]
    rows = [HEAD]
    for level, name in enumerate(tops):
        rows.append(f"| {'  ' * level}{name} | (top) | 99999 | 1 | 0 | 0 | 0 | 0 |")
    for node in nodes:
        name = "  " * len(tops) + node["name"]
        rows.append(f"| {name} | {node['op']} | {lut} | {2 * lut} | 1 | 1 | 0 | 3 |")
    return "Utilization by Hierarchy\n" + "\n".join(rows) + "\n"


def test_nodes_are_kept_once(tiny_build, tmp_path):
    terminal, _ = tiny_build
    run = terminal.root / "work" / "runs" / "tiny-zcu104"
    report, data = tmp_path / "utilization.rpt", tmp_path / "xcup.jsonl"
    report.write_text(report_of(run, ["top_wrapper", "top_i", "accelerator"], 11))
    stated = ("learn", str(run), "--report", str(report), "--data", str(data))
    done = terminal.call(*stated, "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    kept = read_measured(data)
    folding = json.loads((run / "size" / "folding.json").read_text())
    assert [node.name for node in kept] == [node["name"] for node in folding["nodes"]]
    assert {node.origin for node in kept} == {found["origin"]}
    assert all(node.total.lut == 11 and node.total.bram18 == 3 for node in kept)
    assert found["nodes"]["count"] == len(kept)
    assert found["nodes"]["found"]["lut"] == 11 * len(kept)
    assert found["nodes"]["predicted"]["lut"] == folding["resources"]["lut"]
    assert found["clock"] is None
    before = data.read_bytes()
    done = terminal.call(*stated)
    assert done.code == 2
    assert "already" in done.err
    assert data.read_bytes() == before


@pytest.mark.parametrize("text", ["", "| Instance | Module |\n", HEAD + "\n| top | (top) |\n"])
def test_a_report_of_something_else_is_named_and_nothing_kept(tiny_build, tmp_path, text):
    terminal, _ = tiny_build
    run = terminal.root / "work" / "runs" / "tiny-zcu104"
    report, data = tmp_path / "utilization.rpt", tmp_path / "xcup.jsonl"
    report.write_text(text)
    done = terminal.call("learn", str(run), "--report", str(report), "--data", str(data))
    assert done.code == 1
    assert str(report) in done.err
    assert not data.exists()


def test_a_clock_that_was_missed_lowers_what_is_foretold(tiny_build, tmp_path):
    terminal, _ = tiny_build
    run = terminal.root / "work" / "runs" / "tiny-zcu104"
    timing, data = tmp_path / "timing.rpt", tmp_path / "xcup.jsonl"
    timing.write_text(TIMING.format(slack=-16.0))
    stated = ("learn", str(run), "--timing", str(timing), "--data", str(data))
    done = terminal.call(*stated)
    assert done.code == 0, done.err
    said = " ".join(done.out.split())
    assert "clock: 50 MHz achieved (250 MHz asked for, slack -16.000 ns)" in said
    assert not data.exists()
    (clock,) = read_clocks(tmp_path / "xcup.clocks.jsonl")
    assert clock.part == "xczu7ev-ffvc1156-2-e"
    assert clock.foretold.mhz > 50
    assert clock.by(corrected(read_clock_model(), [clock])) == pytest.approx(50)
    done = terminal.call(*stated)
    assert done.code == 2
    assert "has the clock of" in done.err


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        (None, 2, "there is nothing of Vivado's to keep"),
        ("", 1, "states no slack"),
        (TIMING.format(slack=0.1).replace("ap_clk", "a b"), 1, "which of its clocks"),
    ],
)
def test_what_is_no_clock_is_named_and_nothing_kept(tiny_build, tmp_path, text, code, says):
    terminal, _ = tiny_build
    run = terminal.root / "work" / "runs" / "tiny-zcu104"
    stated = ["learn", str(run), "--data", str(tmp_path / "xcup.jsonl")]
    if text is not None:
        (tmp_path / "timing.rpt").write_text(text)
        stated += ["--timing", str(tmp_path / "timing.rpt")]
    done = terminal.call(*stated)
    assert done.code == code
    assert says in done.err
    assert not list(tmp_path.glob("*.jsonl"))
