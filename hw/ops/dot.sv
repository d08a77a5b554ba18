/*****************************************************************************
 * sdq_dot: sum of SIMD products of short operands in LUTs, as a pipelined tree.
 *
 * A carry chain of LUTs adds two operands, each bit of which it may compute on
 * the way, and has a carry input. Both are used here, so that most products
 * cost no LUTs of their own:
 *   - Every node of the tree is a value and one more bit, its carry; it stands
 *     for value + carry (XNOR, MASK, BOOTH) or, with carry as the sign, for
 *     value or -value (SIGN).
 *   - Adding two nodes consumes the carry of the second by the carry input of
 *     the adder (SIGN: adds or subtracts the second, according to their signs)
 *     and hands on the carry of the first. A tree of n leaves has n-1 adders;
 *     the one carry left goes to the accumulator.
 *   - BOOTH: the row of a radix-4 digit -2..2 is x, 2x or 0, inverted where the
 *     digit is negative: a function of 5 bits, which fits a LUT together with
 *     the bit of the other operand. The carry completes the two's complement.
 *   - XNOR: three equal bits are counted by two LUTs, a fourth is the carry.
 *
 * Parameters: SIMD            number of products
 *             X_FORMAT/W_FORMAT, X_BITS/W_BITS  operands, see sdq_mac_pkg
 *             STEP            levels of adders between registers
 * Result:     of the operands levels()/STEP cycles earlier. There is no enable:
 *             valid flags travel beside the pipeline.
 * Resources:  about width LUTs an adder (see Tree.luts of sdq_fpga/ops/mac.py), registers
 *             behind adders only.
 *****************************************************************************/
