"""A harness that knows the model through a wrapper only is compiled once for many models."""

import subprocess

import pytest

from sdq_fpga.errors import StageError
from sdq_fpga.sim import verilator
from sdq_fpga.sim.verilator import compile_model

SOURCE = "module part(input logic [7:0] x, output logic [7:0] y); assign y = x + {}; endmodule\n"
HARNESS = """\
#include <cstdio>
#include "seen.h"
// of {}
int main() {{
    std::printf("%d\\n", answer(OFFER));
    return 0;
}}
"""
SEEN = "int answer(int x);\nconstexpr int OFFER = {};\n"
WRAPPER = """\
#include "seen.h"
#include "times.h"
#include "Vmodel.h"
int answer(int x) {
    Vmodel model;
    model.x = x;
    model.eval();
    return model.y * TIMES;
}
"""


@pytest.fixture
def compiled(tmp_path, cache, monkeypatch):
    """Compiles and runs: (what it prints, names of what was compiled but for the runtime)."""
    for name in ("harness", "wrapper"):
        (tmp_path / name).mkdir()
    (tmp_path / "wrapper" / "wrapper.cpp").write_text(WRAPPER)
    names = []
    compiles = verilator._Tools.compile

    def compile_and_tell(self, source, *arguments):
        names.append(source.name)
        return compiles(self, source, *arguments)

    monkeypatch.setattr(verilator._Tools, "compile", compile_and_tell)

    def make(plus, times, offer):
        names.clear()
        (tmp_path / "part.sv").write_text(SOURCE.format(plus))
        # No other test has this harness.
        (tmp_path / "harness" / "main.cpp").write_text(HARNESS.format(tmp_path))
        (tmp_path / "harness" / "seen.h").write_text(SEEN.format(offer))
        (tmp_path / "wrapper" / "times.h").write_text(f"#define TIMES {times}\n")
        made = compile_model(
            [tmp_path / "part.sv"], "part", tmp_path / "harness" / "main.cpp", tmp_path / "build",
            wrapper=tmp_path / "wrapper" / "wrapper.cpp", optimise=False, cache_dir=cache,
        )  # fmt: skip
        said = subprocess.run([made], capture_output=True, text=True, check=True).stdout
        return int(said), sorted({*names} - {"runtime.cpp"})

    return make


def test_only_what_differs_is_compiled_again(compiled):
    unit = "Vmodel_unit0.cpp"
    assert compiled(1, 1, 5) == (6, [unit, "main.cpp"])
    assert compiled(2, 1, 5) == (7, [unit])  # another model
    assert compiled(2, 3, 5) == (21, [unit])  # another header of the wrapper
    assert compiled(2, 3, 6) == (24, [unit, "main.cpp"])  # another header of the harness
    assert compiled(2, 3, 5) == (21, [])


def test_a_fault_in_a_header_of_the_wrapper_is_named(compiled):
    with pytest.raises(StageError, match=r"times\.h:1:\d+: error: .*nothing"):
        compiled(1, "nothing", 5)
