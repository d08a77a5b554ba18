/*****************************************************************************
 * sdq_macc_dsp: multiplies and accumulates in one DSP slice.
 *
 * Parameters: A_BITS, B_BITS  signed operands, at most 25 and 18
 *             SUM_BITS        sum, at most 48
 * Handshake:  `add` adds the product of the operands of two cycles before to
 *             the sum; with `first`, to zero.
 * Latency:    3 cycles from operands to sum.
 * Resources:  one DSP48E1, DSP48E2 or DSP58 with its registers A, B, M and P;
 *             no flip-flops or LUTs.
 *
 * The hierarchy is kept as some tools prefer LUTs for multipliers that turn out
 * to be narrow: here they see operands as wide as the ports.
 *****************************************************************************/
(* keep_hierarchy = "yes" *)
module sdq_macc_dsp #(
	int unsigned  A_BITS = 9,
	int unsigned  B_BITS = 8,
	int unsigned  SUM_BITS = 16
)(
	input	logic  clk,

	input	logic  add,
	input	logic  first,
	input	logic signed [A_BITS-1:0]  a,
	input	logic signed [B_BITS-1:0]  b,
	output	logic signed [SUM_BITS-1:0]  sum
);
	if((A_BITS > 25) || (B_BITS > 18) || (SUM_BITS > 48)) begin : genTooWide
		$error("A_BITS, B_BITS or SUM_BITS is too large for a DSP slice");
	end : genTooWide

	logic signed [A_BITS-1:0]  A = '0;
	logic signed [B_BITS-1:0]  B = '0;
	logic signed [A_BITS+B_BITS-1:0]  M = '0;
	(* use_dsp = "yes" *)
	logic signed [SUM_BITS-1:0]  P = '0;
	always_ff @(posedge clk) begin
		A <= a;
		B <= b;
		M <= A * B;
		if(add)  P <= (first? SUM_BITS'(0) : P) + SUM_BITS'(M);
	end
	assign	sum = P;
	if(SUM_BITS < A_BITS+B_BITS) begin : genUnused
		logic  unused;
		assign	unused = ^M[A_BITS+B_BITS-1:SUM_BITS];
	end : genUnused

endmodule : sdq_macc_dsp
