/*****************************************************************************
 * sdq_elementwise: sum, difference or product of two streams of one shape.
 *
 *     out = LEFT_FACTOR*in0 + RIGHT_FACTOR*in1, or with a minus, or in0*in1
 *
 * Parameters: PE            elements of a beat
 *             MULTIPLY      product; SUBTRACT, LEFT_FACTOR, RIGHT_FACTOR idle
 *             SUBTRACT      in1 is subtracted
 *             LEFT_BITS     bits of an element of in0; RIGHT_BITS of in1
 *             LEFT_SIGNED   in0 is two's complement; RIGHT_SIGNED in1
 *             LEFT_BIPOLAR  in0 has 1 bit, 0 for -1 and 1 for +1; RIGHT_BIPOLAR
 *             LEFT_FACTOR   positive factor of in0; RIGHT_FACTOR of in1
 *             OUT_BITS      bits of an element of out0, enough for every result
 *             OUT_BIPOLAR   out0 is bipolar; product of two bipolar streams only
 *             DSP           a product takes DSP slices
 * Handshake:  AXI-Stream. A beat of one input waits for that of the other; the
 *             stages move together, one beat a cycle.
 * Latency:    sum, difference: 1 cycle, 2 with a factor that is no power of two.
 *             product: 1 cycle in LUTs; 3 in DSP slices, 5 beyond 25 x 18 bits.
 * Resources:  sum, difference: OUT_BITS LUTs and flip-flops an element, and an
 *             adder for each further digit of a factor. Product: about
 *             LEFT_BITS*RIGHT_BITS LUTs; one DSP slice up to 25 x 18 bits (27 x 18,
 *             27 x 24 on later parts), all registers inside; OUT_BITS LUTs if one
 *             side is bipolar, 1 if both are. The output is registered; TREADY
 *             passes through combinationally.
 *****************************************************************************/
