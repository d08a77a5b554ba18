"""The AXI-Lite hub: every slave gets its own transactions, and other addresses an error."""

import numpy as np
import pytest

from sdq_fpga.errors import StageError
from sdq_fpga.rtl.design import Stream
from sdq_fpga.shipped import shipped_dir
from sdq_fpga.sim.bench import Drive, compile_bench, run_bench
from sdq_fpga.sim.verilator import lint
from tests.hw.farm import compile_options, covered

HUB = shipped_dir("hw") / "stitch" / "axilite_hub.sv"
RESTART = shipped_dir("hw") / "stitch" / "restart.sv"
_INTENDED = ("DECLFILENAME", "PROCASSINIT")
WINDOW_BITS = 5
# Cycles that each slave takes: for the address, the data, the answer.
SLAVES = ((0, 0, 0), (3, 0, 1), (0, 4, 0), (2, 2, 5), (1, 0, 3))

# A memory of 8 words. It takes address and data independently of each other, each after a while.
SLAVE = """
module slave #(int unsigned A = 0, int unsigned W = 0, int unsigned R = 0, int unsigned NUMBER = 0)(
	input logic clk, input logic rst,
	input logic [4:0] addr, input logic [31:0] wdata, input logic [3:0] wstrb,
	input logic awvalid, output logic awready, input logic wvalid, output logic wready,
	output logic [1:0] bresp, output logic bvalid, input logic bready,
	input logic arvalid, output logic arready,
	output logic [31:0] rdata, output logic [1:0] rresp, output logic rvalid, input logic rready
);
	logic [31:0]  mem[8];
	int unsigned  ac, wc, rc, bc;
	logic  have_a, have_w, have_r;
	logic [2:0]  at;
	logic [31:0]  data;
	assign	awready = !have_a && ac >= A;
	assign	wready = !have_w && wc >= W;
	assign	arready = !have_r && rc >= A;
	assign	bvalid = have_a && have_w && bc >= R;
	assign	rvalid = have_r && bc >= R;
	assign	bresp = NUMBER == 3 && at == 7? 2'b10 : 2'b00;	// one word can't be written
	assign	rresp = 2'b00;
	assign	rdata = rvalid? mem[at] : 32'hDEADBEEF;
	always_ff @(posedge clk) begin
		if(rst) begin
			ac <= 0; wc <= 0; rc <= 0; bc <= 0;
			have_a <= 0; have_w <= 0; have_r <= 0;
			foreach(mem[i])  mem[i] <= NUMBER;
		end
		else begin
			assert(!(awvalid && arvalid)) else $error("two at a time");
			assert(!wvalid || wstrb == 4'hF) else $error("strobe");
			if(awvalid)  ac <= ac + 1;
			if(wvalid)   wc <= wc + 1;
			if(arvalid)  rc <= rc + 1;
			if(awvalid && awready) begin have_a <= 1; at <= addr[4:2]; end
			if(wvalid && wready) begin have_w <= 1; data <= wdata; end
			if(arvalid && arready) begin have_r <= 1; at <= addr[4:2]; end
			if((have_a && have_w) || have_r)  bc <= bc + 1;
			if(have_a && have_w && !bvalid)  mem[at] <= data;
			if(bvalid && bready) begin
				mem[at] <= data;
				have_a <= 0; have_w <= 0; ac <= 0; wc <= 0; bc <= 0;
			end
			if(rvalid && rready) begin have_r <= 0; rc <= 0; bc <= 0; end
		end
	end
endmodule
"""
WRITE_PINS = ("awvalid", "awready", "wvalid", "wready", "bresp", "bvalid", "bready")
PINS = (*WRITE_PINS, "arvalid", "arready", "rdata", "rresp", "rvalid", "rready")


