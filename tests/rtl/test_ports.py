"""Reading the ports of a Verilog module: small inputs, and every wrapper that FINN ships."""

import re
from pathlib import Path

import finn
import pytest

from sdq_fpga.errors import StageError
from sdq_fpga.rtl.ports import Port, module_ports

LIBRARY = Path(finn.__file__).parent / "finn-rtllib"

# Wrapper to the name of its module, once FINN has filled in "node".
WRAPPERS = {
    "dwc/hdl/dwc_template.v": "node",
    "fifo/hdl/fifo_template.v": "node",
    "fmpadding/hdl/fmpadding_template.v": "node",
    "memstream/hdl/memstream_wrapper_template.v": "node_memstream_wrapper",
    "mvu/mvu_vvu_axi_wrapper.v": "node",
    "swg/swg_template_wrapper.v": "node",
    "swg/swg_template_wrapper_dynamic.v": "node",
    "thresholding/hdl/thresholding_template_wrapper.v": "node",
}


def ports(text: str, module: str = "m") -> list[tuple[str, str]]:
    return [(port.direction, port.name) for port in module_ports(text, module, "m.v")]


def refusal(text: str, module: str = "m") -> str:
    with pytest.raises(StageError) as caught:
        module_ports(text, module, "m.v")
    assert "m.v" in caught.value.what
    assert f"module {module} " in caught.value.what
    return str(caught.value)


# Small inputs


def test_directions_and_names_in_order():
    assert module_ports("module m(input clk, output q, input d);\nendmodule", "m", "m.v") == (
        Port("input", "clk"),
        Port("output", "q"),
        Port("input", "d"),
    )


@pytest.mark.parametrize(
    "declaration",
    [
        "input a",
        "input\ta",
        "input wire a",
        "input logic a",
        "input reg\ta",
        "input [7:0] a",
        "input [7:0]a",
        "input[7:0] a",
        "input logic [7 : 0]  a",
        "input logic signed [7:0] a",
        "input signed [W-1:0] a",
        "input logic [P-1:0][W-1:0] a",
        "input [$clog2(SETS) + $clog2(C/PE) + 1:0] a",
        "input [(((SETS > 2? $clog2(SETS) : 1)+7)/8)*8-1:0] a",
        "input [max(A, B)-1:0] a",
        "input\n\t[7:0]\n\ta\n",
    ],
)
def test_types_and_ranges(declaration):
    expected = [("output", "before"), ("input", "a"), ("output", "after")]
    assert ports(f"module m (output before, {declaration}, output [3:0] after);") == expected
    assert ports(f"module m ({declaration});") == [("input", "a")]


@pytest.mark.parametrize("name", ["register", "wires", "logic_level", "inputs", "output_1", "r"])
def test_names_that_begin_like_a_keyword(name):
    assert ports(f"module m (input {name}, output [1:0] {name}_);") == [
        ("input", name),
        ("output", f"{name}_"),
    ]


@pytest.mark.parametrize(
    "aside",
    [
        "// input fake,\n",
        "// isn't this ); the end?\n",
        "/* input fake, */",
        "/*\n * input fake,\n * );\n */",
        '(* X_INTERFACE_INFO = "xilinx.com:signal:clock:1.0 ap_clk CLK" *)',
        '(* X_INTERFACE_PARAMETER = "ASSOCIATED_BUSIF in0_V:out0_V, input fake, " *)',
        "(* keep *) (* mark_debug = 1 *)",
        "(*\n  keep\n*)",
    ],
)
def test_comments_and_attributes(aside):
    text = f"{aside} module {aside} m {aside} ({aside} input {aside} a {aside}, {aside} output b"
    assert ports(f"{text} {aside});\nendmodule {aside}") == [("input", "a"), ("output", "b")]


@pytest.mark.parametrize(
    "parameters",
    [
        "",
        "#()",
        "#(parameter W = 8)",
        "#(parameter W = (A+7)/8 * 8, B = 3)",
        "#(parameter W = $clog2(SETS * DEPTH * (2**$clog2((WIDTH+31)/32))) + 2)",
        '#(parameter FILE = "./memblock.dat", STYLE = "auto")',
        '#(parameter FILE = "//server/input, (share)")',
        "#(\n\tint unsigned  W,\n\tbit  SIGNED = 0,\n\tlocalparam int unsigned  BA = (W+7)/8\n)",
        "#(parameter input_width = 8, output_width = 8)",
    ],
)
def test_parameters_are_no_ports(parameters):
    assert ports(f"module m {parameters}(input a, output [W-1:0] b);") == [
        ("input", "a"),
        ("output", "b"),
    ]


