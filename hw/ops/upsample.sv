/*****************************************************************************
 * sdq_upsample: repeats each position of a row, and each row.
 *
 * Parameters: WIDTH   positions of a row
 *             FOLDS   beats of a position
 *             REPEAT_H, REPEAT_W   how often a row, and a position, is given
 *             BITS    bits of a beat
 *             MEMORY  of the buffer: "distributed" or "block"
 * Handshake:  AXI-Stream. A beat is taken into the buffer when its first
 *             repetition is due; all repetitions are read from there. TREADY
 *             passes through combinationally.
 * Latency:    3 cycles, or 1 without a memory; 1 output beat a cycle.
 * Resources:  a simple dual-port memory of one row, WIDTH*FOLDS words, or of one
 *             position if rows are not repeated. It is read one cycle after it
 *             is written, never at an address that is being written, with a
 *             registered output; the output register follows, which block RAM
 *             has inside. A single word is only a register.
 *****************************************************************************/
module sdq_upsample #(
	int unsigned  WIDTH = 4,
	int unsigned  FOLDS = 2,
	int unsigned  REPEAT_H = 2,
	int unsigned  REPEAT_W = 2,
	int unsigned  BITS = 8,
	/* verilator lint_off UNUSEDPARAM */ // where there is no memory
	parameter  MEMORY = "distributed"
	/* verilator lint_on UNUSEDPARAM */
)(
	input	logic  clk,
	input	logic  rst,

	input	logic [BITS-1:0]  in0_tdata,
	input	logic  in0_tvalid,
	output	logic  in0_tready,

	output	logic [BITS-1:0]  out0_tdata,
	output	logic  out0_tvalid,
	input	logic  out0_tready
);
	// Without repeated rows, each position is treated as a row of its own; without repeated
	// positions, each beat as a position of its own.
	localparam int unsigned  DEPTH = (REPEAT_H > 1? WIDTH : 1) * FOLDS;
	localparam int unsigned  BEATS = REPEAT_W > 1? FOLDS : 1;
	localparam int unsigned  ADDR_BITS = DEPTH > 1? $clog2(DEPTH) : 1;
	localparam int unsigned  BEAT_BITS = BEATS > 1? $clog2(BEATS) : 1;
	localparam int unsigned  COL_BITS = REPEAT_W > 1? $clog2(REPEAT_W) : 1;
	localparam int unsigned  ROW_BITS = REPEAT_H > 1? $clog2(REPEAT_H) : 1;

	logic  Vld0 = 0;
	uwire  en1;
	uwire  en0 = !Vld0 || en1;

	// Where in the row, and which repetition of position and row
	logic [ADDR_BITS-1:0]  Addr = '0;
	logic [BEAT_BITS-1:0]  Beat = '0;
	logic [COL_BITS-1:0]  Col = '0;
	logic [ROW_BITS-1:0]  Row = '0;
	logic  FirstCol = 1;
	logic  FirstRow = 1;
	uwire  take = FirstRow && FirstCol;
	uwire  vld = !take || in0_tvalid;
	uwire  step = en0 && vld;
	uwire  beat_last = Beat == BEAT_BITS'(BEATS-1);
	uwire  col_last = Col == COL_BITS'(REPEAT_W-1);
	uwire  row_last = Row == ROW_BITS'(REPEAT_H-1);
	uwire  line_last = beat_last && col_last && (Addr == ADDR_BITS'(DEPTH-1));
	uwire [ADDR_BITS-1:0]  base;  // of the position
	assign	in0_tready = en0 && take;
	always_ff @(posedge clk) begin
		if(rst) begin
			Addr <= '0;
			Beat <= '0;
			Col <= '0;
			Row <= '0;
			FirstCol <= 1;
			FirstRow <= 1;
		end
		else if(step) begin
			Addr <= line_last? '0 : beat_last && !col_last? base : Addr + 1;
			Beat <= beat_last? '0 : Beat + 1;
			if(beat_last) begin
				Col <= col_last? '0 : Col + 1;
				FirstCol <= col_last;
			end
			if(line_last) begin
				Row <= row_last? '0 : Row + 1;
				FirstRow <= row_last;
			end
		end
	end
	if(DEPTH == BEATS) begin : genOnly
		assign	base = '0;
	end : genOnly
	else if(BEATS == 1) begin : genStay
		assign	base = Addr;
	end : genStay
	else begin : genBase
		logic [ADDR_BITS-1:0]  Base = '0;
		always_ff @(posedge clk) begin
			if(rst)  Base <= '0;
			else if(step && beat_last && col_last)  Base <= line_last? '0 : Addr + 1;
		end
		assign	base = Base;
	end : genBase

	always_ff @(posedge clk) begin
		if(rst)  Vld0 <= 0;
		else if(en0)  Vld0 <= vld;
	end

	// Buffer and output; what is written before a beat has come, that beat overwrites.
	if(DEPTH == 1) begin : genRegister
		logic [BITS-1:0]  Dat;
		always_ff @(posedge clk) begin
			if(en0 && take)  Dat <= in0_tdata;
		end
		assign	en1 = out0_tready;
		assign	out0_tvalid = Vld0;
		assign	out0_tdata = Dat;
	end : genRegister
	else begin : genMemory
		(* ram_style = MEMORY *)
		logic [BITS-1:0]  Mem[DEPTH];
		logic [ADDR_BITS-1:0]  Addr0;
		logic [BITS-1:0]  Dat1;
		logic [BITS-1:0]  Dat2;
		logic  Vld1 = 0;
		logic  Vld2 = 0;
		uwire  en2 = !Vld2 || out0_tready;
		assign	en1 = !Vld1 || en2;
		always_ff @(posedge clk) begin
			if(rst) begin
				Vld1 <= 0;
				Vld2 <= 0;
			end
			else begin
				if(en1)  Vld1 <= Vld0;
				if(en2)  Vld2 <= Vld1;
			end
		end
		always_ff @(posedge clk) begin
			if(en0) begin
				Addr0 <= Addr;
				if(take)  Mem[Addr] <= in0_tdata;
			end
			if(en1)  Dat1 <= Mem[Addr0];
			if(en2)  Dat2 <= Dat1;
		end
		assign	out0_tvalid = Vld2;
		assign	out0_tdata = Dat2;
	end : genMemory

endmodule : sdq_upsample
