/*****************************************************************************
 * sdq_restart: an AXI-Lite register that resets the nodes of an accelerator.
 *
 * A memory that streams weights reads ahead. After a write to it, what it had read
 * is old; a reset makes it, and all that counts along with it, begin again. The
 * contents of memories stay.
 *
 * Handshake:  AXI-Lite. A write with bit 0 set resets, and is answered when the
 *             reset is over; every address is that register, which reads as 0.
 *             Frames that are on their way are lost. While nodes_rst_n is low, no
 *             beat may be taken.
 * Latency:    CYCLES cycles of reset.
 * Resources:  about 10 LUTs and registers.
 *****************************************************************************/
module sdq_restart #(
	int unsigned  CYCLES = 16
)(
	input	logic  clk,
	input	logic  rst,

	input	logic  s_awvalid,
	output	logic  s_awready,
	input	logic  s_wdata,	// bit 0
	input	logic  s_wvalid,
	output	logic  s_wready,
	output	logic [1:0]  s_bresp,
	output	logic  s_bvalid,
	input	logic  s_bready,
	input	logic  s_arvalid,
	output	logic  s_arready,
	output	logic [31:0]  s_rdata,
	output	logic [1:0]  s_rresp,
	output	logic  s_rvalid,
	input	logic  s_rready,

	output	logic  nodes_rst_n
);
	typedef enum logic [1:0] { IDLE, TAKE, RESET, REPLY } state_e;
	state_e  State = IDLE;
	logic [$clog2(CYCLES)-1:0]  Count = '0;
	logic  Read = 0;
	logic  Run = 1;
	always_ff @(posedge clk) begin
		if(rst) begin
			State <= IDLE;
			Count <= '0;
			Read  <= 0;
		end
		else begin
			if(s_arvalid && s_arready)  Read <= 1;
			else if(s_rready)           Read <= 0;
			unique case(State)
				IDLE:  if(s_awvalid && s_wvalid)  State <= TAKE;
				TAKE:  State <= s_wdata? RESET : REPLY;
				RESET: begin
					Count <= Count + 1;
					if(Count == $bits(Count)'(CYCLES - 1)) begin
						State <= REPLY;
						Count <= '0;
					end
				end
				REPLY: if(s_bready)  State <= IDLE;
			endcase
		end
	end
	always_ff @(posedge clk)  Run <= rst || State != RESET;

	assign	s_awready = State == TAKE;
	assign	s_wready = State == TAKE;
	assign	s_bvalid = State == REPLY;
	assign	s_bresp = '0;
	assign	s_arready = !Read;
	assign	s_rvalid = Read;
	assign	s_rdata = '0;
	assign	s_rresp = '0;
	// Not a cycle after rst: a neighbour could send a beat into the reset.
	assign	nodes_rst_n = !rst && Run;

endmodule : sdq_restart
