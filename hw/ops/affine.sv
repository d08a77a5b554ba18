/*****************************************************************************
 * sdq_affine: gain*x + offset, with constants for each channel or for all.
 *
 * Parameters: PE            elements of a beat
 *             FOLDS         beats until the first channels come again
 *             IN_BITS       bits of an element of in0
 *             IN_SIGNED     in0 is two's complement
 *             IN_BIPOLAR    in0 has 1 bit, 0 for -1 and 1 for +1
 *             OUT_BITS      bits of an element of out0, enough for every result
 *             GAIN_DEPTH    0: all gains are 2^GAIN_SHIFT, there is no multiplier;
 *                           1: GAIN (GAIN_NEG) serve every beat;
 *                           FOLDS: a ROM holds those of each beat
 *             GAIN_BITS     bits of a gain, two's complement
 *             NEGATIVE      negative x have gains of their own, GAIN_NEG
 *             GAIN, GAIN_NEG, OFFSET
 *                           constants of a beat, element 0 lowest
 *             GAIN_FILE, GAIN_NEG_FILE, OFFSET_FILE
 *                           contents of the ROMs, $readmemh
 *             OFFSET_DEPTH  0: no offset; 1: OFFSET; FOLDS: a ROM
 *             OFFSET_BITS   bits of an offset, two's complement
 *             DSP           products take DSP slices
 * Handshake:  AXI-Stream; the stages move together, one beat a cycle.
 * Latency:    With a multiplier 2 cycles (operands, product), 4 in DSP slices
 *             beyond 25 x 18 bits, and 1 more with an offset. Without one 1 cycle,
 *             2 with a ROM of offsets.
 * Resources:  For each element: the product is a DSP slice, which takes in its
 *             operands' registers and the offset's adder, or about
 *             IN_BITS*GAIN_BITS LUTs; else OUT_BITS LUTs for the adder. ROMs are
 *             LUTs, one for each bit and 64 folds (half for 32). The output is
 *             registered; TREADY passes through combinationally.
 *****************************************************************************/