def top() -> str:
    """The hub with its slaves, and a stream, without which no simulation ends."""
    instances = []
    for number, (a, w, r) in enumerate(SLAVES):
        pins = ", ".join(f".{pin}(m_{pin}[{number}])" for pin in PINS)
        instances.append(
            f"slave #(.A({a}), .W({w}), .R({r}), .NUMBER({number})) s{number} (.clk(ap_clk), "
            f".rst(!ap_rst_n), .addr(m_addr), .wdata(m_wdata), .wstrb(m_wstrb), {pins});"
        )
    inner = ", ".join(f".m_{pin}" for pin in (*PINS, "addr", "wdata", "wstrb"))
    channels = (
        ("AW", "awvalid awready awaddr"),
        ("W", "wvalid wready wdata wstrb"),
        ("B", "bresp bvalid bready"),
        ("AR", "arvalid arready araddr"),
        ("R", "rdata rresp rvalid rready"),
    )
    outer = ", ".join(
        f".s_{pin}(s_axilite_{pin.upper()})" for _, pins in channels for pin in pins.split()
    )
    count = len(SLAVES)
    return f"""
module top (
	input logic ap_clk, input logic ap_rst_n,
	input logic [7:0] s_axilite_AWADDR, input logic s_axilite_AWVALID,
	output logic s_axilite_AWREADY,
	input logic [31:0] s_axilite_WDATA, input logic [3:0] s_axilite_WSTRB,
	input logic s_axilite_WVALID, output logic s_axilite_WREADY,
	output logic [1:0] s_axilite_BRESP, output logic s_axilite_BVALID,
	input logic s_axilite_BREADY,
	input logic [7:0] s_axilite_ARADDR, input logic s_axilite_ARVALID,
	output logic s_axilite_ARREADY,
	output logic [31:0] s_axilite_RDATA, output logic [1:0] s_axilite_RRESP,
	output logic s_axilite_RVALID, input logic s_axilite_RREADY,
	input logic [7:0] in_tdata, input logic in_tvalid, output logic in_tready,
	output logic [7:0] out_tdata, output logic out_tvalid, input logic out_tready
);
	assign out_tdata = in_tdata;
	assign out_tvalid = in_tvalid;
	assign in_tready = out_tready;
	logic [4:0] m_addr;
	logic [31:0] m_wdata;
	logic [3:0] m_wstrb;
	logic [{count - 1}:0] m_awvalid, m_awready, m_wvalid, m_wready, m_bvalid, m_bready;
	logic [{count - 1}:0] m_arvalid, m_arready, m_rvalid, m_rready;
	logic [{count - 1}:0][1:0] m_bresp, m_rresp;
	logic [{count - 1}:0][31:0] m_rdata;
	sdq_axilite_hub #(.SLAVES({count}), .WINDOW_BITS({WINDOW_BITS}), .ADDRESS_BITS(8)) hub (
		.clk(ap_clk), .rst(!ap_rst_n), {outer}, {inner}
	);
	{" ".join(instances)}
endmodule
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """Runs writes and reads on the hub."""
    work = tmp_path_factory.mktemp("hub")
    (work / "slave.sv").write_text(SLAVE)
    (work / "top.sv").write_text(top())
    executable = compile_bench(
        [HUB, work / "slave.sv", work / "top.sv"], "top", work / "build", **compile_options()
    )
    stream = Stream(width=8, element_bits=8, elements=1, beats=1, signed=False, shape=(1,))

    def run(**drive):
        frames = np.zeros((1, 1), np.int64)
        return run_bench(
            executable,
            {"in": (stream, frames)},
            {"out": (stream, 1)},
            covered(Drive(patience=200, **drive)),
            scratch=work,
            memories=work,
        ).reads

    return run


@pytest.mark.parametrize("stall", [0.0, 0.5])
@pytest.mark.parametrize("seed", range(3))
def test_every_slave_has_its_own_words(hub, seed, stall):
    rng = np.random.default_rng(seed)
    memory = {32 * slave + 4 * word: slave for slave in range(len(SLAVES)) for word in range(8)}
    writable = [address for address in memory if address != 3 * 32 + 28]
    writes = [(int(rng.choice(writable)), int(rng.integers(2**32))) for _ in range(60)]
    memory |= dict(writes)
    reads = [int(address) for address in rng.permutation(list(memory))]
    assert hub(writes=writes, reads=reads, stall=stall, seed=seed) == tuple(
        memory[address] for address in reads
    )


@pytest.mark.parametrize("address", [32 * len(SLAVES), 200, 255 & ~3])
def test_addresses_of_no_slave_are_an_error(hub, address):
    with pytest.raises(StageError, match=f"write to {address} was answered with error 3"):
        hub(writes=[(0, 1), (address, 5)])
    with pytest.raises(StageError, match=f"read of {address} was answered with error 3"):
        hub(reads=[0, address], stall=0.4)


def test_an_error_of_a_slave_is_passed_on(hub):
    with pytest.raises(StageError, match="write to 124 was answered with error 2"):
        hub(writes=[(120, 1), (124, 5)])


@pytest.mark.parametrize(
    ("source", "name", "parameters"),
    [
        (HUB, "sdq_axilite_hub", {"SLAVES": 5, "WINDOW_BITS": 5, "ADDRESS_BITS": 8}),
        (HUB, "sdq_axilite_hub", {"SLAVES": 2, "WINDOW_BITS": 2, "ADDRESS_BITS": 3}),
        (HUB, "sdq_axilite_hub", {"SLAVES": 1, "WINDOW_BITS": 4, "ADDRESS_BITS": 32}),
        (RESTART, "sdq_restart", {}),
    ],
)
def test_lint(source, name, parameters):
    try:
        lint([source], name, parameters=list(parameters.items()))
    except StageError as error:
        faults = [fault for fault in str(error).split("; ") if "%" in fault]
        left = [fault for fault in faults if not any(f"%Warning-{w}:" in fault for w in _INTENDED)]
        assert not left, "\n".join(left)


def test_too_few_address_bits_are_refused():
    with pytest.raises(StageError, match="room for all slaves"):
        lint(
            [HUB],
            "sdq_axilite_hub",
            parameters=[("SLAVES", 3), ("WINDOW_BITS", 4), ("ADDRESS_BITS", 5)],
        )
