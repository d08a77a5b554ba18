/*****************************************************************************
 * sdq_crop: a frame without its outer rows and columns.
 *
 * Parameters: HEIGHT, WIDTH  of the input
 *             FOLDS  beats of a position
 *             TOP, LEFT, BOTTOM, RIGHT   rows and columns to drop, 0 or more
 *             BITS   bits of a beat
 * Handshake:  AXI-Stream. Dropped beats are taken at any time. TREADY passes
 *             through combinationally.
 * Latency:    1 cycle, 1 input beat a cycle.
 * Resources:  a register; a down-counter for the run of dropped or of passed
 *             beats (the right of a row and the left of the next are one run,
 *             and so are the ends of two frames), and one for rows.
 *****************************************************************************/
module sdq_crop #(
	int unsigned  HEIGHT = 4,
	int unsigned  WIDTH = 4,
	int unsigned  FOLDS = 1,
	int unsigned  TOP = 1,
	int unsigned  LEFT = 1,
	int unsigned  BOTTOM = 1,
	int unsigned  RIGHT = 1,
	int unsigned  BITS = 8
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
	if(TOP + BOTTOM >= HEIGHT || LEFT + RIGHT >= WIDTH) begin : genNothing
		$error("sdq_crop: nothing is left.");
	end : genNothing

	// Runs of beats: HEAD, ROWS times RUN with GAP between them, and from there to the next
	// frame's first RUN, BETWEEN
	localparam int unsigned  HEAD = (TOP * WIDTH + LEFT) * FOLDS;
	localparam int unsigned  GAP  = (LEFT + RIGHT) * FOLDS;
	localparam int unsigned  ROWS = GAP != 0? HEIGHT - TOP - BOTTOM : 1;
	localparam int unsigned  RUN  = (WIDTH - LEFT - RIGHT) * FOLDS * (GAP != 0? 1 : HEIGHT - TOP - BOTTOM);
	localparam int unsigned  BETWEEN = (BOTTOM * WIDTH + RIGHT) * FOLDS + HEAD;
	localparam int unsigned  MOST1 = BETWEEN > RUN? BETWEEN : RUN;
	localparam int unsigned  MOST  = MOST1 > GAP? MOST1 : GAP;

	localparam int unsigned  CNT_BITS = MOST > 1? $clog2(MOST) : 1;
	localparam int unsigned  ROW_BITS = ROWS > 1? $clog2(ROWS) : 1;
	// Down to 0 in each run
	localparam logic [CNT_BITS-1:0]  START_LAST = CNT_BITS'((HEAD != 0? HEAD : RUN) - 1);
	localparam logic [CNT_BITS-1:0]  RUN_LAST = CNT_BITS'(RUN - 1);
	localparam logic [CNT_BITS-1:0]  GAP_LAST = CNT_BITS'(GAP != 0? GAP - 1 : 0);
	localparam logic [CNT_BITS-1:0]  BETWEEN_LAST = CNT_BITS'((BETWEEN != 0? BETWEEN : RUN) - 1);

	logic  Vld = 0;
	uwire  free = !Vld || out0_tready;

	logic  Pass = HEAD == 0;
	logic [CNT_BITS-1:0]  Cnt = START_LAST;
	logic [ROW_BITS-1:0]  Row = '0;
	uwire  row_last = Row == ROW_BITS'(ROWS-1);
	uwire  run_last = Cnt == '0;
	assign	in0_tready = !Pass || free;
	uwire  beat = in0_tvalid && in0_tready;

	always_ff @(posedge clk) begin
		if(rst) begin
			Pass <= HEAD == 0;
			Cnt <= START_LAST;
			Row <= '0;
		end
		else if(beat) begin
			Cnt <= Cnt - 1;
			if(run_last) begin
				if(Pass)  Row <= row_last? '0 : Row + 1;
				Pass <= !Pass || (BETWEEN == 0);
				Cnt <= !Pass? RUN_LAST : row_last? BETWEEN_LAST : GAP_LAST;
			end
		end
	end

	logic [BITS-1:0]  Dat;
	always_ff @(posedge clk) begin
		if(rst)  Vld <= 0;
		else if(free)  Vld <= in0_tvalid && Pass;
	end
	always_ff @(posedge clk) begin
		if(free)  Dat <= in0_tdata;
	end
	assign	out0_tvalid = Vld;
	assign	out0_tdata = Dat;

endmodule : sdq_crop
