/*****************************************************************************
 * sdq_split: deals the channels of a stream out, range by range: each range
 * goes to an output of its own, or is dropped.
 *
 * Parameters: WIDTH   bits of a beat, of every stream
 *             RANGES  number of ranges, at least 2
 *             OUTS    number of outputs: of the bits set in KEEP
 *             BEATS   beats of each range in a pixel, range 0 lowest
 *             KEEP    whether each range is kept; kept ranges are the outputs
 *                     in order
 * Handshake:  AXI-Stream. A beat is taken when the one before has left, or is
 *             leaving; a beat that is dropped is taken at once.
 * Latency:    1 cycle, 1 beat a cycle.
 * Resources:  WIDTH + OUTS flip-flops, about 2 LUTs an output; sdq_turns. The
 *             outputs are registered; TREADY passes through combinationally.
 *****************************************************************************/
module sdq_split #(
	int unsigned  WIDTH  = 8,
	int unsigned  RANGES = 2,
	int unsigned  OUTS   = RANGES,
	bit [RANGES-1:0][31:0]  BEATS = {RANGES{32'd1}},
	bit [RANGES-1:0]        KEEP  = '1
)(
	input	logic  clk,
	input	logic  rst,

	input	logic [WIDTH-1:0]  in0_tdata,
	input	logic  in0_tvalid,
	output	logic  in0_tready,

	output	logic [OUTS-1:0][WIDTH-1:0]  out_tdata,
	output	logic [OUTS-1:0]  out_tvalid,
	input	logic [OUTS-1:0]  out_tready
);
	// How many of the ranges before r are kept.
	function automatic int unsigned kept(int unsigned  r);
		kept = 0;
		for(int unsigned  j = 0; j < r; j++)  kept += 32'(KEEP[j]);
	endfunction : kept

	if(RANGES < 2) begin : genNoRanges
		$error("sdq_split: RANGES must be 2 or more.");
	end : genNoRanges
	if(OUTS != kept(RANGES)) begin : genNoOuts
		$error("sdq_split: OUTS is not the number of ranges that are kept.");
	end : genNoOuts

	logic [WIDTH-1:0]  Dat;
	logic [OUTS-1:0]  Vld = '0;  // at most one is set

	uwire [$clog2(RANGES)-1:0]  sel;
	uwire  free = ~|(Vld & ~out_tready);
	assign	in0_tready = free || !KEEP[sel];
	sdq_turns #(.N(RANGES), .BEATS(BEATS)) turns (.clk, .rst, .step(in0_tvalid && in0_tready), .sel);

	uwire [OUTS-1:0]  turn;
	for(genvar  r = 0; r < RANGES; r++) begin : genRanges
		if(KEEP[r]) begin : genKept
			assign	turn[kept(r)] = sel == $bits(sel)'(r);
		end : genKept
	end : genRanges

	always_ff @(posedge clk) begin
		if(rst)  Vld <= '0;
		else if(free)  Vld <= turn & {OUTS{in0_tvalid}};
	end
	always_ff @(posedge clk) begin
		if(free)  Dat <= in0_tdata;
	end

	assign	out_tdata = {OUTS{Dat}};
	assign	out_tvalid = Vld;

endmodule : sdq_split
