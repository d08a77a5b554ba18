/*****************************************************************************
 * sdq_global_pool: maximum or sum over all positions of a frame, per channel.
 *
 * A frame is POSITIONS times FOLDS beats of PE channels, and gives FOLDS beats.
 *
 * Parameters: POSITIONS  height times width
 *             FOLDS      beats of a position
 *             PE         channels in a beat
 *             SUM        sum instead of maximum
 *             IN_BITS    bits of an input value
 *             OUT_BITS   bits of an output value: IN_BITS for the maximum,
 *                        enough for every sum otherwise
 *             SIGNED     input values are two's complement
 *             BIPOLAR    input values are one bit, 0 for -1 and 1 for +1
 *             MEMORY     of the partial results: "distributed" or "block"
 * Handshake:  AXI-Stream. Results leave during the last position, while the
 *             next frame enters; only a beat of the last position waits for an
 *             untaken result. TREADY passes through combinationally.
 * Latency:    1 cycle from the last beat of a channel, 1 beat a cycle.
 * Resources:  for each channel an adder (OUT_BITS LUTs) or a comparison and a
 *             multiplexer (1.5 IN_BITS LUTs), twice as many flip-flops; and a
 *             simple dual-port memory of FOLDS words, read one beat ahead of
 *             its use and so never at the address that is written, with a
 *             registered output. One fold has only a register instead.
 *****************************************************************************/
module sdq_global_pool #(
	int unsigned  POSITIONS = 16,
	int unsigned  FOLDS = 4,
	int unsigned  PE = 1,
	bit  SUM = 0,
	int unsigned  IN_BITS = 4,
	int unsigned  OUT_BITS = 4,
	bit  SIGNED = 0,
	bit  BIPOLAR = 0,
	/* verilator lint_off UNUSEDPARAM */ // where there is no memory
	parameter  MEMORY = "distributed"
	/* verilator lint_on UNUSEDPARAM */
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
	// The sum of bipolar values is 2*ones - POSITIONS: its lowest bit is that of POSITIONS, and the
	// others count ones, from the start value on.
	localparam bit  ONES = SUM && BIPOLAR;
	localparam int unsigned  ACC_BITS = ONES? OUT_BITS-1 : OUT_BITS;
	localparam logic [ACC_BITS-1:0]  START = ONES? ACC_BITS'(-int'((POSITIONS+1)/2)) : ACC_BITS'(0);

	localparam int unsigned  POS_BITS = POSITIONS > 1? $clog2(POSITIONS) : 1;

	if(SUM? ACC_BITS < IN_BITS : OUT_BITS != IN_BITS) begin : genNoRange
		$error("sdq_global_pool: OUT_BITS does not suit IN_BITS.");
	end : genNoRange
	if(BIPOLAR && IN_BITS != 1) begin : genNoBipolar
		$error("sdq_global_pool: a bipolar value is one bit.");
	end : genNoBipolar

	logic  Vld = 0;
	logic [POS_BITS-1:0]  Pos = '0;
	logic  First = 1;
	logic  Last = POSITIONS == 1;
	uwire  fold_last;
	assign	in0_tready = !Last || !Vld || out0_tready;
	uwire  beat = in0_tvalid && in0_tready;
	always_ff @(posedge clk) begin
		if(rst) begin
			Pos <= '0;
			First <= 1;
			Last <= POSITIONS == 1;
		end
		else if(beat && fold_last) begin
			Pos <= Last? '0 : Pos + 1;
			First <= Last;
			Last <= (POSITIONS == 1) || (Pos == POS_BITS'(POSITIONS-2));
		end
	end

	// Partial results: prev of this beat's channels, next with this beat
	logic [PE-1:0][ACC_BITS-1:0]  Prev;
	uwire [PE-1:0][ACC_BITS-1:0]  next;
	if(FOLDS == 1) begin : genRegister
		assign	fold_last = 1;
		always_ff @(posedge clk) begin
			if(beat)  Prev <= next;
		end
	end : genRegister
	else begin : genMemory
		(* ram_style = MEMORY *)
		logic [PE*ACC_BITS-1:0]  Mem[FOLDS];
		logic [$clog2(FOLDS)-1:0]  Wr = '0;
		logic [$clog2(FOLDS)-1:0]  Rd = $bits(Rd)'(1);
		assign	fold_last = Rd == '0;
		always_ff @(posedge clk) begin
			if(rst) begin
				Wr <= '0;
				Rd <= $bits(Rd)'(1);
			end
			else if(beat) begin
				Wr <= Rd;
				Rd <= Rd == $bits(Rd)'(FOLDS-1)? '0 : Rd + 1;
			end
		end
		always_ff @(posedge clk) begin
			if(beat) begin
				Mem[Wr] <= next;
				Prev <= Mem[Rd];
			end
		end
	end : genMemory

	for(genvar  c = 0; c < PE; c++) begin : genChannel
		uwire [IN_BITS-1:0]  a = in0_tdata[c];
		if(SUM) begin : genSum
			uwire [ACC_BITS-1:0]  x = {{(ACC_BITS-IN_BITS){SIGNED && a[IN_BITS-1]}}, a};
			assign	next[c] = (First? START : Prev[c]) + x;
		end : genSum
		else begin : genMax
			localparam logic [IN_BITS-1:0]  FLIP = SIGNED? IN_BITS'(1) << (IN_BITS-1) : IN_BITS'(0);
			assign	next[c] = First || ((a ^ FLIP) > (Prev[c] ^ FLIP))? a : Prev[c];
		end : genMax
	end : genChannel

	// Results
	logic [PE-1:0][ACC_BITS-1:0]  Dat;
	always_ff @(posedge clk) begin
		if(rst)  Vld <= 0;
		else if(!Vld || out0_tready)  Vld <= in0_tvalid && Last;
	end
	always_ff @(posedge clk) begin
		if(Last && (!Vld || out0_tready))  Dat <= next;
	end
	assign	out0_tvalid = Vld;
	for(genvar  c = 0; c < PE; c++) begin : genOut
		if(ONES) begin : genOnes
			assign	out0_tdata[c] = {Dat[c], POSITIONS[0]};
		end : genOnes
		else begin : genValue
			assign	out0_tdata[c] = Dat[c];
		end : genValue
	end : genOut

endmodule : sdq_global_pool
