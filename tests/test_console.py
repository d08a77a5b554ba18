"""What the user sees while something takes long: a bar in a terminal, plain lines elsewhere."""

import io
import re
from types import SimpleNamespace

import pytest
from rich.console import Console

import sdq_fpga.console
from sdq_fpga.console import ConsoleProgress

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Clock:
    """A clock that stands still unless it is told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(sdq_fpga.console, "time", SimpleNamespace(monotonic=clock))
    return clock


@pytest.fixture(autouse=True)
def capable_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")


def plain(width: int = 80) -> tuple[ConsoleProgress, io.StringIO]:
    out = io.StringIO()
    return ConsoleProgress(Console(file=out, force_terminal=False, width=width)), out


def terminal(clock: Clock, width: int = 120) -> tuple[ConsoleProgress, io.StringIO]:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=width, get_time=clock)
    return ConsoleProgress(console), out


def last_frame(out: io.StringIO) -> str:
    lines = ESCAPE.sub("", out.getvalue()).replace("\r", "\n").splitlines()
    return [line for line in lines if line.strip()][-1]


# Elsewhere


def test_one_line_at_the_end(clock):
    progress, out = plain()
    with progress.task("train", 30) as advance:
        for _ in range(30):
            advance(1)
        clock.now += 2.04
    assert out.getvalue() == "train: 30 of 30 in 2.0 s\n"


def test_no_control_characters(clock):
    progress, out = plain()
    with progress.task("simulate RTL", 100) as advance:
        for _ in range(100):
            clock.now += 3
            advance(1)
    progress.note("done")
    assert len(out.getvalue().splitlines()) > 10
    assert all(character.isprintable() or character == "\n" for character in out.getvalue())


def test_a_line_every_ten_seconds_with_what_is_left(clock):
    progress, out = plain()
    with progress.task("train", 100) as advance:
        for _ in range(35):
            clock.now += 1
            advance(1)
        assert out.getvalue().splitlines() == [
            "train: 10 of 100, 90 s left",
            "train: 20 of 100, 80 s left",
            "train: 30 of 100, 70 s left",
        ]


def test_long_steps_are_told_one_by_one(clock):
    progress, out = plain()
    with progress.task("fold", 3) as advance:
        for _ in range(3):
            clock.now += 60
            advance(1)
    assert out.getvalue().splitlines() == [
        "fold: 1 of 3, 120 s left",
        "fold: 2 of 3, 60 s left",
        "fold: 3 of 3 in 180.0 s",
    ]


@pytest.mark.parametrize(
    ("step", "left"), [(179, "179 s"), (180, "3 min"), (3540, "59 min"), (8100, "2 h 15 min")]
)
def test_a_long_time_is_told_as_one_thinks_of_it(clock, step, left):
    progress, out = plain()
    with progress.task("train", 2) as advance:
        clock.now += step
        advance(1)
        assert out.getvalue() == f"train: 1 of 2, {left} left\n"


def test_steps_may_be_taken_several_at_once(clock):
    progress, out = plain()
    with progress.task("train", 10) as advance:
        advance(7)
        advance(0)
        advance(3)
    assert out.getvalue().startswith("train: 10 of 10 in ")


@pytest.mark.parametrize("total", [0, 5])
def test_work_that_ends_early(clock, total):
    progress, out = plain()
    with progress.task("search", total) as advance:
        clock.now += 60
        advance(0)
    assert out.getvalue() == f"search: 0 of {total} in 60.0 s\n"


def test_a_failure_passes_and_is_not_reported_as_finished(clock):
    progress, out = plain()
    with pytest.raises(ValueError, match="no"), progress.task("train", 3) as advance:
        advance(1)
        raise ValueError("no")
    assert out.getvalue() == ""


@pytest.mark.parametrize("text", ["[bold]x[/bold]", "[/]", "a 12.5 [s]", "x" * 300])
def test_text_is_shown_as_it_is(clock, text):
    progress, out = plain()
    with progress.task(text, 1) as advance:
        advance(1)
    assert out.getvalue() == f"{text}: 1 of 1 in 0.0 s\n"


@pytest.mark.parametrize("text", ["[bold]x[/bold]", "[/]", "a note", "x" * 300])
def test_a_note_is_one_line(text):
    progress, out = plain()
    progress.note(text)
    assert out.getvalue() == f"{text}\n"


# In a terminal


def test_a_bar_with_the_time_left(clock):
    progress, out = terminal(clock)
    with progress.task("train", 4) as advance:
        for _ in range(2):
            clock.now += 30
            advance(1)
    assert "\x1b[" in out.getvalue()
    frame = last_frame(out)
    assert re.search(r"^train +\S*[━╸╺]+\S* +2/4 0:01:00 left 0:01:00", frame)


def test_a_finished_bar(clock):
    progress, out = terminal(clock)
    with progress.task("train", 4) as advance:
        for _ in range(4):
            clock.now += 30
            advance(1)
    assert re.search(r"^train +━+ 4/4 0:02:00 left 0:00:00", last_frame(out))


def test_nothing_done_yet(clock):
    progress, out = terminal(clock)
    with progress.task("train", 4):
        pass
    assert re.search(r"^train +━+ 0/4 0:00:00 left -:--:--", last_frame(out))


def test_the_time_left_is_seen_in_a_terminal_of_80_columns(clock):
    progress, out = terminal(clock, width=80)
    with progress.task("simulate RTL, with stalls", 128) as advance:
        for _ in range(2):
            clock.now += 30
            advance(32)
    frame = last_frame(out)
    assert len(frame) <= 80
    assert frame.startswith("simulate RTL, with stalls ")
    assert " 64/128 0:01:00 left 0:01:00" in " ".join(frame.split())


def test_two_bars_after_each_other(clock):
    progress, out = terminal(clock)
    for label in ("train", "search"):
        with progress.task(label, 1) as advance:
            advance(1)
    shown = ESCAPE.sub("", out.getvalue())
    assert shown.index("train") < shown.index("search")
    assert shown.count("1/1") >= 2


def test_a_failure_in_a_terminal_shows_the_cursor_again(clock):
    progress, out = terminal(clock)
    with pytest.raises(ValueError, match="no"), progress.task("train", 3):
        raise ValueError("no")
    hide, show = "\x1b[?25l", "\x1b[?25h"
    assert out.getvalue().rindex(show) > out.getvalue().rindex(hide)


def test_a_label_is_no_markup_in_a_terminal_either(clock):
    progress, out = terminal(clock)
    with progress.task("[bold]x[/bold] [/]", 1) as advance:
        advance(1)
    assert last_frame(out).startswith("[bold]x[/bold] [/] ")
