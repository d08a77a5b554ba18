"""Where Yosys puts memories; the figures are those of syntheses of whole networks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdq_fpga.cost.placement import Access, Kind, distinct_bits, place, rom_luts

ONE, TWO, READ = Access.ONE, Access.TWO, Access.READ


@pytest.mark.parametrize(
    ("words", "width", "padding", "part", "access", "bram18"),
    [
        (32768, 18, 6, "xc7", ONE, 36),  # six blocks hold padding only, and are not built
        (32768, 8, 0, "xc7", ONE, 16),
        (8192, 128, 0, "xc7", ONE, 60),  # columns share blocks
        (1280, 4, 4, "xc7", ONE, 1),
        (192, 384, 0, "xc7", ONE, 11),
        (252, 16, 0, "xc7", TWO, 1),
        (1024, 13, 0, "xc7", READ, 1),
        (2048, 13, 0, "xc7", READ, 2),
    ],
)
def test_block_rams(words, width, padding, part, access, bram18):
    found = place(words, width, part, access=access, padding=padding)
    assert (found.kind, found.bram18, found.lut) == (Kind.BLOCK, bram18, 0)


@pytest.mark.parametrize(
    ("words", "width", "part", "access", "kind", "lut"),
    [
        (24, 504, "xcup", ONE, Kind.LUT_RAM, 256),  # 16 bits of 32 words in 8 LUTs
        (36, 1024, "xc7", ONE, Kind.LUT_RAM, 1024),
        (201, 8, "xc7", TWO, Kind.LUT_RAM, 48),
        (496, 4, "xc7", TWO, Kind.LUT_RAM, 64),
        (240, 12, "xcup", TWO, Kind.LUT_RAM, 64),  # a tie but for its fraction
        (512, 12, "xc7", READ, Kind.TABLE, 96),
        (2, 2, "xcup", TWO, Kind.REGISTERS, 0),
    ],
)
def test_luts(words, width, part, access, kind, lut):
    found = place(words, width, part, access=access)
    assert (found.kind, found.lut, found.bram18) == (kind, lut, 0)


@pytest.mark.parametrize(
    ("words", "width", "uram"),
    [
        (4096, 8, 1), (8192, 32, 1), (8192, 36, 1), (3000, 72, 1), (1500, 144, 1), (2048, 200, 2),
        (5000, 100, 3), (16384, 16, 1), (12000, 24, 1), (9000, 40, 2), (2049, 144, 2),
        (600, 288, 2),
    ],
)  # fmt: skip
def test_ultra_rams(words, width, uram):
    """Of a single address: two narrow words may share one, and one may have double width."""
    assert place(words, width, "xcup", style="ultra", access=ONE).uram == uram


@pytest.mark.parametrize(
    ("words", "width", "lut"),
    [(257, 8, 64), (512, 8, 64), (513, 6, 72), (1000, 12, 192), (2304, 12, 432), (256, 8, 32)],
)
def test_deep_memories_that_ask_for_luts(words, width, lut):
    assert place(words, width, "xcup", style="distributed", access=ONE).lut == lut


def test_what_is_asked_for():
    assert place(64, 8, "xcup", style="block").bram18 == 1
    assert place(4096, 8, "xcup", style="distributed").kind is Kind.LUT_RAM
    assert place(4096, 8, "xcup", style="distributed", access=READ).kind is Kind.TABLE
    assert place(4097, 73, "xcup", style="ultra").uram == 3
    assert place(0, 8, "xcup").kind is Kind.NONE
    # A single address and more than 256 words: block RAM, see sdq_fpga/synth/netlist.py.
    assert place(257, 1, "xcup", access=ONE).kind is Kind.BLOCK
    assert place(257, 1, "xcup", access=TWO).kind is Kind.LUT_RAM


@given(
    st.integers(1, 20_000),
    st.integers(1, 300),
    st.sampled_from(["xcup", "xc7"]),
    st.sampled_from(list(Access)),
)
def test_a_memory_holds_its_words(words, width, part, access):
    found = place(words, width, part, access=access)
    if found.kind is Kind.BLOCK:
        assert found.bram18 * 18 * 1024 >= words * width
    if found.kind is Kind.LUT_RAM:
        assert found.lut * 64 >= words * width
    assert not (found.lut and found.bram18)


def test_equal_columns_of_a_table_are_kept_once():
    assert rom_luts(2, 100) == 0
    assert rom_luts(4, 1000) <= 14
    assert rom_luts(64, 100) == 100
    assert rom_luts(256, 100) == 400
    assert distinct_bits(3, 1000) == pytest.approx(6, abs=0.1)
    assert distinct_bits(64, 100) == 100
