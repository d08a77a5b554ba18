"""Each correction fails without itself, and holds with itself."""

import dataclasses
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from sdq_fpga.errors import StageError
from sdq_fpga.rtl import rewrites
from sdq_fpga.rtl.rewrites import FINN_PLUS, REWRITES, corrected, read_corrected, rtllib_dir
from sdq_fpga.sim.verilator import compile_model, find_verilator
from sdq_fpga.synth.yosys import check_design

MVU = "mvu/mvu_vvu_axi.sv"
MVU_FILES = (
    "mvu/mvu_pkg.sv",
    MVU,
    "mvu/replay_buffer.sv",
    "mvu/mvu.sv",
    "mvu/mvu_vvu_8sx9_dsp58.sv",
    "mvu/add_multi.sv",
)


def upstream(name: str) -> str:
    return (rtllib_dir() / name).read_bytes().decode()


# --- the mechanism ---


@pytest.mark.parametrize("rewrite", REWRITES, ids=lambda rewrite: rewrite.file)
def test_every_replacement_is_applied(rewrite):
    text = read_corrected(rewrite.file)
    assert text != upstream(rewrite.file)
    assert all(new in text for _, new in rewrite.replacements)
    assert rewrite.reason


def test_a_file_without_a_rewrite_passes_unchanged():
    assert corrected("mvu/replay_buffer.sv", "any text") == "any text"
    assert read_corrected("mvu/mvu_pkg.sv") == upstream("mvu/mvu_pkg.sv")


@pytest.mark.parametrize("rewrite", REWRITES, ids=lambda rewrite: rewrite.file)
def test_a_changed_file_is_refused(rewrite):
    with pytest.raises(StageError) as error:
        corrected(rewrite.file, upstream(rewrite.file) + "\n")
    assert rewrite.file in str(error.value)
    assert rewrite.sha256 in str(error.value)
    assert "found" in str(error.value)
    assert FINN_PLUS in str(error.value)


def test_a_corrected_file_is_not_corrected_again():
    with pytest.raises(StageError, match="SHA-256"):
        corrected(MVU, read_corrected(MVU))


