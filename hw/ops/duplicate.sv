/*****************************************************************************
 * sdq_duplicate: one stream to COPIES readers, each at its own pace.
 *
 * Parameters: WIDTH   bits of a beat
 *             COPIES  number of outputs, at least 2
 * Handshake:  AXI-Stream. A beat is taken when every copy of the one before
 *             has been taken or is being taken, so no reader sees a beat twice
 *             and none waits for another within a beat.
 * Latency:    1 cycle, 1 beat a cycle.
 * Resources:  WIDTH + COPIES flip-flops, about 4 LUTs a copy. Every output is
 *             registered; TREADY passes through combinationally.
 *****************************************************************************/
module sdq_duplicate #(
	int unsigned  WIDTH  = 8,
	int unsigned  COPIES = 2
)(
	input	logic  clk,
	input	logic  rst,

	input	logic [WIDTH-1:0]  in0_tdata,
	input	logic  in0_tvalid,
	output	logic  in0_tready,

	output	logic [COPIES-1:0][WIDTH-1:0]  out_tdata,
	output	logic [COPIES-1:0]  out_tvalid,
	input	logic [COPIES-1:0]  out_tready
);
	logic [WIDTH-1:0]   Dat = '0;
	logic [COPIES-1:0]  Vld = '0;

	// A copy is free in the next cycle if it holds nothing or is being taken.
	assign	in0_tready = &(~Vld | out_tready);

	always_ff @(posedge clk) begin
		if(rst)  Vld <= '0;
		else if(in0_tready)  Vld <= {COPIES{in0_tvalid}};
		else  Vld <= Vld & ~out_tready;
	end
	always_ff @(posedge clk) begin
		if(in0_tready)  Dat <= in0_tdata;
	end

	assign	out_tdata = {COPIES{Dat}};
	assign	out_tvalid = Vld;

endmodule : sdq_duplicate