SEVERAL = """
module mm (input wrong);
endmodule
module m_ (input wrong);
	always @(*) begin q = d; end
endmodule : m_

module  m
(
	input  a,
	output  b
);
	mm mm_inst (.wrong(a));
	function logic f(input logic x, output logic y); endfunction
	always @( * ) b = a;
	always @(*) c = a;
endmodule : m
module m2 (input wrong); endmodule
"""


def test_several_modules_in_a_file():
    assert ports(SEVERAL) == [("input", "a"), ("output", "b")]
    assert ports(SEVERAL, "m2") == [("input", "wrong")]
    assert ports(SEVERAL, "m_") == [("input", "wrong")]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "module n (input a);",
        "// module m (input a);",
        "/* module m (input a); */",
        "module m2 (input a);",
        "m m_inst (.a(a));",
        "module m (input a",
    ],
)
def test_missing_module(text):
    assert "has no module m with ports" in refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        "module m; endmodule",
        "module m (); endmodule",
        "module m #(parameter W = 8) (); endmodule",
        "module m;\n\tfunction logic f(input logic x);\n\tendfunction\nendmodule",
    ],
)
def test_module_without_ports(text):
    assert "has no module m with ports" in refusal(text)


@pytest.mark.parametrize(
    "declaration",
    [
        "b",
        "input b, c",
        "inout b",
        "axi_if.slave b",
        "input word_t b",
        "input b = 0",
        "\n`ifdef X\ninput b\n`endif\n",
        "input [W[0]:0] b",
        "input",
    ],
)
@pytest.mark.parametrize("first", [False, True])
def test_a_port_that_is_not_understood_is_refused_rather_than_left_open(declaration, first):
    pair = [declaration, "input a"] if first else ["input a", declaration]
    assert "has a port that can't be read" in refusal(f"module m ({', '.join(pair)});")


# The wrappers that FINN ships


def filled_in(wrapper: str) -> str:
    """A wrapper as FINN would write it, with made-up values."""

    def value(found: re.Match[str]) -> str:
        if "MODULE_NAME" in found[1]:
            return "node"
        return "[7:0]" if found[1].endswith("_RANGE") else "8"

    text = (LIBRARY / wrapper).read_text(encoding="utf-8")
    return re.sub(r"\$([A-Z_]+)\$", value, text)


def one_a_line(text: str) -> list[tuple[str, str]]:
    """The ports of the first module, of which FINN writes each in a line of its own."""
    found = []
    for line in text.splitlines():
        code = line.split("//")[0].strip()
        if code == ");":
            return found
        if code.split()[:1] in (["input"], ["output"]):
            found.append((code.split()[0], code.removesuffix(",").split()[-1]))
    raise AssertionError("the module never ends")


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_every_port_of_a_wrapper(wrapper):
    text = filled_in(wrapper)
    assert ports(text, WRAPPERS[wrapper]) == one_a_line(text)
    assert len(one_a_line(text)) >= 8


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_what_the_top_level_connects(wrapper):
    found = ports(filled_in(wrapper), WRAPPERS[wrapper])
    assert {("input", "ap_clk"), ("input", "ap_rst_n")} <= set(found)
    if wrapper.startswith("memstream"):
        names = {
            "m_axis_0_tdata": "output",
            "m_axis_0_tvalid": "output",
            "m_axis_0_tready": "input",
        }
        assert set(names.items()) <= {(name, direction) for direction, name in found}
        return
    streams = {"in0_V": ("input", "output"), "out0_V": ("output", "input")}
    if wrapper.startswith("mvu"):
        streams["in1_V"] = ("input", "output")
    for stream, (forward, backward) in streams.items():
        expected = {
            (forward, f"{stream}_TDATA"),
            (forward, f"{stream}_TVALID"),
            (backward, f"{stream}_TREADY"),
        }
        assert expected <= set(found)
