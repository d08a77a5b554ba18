"""A build that goes on to the bitstream, with the stand-in for Vivado."""

import json
import zipfile
from pathlib import Path

import pytest

from sdq_fpga.board import load_board
from sdq_fpga.cost.measured import read_clocks
from sdq_fpga.errors import UserError
from sdq_fpga.integrity import check_integrity
from sdq_fpga.progress import SilentProgress
from sdq_fpga.report.summary import Report
from sdq_fpga.run import open_run
from sdq_fpga.stages.learn import clocks_beside, learn
from sdq_fpga.stages.lock import read_lock
from sdq_fpga.stages.model_build import ModelBuild
from sdq_fpga.stages.reproduce import reproduce
from sdq_fpga.stages.target import ModelSettings
from sdq_fpga.synth.vivado import Vivado
from sdq_fpga.zoo import mlp

pytest.importorskip("tkinter", reason="Python has no Tcl: apt-get install python3-tk")

from standin_install import install


def build(directory: Path, model: Path, vivado: Vivado, cache: Path) -> Report:
    target = {
        "board": load_board("pynq-z2"),
        "clock_mhz": 100.0,
        "target_fps": 20_000.0,
        "target_latency_us": None,
        "seed": 0,
        "simulate": {"images": 8},
        "weight_memory": "auto",
        "writable_weights": False,
        "shares": {},
    }
    settings = ModelSettings.from_data(
        {"name": model.name, "target": target, "vectors": None, "input_type": None}, "the test"
    )
    with open_run(directory) as run:
        return ModelBuild(settings, model, run, cache, SilentProgress()).everything(vivado)


def test_a_build_goes_on_to_the_bitstream(tmp_path, cache, monkeypatch):
    vivado = install(tmp_path)
    model = tmp_path / "mlp.onnx"
    model.write_bytes(mlp((12, 8, 5), (2, 3), seed=1).SerializeToString())
    run = tmp_path / "run"
    report = build(run, model, vivado, cache)
    assert report.bitstream.made
    achieved = report.bitstream.achieved
    assert achieved is not None
    assert achieved.resources.lut == 7123
    assert achieved.timing.fastest_mhz == pytest.approx(1e3 / (10 - 0.037), abs=1e-3)
    assert Report.model_validate_json((run / "report.json").read_bytes()) == report
    page = (run / "report.html").read_text()
    assert "7,123" in page
    assert "worst slack of +0.037 ns" in page
    assert {path.name for path in (run / "bitstream").iterdir()} == {
        "accelerator.bit",
        "accelerator.hwh",
        "achieved.json",
        "package.zip",
    }
    with zipfile.ZipFile(run / "bitstream" / "package.zip") as package:
        described = json.loads(package.read("package.json"))
        assert (
            package.read("accelerator.bit") == (run / "bitstream" / "accelerator.bit").read_bytes()
        )
        settings = json.loads(package.read("settings.json"))["driver_information"]
    assert (described["board"], described["emulated"]) == ("pynq-z2", False)
    assert settings["fclk_mhz"] == 100
    assert settings["io_shape_dict"]["ishape_normal"] == [[1, 12]]
    assert check_integrity(run).faults == ()
    assert not (run / "vivado").exists()
    # Its clock is kept for the hardware model, once.
    data = tmp_path / "xc7.jsonl"
    kept = learn(run, data, report=None, timing=None, top=None)
    assert kept.nodes is None
    assert kept.clock is not None
    assert (kept.clock.target_mhz, kept.clock.slack_ns) == (100, 0.037)
    assert kept.clock.achieved_mhz == achieved.timing.fastest_mhz
    assert read_clocks(clocks_beside(data)) == [kept.clock]
    assert not data.exists()
    with pytest.raises(UserError, match="has the clock of"):
        learn(run, data, report=None, timing=None, top=None)
    # What is made already is not made again.
    (vivado.directory / "bin" / "vivado").write_text("#!/bin/sh\nexit 1\n")
    assert build(run, model, vivado, cache) == report
    # The rest is the same without a bitstream, whether Vivado is there or not.
    monkeypatch.setenv("PATH", f"{vivado.directory / 'bin'}:/usr/bin:/bin")
    stated = dict.fromkeys(("data", "vectors", "pinned"))
    again = reproduce(
        read_lock(run / "build.lock.json"), tmp_path / "again", model=model, cache=cache,
        progress=SilentProgress(), **stated,
    )  # fmt: skip
    assert (again.differences, again.left_out) == ((), ("bitstream",))
    assert not (tmp_path / "again" / "bitstream").exists()
