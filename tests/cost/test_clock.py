"""The clock model: what it was fitted for, grades of parts, and that it errs on one side."""

import numpy as np
import pytest

from sdq_fpga.board import load_board, load_boards
from sdq_fpga.cost.clock import (
    clock_limit,
    clock_terms,
    grade_scale,
    node_mhz,
    read_clock_model,
)
from sdq_fpga.cost.clock_fit import TimedNode, fit_clock
from sdq_fpga.cost.features import MEMORY, TERMS
from sdq_fpga.cost.folding.solve import solve
from sdq_fpga.errors import StageError
from sdq_fpga.lower.describe import describe
from sdq_fpga.lower.hardware import to_hardware
from sdq_fpga.zoo.random_net import random_network
from tests.cost import nodes
from tests.lower.lowered import CLOCK_MHZ, read

PART = "xczu7ev-ffvc1156-2-e"


def test_every_node_has_a_model():
    assert set(read_clock_model().parts) == set(TERMS) - {MEMORY}


def test_grades():
    """Of one family they differ as in DS925; the reference is the slowest 7-series part."""
    fast, middle, slow = (grade_scale(f"xczu7ev-ffvc1156-{grade}-e") for grade in (3, 2, 1))
    assert fast < middle < slow < 1
    assert middle / slow == pytest.approx(645 / 775)
    assert grade_scale("xck26-sfvc784-2LV-c") == pytest.approx(slow * 645 / 644)
    assert grade_scale("xc7z020clg400-1") == 1
    assert grade_scale("xc7z020clg400-3") == grade_scale("xc7z020clg400-2") < 1
    assert grade_scale("strange") == 1


@pytest.fixture(scope="module")
def graphs():
    """Folded networks, of many operators."""
    board = load_board("zcu104")
    protos = [random_network(2), random_network(8)]
    plain = [describe(to_hardware(read(proto).network, board.dsp)) for proto in protos]
    return [solve(graph, board, CLOCK_MHZ, None, {}).graph for graph in plain]


@pytest.mark.parametrize("board", load_boards(), ids=lambda board: board.name)
def test_clocks_are_such_as_parts_have(board, graphs):
    for graph in graphs:
        for node in graph.nodes:
            assert 30 < node_mhz(node, board.part) < 900, node


def test_the_slowest_node_is_named(graphs):
    made = graphs[0].nodes
    clocks = {node.name: node_mhz(node, PART) for node in made}
    found = clock_limit(made, PART)
    assert found.mhz == clocks[found.node] == min(clocks.values())
    assert clock_limit(made, "xczu7ev-ffvc1156-1-e").mhz < found.mhz


def test_a_node_that_nobody_knows():
    with pytest.raises(StageError, match=r"no clock model of Strange_rtl \('Strange_rtl_0'\)"):
        node_mhz(nodes.node("Strange_rtl"), PART)


def timed(bits, depth, noise):
    """A FIFO whose longest path is a sum of what it has."""
    node = nodes.fifo(bits, 2, depth).with_attributes({"normal_shape": (1, 32)})
    terms = clock_terms(node)
    path = 2000 + 30 * terms["bits"] + 200 * terms["depth"] + noise
    return TimedNode(
        op=node.op,
        attributes=dict(node.attributes),
        inputs=1,
        outputs=1,
        narrow=False,
        inner=path,
        into=0,
        out=0,
        through=0,
    )


def test_a_fit_errs_on_one_side():
    rng = np.random.default_rng(0)
    shapes = [(int(rng.integers(1, 30)), int(rng.integers(2, 500))) for _ in range(60)]
    seen = [timed(*shape, float(rng.uniform(-100, 100))) for shape in shapes]
    (fit,) = fit_clock(seen, "test", [0]).parts.values()
    assert fit.nodes + fit.held_out == len(seen)
    assert fit.held_out > 0
    assert fit.held_out_slower <= 1
    assert 0 < fit.over < 0.1
    exact = fit_clock([timed(*shape, 0.0) for shape in shapes], "test", [0]).parts
    assert all(each.over < 0.02 for each in exact.values())


def test_what_is_between_two_others():
    node = timed(4, 16, 0.0)
    assert node.between(500, 700) == node.inner
    through = node.model_copy(update={"into": 1.0, "out": 2.0, "through": 10_000.0})
    assert through.between(500, 700) == 11_200
    assert node.model_copy(update={"out": 9_000.0}).between(500, 700) == 9_700