@pytest.mark.parametrize("old", ["no such text", "localparam"])
def test_a_replacement_that_is_not_unique_is_refused(monkeypatch, old):
    rewrite = dataclasses.replace(
        next(rewrite for rewrite in REWRITES if rewrite.file == MVU),
        replacements=((old, "new"),),
    )
    monkeypatch.setitem(rewrites._BY_FILE, MVU, rewrite)
    count = upstream(MVU).count(old)
    assert count != 1
    with pytest.raises(StageError, match=f"{old!r}, which occurs {count} times"):
        corrected(MVU, upstream(MVU))


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setattr(rewrites.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(StageError, match=f"finn-plus=={FINN_PLUS}"):
        rtllib_dir()


def test_an_unreadable_file_is_named():
    with pytest.raises(StageError, match=r"no/such\.sv"):
        read_corrected("no/such.sv")


# --- constructs that Verilator refuses ---


def lint_errors(folder: Path, texts: dict[str, str], top: str, **parameters: int) -> list[str]:
    paths = []
    for name, text in texts.items():
        paths.append(folder / Path(name).name)
        paths[-1].write_text(text)
    command = [find_verilator() / "bin" / "verilator_bin", "--lint-only", "--no-timing"]
    command += ["-Wno-fatal", "--top-module", top]
    command += [f"-G{name}={value}" for name, value in parameters.items()]
    done = subprocess.run(
        [*command, *paths],
        env={**os.environ, "VERILATOR_ROOT": str(find_verilator())},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode != 0) == ("%Error" in done.stderr)
    return [line for line in done.stderr.splitlines() if line.startswith("%Error")]


@pytest.mark.parametrize("addends", [1, 2, 5, 8])
def test_the_adder_tree_elaborates(tmp_path, addends):
    def errors(read: Callable[[str], str]) -> list[str]:
        texts = {name: read(name) for name in ("mvu/mvu_pkg.sv", "mvu/add_multi.sv")}
        return lint_errors(tmp_path, texts, "add_multi", N=addends, DEPTH=3, ARG_WIDTH=6)

    assert errors(read_corrected) == []
    if addends > 1:  # one addend makes no tree
        assert any("may not be declared under generate" in line for line in errors(upstream))


@pytest.mark.parametrize("depth", [2, 64, 300, 1000])
def test_the_fifo_elaborates(tmp_path, depth):
    def errors(read: Callable[[str], str]) -> list[str]:
        texts = {"fifo.sv": read("fifo/hdl/fifo.sv")}
        return lint_errors(tmp_path, texts, "fifo", DEPTH=depth, DATA_WIDTH=12)

    assert errors(read_corrected) == []
    assert any("INIT_ABITS" in line for line in errors(upstream))


# --- constructs that Yosys refuses ---

MVU_WIDTHS = {"PE": 2, "SIMD": 2, "WEIGHT_WIDTH": 4, "ACTIVATION_WIDTH": 4, "ACCU_WIDTH": 12}
MVU_PARTS = ("mvu/mvu_pkg.sv", "mvu/add_multi.sv")
INSIDE = "directive is not allowed inside a design element"
YOSYS = [
    ("fifo/hdl/fifo.sv", (), {"DEPTH": 20, "DATA_WIDTH": 4}, INSIDE),
    ("dwc/hdl/vpc.sv", (), {"W": 4, "N": 6, "PI": 2, "PO": 3}, INSIDE),
    (
        "thresholding/hdl/thresholding.sv",
        (),
        {"K": 8, "N": 5, "C": 4, "PE": 2, "USE_CONFIG": 1},
        "unsynthesizable feature",
    ),
    ("mvu/mvu.sv", MVU_PARTS, {"VERSION": 2, **MVU_WIDTHS}, "timing control"),
    (
        "mvu/mvu_vvu_8sx9_dsp58.sv",
        MVU_PARTS,
        {"IS_MVU": 1, "FORCE_BEHAVIORAL": 1, **MVU_WIDTHS},
        "timing control",
    ),
]


@pytest.mark.parametrize(
    ("name", "others", "parameters", "refusal"), YOSYS, ids=[each[0] for each in YOSYS]
)
def test_the_file_is_elaborated_for_synthesis(tmp_path, name, others, parameters, refusal):
    def check(text: str) -> None:
        texts = {other: read_corrected(other) for other in others} | {name: text}
        paths = [tmp_path / Path(each).name for each in texts]
        for path, content in zip(paths, texts.values(), strict=True):
            path.write_text(content)
        top = Path(name).stem
        check_design(paths, top, tmp_path, memories=tmp_path, parameters=list(parameters.items()))

    check(read_corrected(name))
    with pytest.raises(StageError, match=refusal):
        check(upstream(name))


# --- the output queue of the matrix-vector unit ---


@dataclass(frozen=True)
class Unit:
    """One configuration: matrix MH x MW, folding, bits (weights, activations), DSP version."""

    mw: int
    mh: int
    pe: int
    simd: int
    wbits: int
    abits: int
    version: int
    signed: bool = False
    narrow: bool = False
    segment: int = 0
    sum_bits: int = 0

    @property
    def accu(self) -> int:
        return self.sum_bits or self.wbits + self.abits + (self.mw - 1).bit_length() + 1

    def __str__(self) -> str:
        fold = f"{self.mh}x{self.mw} PE{self.pe} SIMD{self.simd}"
        return f"V{self.version} {fold} w{self.wbits}a{self.abits}" + (
            ("s" if self.signed else "") + (f" sum{self.sum_bits}" if self.sum_bits else "")
        )


# A dot product ends in every cycle: SIMD == MW, for powers of two and between them.
FULL = [
    Unit(1, 4, 2, 1, 8, 8, 2, signed=True),
    Unit(2, 6, 3, 2, 5, 7, 1),
    Unit(3, 4, 4, 3, 2, 2, 2),
    Unit(5, 3, 1, 5, 4, 8, 1, narrow=True),
    Unit(8, 8, 4, 8, 4, 4, 2),
    Unit(9, 6, 2, 9, 3, 3, 1, signed=True, narrow=True),
    Unit(6, 4, 2, 6, 8, 8, 3, segment=1),  # the INT8 core of DSP58
    Unit(5, 4, 4, 5, 4, 4, 3, segment=2),  # mvu.sv on DSP58
]
FOLDED = [
    Unit(18, 8, 4, 9, 4, 4, 2),
    Unit(12, 4, 2, 2, 3, 6, 1, signed=True),
    Unit(10, 4, 4, 5, 4, 4, 3, segment=2),
]
# Sums that are narrower than a product (their low bits are right), and operands above 8 bits.
WIDTHS = [
    Unit(4, 6, 3, 2, 4, 6, 2, sum_bits=9),
    Unit(4, 6, 6, 4, 7, 3, 1, signed=True, sum_bits=5),
    Unit(6, 2, 2, 3, 8, 8, 3, segment=1, sum_bits=12),
    Unit(4, 4, 2, 2, 9, 3, 1, signed=True),
    Unit(4, 4, 4, 2, 3, 9, 2),
    Unit(4, 4, 2, 4, 16, 16, 1, signed=True),
    Unit(4, 4, 2, 4, 16, 16, 2),
]
# One of each depth formula is also built without the correction, and with a queue one too short
# (where its depth is the greater of the two cores', and so not more than needed).
UPSTREAM = [FULL[0], FULL[4], FULL[5], FULL[6], FULL[7], FOLDED[2]]
SHORT = [FULL[4], FULL[5], FULL[7]]
FARM = [
    *((MVU, unit) for unit in FULL + FOLDED + WIDTHS),
    *(("upstream", unit) for unit in UPSTREAM),
    *(("short", unit) for unit in SHORT),
]
WIDTH = 256


def module_name(variant: str) -> str:
    return "mvu_vvu_axi" if variant == MVU else f"mvu_vvu_axi_{variant}"


def farm_text() -> str:
    """A module with every unit of FARM; ``select`` says which one is out of reset."""
    count = len(FARM)
    lines = [
        "module farm(input logic clk, rst_n, input logic [7:0] select,",
        f"  input logic [{WIDTH - 1}:0] w_data, a_data, input logic w_valid, a_valid, o_ready,",
        f"  output logic w_ready, a_ready, o_valid, output logic [{WIDTH - 1}:0] o_data);",
        f"  logic [{count - 1}:0] wr, ar, ov; logic [{WIDTH - 1}:0] od[{count}];",
        "  assign w_ready = wr[select], a_ready = ar[select];",
        "  assign o_valid = ov[select], o_data = od[select];",
    ]
    for i, (variant, unit) in enumerate(FARM):
        lines += [
            f"  {module_name(variant)} #(.IS_MVU(1), .VERSION({unit.version}), .MW({unit.mw}),",
            f"    .MH({unit.mh}), .PE({unit.pe}), .SIMD({unit.simd}), .SEGMENTLEN({unit.segment}),",
            f"    .WEIGHT_WIDTH({unit.wbits}), .ACTIVATION_WIDTH({unit.abits}),",
            f"    .ACCU_WIDTH({unit.accu}), .NARROW_WEIGHTS({int(unit.narrow)}),",
            f"    .SIGNED_ACTIVATIONS({int(unit.signed)}), .FORCE_BEHAVIORAL(1)",
            f"  ) u{i} (.ap_clk(clk), .ap_clk2x(1'b0), .ap_rst_n(rst_n && select == {i}),",
            "    .s_axis_weights_tdata(w_data), .s_axis_weights_tvalid(w_valid),",
            f"    .s_axis_weights_tready(wr[{i}]), .s_axis_input_tdata(a_data),",
            f"    .s_axis_input_tvalid(a_valid), .s_axis_input_tready(ar[{i}]),",
            f"    .m_axis_output_tdata(od[{i}]), .m_axis_output_tvalid(ov[{i}]),",
            "    .m_axis_output_tready(o_ready));",
        ]
    return "\n".join([*lines, "endmodule"])


@pytest.fixture(scope="module")
def farm(tmp_path_factory, cache) -> Path:
    folder = tmp_path_factory.mktemp("farm")
    texts = {Path(name).name: read_corrected(name) for name in MVU_FILES}
    short = read_corrected(MVU).replace("MAX_IN_FLIGHT = 1 + (", "MAX_IN_FLIGHT = 0 + (")
    assert short != read_corrected(MVU)
    for variant, text in (("upstream", upstream(MVU)), ("short", short)):
        texts[f"{variant}.sv"] = text.replace(": mvu_vvu_axi\n", "\n").replace(
            "module mvu_vvu_axi ", f"module {module_name(variant)} "
        )
    texts["farm.sv"] = farm_text()
    for name, text in texts.items():
        (folder / name).write_text(text)
    harness = Path(__file__).with_name("mvu_farm.cpp")
    return compile_model(
        [folder / name for name in texts], "farm", harness, folder / "build", cache_dir=cache
    )


def words(fields: np.ndarray, bits: int) -> str:
    """Packs integers, lowest lane first, into 32-bit words in hex."""
    number = sum((int(field) & (2**bits - 1)) << (bits * i) for i, field in enumerate(fields))
    return " ".join(f"{(number >> shift) & 0xFFFFFFFF:x}" for shift in range(0, WIDTH, 32))


def drive(farm: Path, variant: str, unit: Unit, seed: int, *arguments: str):
    """Streams random vectors through one unit: (process, its results, the right results)."""
    random = np.random.default_rng(seed)
    least = -(2 ** (unit.wbits - 1)) + unit.narrow
    weights = random.integers(least, 2 ** (unit.wbits - 1), (unit.mh, unit.mw))
    low, high = (
        (-(2 ** (unit.abits - 1)), 2 ** (unit.abits - 1)) if unit.signed else (0, 2**unit.abits)
    )
    vectors = random.integers(low, high, (60, unit.mw))
    tiles = weights.reshape(unit.mh // unit.pe, unit.pe, unit.mw // unit.simd, unit.simd)
    tiles = tiles.transpose(0, 2, 1, 3).reshape(-1, unit.pe * unit.simd)
    lines = [f"w {words(tile, unit.wbits)}" for tile in tiles] * len(vectors)
    lines += [f"a {words(beat, unit.abits)}" for beat in vectors.reshape(-1, unit.simd)]
    half = 2 ** (unit.accu - 1)
    expected = ((vectors @ weights.T + half) % (2 * half) - half).reshape(-1, unit.pe)
    number = FARM.index((variant, unit))
    done = subprocess.run(
        [farm, str(number), str(len(expected)), str(seed), *arguments],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    results = []
    for line in done.stdout.splitlines():
        if line.startswith("="):
            beat = sum(int(word, 16) << (32 * i) for i, word in enumerate(line[1:].split()))
            lanes = [(beat >> (unit.accu * pe)) & (2**unit.accu - 1) for pe in range(unit.pe)]
            results.append([lane - (lane >> (unit.accu - 1) << unit.accu) for lane in lanes])
    return done, results, expected.tolist()


@pytest.mark.parametrize("unit", FULL + FOLDED + WIDTHS, ids=str)
def test_the_corrected_queue_loses_nothing(farm, unit):
    for seed in range(8):
        done, results, expected = drive(farm, MVU, unit, seed)
        assert done.returncode == 0, done.stdout + done.stderr
        assert results == expected


@pytest.mark.parametrize("unit", UPSTREAM, ids=str)
def test_the_upstream_queue_overflows_and_loses_results(farm, unit):
    runs = [drive(farm, "upstream", unit, seed) for seed in range(8)]
    assert any("Overflowing output queue" in done.stdout + done.stderr for done, _, _ in runs)
    # Without assertions nothing tells: the unit just delivers something else.
    runs = [drive(farm, "upstream", unit, seed, "+verilator+noassert") for seed in range(8)]
    assert all(done.returncode == 0 for done, _, _ in runs)
    assert any(results != expected for _, results, expected in runs)


@pytest.mark.parametrize("unit", SHORT, ids=str)
def test_the_corrected_queue_is_no_deeper_than_needed(farm, unit):
    runs = [drive(farm, "short", unit, seed) for seed in range(8)]
    assert any("Overflowing output queue" in done.stdout + done.stderr for done, _, _ in runs)
