/*****************************************************************************
 * sdq_every: marks every COUNT-th step.
 *
 * Parameters: COUNT  1 or more
 * Handshake:  `step` counts; `last` belongs to the current step, before it is
 *             made. The first step after reset is the first of COUNT.
 * Resources:  $clog2(COUNT) flip-flops and LUTs, about; none for COUNT = 1.
 *****************************************************************************/
module sdq_every #(
	int unsigned  COUNT = 4
)(
	input	logic  clk,
	input	logic  rst,

	input	logic  step,
	output	logic  last
);
	if(COUNT <= 1) begin : genAlways
		assign	last = 1;
		// Nothing to count
		logic  unused;
		assign	unused = clk && rst && step;
	end : genAlways
	else begin : genCount
		// COUNT-2, ..., 0, -1: the sign marks the last step
		localparam int unsigned  BITS = $clog2(COUNT-1) + 1;
		logic [BITS-1:0]  Cnt = BITS'(COUNT-2);
		always_ff @(posedge clk) begin
			if(rst)  Cnt <= BITS'(COUNT-2);
			else if(step)  Cnt <= last? BITS'(COUNT-2) : Cnt - BITS'(1);
		end
		assign	last = Cnt[BITS-1];
	end : genCount

endmodule : sdq_every
