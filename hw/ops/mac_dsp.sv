/*****************************************************************************
 * sdq_mac_dsp: PE sums of products in DSP slices, each over LENGTH beats of SIMD.
 *
 * Each of PE*SIMD lanes has one multiplier and accumulates by itself, all in
 * one DSP slice: registers A and B, M, and P, which adds to itself or starts
 * anew. The SIMD accumulators of a sum are added in LUTs at its end.
 *
 * Parameters: PE, SIMD   sums, and products a beat of each
 *             LENGTH     beats of a sum
 *             X_FORMAT, X_BITS, W_FORMAT, W_BITS  operands, see sdq_mac_pkg
 *             OUT_BITS   bits of a sum, at most 48; OUT_SIGNED matters to
 *                        assertions only
 * Handshake:  as sdq_mac_lut: `valid` lets a beat in, `last` with it marks the
 *             last of a sum, which needs `free`; the pipeline never stops.
 * Latency:    3 cycles, $clog2(SIMD), and that of sdq_result_queue.
 * Resources:  PE*SIMD DSP slices; PE*(SIMD-1)*OUT_BITS LUTs, an inverter for a
 *             BIPOLAR operand; sdq_result_queue.
 *****************************************************************************/
module sdq_mac_dsp import sdq_mac_pkg::*; #(
	int unsigned  PE = 1,
	int unsigned  SIMD = 1,
	int unsigned  LENGTH = 9,
	int unsigned  X_FORMAT = UNSIGNED,
	int unsigned  X_BITS   = 4,
	int unsigned  W_FORMAT = SIGNED,
	int unsigned  W_BITS   = 4,
	int unsigned  OUT_BITS = 12,
	bit  OUT_SIGNED = 1
)(
	input	logic  clk,
	input	logic  rst,

	output	logic  free,
	input	logic  valid,
	input	logic  last,
	input	logic [PE-1:0][SIMD-1:0][X_BITS-1:0]  x,
	input	logic [PE-1:0][SIMD-1:0][W_BITS-1:0]  w,

	output	logic [PE-1:0][OUT_BITS-1:0]  out0_tdata,
	output	logic  out0_tvalid,
	input	logic  out0_tready
);
	if((X_BITS > 16) || (W_BITS > 16) || (W_FORMAT == UNSIGNED)) begin : genBadOperands
		$error("operands have at most 16 bits, and W is signed");
	end : genBadOperands

	localparam int unsigned  LEVELS  = $clog2(SIMD);
	localparam int unsigned  LATENCY = 3 + LEVELS;

	// Flags beside the pipeline: 1 for registers A and B, 2 for M, 3 for P
	logic [LATENCY:1]  Vld = '0, Lst = '0;
	always_ff @(posedge clk) begin
		if(rst)  Vld <= '0;
		else     Vld <= { Vld[LATENCY-1:1], valid };
	end
	always_ff @(posedge clk)  Lst <= { Lst[LATENCY-1:1], last };

	// Whether P starts anew with the next product
	logic  First = 1;
	always_ff @(posedge clk) begin
		if(rst)  First <= 1;
		else if(Vld[2])  First <= Lst[2];
	end

	logic [PE-1:0][OUT_BITS-1:0]  sums;
	for(genvar  p = 0; p < PE; p++) begin : genPE
		logic [SIMD-1:0][OUT_BITS-1:0]  parts;
		for(genvar  s = 0; s < SIMD; s++) begin : genLane
			// Operands as signed numbers of up to 16 bits, or 17 if x is unsigned
			logic signed [16:0]  a;
			logic signed [15:0]  b;
			assign	a = 17'(meaning(X_FORMAT, X_BITS, 32'(x[p][s])));
			assign	b = 16'(meaning(W_FORMAT, W_BITS, 32'(w[p][s])));
			sdq_macc_dsp #(.A_BITS(17), .B_BITS(16), .SUM_BITS(OUT_BITS)) lane (
				.clk, .add(Vld[2]), .first((LENGTH == 1) || First),
				.a, .b, .sum(parts[s])
			);
		end : genLane

		for(genvar  l = 0; l <= LEVELS; l++) begin : genLevel
			localparam int unsigned  N = (SIMD + (1<<l)-1) >> l;
			logic [N-1:0][OUT_BITS-1:0]  val;
			if(l == 0) begin : genLanes
				assign	val = parts;
			end : genLanes
			else begin : genAdders
				logic [N-1:0][OUT_BITS-1:0]  Val = '0;
				for(genvar  i = 0; i < N; i++) begin : genNode
					localparam bit  PAIR = 2*i+1 < (SIMD + (1<<(l-1))-1) >> (l-1);
					always_ff @(posedge clk) begin
						Val[i] <= PAIR? genLevel[l-1].val[2*i] + genLevel[l-1].val[2*i + int'(PAIR)] : genLevel[l-1].val[2*i];
					end
				end : genNode
				assign	val = Val;
			end : genAdders
		end : genLevel
		assign	sums[p] = genLevel[LEVELS].val[0];
	end : genPE

	logic  done;
	assign	done = Vld[LATENCY] && Lst[LATENCY];
	sdq_result_queue #(.WIDTH(PE*OUT_BITS), .PLACES(places(LENGTH, LATENCY))) queue (
		.clk, .rst,
		.free, .reserve(valid && last),
		.push(done), .data(sums),
		.out0_tdata, .out0_tvalid, .out0_tready
	);

`ifndef SYNTHESIS
	// The same sums with bits to spare, delayed
	for(genvar  p = 0; p < PE; p++) begin : genCheck
		longint  Wide = 0;
		longint  Delayed[LATENCY];
		longint  wide;
		always_comb begin
			wide = Wide;
			for(int unsigned  s = 0; s < SIMD; s++)
				wide = wide + longint'(meaning(X_FORMAT, X_BITS, 32'(x[p][s])) * meaning(W_FORMAT, W_BITS, 32'(w[p][s])));
		end
		always_ff @(posedge clk) begin
			if(rst)  Wide <= 0;
			else if(valid)  Wide <= last? 0 : wide;
			Delayed[0] <= wide;
			for(int unsigned  i = 1; i < LATENCY; i++)  Delayed[i] <= Delayed[i-1];
			assert(rst || !done || (Delayed[LATENCY-1] == (OUT_SIGNED? longint'($signed(sums[p])) : longint'(sums[p]))))
				else  $error("overflow: the sum %0d of PE %0d does not fit its %0d bits", Delayed[LATENCY-1], p, OUT_BITS);
		end
	end : genCheck
	always_ff @(posedge clk) begin
		assert(rst || !valid || !last || free) else  $error("a sum ends without a place");
	end
`endif

endmodule : sdq_mac_dsp
