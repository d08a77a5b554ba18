"""FINN's width converters, as the lowering puts them on an edge."""

import math

from hypothesis import given
from hypothesis import strategies as st

from sdq_fpga.cost.folding.choices import divisors
from tests.hw.farm import Edges, Stitched, farms, one_farm
from tests.hw.test_pool import RANGE, draw_values


@st.composite
def cases(draw):
    """Shapes of both ends, folded, and frames; whole multiples of each other or not."""
    outer = draw(st.sampled_from([(1,), (1, 1, 1), (1, 2, 3)]))
    channels = draw(st.sampled_from([2, 3, 4, 6, 8, 10, 12, 15, 16, 18, 24, 30]))
    have = draw(st.sampled_from(divisors(channels)))
    # A reader of the flattened image may take beats across pixels.
    values = math.prod(outer) * channels if draw(st.integers(0, 3)) == 0 else channels
    wanted = draw(st.sampled_from([each for each in divisors(values) if each != have]))
    name = draw(st.sampled_from(sorted(RANGE)))
    frames = draw_values(draw, name, (draw(st.integers(2, 4)), *outer[1:], channels))
    into = outer if values == channels else (1,)
    return (*outer, channels // have, have), (*into, values // wanted, wanted), name, frames


def converters(drawn, work):
    edges, inputs, expected, said = Edges(), {}, {}, {}
    for have, wanted, name, frames in drawn:
        source, sink = edges.converter(have, wanted, name)
        shape = (*wanted[1:-2], wanted[-2] * wanted[-1])
        inputs[source], expected[sink] = frames, frames.reshape(len(frames), *shape)
        said[sink] = f"{have} to {wanted} of {name}"
    return Stitched(edges.model, inputs, expected, work, said)


@one_farm
@given(farms(cases(), 16), st.integers(0, 2**31))
def test_values_keep_their_order(tmp_path_factory, drawn, seed):
    converters(drawn, tmp_path_factory.mktemp("farm")).check(seed)
