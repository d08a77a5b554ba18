"""The register that resets the nodes: how long, when it answers, and when it does nothing."""

import numpy as np
import pytest

from sdq_fpga.rtl.design import Stream
from sdq_fpga.shipped import shipped_dir
from sdq_fpga.sim.bench import Drive, compile_bench, run_bench
from tests.hw.farm import compile_options, covered

RESTART = shipped_dir("hw") / "stitch" / "restart.sv"
CYCLES = 16

# Beside it a stream, without which no simulation ends, and what the nodes see of their reset.
TOP = """
module top (
	input logic ap_clk, input logic ap_rst_n,
	input logic [3:0] s_axilite_AWADDR, input logic s_axilite_AWVALID,
	output logic s_axilite_AWREADY,
	input logic [31:0] s_axilite_WDATA, input logic [3:0] s_axilite_WSTRB,
	input logic s_axilite_WVALID, output logic s_axilite_WREADY,
	output logic [1:0] s_axilite_BRESP, output logic s_axilite_BVALID,
	input logic s_axilite_BREADY,
	input logic [3:0] s_axilite_ARADDR, input logic s_axilite_ARVALID,
	output logic s_axilite_ARREADY,
	output logic [31:0] s_axilite_RDATA, output logic [1:0] s_axilite_RRESP,
	output logic s_axilite_RVALID, input logic s_axilite_RREADY,
	input logic [7:0] in_tdata, input logic in_tvalid, output logic in_tready,
	output logic [7:0] out_tdata, output logic out_tvalid, input logic out_tready,
	output logic [31:0] resets, output logic [31:0] low
);
	assign out_tdata = in_tdata;
	assign out_tvalid = in_tvalid;
	assign in_tready = out_tready;
	logic  nodes_rst_n, was, answered;
	always_ff @(posedge ap_clk) begin
		was <= nodes_rst_n;
		answered <= s_axilite_BVALID && s_axilite_BREADY;
		if(!ap_rst_n) begin
			resets <= 0; low <= 0;
			assert(!nodes_rst_n) else $error("the nodes run while all else is reset");
		end
		else begin
			if(!nodes_rst_n)            low <= low + 1;
			if(was && !nodes_rst_n)  resets <= resets + 1;
			assert(nodes_rst_n || !answered) else $error("answered before the reset is over");
		end
	end
	sdq_restart restart (
		.clk(ap_clk), .rst(!ap_rst_n),
		.s_awvalid(s_axilite_AWVALID), .s_awready(s_axilite_AWREADY),
		.s_wdata(s_axilite_WDATA[0]), .s_wvalid(s_axilite_WVALID), .s_wready(s_axilite_WREADY),
		.s_bresp(s_axilite_BRESP), .s_bvalid(s_axilite_BVALID), .s_bready(s_axilite_BREADY),
		.s_arvalid(s_axilite_ARVALID), .s_arready(s_axilite_ARREADY),
		.s_rdata(s_axilite_RDATA), .s_rresp(s_axilite_RRESP),
		.s_rvalid(s_axilite_RVALID), .s_rready(s_axilite_RREADY),
		.nodes_rst_n
	);
endmodule
"""


@pytest.fixture(scope="module")
def restart(tmp_path_factory):
    work = tmp_path_factory.mktemp("restart")
    (work / "top.sv").write_text(TOP)
    executable = compile_bench(
        [RESTART, work / "top.sv"], "top", work / "build", **compile_options()
    )
    stream = Stream(width=8, element_bits=8, elements=1, beats=1, signed=False, shape=(1,))

    def run(**drive):
        return run_bench(
            executable,
            {"in": (stream, np.zeros((1, 1), np.int64))},
            {"out": (stream, 1)},
            covered(Drive(patience=200, probes=["resets", "low"], **drive)),
            scratch=work,
            memories=work,
        )

    return run


@pytest.mark.parametrize("stall", [0.0, 0.5])
@pytest.mark.parametrize("seed", range(3))
def test_only_bit_0_resets_the_nodes(restart, seed, stall):
    rng = np.random.default_rng(seed)
    writes = [(4 * int(rng.integers(4)), int(rng.integers(2**32))) for _ in range(20)]
    ran = restart(writes=writes, reads=[0, 4, 12, 0], stall=stall, seed=seed)
    count = sum(value & 1 for _, value in writes)
    assert 0 < count < 20
    assert ran.probes == {"resets": count, "low": CYCLES * count}
    assert ran.reads == (0, 0, 0, 0)
