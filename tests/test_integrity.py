"""A run is checked against its hashes: every change is found, named, and nothing is written."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from sdq_fpga.cli import main
from sdq_fpga.errors import StageError, UserError
from sdq_fpga.integrity import LOCK, TOP, Kind, check_integrity
from sdq_fpga.run import open_run, read_manifest


def build(directory: Path) -> Path:
    """A run of three stages with a report and a lock, as a build leaves it."""

    def writes(**files: str):
        def make(out: Path) -> None:
            for name, text in files.items():
                path = out / name.replace("__", "/")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)

        return make

    with open_run(directory) as run:
        run.stage("train", {}, (), writes(net="weights"))
        run.stage("generate", {}, ("train",), writes(rtl__top="module", rtl__sub="module sub"))
        run.stage("simulate", {}, ("generate",), writes(figures="1024"))
        report = run.write("report.json", b"{}\n")
        stages = read_manifest(directory).stages
        outputs = {TOP: {"report.json": hashlib.sha256(report.read_bytes()).hexdigest()}}
        outputs |= {name: dict(each.outputs) for name, each in stages.items()}
        run.write(LOCK, json.dumps({"format": 1, "outputs": outputs}).encode())
    return directory


def faults(directory: Path) -> list[tuple[str, Kind]]:
    return [(each.path, each.kind) for each in check_integrity(directory).faults]


def test_a_run_as_it_was_made(tmp_path):
    run = build(tmp_path / "run")
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    found = check_integrity(run)
    assert found.faults == ()
    assert (found.stages, found.files) == (3, 5)
    assert found.signature == check_integrity(build(tmp_path / "again")).signature
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


FILES = ("train/net", "generate/rtl/top", "generate/rtl/sub", "simulate/figures", "report.json")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("run"))


@settings(deadline=None)
@given(name=st.sampled_from(FILES), data=st.data())
def test_any_changed_byte_is_found(run, name, data):
    whole = (run / name).read_bytes()
    contents = bytearray(whole)
    at = data.draw(st.integers(0, len(contents) - 1))
    contents[at] ^= data.draw(st.integers(1, 255))
    (run / name).write_bytes(contents)
    found = faults(run)
    (run / name).write_bytes(whole)
    assert found == [(name, Kind.CHANGED)]


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(tmp_path, name):
    run = build(tmp_path)
    (run / name).unlink()
    assert faults(run) == [(name, Kind.MISSING)]


def test_a_missing_stage_is_named_by_its_files(tmp_path):
    run = build(tmp_path)
    (run / "train").rename(tmp_path / ".elsewhere")
    assert faults(run) == [("train/net", Kind.MISSING)]


@pytest.mark.parametrize("name", ["generate/rtl/more", "train/.hidden", "notes.txt", "other"])
def test_an_extra_file_is_named(tmp_path, name):
    run = build(tmp_path)
    (run / name).write_text("mine")
    assert faults(run) == [(name, Kind.EXTRA)]


def test_what_others_leave_at_the_top_is_known(tmp_path):
    run = build(tmp_path)
    for name in ("board", "vivado", ".git", ".scratch-abc"):
        (run / name).mkdir()
        (run / name / "file").write_text("anything")
    for name in ("report.html", "settings.json", "finn.log"):
        (run / name).write_text("anything")
    assert faults(run) == []


def test_a_file_that_was_changed_with_its_hash_is_found_by_the_lock(tmp_path):
    run = build(tmp_path)
    (run / "simulate" / "figures").write_text("1023")
    text = (run / "manifest.json").read_text()
    old, new = (hashlib.sha256(each).hexdigest() for each in (b"1024", b"1023"))
    (run / "manifest.json").write_text(text.replace(old, new))
    assert faults(run) == [("simulate/figures", Kind.DISAGREES)]


def test_a_stage_that_read_other_files_is_named(tmp_path):
    run = build(tmp_path)
    with open_run(run) as again:
        again.stage(
            "train", {"seed": 1}, (), lambda out: (out / "net").write_text("others") and None
        )
    assert faults(run) == [("generate", Kind.STALE), ("train/net", Kind.DISAGREES)]


def test_before_a_build_has_ended_there_is_no_signature(tmp_path):
    run = build(tmp_path)
    (run / LOCK).unlink()
    found = check_integrity(run)
    assert found.signature is None
    assert found.faults == ()


@pytest.mark.parametrize("text", ["", "[]", '{"outputs": 3}', '{"outputs": {"a": []}}', "{"])
def test_a_damaged_lock_is_named(tmp_path, text):
    run = build(tmp_path)
    (run / LOCK).write_text(text)
    with pytest.raises(StageError, match="can't be read as the lock of a build"):
        check_integrity(run)


def test_what_is_no_run(tmp_path):
    with pytest.raises(UserError, match="not the directory of a build"):
        check_integrity(tmp_path)


def test_on_the_command_line(tmp_path):
    run = build(tmp_path)
    done = CliRunner().invoke(main, ["verify", str(run)])
    assert done.exit_code == 0
    assert "whole: 5 files of 3 stages are as they were made\nsignature: " in done.stdout
    (run / "generate" / "rtl" / "top").write_text("modula")
    (run / "generate" / "rtl" / "sub").unlink()
    done = CliRunner().invoke(main, ["verify", str(run)])
    assert done.exit_code == 1
    assert done.stdout.splitlines() == [
        "generate/rtl/sub: missing",
        "generate/rtl/top: changed",
        "NOT whole: 2 faults; 4 files of 3 stages were checked",
    ]
    done = CliRunner().invoke(main, ["verify", str(run), "--json"])
    assert done.exit_code == 1
    assert [each["kind"] for each in json.loads(done.stdout)["faults"]] == ["missing", "changed"]


def test_options_of_a_simulation_need_one(tmp_path):
    done = CliRunner().invoke(main, ["verify", str(build(tmp_path)), "--images", "9"])
    assert done.exit_code == 2
    assert "--images is about a simulation; add --simulate" in done.stderr


def test_it_needs_neither_torch_nor_finn(tmp_path):
    code = (
        "import sys; from sdq_fpga.cli import main\n"
        f"try: main(['verify', {str(build(tmp_path))!r}])\n"
        "finally: print({'torch', 'finn', 'onnx'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
