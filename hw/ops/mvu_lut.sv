/*****************************************************************************
 * sdq_mvu_lut: matrix-vector unit in LUTs, for operands of a few bits.
 *
 * Each input vector of MW values gives MH sums of MW products with weights. The
 * MH outputs are computed PE at a time; for each PE of them the vector passes
 * SIMD values at a time, the first time from the input, then from a buffer.
 *
 * Parameters: MW, MH, PE, SIMD  as above; PE divides MH, and SIMD divides MW
 *             X_FORMAT, X_BITS, W_FORMAT, W_BITS  operands, see sdq_mac_pkg
 *             OUT_BITS   bits of a sum; OUT_SIGNED matters to assertions only
 *             STEP       levels of adders between registers
 * Handshake:  AXI-Stream. in0: MW/SIMD beats a vector, element s of beat b is
 *             value b*SIMD + s. in1: MH/PE * MW/SIMD beats a vector, element
 *             p*SIMD + s of beat f*MW/SIMD + b is the weight of output f*PE + p
 *             and input b*SIMD + s. out0: MH/PE beats a vector, element p of
 *             beat f is output f*PE + p. A beat of in1 is taken together with
 *             one of the vector. No path leads from out0_tready to any other
 *             port; in1 enters the multipliers without a register.
 * Throughput: a vector in MW/SIMD * MH/PE cycles, without gaps.
 * Latency:    from the last beat of a vector to its first sum, those of
 *             sdq_replay, sdq_dot and sdq_result_queue together.
 * Resources:  see sdq_dot, sdq_mac_lut, sdq_result_queue; sdq_replay for
 *             MW/SIMD words of in0.
 *****************************************************************************/
module sdq_mvu_lut import sdq_mac_pkg::*; #(
	int unsigned  MW = 4,
	int unsigned  MH = 4,
	int unsigned  PE = 1,
	int unsigned  SIMD = 1,
	int unsigned  X_FORMAT = UNSIGNED,
	int unsigned  X_BITS   = 4,
	int unsigned  W_FORMAT = SIGNED,
	int unsigned  W_BITS   = 4,
	int unsigned  OUT_BITS = 12,
	bit  OUT_SIGNED = 1,
	int unsigned  STEP = 1
)(
	input	logic  clk,
	input	logic  rst,

	input	logic [SIMD*X_BITS-1:0]  in0_tdata,
	input	logic  in0_tvalid,
	output	logic  in0_tready,

	input	logic [PE*SIMD*W_BITS-1:0]  in1_tdata,
	input	logic  in1_tvalid,
	output	logic  in1_tready,

	output	logic [PE*OUT_BITS-1:0]  out0_tdata,
	output	logic  out0_tvalid,
	input	logic  out0_tready
);
	if(MH % PE != 0) begin : genBadPE
		$error("PE must divide MH");
	end : genBadPE
	if(MW % SIMD != 0) begin : genBadSIMD
		$error("SIMD must divide MW");
	end : genBadSIMD

	logic [SIMD*X_BITS-1:0]  x;
	logic  x_valid, x_last, free, go;
	sdq_replay #(.WIDTH(SIMD*X_BITS), .LENGTH(MW/SIMD), .TIMES(MH/PE)) replay (
		.clk, .rst,
		.in_data(in0_tdata), .in_valid(in0_tvalid), .in_ready(in0_tready),
		.out_data(x), .out_last(x_last), .out_valid(x_valid), .out_ready(go && in1_tvalid)
	);

	// Only the end of a sum needs a place for it.
	assign	go = free || !x_last;
	assign	in1_tready = go && x_valid;

	sdq_mac_lut #(
		.PE(PE), .SIMD(SIMD), .LENGTH(MW/SIMD), .SHARED(1),
		.X_FORMAT(X_FORMAT), .X_BITS(X_BITS), .W_FORMAT(W_FORMAT), .W_BITS(W_BITS),
		.OUT_BITS(OUT_BITS), .OUT_SIGNED(OUT_SIGNED), .STEP(STEP)
	) mac (
		.clk, .rst,
		.free, .valid(in1_tready && in1_tvalid), .last(x_last), .x, .w(in1_tdata),
		.out0_tdata, .out0_tvalid, .out0_tready
	);

endmodule : sdq_mvu_lut