module sdq_affine #(
	int unsigned  PE           = 1,
	int unsigned  FOLDS        = 1,
	int unsigned  IN_BITS      = 8,
	bit           IN_SIGNED    = 1,
	bit           IN_BIPOLAR   = 0,
	int unsigned  OUT_BITS     = 16,
	int unsigned  GAIN_DEPTH   = 1,
	int unsigned  GAIN_BITS    = 8,
	int unsigned  GAIN_SHIFT   = 0,
	bit           NEGATIVE     = 0,
	bit [PE*GAIN_BITS-1:0]  GAIN     = '0,
	bit [PE*GAIN_BITS-1:0]  GAIN_NEG = '0,
	int unsigned  OFFSET_DEPTH = 1,
	int unsigned  OFFSET_BITS  = 8,
	bit [PE*OFFSET_BITS-1:0]  OFFSET = '0,
	bit           DSP          = 0,
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
	if(IN_BIPOLAR && IN_BITS != 1) begin : genNoBipolar
		$error("sdq_affine: bipolar elements have 1 bit.");
	end : genNoBipolar
	if(GAIN_DEPTH > 1 && GAIN_DEPTH != FOLDS) begin : genNoGains
		$error("sdq_affine: GAIN_DEPTH must be 0, 1 or FOLDS.");
	end : genNoGains
	if(OFFSET_DEPTH > 1 && OFFSET_DEPTH != FOLDS) begin : genNoOffsets
		$error("sdq_affine: OFFSET_DEPTH must be 0, 1 or FOLDS.");
	end : genNoOffsets
	if(NEGATIVE && GAIN_DEPTH == 0) begin : genNoNegative
		$error("sdq_affine: a second gain needs GAIN_DEPTH of 1 or FOLDS.");
	end : genNoNegative

	localparam bit  MULTIPLY = GAIN_DEPTH > 0;
	localparam bit  ROM_GAIN = GAIN_DEPTH > 1;
	localparam bit  ROM_OFFSET = OFFSET_DEPTH > 1;

	// x as a signed number: an unsigned or bipolar one takes one more bit.
	localparam int unsigned  X_BITS = IN_BITS + (IN_SIGNED && !IN_BIPOLAR? 0 : 1);

	// More than one slice a product: registers for the sum of the partial products.
	localparam int unsigned  LONG = X_BITS > GAIN_BITS? X_BITS : GAIN_BITS;
	localparam int unsigned  SHORT = X_BITS > GAIN_BITS? GAIN_BITS : X_BITS;
	localparam int unsigned  WIDE = DSP && (LONG > 25 || SHORT > 18)? 2 : 0;

	// Stages in front of the adder, and all of them.
	localparam int unsigned  BEFORE = MULTIPLY? 2 + WIDE : ROM_OFFSET? 1 : 0;
	localparam int unsigned  STAGES = BEFORE + (OFFSET_DEPTH > 0 || BEFORE == 0? 1 : 0);

	//-----------------------------------------------------------------------
	// Handshake: all stages move, or none.
	logic [STAGES-1:0]  Vld = '0;
	uwire  en = out0_tready || !Vld[STAGES-1];
	always_ff @(posedge clk) begin
		if(rst)      Vld <= '0;
		else if(en)  Vld <= STAGES'({Vld, in0_tvalid});
	end
	assign	in0_tready = en;
	assign	out0_tvalid = Vld[STAGES-1];

	//-----------------------------------------------------------------------
	// Constants. Those from a ROM are registered with what they are applied to: a
	// gain with its x, an offset with its product.
	localparam int unsigned  FOLD_BITS = FOLDS > 1? $clog2(FOLDS) : 1;
	// verilator lint_off UNUSEDSIGNAL  // what the parameters leave out
	uwire [FOLD_BITS-1:0]  fold;  // of the input's beat
	uwire [PE-1:0][GAIN_BITS-1:0]  gain;
	uwire [PE-1:0][GAIN_BITS-1:0]  gain_neg;
	uwire [PE-1:0][OFFSET_BITS-1:0]  offset;
	// verilator lint_on UNUSEDSIGNAL

	if(ROM_GAIN || ROM_OFFSET) begin : genFold
		logic [FOLD_BITS-1:0]  Fold = '0;
		always_ff @(posedge clk) begin
			if(rst)  Fold <= '0;
			else if(in0_tvalid && en)  Fold <= Fold == FOLD_BITS'(FOLDS-1)? '0 : Fold + 1'b1;
		end
		assign	fold = Fold;
	end : genFold
	else begin : genNoFold
		assign	fold = '0;
	end : genNoFold

	if(ROM_GAIN) begin : genGains
		(* rom_style = "distributed" *)
		logic [PE*GAIN_BITS-1:0]  Gains[FOLDS];
		initial  $readmemh(GAIN_FILE, Gains);
		assign	gain = Gains[fold];
	end : genGains
	else begin : genGain
		assign	gain = GAIN;
	end : genGain
	if(ROM_GAIN && NEGATIVE) begin : genGainsNeg
		(* rom_style = "distributed" *)
		logic [PE*GAIN_BITS-1:0]  Gains[FOLDS];
		initial  $readmemh(GAIN_NEG_FILE, Gains);
		assign	gain_neg = Gains[fold];
	end : genGainsNeg
	else begin : genGainNeg
		assign	gain_neg = GAIN_NEG;
	end : genGainNeg

	if(ROM_OFFSET) begin : genOffsets
		// Pointers are narrower than offsets, so it is they that wait for the product.
		logic [FOLD_BITS-1:0]  Ptr[BEFORE];
		assign	Ptr[0] = fold;
		for(genvar  k = 1; k < BEFORE; k++) begin : genPtr
			always_ff @(posedge clk) begin
				if(en)  Ptr[k] <= Ptr[k-1];
			end
		end : genPtr
		(* rom_style = "distributed" *)
		logic [PE*OFFSET_BITS-1:0]  Offsets[FOLDS];
		initial  $readmemh(OFFSET_FILE, Offsets);
		logic [PE*OFFSET_BITS-1:0]  Offset = 'x;
		always_ff @(posedge clk) begin
			if(en)  Offset <= Offsets[Ptr[BEFORE-1]];
		end
		assign	offset = Offset;
	end : genOffsets
	else begin : genOffset
		assign	offset = OFFSET;
	end : genOffset

	//-----------------------------------------------------------------------
	// One element. Results fit OUT_BITS, so that sums may be taken modulo 2^OUT_BITS.
	for(genvar  i = 0; i < PE; i++) begin : genElements
		uwire [IN_BITS-1:0]  raw;
		uwire signed [X_BITS-1:0]  x;
		if(IN_BIPOLAR) begin : genBipolar
			assign	x = {!raw, 1'b1};
		end : genBipolar
		else if(IN_SIGNED) begin : genSigned
			assign	x = raw;
		end : genSigned
		else begin : genUnsigned
			assign	x = {1'b0, raw};
		end : genUnsigned

		// The input, or its register.
		if(BEFORE > 0) begin : genX
			logic [IN_BITS-1:0]  X = 'x;
			always_ff @(posedge clk) begin
				if(en)  X <= in0_tdata[i];
			end
			assign	raw = X;
		end : genX
		else begin : genNoX
			assign	raw = in0_tdata[i];
		end : genNoX

		uwire [OUT_BITS-1:0]  scaled;
		if(MULTIPLY) begin : genMultiply
			localparam int unsigned  P_BITS =
				X_BITS + GAIN_BITS < OUT_BITS? X_BITS + GAIN_BITS : OUT_BITS;
			uwire signed [P_BITS-1:0]  product;
			if(!DSP && !ROM_GAIN) begin : genByConstant
				// Two products by constants, shifts at best, take less than one by a variable.
				uwire signed [GAIN_BITS-1:0]  pos = gain[i];
				uwire signed [GAIN_BITS-1:0]  neg = gain_neg[i];
				(* use_dsp = "no" *)
				uwire signed [P_BITS-1:0]  p = P_BITS'(x) * P_BITS'(pos);
				(* use_dsp = "no" *)
				uwire signed [P_BITS-1:0]  n = P_BITS'(x) * P_BITS'(neg);
				assign	product = NEGATIVE && x[X_BITS-1]? n : p;
			end : genByConstant
			else begin : genByVariable
				uwire signed [GAIN_BITS-1:0]  g;
				if(ROM_GAIN || NEGATIVE) begin : genG
					uwire  negative =
						NEGATIVE && (IN_BIPOLAR? !in0_tdata[i][0] : in0_tdata[i][IN_BITS-1]);
					logic [GAIN_BITS-1:0]  G = 'x;
					always_ff @(posedge clk) begin
						if(en)  G <= negative? gain_neg[i] : gain[i];
					end
					assign	g = G;
				end : genG
				else begin : genNoG
					assign	g = gain[i];
				end : genNoG

				if(DSP) begin : genSlices
					(* use_dsp = "yes" *)
					uwire signed [P_BITS-1:0]  p = P_BITS'(x) * P_BITS'(g);
					assign	product = p;
				end : genSlices
				else begin : genFabric
					(* use_dsp = "no" *)
					uwire signed [P_BITS-1:0]  p = P_BITS'(x) * P_BITS'(g);
					assign	product = p;
				end : genFabric
			end : genByVariable

			logic signed [P_BITS-1:0]  P[1+WIDE];
			always_ff @(posedge clk) begin
				if(en) begin
					P[0] <= product;
					for(int unsigned  k = 1; k < 1+WIDE; k++)  P[k] <= P[k-1];
				end
			end
			assign	scaled = OUT_BITS'(P[WIDE]);
		end : genMultiply
		else begin : genShift
			assign	scaled = OUT_BITS'(x) << GAIN_SHIFT;
		end : genShift

		uwire [OUT_BITS-1:0]  sum;
		if(OFFSET_DEPTH > 0) begin : genOffset
			uwire signed [OFFSET_BITS-1:0]  o = offset[i];
			assign	sum = scaled + OUT_BITS'(o);
		end : genOffset
		else begin : genNoOffset
			assign	sum = scaled;
		end : genNoOffset

		if(STAGES > BEFORE) begin : genSum
			logic [OUT_BITS-1:0]  Sum = 'x;
			always_ff @(posedge clk) begin
				if(en)  Sum <= sum;
			end
			assign	out0_tdata[i] = Sum;
		end : genSum
		else begin : genNoSum
			assign	out0_tdata[i] = sum;
		end : genNoSum
	end : genElements

endmodule : sdq_affine
