from pathlib import Path

import numpy as np
import pytest

from sdq_fpga.errors import StageError
from sdq_fpga.rtl.design import Stream
from sdq_fpga.sim.bench import Drive, compile_bench, run_bench
from sdq_fpga.sim.coverage import Branch, Excluded, markdown, measure, read_excluded

# Two instances: what either reaches is reached. Inputs are 1, 2, 3.
PART = """\
module part #(parameter int LIMIT = 0)(input logic clk, input logic [7:0] x);
	logic [7:0] sum = 0;
	function automatic int twice(int n);	// of a constant
		return n > 0? 2 * n : 0;
	endfunction
	localparam int  TWICE = twice(LIMIT);
	always_ff @(posedge clk) begin
		if (x == 9)
			sum <= 0;	// never
		else if (x == 8'(LIMIT))
			sum <= 8'(TWICE);
		else  sum <= sum + x;
		case (x)
		1: sum[7] <= 1;
		8: sum[6] <= 0;	// never
		default: ;
		endcase
		if (x == 3)  sum <= 7;
		if (x > 200)  $error("not counted");
		assert (x != 14);
	end
	/* always */
	if (LIMIT > 2) begin	// no instance has it: initial
		always_ff @(posedge clk)
			if (x == 1)  sum <= 8;
	end
	always_ff @(posedge clk) begin	// not counted
		if (x == 1) begin end
		assert (x != 15) else  $error("fifteen");
	end
endmodule
"""
TOP = """\
module top (
	input logic ap_clk, input logic ap_rst_n,
	input logic [7:0] in_tdata, input logic in_tvalid, output logic in_tready,
	output logic [7:0] out_tdata, output logic out_tvalid, input logic out_tready
);
	assign in_tready = out_tready;
	assign out_tvalid = in_tvalid;
	assign out_tdata = in_tdata > 0? in_tdata : 5;	// never: 0 while it is valid, but before
	part #(1) one (ap_clk, in_tvalid? in_tdata : 8'd2);
	part #(2) two (ap_clk, in_tvalid? in_tdata : 8'd2);
endmodule
"""
UNUSED = "module unused(input logic clk); always_ff @(posedge clk) begin end endmodule\n"


@pytest.fixture(scope="module")
def simulated(tmp_path_factory) -> tuple[Path, list[Path]]:
    """A folder of sources, and what two simulations of copies of them wrote."""
    root = tmp_path_factory.mktemp("coverage")
    copies, sources = root / "copies", root / "sources"
    for folder in (copies, sources / "part", sources / "other"):
        folder.mkdir(parents=True)
    for path, text in (
        (copies / "part.sv", PART),
        (copies / "top.sv", TOP),
        (sources / "part" / "part.sv", PART),
        (sources / "other" / "unused.sv", UNUSED),
    ):
        path.write_text(text)
    executable = compile_bench(
        sorted(copies.glob("*.sv")), "top", root / "build", optimise=False, coverage=True
    )
    assert executable.parent == root / "build"  # without a cache
    stream = Stream(width=8, element_bits=8, elements=1, beats=1, signed=False, shape=(1,))
    written = []
    for frames in ([1, 2], [3]):
        written.append(root / f"{len(frames)}.dat")
        run_bench(
            executable,
            {"in": (stream, np.array(frames)[:, None])},
            {"out": (stream, len(frames))},
            Drive(coverage=written[-1]),
            scratch=root,
            memories=root,
        )
    return sources, written


def test_lines_and_branches_of_a_known_module(simulated):
    sources, written = simulated
    unused, part = measure(written, sources)
    assert (part.path, part.simulated) == (Path("part/part.sv"), True)
    assert {line for line, reached in part.lines.items() if not reached} == {8, 9, 15, 24}
    assert {line for line, reached in part.lines.items() if reached} == {
        2, 7, 10, 11, 12, 13, 14, 16, 18, 20, 28,
    }  # fmt: skip
    ways = {(branch.line, branch.way): taken for branch, taken in part.branches.items()}
    assert ways == {
        (8, "elsif"): False,
        (10, "if"): True,
        (10, "else"): True,
        (14, "case"): True,
        (15, "case"): False,
        (16, "case"): True,
        (18, "if"): True,
        (18, "else"): True,
        (19, "else"): True,
        (28, "if"): True,
        (28, "else"): True,
    }
    assert [line for line, _ in part.excluded] == [3, 4]
    assert (unused.path, unused.simulated) == (Path("other/unused.sv"), False)
    assert unused.lines == {1: False}


