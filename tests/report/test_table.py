"""The table that ends a build."""

import pytest

from sdq_fpga.report.table import report_table
from tests.report.test_page import example


def rows(sustained):
    report = example().report
    figures = report.accelerator.model_copy(update={"sustained_interval": sustained})
    table = report_table(report.model_copy(update={"accelerator": figures}))
    names, values = (list(column.cells) for column in table.columns)
    return dict(zip(names, values, strict=True))


def test_it_says_what_is_sustained_where_the_first_frames_differ():
    assert rows(1000.0)["sustained"].startswith("interval 1,000 cycles, 185,000 frames/s (timing")


@pytest.mark.parametrize("sustained", [1024.0, None])
def test_it_says_nothing_of_frames_that_are_all_alike(sustained):
    assert "sustained" not in rows(sustained)