module sdq_elementwise #(
	int unsigned  PE            = 1,
	bit           MULTIPLY      = 0,
	bit           SUBTRACT      = 0,
	int unsigned  LEFT_BITS     = 8,
	bit           LEFT_SIGNED   = 1,
	bit           LEFT_BIPOLAR  = 0,
	int unsigned  LEFT_FACTOR   = 1,
	int unsigned  RIGHT_BITS    = 8,
	bit           RIGHT_SIGNED  = 1,
	bit           RIGHT_BIPOLAR = 0,
	int unsigned  RIGHT_FACTOR  = 1,
	int unsigned  OUT_BITS      = 9,
	bit           OUT_BIPOLAR   = 0,
	bit           DSP           = 0
)(
	input	logic  clk,
	input	logic  rst,

	input	logic [PE-1:0][LEFT_BITS-1:0]  in0_tdata,
	input	logic  in0_tvalid,
	output	logic  in0_tready,

	input	logic [PE-1:0][RIGHT_BITS-1:0]  in1_tdata,
	input	logic  in1_tvalid,
	output	logic  in1_tready,

	output	logic [PE-1:0][OUT_BITS-1:0]  out0_tdata,
	output	logic  out0_tvalid,
	input	logic  out0_tready
);
	if(LEFT_FACTOR < 1 || RIGHT_FACTOR < 1) begin : genNoFactor
		$error("sdq_elementwise: factors must be positive.");
	end : genNoFactor
	if((LEFT_BIPOLAR && LEFT_BITS != 1) || (RIGHT_BIPOLAR && RIGHT_BITS != 1)) begin : genNoBipolar
		$error("sdq_elementwise: bipolar elements have 1 bit.");
	end : genNoBipolar
	if(OUT_BIPOLAR && !(MULTIPLY && LEFT_BIPOLAR && RIGHT_BIPOLAR && OUT_BITS == 1)) begin : genNoOut
		$error("sdq_elementwise: only the product of two bipolar streams is bipolar.");
	end : genNoOut

	// Operands as signed numbers: unsigned and bipolar ones take one more bit.
	localparam int unsigned  L_BITS = LEFT_BITS + (LEFT_SIGNED && !LEFT_BIPOLAR? 0 : 1);
	localparam int unsigned  R_BITS = RIGHT_BITS + (RIGHT_SIGNED && !RIGHT_BIPOLAR? 0 : 1);

	// More than one slice a product: registers for the sum of the partial products.
	localparam int unsigned  LONG = L_BITS > R_BITS? L_BITS : R_BITS;
	localparam int unsigned  SHORT = L_BITS > R_BITS? R_BITS : L_BITS;
	localparam int unsigned  WIDE = LONG > 25 || SHORT > 18? 2 : 0;

	localparam bit  SCALED =
		(LEFT_FACTOR & (LEFT_FACTOR-1)) != 0 || (RIGHT_FACTOR & (RIGHT_FACTOR-1)) != 0;
	localparam bit  SLICES = MULTIPLY && DSP && !LEFT_BIPOLAR && !RIGHT_BIPOLAR;
	localparam int unsigned  STAGES = SLICES? 3 + WIDE : !MULTIPLY && SCALED? 2 : 1;

	//-----------------------------------------------------------------------
	// Handshake: all stages move, or none.
	logic [STAGES-1:0]  Vld = '0;
	uwire  en = out0_tready || !Vld[STAGES-1];
	always_ff @(posedge clk) begin
		if(rst)      Vld <= '0;
		else if(en)  Vld <= STAGES'({Vld, in0_tvalid && in1_tvalid});
	end
	assign	in0_tready = en && in1_tvalid;
	assign	in1_tready = en && in0_tvalid;
	assign	out0_tvalid = Vld[STAGES-1];

	//-----------------------------------------------------------------------
	// One element. Results fit OUT_BITS, so that sums may be taken modulo 2^OUT_BITS.
	for(genvar  i = 0; i < PE; i++) begin : genElements
		uwire signed [L_BITS-1:0]  left;
		if(LEFT_BIPOLAR) begin : genLeftBipolar
			assign	left = {!in0_tdata[i], 1'b1};
		end : genLeftBipolar
		else if(LEFT_SIGNED) begin : genLeftSigned
			assign	left = in0_tdata[i];
		end : genLeftSigned
		else begin : genLeftUnsigned
			assign	left = {1'b0, in0_tdata[i]};
		end : genLeftUnsigned

		uwire signed [R_BITS-1:0]  right;
		if(RIGHT_BIPOLAR) begin : genRightBipolar
			assign	right = {!in1_tdata[i], 1'b1};
		end : genRightBipolar
		else if(RIGHT_SIGNED) begin : genRightSigned
			assign	right = in1_tdata[i];
		end : genRightSigned
		else begin : genRightUnsigned
			assign	right = {1'b0, in1_tdata[i]};
		end : genRightUnsigned

		if(SLICES) begin : genSlices
			localparam int unsigned  P_BITS = L_BITS + R_BITS;
			logic signed [L_BITS-1:0]  L = 'x;
			logic signed [R_BITS-1:0]  R = 'x;
			(* use_dsp = "yes" *)
			uwire signed [P_BITS-1:0]  product = P_BITS'(L) * P_BITS'(R);
			logic [OUT_BITS-1:0]  P[2+WIDE];
			always_ff @(posedge clk) begin
				if(en) begin
					L <= left;
					R <= right;
					P[0] <= OUT_BITS'(product);
					for(int unsigned  k = 1; k < 2+WIDE; k++)  P[k] <= P[k-1];
				end
			end
			assign	out0_tdata[i] = P[1+WIDE];
		end : genSlices
		else begin : genFabric
			uwire [OUT_BITS-1:0]  result;
			if(OUT_BIPOLAR) begin : genXnor
				assign	result = OUT_BITS'(left == right);
			end : genXnor
			else if(MULTIPLY && LEFT_BIPOLAR) begin : genNegateRight
				// ~right + 1 if left is -1 (all ones): one LUT a bit with its carry.
				assign	result = (OUT_BITS'(right) ^ {OUT_BITS{&left}}) + OUT_BITS'(&left);
			end : genNegateRight
			else if(MULTIPLY && RIGHT_BIPOLAR) begin : genNegateLeft
				assign	result = (OUT_BITS'(left) ^ {OUT_BITS{&right}}) + OUT_BITS'(&right);
			end : genNegateLeft
			else if(MULTIPLY) begin : genProduct
				(* use_dsp = "no" *)
				uwire [OUT_BITS-1:0]  product = OUT_BITS'(left) * OUT_BITS'(right);
				assign	result = product;
			end : genProduct
			else begin : genSum
				(* use_dsp = "no" *)
				uwire [OUT_BITS-1:0]  lf = OUT_BITS'(left) * OUT_BITS'(LEFT_FACTOR);
				(* use_dsp = "no" *)
				uwire [OUT_BITS-1:0]  rf = OUT_BITS'(right) * OUT_BITS'(RIGHT_FACTOR);
				uwire [OUT_BITS-1:0]  a;
				uwire [OUT_BITS-1:0]  b;
				if(SCALED) begin : genScaled
					logic [OUT_BITS-1:0]  A = 'x;
					logic [OUT_BITS-1:0]  B = 'x;
					always_ff @(posedge clk) begin
						if(en) begin
							A <= lf;
							B <= rf;
						end
					end
					assign	a = A;
					assign	b = B;
				end : genScaled
				else begin : genPlain
					assign	a = lf;
					assign	b = rf;
				end : genPlain
				assign	result = SUBTRACT? a - b : a + b;
			end : genSum

			logic [OUT_BITS-1:0]  Res = 'x;
			always_ff @(posedge clk) begin
				if(en)  Res <= result;
			end
			assign	out0_tdata[i] = Res;
		end : genFabric
	end : genElements

endmodule : sdq_elementwise
