/*****************************************************************************
 * sdq_pad: a frame of constant values around each frame.
 *
 * Parameters: HEIGHT, WIDTH  of the input
 *             FOLDS     beats of a position
 *             TOP, LEFT, BOTTOM, RIGHT   rows and columns to add, 0 or more
 *             PE        channels in a beat
 *             IN_BITS   bits of an input value
 *             OUT_BITS  bits of an output value, as many or more
 *             SIGNED    input values are two's complement
 *             BIPOLAR   input values are one bit, 0 for -1 and 1 for +1; wider
 *                       output values are two's complement
 *             VALUE     bits of an added value
 * Handshake:  AXI-Stream. The first input of a frame is taken into the input
 *             register before the frame's first added beat leaves. TREADY passes
 *             through combinationally.
 * Latency:    2 cycles, 1 output beat a cycle.
 * Resources:  registers of the input and of the output, a LUT for two bits
 *             between them; a down-counter for the run of added or of passed
 *             beats (the right of a row and the left of the next are one run),
 *             and one for rows.
 *****************************************************************************/
module sdq_pad #(
	int unsigned  HEIGHT = 4,
	int unsigned  WIDTH = 4,
	int unsigned  FOLDS = 1,
	int unsigned  TOP = 1,
	int unsigned  LEFT = 1,
	int unsigned  BOTTOM = 1,
	int unsigned  RIGHT = 1,
	int unsigned  PE = 1,
	int unsigned  IN_BITS = 4,
	int unsigned  OUT_BITS = 4,
	bit  SIGNED = 0,
	bit  BIPOLAR = 0,
	int  VALUE = 0
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
	// Runs of beats: HEAD, ROWS times RUN with GAP between them, TAIL
	localparam int unsigned  LINE = (LEFT + WIDTH + RIGHT) * FOLDS;
	localparam int unsigned  HEAD = TOP * LINE + LEFT * FOLDS;
	localparam int unsigned  GAP  = (LEFT + RIGHT) * FOLDS;
	localparam int unsigned  ROWS = GAP != 0? HEIGHT : 1;
	localparam int unsigned  RUN  = WIDTH * FOLDS * (GAP != 0? 1 : HEIGHT);
	localparam int unsigned  TAIL = BOTTOM * LINE + RIGHT * FOLDS;
	localparam int unsigned  MOST1 = HEAD > TAIL? HEAD : TAIL;
	localparam int unsigned  MOST2 = RUN > GAP? RUN : GAP;
	localparam int unsigned  MOST  = MOST1 > MOST2? MOST1 : MOST2;

	if(OUT_BITS < IN_BITS) begin : genNoRange
		$error("sdq_pad: OUT_BITS does not suit IN_BITS.");
	end : genNoRange
	if(BIPOLAR && IN_BITS != 1) begin : genNoBipolar
		$error("sdq_pad: a bipolar value is one bit.");
	end : genNoBipolar

	typedef enum logic [1:0] { PASS, ADD_HEAD, ADD_GAP, ADD_TAIL } state_e;
	localparam state_e  START = HEAD != 0? ADD_HEAD : PASS;
	localparam int unsigned  CNT_BITS = MOST > 1? $clog2(MOST) : 1;
	localparam int unsigned  ROW_BITS = ROWS > 1? $clog2(ROWS) : 1;
	// Down to 0 in each run
	localparam logic [CNT_BITS-1:0]  START_LAST = CNT_BITS'((HEAD != 0? HEAD : RUN) - 1);
	localparam logic [CNT_BITS-1:0]  RUN_LAST = CNT_BITS'(RUN - 1);
	localparam logic [CNT_BITS-1:0]  GAP_LAST = CNT_BITS'(GAP != 0? GAP - 1 : 0);
	localparam logic [CNT_BITS-1:0]  TAIL_LAST = CNT_BITS'(TAIL != 0? TAIL - 1 : 0);

	logic [PE-1:0][IN_BITS-1:0]  InDat;
	logic  InVld = 0;
	logic  Vld = 0;
	uwire  en = !Vld || out0_tready;

	state_e  State = START;
	logic [CNT_BITS-1:0]  Cnt = START_LAST;
	logic  Wait = 1;  // for the frame's first input
	logic [ROW_BITS-1:0]  Row = '0;
	uwire  row_last = Row == ROW_BITS'(ROWS-1);
	uwire  pass = State == PASS;
	uwire  vld = !(pass || Wait) || InVld;
	uwire  step = en && vld;
	uwire  run_last = Cnt == '0;
	assign	in0_tready = !InVld || (en && pass);

	always_ff @(posedge clk) begin
		if(rst) begin
			State <= START;
			Cnt <= START_LAST;
			Row <= '0;
			Wait <= 1;
		end
		else if(step) begin
			Wait <= 0;
			Cnt <= Cnt - 1;
			if(run_last) begin
				if(pass)  Row <= row_last? '0 : Row + 1;
				if(pass && !row_last) begin
					State <= ADD_GAP;
					Cnt <= GAP_LAST;
				end
				else if(pass && TAIL != 0) begin
					State <= ADD_TAIL;
					Cnt <= TAIL_LAST;
				end
				else if(pass || State == ADD_TAIL) begin
					State <= START;
					Cnt <= START_LAST;
					Wait <= 1;
				end
				else begin
					State <= PASS;
					Cnt <= RUN_LAST;
				end
			end
		end
	end

	always_ff @(posedge clk) begin
		if(rst) begin
			InVld <= 0;
			Vld <= 0;
		end
		else begin
			if(in0_tready)  InVld <= in0_tvalid;
			if(en)  Vld <= vld;
		end
	end
	always_ff @(posedge clk) begin
		if(in0_tready)  InDat <= in0_tdata;
	end
	assign	out0_tvalid = Vld;

	for(genvar  c = 0; c < PE; c++) begin : genChannel
		uwire [IN_BITS-1:0]  a = InDat[c];
		uwire [OUT_BITS-1:0]  x;
		if(OUT_BITS == IN_BITS) begin : genSame
			assign	x = a;
		end : genSame
		else if(BIPOLAR) begin : genBipolar
			assign	x = {{(OUT_BITS-1){!a[0]}}, 1'b1};
		end : genBipolar
		else begin : genExtend
			assign	x = {{(OUT_BITS-IN_BITS){SIGNED && a[IN_BITS-1]}}, a};
		end : genExtend

		logic [OUT_BITS-1:0]  Dat;
		always_ff @(posedge clk) begin
			if(en)  Dat <= pass? x : OUT_BITS'(VALUE);
		end
		assign	out0_tdata[c] = Dat;
	end : genChannel

endmodule : sdq_pad
