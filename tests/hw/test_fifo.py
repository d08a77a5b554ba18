"""FINN's FIFOs, as the lowering makes them, of every kind of memory."""

from finn.util.basic import getHWCustomOp
from hypothesis import given
from hypothesis import strategies as st

from sdq_fpga.board import load_board
from sdq_fpga.cost.streams import LEAST_DEPTH
from sdq_fpga.lower.streams import set_depths
from tests.hw.farm import Edges, Stitched, farms, one_farm
from tests.hw.test_pool import RANGE, draw_values

# Where fifo.sv goes from one kind of memory to another, or needs more of it.
TURNS = [5, 34, 65, 258, 514, 1026, 1538, 2029, 2500, 4114]
WITH_URAM, WITHOUT = load_board("zcu104"), load_board("pynq-z1")


@st.composite
def cases(draw):
    """How deep, on which board, and frames of as many beats as go into the FIFO."""
    depth = draw(st.integers(LEAST_DEPTH, 70) | st.sampled_from(TURNS))
    if depth in TURNS:
        depth += draw(st.integers(-2, 2))
    name, elements = draw(st.sampled_from(sorted(RANGE))), draw(st.integers(1, 6))
    frames = draw_values(draw, name, (3, depth, 1, elements))
    return depth, draw(st.sampled_from([WITH_URAM, WITHOUT])), name, frames


def fifos(drawn, work):
    edges, inputs, expected, said = Edges(), {}, {}, {}
    for depth, board, name, frames in drawn:
        _, beats, _, elements = frames.shape
        source, sink = edges.fifo((1, beats, 1, 1, elements), name)
        inputs[source], expected[sink] = frames, frames
        said[sink] = f"depth {depth}, {elements} of {name}, {board.name}"
    nodes = edges.model.get_nodes_by_op_type("StreamingFIFO_rtl")
    depths = {node.name: depth for node, (depth, *_) in zip(nodes, drawn, strict=True)}
    styles = {}
    for board in (WITH_URAM, WITHOUT):
        set_depths(edges.model, depths, board)
        styles[board.name] = [getHWCustomOp(node).get_nodeattr("ram_style") for node in nodes]
    for number, (node, (_, board, *_)) in enumerate(zip(nodes, drawn, strict=True)):
        getHWCustomOp(node).set_nodeattr("ram_style", styles[board.name][number])
    return Stitched(edges.model, inputs, expected, work, said)


@one_farm
@given(farms(cases(), 20), st.integers(0, 2**31))
def test_beats_keep_their_order(tmp_path_factory, drawn, seed):
    farm = fifos(drawn, tmp_path_factory.mktemp("farm"))
    farm.check(seed)
    # Filled to the brim, then drained, and reset while full.
    late = 20 + max(depth for depth, *_ in drawn) * 3
    farm.run(late=late, seed=seed)
    farm.run(late=late, seed=seed, reset=late - 9)
    for index, (depth, *_) in enumerate(drawn):
        # The first frame is as long as the FIFO is deep: it must go in before anything leaves.
        _, last_in, first_out, _ = farm.alone(index, late=2 * depth + 20).frames[0]
        assert last_in < first_out, farm.said[farm.design.outputs[index].tensor]
