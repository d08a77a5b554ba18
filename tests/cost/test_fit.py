"""Fitting, on nodes whose figures are made of known coefficients."""

import gzip
from pathlib import Path

import pytest

from sdq_fpga.cost.features import MEMORY, parts_of
from sdq_fpga.cost.fit import fit_model, network_totals
from sdq_fpga.cost.fitted import read_model
from sdq_fpga.cost.measured import Amounts, MeasuredNode, append_measured, read_measured
from sdq_fpga.cost.resources import node_resources
from tests.cost import nodes

PER_LUT, PER_FF = 1.25, 1.5
FAMILIES = ("xcup", "xc7")
RECORDS = Path(__file__).parents[2] / "benchmarks" / "data" / "resources"


def measured(node, family="xcup"):
    """A node whose structures all take the same number of LUTs, and of flip-flops."""
    amounts = {
        name: Amounts(
            lut=round(PER_LUT * sum(terms.lut.values())),
            ff=round(PER_FF * sum(terms.ff.values())),
            dsp=terms.dsp,
            bram18=terms.bram18,
            uram=terms.uram,
        )
        for name, terms in parts_of(node, family).items()
    }
    return MeasuredNode.of("example", node, amounts[node.op], amounts.get(MEMORY))


NODES = [
    nodes.matrix(a, w, rows, columns, pe, simd)
    for a, w in ((2, 2), (3, 5), (8, 4), (8, 8))
    for rows, columns in ((27, 16), (72, 8), (144, 64))
    for pe in (1, 4, 8)
    for simd in (1, 3, 9)
]


def test_known_coefficients_are_found():
    model = fit_model({"xcup": map(measured, NODES)}, "xcup", "a tool", [7])
    assert (model.family, model.tool, model.seeds) == ("xcup", "a tool", (7,))
    assert set(model.parts) == {"MVAU_rtl", MEMORY}
    for fit in model.parts.values():
        assert fit.nodes > 2 * fit.held_out > 0
        assert max(fit.lut_error, fit.lut_error_held_out) < 0.05
        assert max(fit.ff_error, fit.ff_error_held_out) < 0.05
        assert (fit.dsp_exact, fit.ram_exact) == (1, 1)
    assert min(model.parts["MVAU_rtl"].lut.values()) >= 0


def test_the_nodes_of_another_family_help():
    """They are described by terms of their own family, and count like any other."""
    found = {"xc7": [measured(node, "xc7") for node in NODES], "xcup": [measured(NODES[0])]}
    model = fit_model(found, "xcup", "a tool")
    fit = model.parts["MVAU_rtl"]
    assert fit.nodes > 60
    assert fit.held_out > 1
    assert fit.nodes + fit.held_out == len(NODES) + 1
    node = nodes.matrix(6, 6, 64, 32, 4, 4)
    expected = measured(node).total
    assert node_resources(node, "xcup", model).lut == pytest.approx(expected.lut, rel=0.1)


def test_totals_of_a_network():
    network = [measured(node) for node in NODES[:5]]
    model = fit_model({"xcup": map(measured, NODES)}, "xcup", "a tool")
    totals = network_totals(network, model, fitted=True)
    assert totals.fitted
    assert totals.dsp[0] == totals.dsp[1] == sum(each.total.dsp for each in network)
    assert totals.lut[1] == sum(each.total.lut for each in network)
    assert totals.lut[0] == pytest.approx(totals.lut[1], rel=0.05)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_model_that_ships_is_the_fit_of_the_records_that_ship(family):
    shipped = read_model(family)
    nodes = {each: read_measured(RECORDS / f"{each}.jsonl.gz") for each in FAMILIES}
    model = fit_model(nodes, family, shipped.tool, shipped.seeds)
    assert model.nodes == shipped.nodes
    for name, fit in shipped.parts.items():
        found = model.parts[name]
        assert (found.nodes, found.held_out) == (fit.nodes, fit.held_out)
        assert found.lut == pytest.approx(fit.lut, abs=0.01), name
        assert found.ff == pytest.approx(fit.ff, abs=0.01), name
        assert found.lut_error_held_out == pytest.approx(fit.lut_error_held_out, abs=0.01)


def test_a_compressed_file_is_read(tmp_path):
    plain, packed = tmp_path / "nodes.jsonl", tmp_path / "nodes.jsonl.gz"
    assert read_measured(packed) == []
    append_measured(plain, map(measured, NODES[:3]))
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read_measured(packed) == read_measured(plain)


def test_a_file_that_was_cut_off_is_read_up_to_there(tmp_path):
    path = tmp_path / "nodes.jsonl"
    assert read_measured(path) == []
    first = [measured(node) for node in NODES[:3]]
    append_measured(path, first)
    append_measured(path, [measured(NODES[3])])
    assert read_measured(path) == [*first, measured(NODES[3])]
    text = path.read_text()
    path.write_text(text[:-20])
    assert read_measured(path) == first
    append_measured(path, [measured(NODES[4])])
    assert read_measured(path) == [*first, measured(NODES[4])]
    path.write_text("{\n" + text)
    with pytest.raises(ValueError, match="Expecting"):
        read_measured(path)
