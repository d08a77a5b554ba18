/*****************************************************************************
 * sdq_mac_pkg: how sdq_dot multiplies and adds, for all that instantiate it.
 *
 * A product is built from the data x and the multiplier m; either operand may
 * be the multiplier. Four structures exist:
 *   XNOR   both operands are one bit, -1 or +1: counts equal bits.
 *   SIGN   m is -1, (0,) or +1: x or zero, added or subtracted.
 *   MASK   m is 0 or 1: x or zero, added.
 *   BOOTH  m is an integer: radix-4 digits -2..2, one row of LUTs per digit.
 *****************************************************************************/
package sdq_mac_pkg;

	// Number formats. TERNARY is two's complement without the code 2'b10.
	localparam int unsigned  UNSIGNED = 0;
	localparam int unsigned  SIGNED   = 1;
	localparam int unsigned  BIPOLAR  = 2;	// one bit: 0 is -1, 1 is +1
	localparam int unsigned  TERNARY  = 3;

	// Structures
	localparam int unsigned  XNOR  = 0;
	localparam int unsigned  SIGN  = 1;
	localparam int unsigned  MASK  = 2;
	localparam int unsigned  BOOTH = 3;

	function automatic longint lowest(int unsigned format, int unsigned bits);
		if(format == UNSIGNED)  return  0;
		if(format == SIGNED)    return -(longint'(1) << (bits-1));
		return -1;
	endfunction : lowest

	function automatic longint highest(int unsigned format, int unsigned bits);
		if(format == UNSIGNED)  return  (longint'(1) << bits) - 1;
		if(format == SIGNED)    return  (longint'(1) << (bits-1)) - 1;
		return  1;
	endfunction : highest

	// What a code stands for
	function automatic int meaning(int unsigned format, int unsigned bits, logic [31:0] code);
		if(format == UNSIGNED)  return  code;
		if(format == BIPOLAR)   return  code[0]? 1 : -1;
		return $signed(code << (32-bits)) >>> (32-bits);
	endfunction : meaning

	// Bits for all values in [lo:hi], two's complement if lo is negative
	function automatic int unsigned bits_for(longint lo, longint hi);
		automatic int unsigned  res = 1;
		if(lo < 0)  while((lo < -(longint'(1) << (res-1))) || (hi >= (longint'(1) << (res-1))))  res++;
		else        while(hi >= (longint'(1) << res))  res++;
		return  res;
	endfunction : bits_for

	// Radix-4 digits of a multiplier
	function automatic int unsigned booth_digits(int unsigned format, int unsigned bits);
		return  format == UNSIGNED? bits/2 + 1 : (bits+1)/2;
	endfunction : booth_digits

	function automatic int unsigned structure(
		int unsigned  x_format, int unsigned  x_bits, int unsigned  w_format, int unsigned  w_bits
	);
		if((x_format == BIPOLAR) && (w_format == BIPOLAR))  return  XNOR;
		if((x_format >= BIPOLAR) || (w_format >= BIPOLAR))  return  SIGN;
		if(((x_format == UNSIGNED) && (x_bits == 1)) || ((w_format == UNSIGNED) && (w_bits == 1)))  return  MASK;
		return  BOOTH;
	endfunction : structure

	// Whether operand x is the multiplier and w the data, rather than the other way round
	function automatic bit swapped(
		int unsigned  x_format, int unsigned  x_bits, int unsigned  w_format, int unsigned  w_bits
	);
		case(structure(x_format, x_bits, w_format, w_bits))
		SIGN:
			return (w_format != BIPOLAR) && ((x_format == BIPOLAR) || (w_format != TERNARY));
		MASK:
			return (x_format == UNSIGNED) && (x_bits == 1);
		BOOTH:	// fewer LUTs
			return  booth_digits(x_format, x_bits) * (w_bits + 2) < booth_digits(w_format, w_bits) * (x_bits + 2);
		default:
			return  0;
		endcase
	endfunction : swapped

	// Rows that make up a product
	function automatic int unsigned digits(
		int unsigned  x_format, int unsigned  x_bits, int unsigned  w_format, int unsigned  w_bits
	);
		if(structure(x_format, x_bits, w_format, w_bits) != BOOTH)  return  1;
		return  swapped(x_format, x_bits, w_format, w_bits)?
			booth_digits(x_format, x_bits) : booth_digits(w_format, w_bits);
	endfunction : digits

	// Summands that the adder tree starts from: products, or counts of up to four equal bits
	function automatic int unsigned leaves(
		int unsigned  simd,
		int unsigned  x_format, int unsigned  x_bits, int unsigned  w_format, int unsigned  w_bits
	);
		return  structure(x_format, x_bits, w_format, w_bits) == XNOR? (simd+3)/4 : simd;
	endfunction : leaves

	// Levels of adders
	function automatic int unsigned levels(
		int unsigned  simd,
		int unsigned  x_format, int unsigned  x_bits, int unsigned  w_format, int unsigned  w_bits
	);
		return $clog2(digits(x_format, x_bits, w_format, w_bits))
			+ $clog2(leaves(simd, x_format, x_bits, w_format, w_bits));
	endfunction : levels

	// Least or greatest value of a node after `level` levels of adders; see sdq_dot for what the
	// value of a node is.
	function automatic longint bound(
		bit  greatest, int unsigned  level, int unsigned  simd,
		int unsigned  x_format, int unsigned  x_bits, int unsigned  w_format, int unsigned  w_bits
	);
		automatic int unsigned  kind = structure(x_format, x_bits, w_format, w_bits);
		automatic int unsigned  rows = digits(x_format, x_bits, w_format, w_bits);
		automatic bit  swap = swapped(x_format, x_bits, w_format, w_bits);

		// Ranges of the data and of the multiplier
		automatic int unsigned  m_format = swap? x_format : w_format;
		automatic longint  d_lo = swap? lowest (w_format, w_bits) : lowest (x_format, x_bits);
		automatic longint  d_hi = swap? highest(w_format, w_bits) : highest(x_format, x_bits);
		automatic longint  d_abs = -d_lo > d_hi? -d_lo : d_hi;
		automatic longint  m_lo = swap? lowest (x_format, x_bits) : lowest (w_format, w_bits);
		automatic longint  m_hi = swap? highest(x_format, x_bits) : highest(w_format, w_bits);

		// Leaves below the node
		automatic int unsigned  below = $clog2(rows);
		automatic longint  n = longint'(leaves(simd, x_format, x_bits, w_format, w_bits));
		automatic longint  neg, pos, all;
		if(level <= below)  n = 1;
		else if((longint'(1) << (level-below)) < n)  n = longint'(1) << (level-below);

		case(kind)
		XNOR: begin
			if(!greatest)  return  0;
			return  4*n-1 < longint'(simd)? 4*n-1 : longint'(simd);
		end
		SIGN: begin
			// Only the first is never subtracted.
			if((m_format == TERNARY) && (d_lo > 0))  d_lo = 0;
			return  greatest? d_hi + (n-1)*d_abs : d_lo - (n-1)*d_abs;
		end
		MASK:
			return  greatest? n*d_hi : n*d_lo;
		default: begin
			if(level < below) begin
				// Some of the digits
				m_hi = longint'(1) << ((2 << level) - 1);
				m_lo = -m_hi;
			end
			// Extreme products, by the sign of the multiplier
			neg = greatest? m_lo*d_lo : m_lo*d_hi;
			pos = greatest? m_hi*d_hi : m_hi*d_lo;
			all = greatest == (neg > pos)? neg : pos;
			// The value of a node lacks its carry, 1 if the first digit is negative: a single
			// digit is negative if and only if the multiplier is.
			if((level == 0) || (rows == 1)) begin
				neg = neg - 1;
				return (n-1)*all + (greatest == (neg > pos)? neg : pos);
			end
			return  greatest? n*all : n*all - 1;
		end
		endcase
	endfunction : bound

	// Bits of a node after `level` levels of adders
	function automatic int unsigned width(
		int unsigned  level, int unsigned  simd,
		int unsigned  x_format, int unsigned  x_bits, int unsigned  w_format, int unsigned  w_bits
	);
		return  bits_for(
			bound(0, level, simd, x_format, x_bits, w_format, w_bits),
			bound(1, level, simd, x_format, x_bits, w_format, w_bits)
		);
	endfunction : width

	// Whether that node is two's complement
	function automatic bit negative(
		int unsigned  level, int unsigned  simd,
		int unsigned  x_format, int unsigned  x_bits, int unsigned  w_format, int unsigned  w_bits
	);
		return  bound(0, level, simd, x_format, x_bits, w_format, w_bits) < 0;
	endfunction : negative

	// Places of the result queue for one beat a cycle: a place is taken when the last beat of a
	// result enters, and is free again `round_trip` cycles later if the reader does not wait.
	function automatic int unsigned places(int unsigned  beats, int unsigned  latency);
		// A queue of two places is one cycle faster than a longer one.
		if(2*beats >= latency + 3)  return  2;
		return (latency + 4 + beats-1) / beats;
	endfunction : places

endpackage : sdq_mac_pkg
