"""What is shown while a board works: a live table in a terminal, now and then a line elsewhere."""

import io

import pytest
from rich.console import Console

from sdq_fpga.report.board import told, watched

EVENTS = (
    {"loading": "accelerator.bit"},
    {"frames": 64, "of": 200, "seconds": 0.5, "watts": 3.25},
    {"frames": 200, "of": 200, "seconds": 1.0, "watts": 3.5},
)


@pytest.mark.parametrize("terminal", [True, False])
def test_the_live_table_follows_the_run(terminal):
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=80)
    shown = []
    with watched(console) as tell:
        for event in EVENTS:
            tell(event)
            shown.append(out.getvalue())
    text = out.getvalue()
    assert "200 of 200" in text
    assert "200.0" in text  # frames/s
    assert "3.50 W" in text
    if terminal:
        assert "64 of 200" in shown[1]
        assert "128.0" in shown[1]
        assert "3.25 W" in shown[1]
        assert "200 of 200" not in shown[1]
    else:
        assert shown == [""] * 3
        assert text.count("on the board") == 1


def test_batches_and_boards_without_rails_are_told_in_the_table():
    out = io.StringIO()
    with watched(Console(file=out, force_terminal=True, width=80)) as tell:
        tell({"batch": 16, "frames_per_second": 1234.5, "watts": None})
    for text in ("16", "1,234.5", "no PMBus rails"):
        assert text in out.getvalue()


def test_without_it_lines_say_how_far_it_is():
    lines: list[str] = []

    class Notes:
        def note(self, text: str) -> None:
            lines.append(text)

    with told(Notes()) as tell:
        for event in (*EVENTS, {"batch": 8, "frames_per_second": 99.0}):
            tell(event)
    assert lines == [
        "the driver loads accelerator.bit", "200 of 200 frames", "batch of 8: 99.0 frames/s",
    ]  # fmt: skip
