"""What a board showed is kept, and shown for the bitstream that it was measured with."""

from pathlib import Path

import pytest

from sdq_fpga.deploy.figures import BoardFigures
from sdq_fpga.errors import StageError
from sdq_fpga.run import open_run, read_manifest
from sdq_fpga.stages.measured import keep_measured, measured_of

FIGURES = BoardFigures(board="zcu104", where="host", emulated=False, frames=9, watts=4.5)


def bitstream(directory: Path, contents: str) -> None:
    def make(out: Path) -> None:
        (out / "accelerator.bit").write_text(contents)

    with open_run(directory) as run:
        run.stage("bitstream", {"contents": contents}, (), make)


def test_it_is_that_of_the_present_bitstream(tmp_path):
    bitstream(tmp_path, "one")
    assert measured_of(tmp_path, read_manifest(tmp_path)) is None
    keep_measured(tmp_path, FIGURES)
    assert measured_of(tmp_path, read_manifest(tmp_path)) == FIGURES
    bitstream(tmp_path, "two")
    assert measured_of(tmp_path, read_manifest(tmp_path)) is None


def test_a_throughput_test_and_another_run_are_kept_beside_each_other(tmp_path):
    bitstream(tmp_path, "one")
    row = {"batch": 1, "seconds": 1.0, "frames_per_second": 1.0, "pack_s": 0.0, "unpack_s": 0.0}
    plain = {"board": "zcu104", "where": "host", "emulated": False, "throughput": (row,)}
    rates = BoardFigures.from_data(plain, "the test")
    both = FIGURES.model_copy(update={"throughput": rates.throughput})
    for order in ((FIGURES, rates), (rates, FIGURES), (FIGURES,)):
        for each in order:
            keep_measured(tmp_path, each)
        assert measured_of(tmp_path, read_manifest(tmp_path)) == both
    bitstream(tmp_path, "two")
    keep_measured(tmp_path, FIGURES)
    assert measured_of(tmp_path, read_manifest(tmp_path)) == FIGURES


def test_damage_is_named(tmp_path):
    bitstream(tmp_path, "one")
    keep_measured(tmp_path, FIGURES)
    (tmp_path / "board" / "measured.json").write_text("{")
    with pytest.raises(StageError, match=r"measured\.json is damaged"):
        measured_of(tmp_path, read_manifest(tmp_path))