def test_simulations_are_merged(simulated):
    sources, written = simulated
    for data, taken in ((written[:1], False), (written[1:], True), (written, True)):
        branches = measure(data, sources)[1].branches
        assert [branches[b] for b in branches if (b.line, b.way) == (18, "if")] == [taken]


def test_exclusions(simulated, tmp_path):
    sources, written = simulated
    toml = tmp_path / "excluded.toml"
    toml.write_text(
        '[[excluded]]\nfile = "part.sv"\ntext = "if (x == 9)"\nreason = "no nine"\n'
        'ways = ["elsif"]\n[[excluded]]\nfile = "part.sv"\ntext = "8: sum"\nreason = "no eight"\n'
    )
    rules = read_excluded(toml)
    assert rules[0] == Excluded("part.sv", "if (x == 9)", "no nine", ("elsif",))
    _, part = measure(written, sources, rules)
    assert all(part.branches.values())
    assert {line for line, reached in part.lines.items() if not reached} == {8, 9, 24}
    assert set(part.excluded) >= {(8, "no nine"), (15, "no eight")}
    with pytest.raises(StageError, match=r"nothing uncovered in part\.sv contains 'sum <= 7'"):
        measure(written, sources, [Excluded("part.sv", "sum <= 7", "")])


def test_the_table(simulated):
    sources, written = simulated
    assert markdown(measure(written, sources)) == (
        "| File | Lines | Branches | Not reached |\n"
        "| --- | ---: | ---: | --- |\n"
        "| part/part.sv | 11/15 (73 %) | 9/11 (81 %) | 8-9, 15, 24, 8 elsif, 15 case |\n"
        "| all | 11/15 (73 %) | 9/11 (81 %) | |\n\n"
        "Not measured, or without statements: other/unused.sv.\n\n"
        "Not reached, and not counted:\n\n"
        "- functions that only constants call run when the design is elaborated: "
        "part/part.sv 3-4.\n"
    )


def point(line, column, way, lines, count, name="part.sv"):
    fields = {"f": f"/x/{name}", "l": line, "n": column, "t": "line", "o": way, "S": lines}
    text = "".join(f"\1{key}\2{value}" for key, value in fields.items() if value != "")
    return f"C '{text}' {count}\n"


def test_a_written_file(tmp_path):
    (tmp_path / "part.sv").write_text("\n" * 20)
    data = tmp_path / "a.dat"
    data.write_text(
        "# SystemC::Coverage-3\n"
        + point(2, 3, "block", "2,4-6", 7)
        + point(4, 1, "if", "4-5", 0)
        + point(4, 2, "else", "", 3)
        + point(8, 1, "case", "8", 0)
        + point(8, 1, "case", "9", 1)  # the same one in another module
        + point(1, 1, "if", "1", 0, name="farm.sv")
    )
    (found,) = measure([data], tmp_path)
    assert found.lines == {2: True, 4: True, 5: True, 6: True, 8: True, 9: True}
    assert found.branches == {
        Branch(4, 1, "if"): False, Branch(4, 2, "else"): True, Branch(8, 1, "case"): True,
    }  # fmt: skip


@pytest.mark.parametrize(
    "text", ["", "lines", "# SystemC::Coverage-3\nC 'l'", "# SystemC::Coverage-3\nC '\1l\0021' 2"]
)
def test_damaged_files_are_named(tmp_path, text):
    data = tmp_path / "a.dat"
    data.write_text(text)
    with pytest.raises(StageError, match=r"a\.dat holds no coverage"):
        measure([data], tmp_path)
    with pytest.raises(StageError, match=r"b\.dat holds no coverage"):
        measure([tmp_path / "b.dat"], tmp_path)


@pytest.mark.parametrize("text", ["[[excluded]\n", '[[excluded]]\nfile = "a"\n', "excluded = 3\n"])
def test_damaged_exclusions_are_named(tmp_path, text):
    path = tmp_path / "excluded.toml"
    path.write_text(text)
    with pytest.raises(StageError, match=r"excluded\.toml holds no exclusions"):
        read_excluded(path)