module sdq_dot import sdq_mac_pkg::*; #(
	int unsigned  SIMD = 4,
	int unsigned  X_FORMAT = UNSIGNED,
	int unsigned  X_BITS   = 4,
	int unsigned  W_FORMAT = SIGNED,
	int unsigned  W_BITS   = 4,
	int unsigned  STEP = 1,

	localparam int unsigned  LEVELS = levels(SIMD, X_FORMAT, X_BITS, W_FORMAT, W_BITS),
	localparam int unsigned  WIDTH  = width(LEVELS, SIMD, X_FORMAT, X_BITS, W_FORMAT, W_BITS)
)(
	input	logic  clk,

	input	logic [SIMD-1:0][X_BITS-1:0]  x,
	input	logic [SIMD-1:0][W_BITS-1:0]  w,

	output	logic [WIDTH-1:0]  value,
	output	logic  carry
);
	localparam int unsigned  KIND   = structure(X_FORMAT, X_BITS, W_FORMAT, W_BITS);
	localparam bit           SWAP   = swapped(X_FORMAT, X_BITS, W_FORMAT, W_BITS);
	localparam int unsigned  DIGITS = digits(X_FORMAT, X_BITS, W_FORMAT, W_BITS);
	localparam int unsigned  LEAVES = leaves(SIMD, X_FORMAT, X_BITS, W_FORMAT, W_BITS);
	localparam int unsigned  BELOW  = $clog2(DIGITS);	// levels within a product

	// Data and multiplier
	localparam int unsigned  D_FORMAT = SWAP? W_FORMAT : X_FORMAT;
	localparam int unsigned  D_BITS   = SWAP? W_BITS   : X_BITS;
	localparam int unsigned  M_FORMAT = SWAP? X_FORMAT : W_FORMAT;
	localparam int unsigned  M_BITS   = SWAP? X_BITS   : W_BITS;
	logic [SIMD-1:0][D_BITS-1:0]  d;
	logic [SIMD-1:0][M_BITS-1:0]  m;
	if(SWAP) begin : genSwap
		assign	d = w;
		assign	m = x;
	end : genSwap
	else begin : genKeep
		assign	d = x;
		assign	m = w;
	end : genKeep

	if(LEVELS < STEP) begin : genNoRegister
		logic  unused;
		assign	unused = clk;
	end : genNoRegister

	// Every node has variables of its own: packed into vectors, a level would be put together and
	// taken apart again in each cycle of a simulation, which takes several times as long.
	for(genvar  l = 0; l <= LEVELS; l++) begin : genLevel
		localparam int unsigned  PARTS = (DIGITS + (1<<l)-1) >> l;	// nodes of a product
		localparam int unsigned  N = l <= BELOW? LEAVES * PARTS : (LEAVES + (1<<(l-BELOW))-1) >> (l-BELOW);
		localparam int unsigned  W = width(l, SIMD, X_FORMAT, X_BITS, W_FORMAT, W_BITS);

		for(genvar  i = 0; i < N; i++) begin : genNode
			logic [W-1:0]  val;
			logic  cry;

			if(l == 0) begin : genLeaf
				if(KIND == XNOR) begin : genXnor
					// Up to four equal bits
					localparam int unsigned  USED = SIMD - 4*i < 4? SIMD - 4*i : 4;
					logic [USED-1:0]  same;
					logic [3:0]  eq;
					assign	same = d[4*i +: USED] ~^ m[4*i +: USED];
					assign	eq = 4'(same);
					assign	val = W'({ (eq[0] && eq[1]) || (eq[0] && eq[2]) || (eq[1] && eq[2]), ^eq[2:0] });
					assign	cry = eq[3];
				end : genXnor
				else if(KIND == SIGN) begin : genSign
					if(M_FORMAT == BIPOLAR) begin : genBipolar
						assign	val = d[i];
						assign	cry = !m[i][0];
					end : genBipolar
					else begin : genTernary
						assign	val = m[i][0]? d[i] : '0;
						assign	cry = m[i][M_BITS-1];
					end : genTernary
				end : genSign
				else if(KIND == MASK) begin : genMask
					assign	val = m[i][0]? d[i] : '0;
					assign	cry = 0;
				end : genMask
				else begin : genBooth
					localparam int unsigned  DIGIT = i % DIGITS;
					logic [D_BITS-1:0]  data;
					logic [M_BITS-1:0]  mult;
					assign	data = d[i / DIGITS];
					assign	mult = m[i / DIGITS];

					// Bits of the digit; beyond the multiplier, its sign
					logic [2:0]  bits;
					assign	bits = 3'({ {3{(M_FORMAT == SIGNED) && mult[M_BITS-1]}}, mult, 1'b0 } >> (2*DIGIT));
					logic  one, two;
					assign	one = bits[1] != bits[0];
					assign	two = (bits == 3'b100) || (bits == 3'b011);

					logic [W-1:0]  once;
					assign	once = { {(W-D_BITS){(D_FORMAT == SIGNED) && data[D_BITS-1]}}, data };
					assign	val = (one? once : two? once << 1 : '0) ^ {W{bits[2]}};
					assign	cry = bits[2];
				end : genBooth
			end : genLeaf
			else begin : genAdder
				localparam int unsigned  PREVIOUS = (DIGITS + (1<<(l-1))-1) >> (l-1);
				localparam int unsigned  COUNT = l <= BELOW? PREVIOUS : (LEAVES + (1<<(l-1-BELOW))-1) >> (l-1-BELOW);
				localparam int unsigned  V = width(l-1, SIMD, X_FORMAT, X_BITS, W_FORMAT, W_BITS);
				localparam bit  SGN = negative(l-1, SIMD, X_FORMAT, X_BITS, W_FORMAT, W_BITS);
				localparam int unsigned  SHIFT = l <= BELOW? 1<<l : 0;	// of the second operand
				localparam int unsigned  FIRST = l <= BELOW? (i/PARTS)*PREVIOUS + 2*(i%PARTS) : 2*i;
				localparam bit  PAIR = 2*(l <= BELOW? i%PARTS : i) + 1 < COUNT;
				logic [V-1:0]  a;
				logic  rest;
				logic [W-1:0]  sum;
				assign	a = genLevel[l-1].genNode[FIRST].val;
				assign	rest = genLevel[l-1].genNode[FIRST].cry;

				if(!PAIR) begin : genPass
					assign	sum = { {(W-V){SGN && a[V-1]}}, a };
				end : genPass
				else begin : genSum
					localparam int unsigned  S = W - SHIFT;
					logic [V-1:0]  b;
					logic [S-1:0]  aa, bb;
					assign	b = genLevel[l-1].genNode[FIRST+1].val;
					assign	aa = S'({ {S{SGN && a[V-1]}}, a } >> SHIFT);
					assign	bb = S'({ {S{SGN && b[V-1]}}, b });
					if(KIND == MASK) begin : genPlain
						assign	sum = aa + bb;
						logic  unused;
						assign	unused = genLevel[l-1].genNode[FIRST+1].cry;
					end : genPlain
					else begin : genCarry
						// The lowest bit of this addition produces the carry input.
						logic  cin;
						logic [S:0]  s;
						assign	cin = genLevel[l-1].genNode[FIRST+1].cry ^ ((KIND == SIGN) && rest);
						assign	s = { aa, 1'b1 } + { (KIND == SIGN) && cin? ~bb : bb, cin };
						if(SHIFT == 0) begin : genAll
							assign	sum = s[S:1];
						end : genAll
						else begin : genUpper
							assign	sum = { s[S:1], a[SHIFT-1:0] };
						end : genUpper
						// The carry only
						logic  unused;
						assign	unused = s[0];
					end : genCarry
				end : genSum

				if(l % STEP == 0) begin : genRegister
					always_ff @(posedge clk) begin
						val <= sum;
						cry <= rest;
					end
				end : genRegister
				else begin : genWire
					assign	val = sum;
					assign	cry = rest;
				end : genWire
			end : genAdder
		end : genNode
	end : genLevel

	assign	value = genLevel[LEVELS].genNode[0].val;
	assign	carry = genLevel[LEVELS].genNode[0].cry;

endmodule : sdq_dot
