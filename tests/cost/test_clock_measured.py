"""Clocks that Vivado found: what they say of the clock model, and that they are kept whole."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdq_fpga.cost.clock import ClockModel, clock_limit, read_clock_model
from sdq_fpga.cost.clock_measured import MeasuredClock, corrected
from sdq_fpga.cost.measured import append_measured, read_clocks
from sdq_fpga.errors import UserError
from tests.cost import nodes

FIFOS = [
    nodes.fifo(bits, 2, depth).with_attributes({"normal_shape": (1, 32)})
    for bits, depth in ((4, 2), (8, 32), (8, 32), (16, 256))
]
PARTS = {"xc7": "xc7z020clg400-1", "xcup": "xczu7ev-ffvc1156-2-e"}


def measured(part: str, asked: float, slack: float) -> MeasuredClock:
    """A design of FIFOs.

    Args:
        part: full part number.
        asked: its target in MHz.
        slack: share of its period.
    """
    return MeasuredClock.of(f"design {asked}", part, FIFOS, asked, slack * 1e3 / asked)


CLOCKS = st.builds(
    measured, st.sampled_from(sorted(PARTS.values())), st.floats(50, 600), st.floats(-4, 0.9)
)


def foretold(model: ClockModel, part: str) -> float:
    return clock_limit(FIFOS, part, model).mhz


def test_a_design_is_foretold_the_same_from_what_is_kept():
    for part in PARTS.values():
        clock = measured(part, 200, -0.25)
        assert clock.achieved_mhz == pytest.approx(160, abs=1e-3)
        assert clock.by(read_clock_model()) == clock.foretold.mhz == clock_limit(FIFOS, part).mhz
        (terms,) = clock.terms.values()
        assert len(terms) == 3  # two of the four are alike


@settings(max_examples=60, deadline=None)
@given(clocks=st.lists(CLOCKS, max_size=6))
def test_no_design_that_failed_is_foretold_more_than_it_reached(clocks):
    before = read_clock_model()
    after = corrected(before, clocks)
    for clock in clocks:
        assert not clock.failed or clock.by(after) <= clock.achieved_mhz * (1 + 1e-9)
    for family, part in PARTS.items():
        limits = [each.achieved_mhz for each in clocks if each.failed and each.part == part]
        least = min([foretold(before, part), *limits])
        assert foretold(after, part) == pytest.approx(least)
        assert after.measured.get(family, 1.0) >= 1
    assert corrected(after, clocks) == after
    assert corrected(after, []) == before


def test_a_design_that_reached_its_target_says_nothing():
    slow = measured(PARTS["xc7"], 20, 0.01)
    assert slow.achieved_mhz < slow.foretold.mhz
    assert corrected(read_clock_model(), [slow]) == read_clock_model()


def test_a_clock_is_read_as_it_was_kept(tmp_path):
    file = tmp_path / "xc7.clocks.jsonl"
    kept = [measured(PARTS["xc7"], 100, -0.1), measured(PARTS["xcup"], 300, 0.1)]
    for clock in kept:
        append_measured(file, [clock])
    assert read_clocks(file) == kept
    file.write_text('{"origin": "a node, not a clock"}\n')
    with pytest.raises(UserError, match=r"xc7\.clocks\.jsonl, line 1 is not a valid"):
        read_clocks(file)
