/*****************************************************************************
 * sdq_mac_lut: PE sums of products in LUTs, each over LENGTH beats of SIMD.
 *
 * Parameters: PE, SIMD   sums, and products a beat of each
 *             LENGTH     beats of a sum
 *             SHARED     whether all PE have the same x
 *             X_FORMAT, X_BITS, W_FORMAT, W_BITS  operands, see sdq_mac_pkg
 *             OUT_BITS   bits of a sum; OUT_SIGNED matters to assertions only
 *             STEP       levels of adders between registers
 * Handshake:  `valid` lets a beat in, `last` with it marks the last of a sum,
 *             which needs `free`. The output is AXI-Stream; the pipeline never
 *             stops, and a place in the result queue is reserved for each sum.
 * Latency:    that of sdq_dot and of sdq_result_queue.
 * Resources:  per PE, sdq_dot, and a LUT and a flip-flop per bit of the sum:
 *             the accumulator takes no multiplexer, as it is cleared in the
 *             cycle that moves the sum on. sdq_result_queue. No DSP slices.
 *****************************************************************************/
module sdq_mac_lut import sdq_mac_pkg::*; #(
	int unsigned  PE = 1,
	int unsigned  SIMD = 4,
	int unsigned  LENGTH = 4,
	bit  SHARED = 1,
	int unsigned  X_FORMAT = UNSIGNED,
	int unsigned  X_BITS   = 4,
	int unsigned  W_FORMAT = SIGNED,
	int unsigned  W_BITS   = 4,
	int unsigned  OUT_BITS = 12,
	bit  OUT_SIGNED = 1,
	int unsigned  STEP = 1,

	localparam int unsigned  X_PE = SHARED? 1 : PE
)(
	input	logic  clk,
	input	logic  rst,

	output	logic  free,
	input	logic  valid,
	input	logic  last,
	input	logic [X_PE-1:0][SIMD-1:0][X_BITS-1:0]  x,
	input	logic [PE  -1:0][SIMD-1:0][W_BITS-1:0]  w,

	output	logic [PE-1:0][OUT_BITS-1:0]  out0_tdata,
	output	logic  out0_tvalid,
	input	logic  out0_tready
);
	localparam int unsigned  LEVELS = levels(SIMD, X_FORMAT, X_BITS, W_FORMAT, W_BITS);
	localparam int unsigned  LATENCY = LEVELS / STEP;
	localparam int unsigned  D_BITS = width(LEVELS, SIMD, X_FORMAT, X_BITS, W_FORMAT, W_BITS);
	localparam bit  D_SIGNED = negative(LEVELS, SIMD, X_FORMAT, X_BITS, W_FORMAT, W_BITS);
	localparam int unsigned  KIND = structure(X_FORMAT, X_BITS, W_FORMAT, W_BITS);

	// Counting n equal bits of N gives the sum 2*n - N: its lowest bit is constant, the others
	// count, from -N/2 rounded down.
	localparam int unsigned  N = LENGTH * SIMD;
	localparam bit  COUNTS = KIND == XNOR;
	localparam int unsigned  ACC_BITS = OUT_BITS - int'(COUNTS);
	localparam int  INITIAL = COUNTS? -int'((N+1) / 2) : 0;
	if(COUNTS && (OUT_BITS < 2)) begin : genBadBits
		$error("OUT_BITS must be 2 or more");
	end : genBadBits

	// Flags beside the pipeline
	logic  sum_valid, sum_last;
	if(LATENCY == 0) begin : genNow
		assign	sum_valid = valid;
		assign	sum_last  = last;
	end : genNow
	else begin : genDelay
		logic [LATENCY:0]  vld, lst;	// 0 is the input
		logic [LATENCY:1]  Vld = '0, Lst = '0;
		assign	vld = { Vld, valid };
		assign	lst = { Lst, last };
		always_ff @(posedge clk) begin
			if(rst)  Vld <= '0;
			else     Vld <= vld[LATENCY-1:0];
		end
		always_ff @(posedge clk)  Lst <= lst[LATENCY-1:0];
		assign	sum_valid = vld[LATENCY];
		assign	sum_last  = lst[LATENCY];
	end : genDelay
	logic  done;
	assign	done = sum_valid && sum_last;

	logic [PE-1:0][OUT_BITS-1:0]  sums;
	for(genvar  p = 0; p < PE; p++) begin : genPE
		logic [D_BITS-1:0]  value;
		logic  carry;
		sdq_dot #(
			.SIMD(SIMD), .STEP(STEP),
			.X_FORMAT(X_FORMAT), .X_BITS(X_BITS), .W_FORMAT(W_FORMAT), .W_BITS(W_BITS)
		) dot (.clk, .x(x[SHARED? 0 : p]), .w(w[p]), .value, .carry);

		logic [ACC_BITS-1:0]  addend;
		assign	addend = ACC_BITS'({ {ACC_BITS{D_SIGNED && value[D_BITS-1]}}, value });

		// The addition as in sdq_dot
		logic [ACC_BITS-1:0]  acc;
		logic [ACC_BITS-1:0]  sum;
		if(KIND == MASK) begin : genPlain
			assign	sum = acc + addend;
		end : genPlain
		else begin : genCarry
			logic [ACC_BITS:0]  s;
			assign	s = { acc, 1'b1 } + { (KIND == SIGN) && carry? ~addend : addend, carry };
			assign	sum = s[ACC_BITS:1];
			// The carry only
			logic  unused;
			assign	unused = s[0];
		end : genCarry
		if(COUNTS) begin : genCount
			assign	sums[p] = { sum, N%2 != 0 };
		end : genCount
		else begin : genSum
			assign	sums[p] = sum;
		end : genSum

		if(LENGTH == 1) begin : genSingle
			assign	acc = ACC_BITS'(INITIAL);
		end : genSingle
		else begin : genAccumulate
			logic [ACC_BITS-1:0]  Acc = ACC_BITS'(INITIAL);
			always_ff @(posedge clk) begin
				if(rst || done)  Acc <= ACC_BITS'(INITIAL);
				else if(sum_valid)  Acc <= sum;
			end
			assign	acc = Acc;
		end : genAccumulate

`ifndef SYNTHESIS
		// The same sum with bits to spare
		longint  Wide = 0;
		longint  wide, magnitude;
		always_comb begin
			magnitude = D_SIGNED? longint'($signed(value)) : longint'(value);
			wide = Wide;
			if(KIND != SIGN)  wide = wide + magnitude + longint'(carry);
			else              wide = carry? wide - magnitude : wide + magnitude;
		end
		always_ff @(posedge clk) begin
			if(rst || done)  Wide <= 0;
			else if(sum_valid)  Wide <= wide;
		end
		longint  total;
		assign	total = COUNTS? 2*wide - longint'(N) : wide;
		always_ff @(posedge clk) begin
			assert(rst || !done || (OUT_SIGNED? total == longint'($signed(sums[p])) : total == longint'(sums[p])))
				else  $error("overflow: the sum %0d of PE %0d does not fit its %0d bits", total, p, OUT_BITS);
		end
`endif
	end : genPE

	sdq_result_queue #(.WIDTH(PE*OUT_BITS), .PLACES(places(LENGTH, LATENCY))) queue (
		.clk, .rst,
		.free, .reserve(valid && last),
		.push(done), .data(sums),
		.out0_tdata, .out0_tvalid, .out0_tready
	);

`ifndef SYNTHESIS
	always_ff @(posedge clk) begin
		assert(rst || !valid || !last || free) else  $error("a sum ends without a place");
	end
`endif

endmodule : sdq_mac_lut
