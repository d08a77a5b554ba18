/*****************************************************************************
 * sdq_requant: clip(round((gain*x + offset) / 2^SHIFT), LOW, HIGH), with
 * constants for each channel or for all, and gains of their own for negative x.
 *
 * Parameters: as of sdq_affine, which makes the sum, and
 *             SUM_BITS   bits of gain*x + offset, above SHIFT
 *             SHIFT      bits that rounding takes away
 *             HALF_EVEN  rounds to nearest, halves to even. The offsets then
 *                        include 2^(SHIFT-1). Otherwise rounds down.
 *             LOW, HIGH  least and greatest output
 *             OUT_BITS   bits of an output
 * Handshake:  AXI-Stream, one beat a cycle.
 * Latency:    that of sdq_affine, 1 cycle for rounding, and 1 for clipping where
 *             it can happen: for a usual product of 25 x 18 bits or less 5 cycles,
 *             with one multiplication, addition or comparison in each.
 * Resources:  sdq_affine, and for each element: rounding to even, which is no
 *             adder but clears the lowest bit of a half, SHIFT/5 LUTs; clipping,
 *             two comparisons with a constant of SUM_BITS-SHIFT bits, half as many
 *             LUTs, and OUT_BITS LUTs. The output is registered; TREADY passes
 *             through combinationally.
 *****************************************************************************/
module sdq_requant #(
	int unsigned  PE           = 1,
	int unsigned  FOLDS        = 1,
	int unsigned  IN_BITS      = 24,
	bit           IN_SIGNED    = 1,
	bit           IN_BIPOLAR   = 0,
	int unsigned  GAIN_DEPTH   = 1,
	int unsigned  GAIN_BITS    = 16,
	int unsigned  GAIN_SHIFT   = 0,
	bit           NEGATIVE     = 0,
	bit [PE*GAIN_BITS-1:0]  GAIN     = '0,
	bit [PE*GAIN_BITS-1:0]  GAIN_NEG = '0,
	int unsigned  OFFSET_DEPTH = 1,
	int unsigned  OFFSET_BITS  = 32,
	bit [PE*OFFSET_BITS-1:0]  OFFSET = '0,
	bit           DSP          = 1,
	int unsigned  SUM_BITS     = 42,
	int unsigned  SHIFT        = 16,
	bit           HALF_EVEN    = 1,
	longint       LOW          = -32768,
	longint       HIGH         = 32767,
	int unsigned  OUT_BITS     = 16,
	parameter     GAIN_FILE     = "",
	parameter     GAIN_NEG_FILE = "",
	parameter     OFFSET_FILE   = ""
)(
	input	logic  clk,
	input	logic  rst,

	input	logic [PE-1:0][IN_BITS-1:0]  in0_tdata,
	input	logic  in0_tvalid,
	output	logic  in0_tready,

	output	logic [PE-1:0][OUT_BITS-1:0]  out0_tdata,
	output	logic  out0_tvalid,
	input	logic  out0_tready
);
	if(SUM_BITS <= SHIFT || SUM_BITS > 63) begin : genNoSum
		$error("sdq_requant: SUM_BITS must be above SHIFT and at most 63.");
	end : genNoSum
	if(LOW > HIGH) begin : genNoRange
		$error("sdq_requant: LOW must not be above HIGH.");
	end : genNoRange

	uwire [PE-1:0][SUM_BITS-1:0]  sum_tdata;
	uwire  sum_tvalid;
	uwire  sum_tready;
	sdq_affine #(
		.PE(PE), .FOLDS(FOLDS), .IN_BITS(IN_BITS), .IN_SIGNED(IN_SIGNED), .IN_BIPOLAR(IN_BIPOLAR),
		.OUT_BITS(SUM_BITS), .GAIN_DEPTH(GAIN_DEPTH), .GAIN_BITS(GAIN_BITS), .GAIN_SHIFT(GAIN_SHIFT),
		.NEGATIVE(NEGATIVE), .GAIN(GAIN), .GAIN_NEG(GAIN_NEG), .OFFSET_DEPTH(OFFSET_DEPTH),
		.OFFSET_BITS(OFFSET_BITS), .OFFSET(OFFSET), .DSP(DSP), .GAIN_FILE(GAIN_FILE),
		.GAIN_NEG_FILE(GAIN_NEG_FILE), .OFFSET_FILE(OFFSET_FILE)
	) affine (
		.clk, .rst,
		.in0_tdata, .in0_tvalid, .in0_tready,
		.out0_tdata(sum_tdata), .out0_tvalid(sum_tvalid), .out0_tready(sum_tready)
	);

	// The sum divided by 2^SHIFT and rounded down, and its range.
	localparam int unsigned  Q_BITS = SUM_BITS - SHIFT;
	localparam longint  Q_MAX = (64'sd1 << (Q_BITS-1)) - 1;
	localparam bit  EVEN = HALF_EVEN && SHIFT > 0;
	localparam bit  CLIP_LOW = -Q_MAX-1 < LOW;
	localparam bit  CLIP_HIGH = Q_MAX > HIGH;
	localparam int unsigned  STAGES = CLIP_LOW || CLIP_HIGH? 2 : 1;

	// Handshake: both stages move, or none.
	logic [STAGES-1:0]  Vld = '0;
	uwire  en = out0_tready || !Vld[STAGES-1];
	always_ff @(posedge clk) begin
		if(rst)      Vld <= '0;
		else if(en)  Vld <= STAGES'({Vld, sum_tvalid});
	end
	assign	sum_tready = en;
	assign	out0_tvalid = Vld[STAGES-1];

	for(genvar  i = 0; i < PE; i++) begin : genElements
		uwire signed [Q_BITS-1:0]  q = sum_tdata[i][SUM_BITS-1:SHIFT];

		// With the half included, q is rounded to nearest, halves up. A half was there if
		// nothing is left over; clearing the lowest bit then makes the result even.
		uwire  half;
		if(EVEN) begin : genHalf
			assign	half = !(|sum_tdata[i][SHIFT-1:0]);
		end : genHalf
		else begin : genNoHalf
			assign	half = 0;
		end : genNoHalf

		logic [OUT_BITS-1:0]  Q = 'x;
		always_ff @(posedge clk) begin
			if(en)  Q <= OUT_BITS'(q) & ~OUT_BITS'(half);
		end

		if(STAGES == 1) begin : genAll
			assign	out0_tdata[i] = Q;
		end : genAll
		else begin : genClip
			// Of values at both sides of a bound by at most the bit that was cleared, the
			// comparison may take q: clipped or not, they give the same.
			localparam int unsigned  C_BITS = Q_BITS > OUT_BITS? Q_BITS : OUT_BITS + 1;
			uwire signed [C_BITS-1:0]  c = C_BITS'(q);
			uwire signed [C_BITS-1:0]  low = C_BITS'(LOW);
			uwire signed [C_BITS-1:0]  high = C_BITS'(HIGH);
			logic  Under = 'x;
			logic  Over = 'x;
			logic [OUT_BITS-1:0]  Res = 'x;
			always_ff @(posedge clk) begin
				if(en) begin
					Under <= CLIP_LOW && (EVEN? c <= low : c < low);
					Over  <= CLIP_HIGH && c > high;
					Res   <= Under? OUT_BITS'(LOW) : Over? OUT_BITS'(HIGH) : Q;
				end
			end
			assign	out0_tdata[i] = Res;
		end : genClip
	end : genElements

endmodule : sdq_requant
