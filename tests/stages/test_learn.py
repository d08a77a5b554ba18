"""sdq-fpga learn: what Vivado found for a run's nodes, kept to fit the hardware model on."""

import json

import pytest

from sdq_fpga.cost.measured import read_measured

HEAD = "| Instance | Module | Total LUTs | FFs | RAMB36 | RAMB18 | URAM | DSP Blocks |"


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
    assert found["found"]["lut"] == 11 * len(kept)
    assert found["predicted"]["lut"] == folding["resources"]["lut"]
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
