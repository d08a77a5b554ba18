/*****************************************************************************
 * sdq_pool: maximum or sum over each window of a depthwise stream.
 *
 * A window is TAPS/SIMD beats of SIMD taps by PE channels, the channels of the
 * first tap in the lowest bits; it gives one beat of PE channels.
 *
 * Parameters: TAPS      taps of a window
 *             SIMD      taps in a beat, a divisor of TAPS
 *             PE        channels in a beat
 *             SUM       sum instead of maximum
 *             IN_BITS   bits of an input value
 *             OUT_BITS  bits of an output value: IN_BITS for the maximum, enough
 *                       for every sum otherwise
 *             SIGNED    input values are two's complement
 *             BIPOLAR   input values are one bit, 0 for -1 and 1 for +1
 * Handshake:  AXI-Stream. The accumulator is the output register: all waits
 *             while a result waits. TREADY passes through combinationally.
 * Latency:    1 + clog2(SIMD) cycles from the last beat of a window, 1 beat a
 *             cycle.
 * Resources:  for each channel the accumulator: OUT_BITS LUTs for a sum, for a
 *             maximum IN_BITS/2 (it loads by clock enable); and SIMD-1 nodes of
 *             a tree with a register after each: a LUT a bit for a sum, 1.5 for
 *             a maximum. A bipolar sum counts ones: there is no multiplication.
 *****************************************************************************/
module sdq_pool #(
	int unsigned  TAPS = 9,
	int unsigned  SIMD = 1,
	int unsigned  PE = 1,
	bit  SUM = 0,
	int unsigned  IN_BITS = 4,
	int unsigned  OUT_BITS = 4,
	bit  SIGNED = 0,
	bit  BIPOLAR = 0
)(
	input	logic  clk,
	input	logic  rst,

	input	logic [SIMD-1:0][PE-1:0][IN_BITS-1:0]  in0_tdata,
	input	logic  in0_tvalid,
	output	logic  in0_tready,

	output	logic [PE-1:0][OUT_BITS-1:0]  out0_tdata,
	output	logic  out0_tvalid,
	input	logic  out0_tready
);
	// The sum of bipolar values is 2*ones - TAPS: its lowest bit is that of TAPS, and the others
	// count ones, from the start value on.
	localparam bit  ONES = SUM && BIPOLAR;
	localparam int unsigned  ACC_BITS = ONES? OUT_BITS-1 : OUT_BITS;
	localparam logic [ACC_BITS-1:0]  START = ONES? ACC_BITS'(-int'((TAPS+1)/2)) : ACC_BITS'(0);
	localparam int unsigned  LEVELS = $clog2(SIMD);
	localparam int unsigned  BEATS = TAPS / SIMD;
	localparam int unsigned  BEATS_BITS = BEATS > 1? $clog2(BEATS) : 1;

	// Bits of a value at a level of the tree
	function automatic int unsigned  width(input int unsigned  level);
		if(!SUM)  return  IN_BITS;
		return  IN_BITS + level < ACC_BITS? IN_BITS + level : ACC_BITS;
	endfunction : width

	if(TAPS % SIMD != 0) begin : genNoFolding
		$error("sdq_pool: SIMD must divide TAPS.");
	end : genNoFolding
	if(SUM? ACC_BITS < IN_BITS : OUT_BITS != IN_BITS) begin : genNoRange
		$error("sdq_pool: OUT_BITS does not suit IN_BITS.");
	end : genNoRange
	if(BIPOLAR && IN_BITS != 1) begin : genNoBipolar
		$error("sdq_pool: a bipolar value is one bit.");
	end : genNoBipolar

	// Everything moves, or nothing.
	uwire  en = !out0_tvalid || out0_tready;
	assign	in0_tready = en;

	// A tree over the taps of a beat; level 0 is the input.
	for(genvar  l = 0; l <= LEVELS; l++) begin : genLevel
		localparam int unsigned  N = (SIMD + 2**l - 1) / 2**l;
		localparam int unsigned  W = width(l);
		logic [N-1:0][PE-1:0][W-1:0]  dat;
		logic  vld;

		if(l == 0) begin : genInput
			assign	dat = in0_tdata;
			assign	vld = in0_tvalid;
		end : genInput
		else begin : genNodes
			localparam int unsigned  M = (SIMD + 2**(l-1) - 1) / 2**(l-1);
			localparam int unsigned  V = width(l-1);
			localparam logic [W-1:0]  FLIP = SIGNED? W'(1) << (W-1) : W'(0);  // for comparisons
			logic  Vld = 0;
			always_ff @(posedge clk) begin
				if(rst)  Vld <= 0;
				else if(en)  Vld <= genLevel[l-1].vld;
			end
			assign	vld = Vld;

			for(genvar  i = 0; i < N; i++) begin : genNode
				for(genvar  c = 0; c < PE; c++) begin : genChannel
					uwire [W-1:0]  a = {{(W-V){SIGNED && genLevel[l-1].dat[2*i][c][V-1]}}, genLevel[l-1].dat[2*i][c]};
					logic [W-1:0]  Dat;
					assign	dat[i][c] = Dat;
					if(2*i + 1 == M) begin : genOdd
						always_ff @(posedge clk) begin
							if(en)  Dat <= a;
						end
					end : genOdd
					else begin : genPair
						uwire [W-1:0]  b = {{(W-V){SIGNED && genLevel[l-1].dat[2*i+1][c][V-1]}}, genLevel[l-1].dat[2*i+1][c]};
						always_ff @(posedge clk) begin
							if(en)  Dat <= SUM? a + b : (a ^ FLIP) > (b ^ FLIP)? a : b;
						end
					end : genPair
				end : genChannel
			end : genNode
		end : genNodes
	end : genLevel

	// Accumulation over the beats of a window
	localparam int unsigned  W = width(LEVELS);
	uwire  vld = genLevel[LEVELS].vld;
	logic  Vld = 0;
	logic  First = 1;
	logic [BEATS_BITS-1:0]  Cnt = '0;
	uwire  last = Cnt == BEATS_BITS'(BEATS-1);
	always_ff @(posedge clk) begin
		if(rst) begin
			Vld <= 0;
			First <= 1;
			Cnt <= '0;
		end
		else if(en) begin
			Vld <= vld && last;
			if(vld) begin
				First <= last;
				Cnt <= last? '0 : Cnt + 1;
			end
		end
	end
	assign	out0_tvalid = Vld;

	for(genvar  c = 0; c < PE; c++) begin : genAcc
		uwire [W-1:0]  a = genLevel[LEVELS].dat[0][c];
		logic [ACC_BITS-1:0]  Acc;
		if(SUM) begin : genSum
			uwire [ACC_BITS-1:0]  x = {{(ACC_BITS-W){SIGNED && a[W-1]}}, a};
			always_ff @(posedge clk) begin
				if(en && vld)  Acc <= (First? START : Acc) + x;
			end
		end : genSum
		else begin : genMax
			localparam logic [W-1:0]  FLIP = SIGNED? W'(1) << (W-1) : W'(0);
			always_ff @(posedge clk) begin
				if(en && vld && (First || (a ^ FLIP) > (Acc ^ FLIP)))  Acc <= a;
			end
		end : genMax
		if(ONES) begin : genOnes
			assign	out0_tdata[c] = {Acc, TAPS[0]};
		end : genOnes
		else begin : genValue
			assign	out0_tdata[c] = Acc;
		end : genValue
	end : genAcc

endmodule : sdq_pool
