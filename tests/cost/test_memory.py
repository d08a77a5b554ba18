"""Resources of memories: LUTs of shallow ones, block RAMs of deep ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdq_fpga.board import load_board
from sdq_fpga.cost.folding import USABLE_SHARE, FoldedNode, Folding, Resources
from sdq_fpga.cost.memory import memory_resources

WIDTHS, WORDS = st.integers(1, 600), st.integers(1, 40_000)


@pytest.mark.parametrize(
    ("width", "words", "lut", "bram18"),
    [
        (8, 1, 0, 0),  # a constant
        (8, 2, 8, 0),
        (8, 64, 8, 0),
        (8, 65, 0, 1),
        (36, 512, 0, 1),
        (37, 512, 0, 2),
        (36, 513, 0, 2),
        (18, 1024, 0, 1),
        (9, 2048, 0, 1),
        (4, 4096, 0, 1),
        (2, 8192, 0, 1),
        (1, 16384, 0, 1),
        (1, 16385, 0, 2),
    ],
)
def test_known_figures(width, words, lut, bram18):
    assert memory_resources(width, words) == Resources(lut=lut, bram18=bram18, uram=0, dsp=0)


@pytest.mark.parametrize(
    ("style", "lut", "bram18", "uram"),
    [("distributed", 1280, 0, 0), ("block", 0, 5, 0), ("ultra", 0, 0, 2)],
)
def test_a_style_that_is_asked_for(style, lut, bram18, uram):
    found = memory_resources(80, 1000, style)
    assert found == Resources(lut=lut, bram18=bram18, uram=uram, dsp=0)


@given(WIDTHS, WORDS)
def test_it_is_one_kind_of_memory_and_large_enough(width, words):
    found = memory_resources(width, words)
    assert not (found.lut and found.bram18)
    if found.bram18:
        assert found.bram18 * 18 * 1024 >= width * words
    elif words > 1:
        assert found.lut * 64 >= width * words


@given(WIDTHS, WORDS, st.integers(0, 20), st.integers(0, 2000))
def test_more_words_or_bits_never_take_fewer_of_the_same(width, words, wider, deeper):
    less, more = memory_resources(width, words), memory_resources(width + wider, words + deeper)
    assert more.bram18 >= less.bram18
    assert more.lut >= less.lut or more.bram18 > 0


def test_resources_add_up():
    one = Resources(lut=1, bram18=2, uram=3, dsp=4)
    other = Resources(lut=5, bram18=0, uram=1, dsp=9)
    assert one + other == Resources(lut=6, bram18=2, uram=4, dsp=13)


def test_what_is_over_budget_is_named():
    board = load_board("pynq-z2")
    dsp = int(board.budget.dsp * USABLE_SHARE)
    for used, named in ((dsp, []), (dsp + 1, [f"dsp ({dsp + 1} of {dsp} usable)"])):
        resources = Resources(lut=0, bram18=0, uram=0, dsp=used)
        node = FoldedNode(name="n", op="o", pe=1, simd=1, cycles=1, resources=resources)
        folding = Folding(nodes=(node,), interval=1, bottleneck="n", resources=resources)
        assert folding.over_budget(board, {}) == named
