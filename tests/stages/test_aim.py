"""A search says what it has come to beside what was asked for."""

import pytest
import yaml
from terminal import TINY


@pytest.fixture
def searched(terminal):
    """Searches the tiny flow, hardly trained, for uniform bits."""
    flow = yaml.safe_load(TINY.read_text())
    flow["train"]["epochs"] = 1
    flow["search"]["method"] = "uniform"
    (terminal.root / "work" / "short.yaml").write_text(yaml.safe_dump(flow))

    def search(*options):
        shared = ("--board", "pynq-z2", "--flow", "short.yaml", "--run", "run")
        done = terminal.call("search", *shared, *options)
        assert done.code == 0, done.err
        return done.out, done.err

    return search


def test_mean_bits_that_are_not_near_are_said(searched):
    said = "3.9 mean weight bits were asked for; the nearest that the search (uniform) has found"
    out, err = searched("--target-bits", "3.9")
    assert f"{said} are 3.00, -23.1%" in err
    assert "foretold" not in out
    assert said in searched("--target-bits", "3.9")[1]  # also where nothing is left to be done
    assert "asked for" not in searched("--target-bits", "3.05")[1]


def test_a_speed_is_foretold_beside_the_one_that_was_asked_for(searched):
    out, _ = searched("--target-fps", "700000")
    said = "pynq-z2 is foretold to have 781,250 frames/s (700,000 asked for, +11.6%) and"
    assert f"with these bits, {said}" in out
    assert "us of latency" in out


def test_what_mean_bits_do_not_reach_is_said_with_the_nearest(searched):
    out, _ = searched("--target-bits", "3", "--target-fps", "1e9")
    assert "with these bits, no folding reaches 1,000,000,000 frames/s" in out
    assert "ask for at most 1000000 frames/s" in out
    out, _ = searched("--target-bits", "3", "--budget", "lut=0%")
    assert "with these bits, " in out
    assert "lut" in out
