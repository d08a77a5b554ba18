/*****************************************************************************
 * sdq_depthwise: sums of TAPS products, each channel with weights of its own.
 *
 * Parameters: PE, SIMD   channels, and taps, in a beat
 *             TAPS       products of a sum; SIMD divides it
 *             X_FORMAT, X_BITS, W_FORMAT, W_BITS  operands, see sdq_mac_pkg
 *             OUT_BITS   bits of a sum; OUT_SIGNED matters to assertions only
 *             DSP        multiply and accumulate in DSP slices, not in LUTs
 *             STEP       levels of adders between registers (DSP = 0)
 * Handshake:  AXI-Stream. in0: TAPS/SIMD beats for PE channels, one group of PE
 *             after the other; element s*PE + p of beat b is tap b*SIMD + s of
 *             channel p of the group. in1: weights in the same order. out0: one
 *             beat for PE channels. Beats of in0 and in1 are taken together. No
 *             path leads from out0_tready to any other port.
 * Throughput: one beat of in0 a cycle, without gaps.
 * Latency:    from the last beat of PE channels, that of sdq_mac_dsp, or of
 *             sdq_mac_lut and 1 cycle for a register behind in0 (in1 has none).
 * Resources:  see sdq_mac_lut or sdq_mac_dsp, and a counter.
 *****************************************************************************/
module sdq_depthwise import sdq_mac_pkg::*; #(
	int unsigned  PE = 1,
	int unsigned  SIMD = 1,
	int unsigned  TAPS = 9,
	int unsigned  X_FORMAT = UNSIGNED,
	int unsigned  X_BITS   = 4,
	int unsigned  W_FORMAT = SIGNED,
	int unsigned  W_BITS   = 4,
	int unsigned  OUT_BITS = 12,
	bit  OUT_SIGNED = 1,
	bit  DSP = 0,
	int unsigned  STEP = 1
)(
	input	logic  clk,
	input	logic  rst,

	input	logic [SIMD*PE*X_BITS-1:0]  in0_tdata,
	input	logic  in0_tvalid,
	output	logic  in0_tready,

	input	logic [SIMD*PE*W_BITS-1:0]  in1_tdata,
	input	logic  in1_tvalid,
	output	logic  in1_tready,

	output	logic [PE*OUT_BITS-1:0]  out0_tdata,
	output	logic  out0_tvalid,
	input	logic  out0_tready
);
	if(TAPS % SIMD != 0) begin : genBadSIMD
		$error("SIMD must divide TAPS");
	end : genBadSIMD

	logic [SIMD-1:0][PE-1:0][X_BITS-1:0]  taps;
	logic [SIMD-1:0][PE-1:0][W_BITS-1:0]  weights;
	logic [PE-1:0][SIMD-1:0][X_BITS-1:0]  x;
	logic [PE-1:0][SIMD-1:0][W_BITS-1:0]  w;
	assign	weights = in1_tdata;
	for(genvar  p = 0; p < PE; p++) begin : genPE
		for(genvar  s = 0; s < SIMD; s++) begin : genTap
			assign	x[p][s] = taps[s][p];
			assign	w[p][s] = weights[s][p];
		end : genTap
	end : genPE

	// Only the end of a sum needs a place for it.
	logic  x_valid, x_ready, last, free, go, valid;
	assign	go = free || !last;
	assign	x_ready = go && in1_tvalid;
	assign	in1_tready = go && x_valid;
	assign	valid = in1_tready && in1_tvalid;

	if(DSP) begin : genDsp
		// The slice has a register at its inputs.
		assign	taps = in0_tdata;
		assign	x_valid = in0_tvalid;
		assign	in0_tready = x_ready;
		sdq_every #(.COUNT(TAPS/SIMD)) beats (.clk, .rst, .step(valid), .last);
		sdq_mac_dsp #(
			.PE(PE), .SIMD(SIMD), .LENGTH(TAPS/SIMD),
			.X_FORMAT(X_FORMAT), .X_BITS(X_BITS), .W_FORMAT(W_FORMAT), .W_BITS(W_BITS),
			.OUT_BITS(OUT_BITS), .OUT_SIGNED(OUT_SIGNED)
		) mac (.clk, .rst, .free, .valid, .last, .x, .w, .out0_tdata, .out0_tvalid, .out0_tready);
	end : genDsp
	else begin : genLut
		sdq_replay #(.WIDTH(SIMD*PE*X_BITS), .LENGTH(TAPS/SIMD), .TIMES(1)) register (
			.clk, .rst,
			.in_data(in0_tdata), .in_valid(in0_tvalid), .in_ready(in0_tready),
			.out_data(taps), .out_last(last), .out_valid(x_valid), .out_ready(x_ready)
		);
		sdq_mac_lut #(
			.PE(PE), .SIMD(SIMD), .LENGTH(TAPS/SIMD), .SHARED(0),
			.X_FORMAT(X_FORMAT), .X_BITS(X_BITS), .W_FORMAT(W_FORMAT), .W_BITS(W_BITS),
			.OUT_BITS(OUT_BITS), .OUT_SIGNED(OUT_SIGNED), .STEP(STEP)
		) mac (.clk, .rst, .free, .valid, .last, .x, .w, .out0_tdata, .out0_tvalid, .out0_tready);
	end : genLut

endmodule : sdq_depthwise
