/*****************************************************************************
 * sdq_label_select: the indices of the K largest of LABELS values, the largest
 * first; of equal values the one with the lower index first.
 *
 * Parameters: LABELS  number of values of a frame
 *             K       number of indices, 1..LABELS
 *             BITS    bits of a value
 *             SIGNED  whether values are two's complement
 *             PE      values of a beat, a divisor of LABELS
 * Handshake:  AXI-Stream; an index is a beat. The next frame goes in while the
 *             indices of the one before leave.
 * Latency:    2 cycles from the last value to the first index, and with K = 1
 *             one more for every doubling of PE, with K > 1 PE-1 more and the
 *             beat's own register. A beat a cycle with K = 1, a value a cycle
 *             with K > 1.
 * Resources:  K cells of a value and an index, a comparator and (but for the
 *             first) a 2:1 multiplexer each, and K indices that shift out. With
 *             K = 1 a tree of PE-1 comparators, registered at every level; with
 *             K > 1 and PE > 1 a register of a beat that shifts. The outputs are
 *             registered; TREADY passes through combinationally.
 *****************************************************************************/
module sdq_label_select #(
	int unsigned  LABELS = 10,
	int unsigned  K      = 1,
	int unsigned  BITS   = 8,
	bit           SIGNED = 1,
	int unsigned  PE     = 1,

	localparam int unsigned  INDEX_BITS = LABELS > 1? $clog2(LABELS) : 1
)(
	input	logic  clk,
	input	logic  rst,

	input	logic [PE-1:0][BITS-1:0]  in0_tdata,
	input	logic  in0_tvalid,
	output	logic  in0_tready,

	output	logic [INDEX_BITS-1:0]  out0_tdata,
	output	logic  out0_tvalid,
	input	logic  out0_tready
);
	if(K < 1 || K > LABELS) begin : genNoK
		$error("sdq_label_select: K must be from 1 to LABELS.");
	end : genNoK
	if(LABELS % PE != 0) begin : genNoPe
		$error("sdq_label_select: PE must divide LABELS.");
	end : genNoPe

	localparam int unsigned  LEVELS = $clog2(PE);
	localparam int unsigned  LANE_BITS = LEVELS > 0? LEVELS : 1;

	// With its sign inverted, a signed value compares like an unsigned one.
	uwire [PE-1:0][BITS-1:0]  values;
	for(genvar  i = 0; i < PE; i++) begin : genValues
		assign	values[i] = in0_tdata[i] ^ (BITS'(SIGNED) << (BITS-1));
	end : genValues

	//-----------------------------------------------------------------------
	// One candidate at a time: the largest value of a beat and its lane if only
	// one index is asked for, otherwise every value in turn, in lane 0.
	localparam bit  TREE = K == 1 && PE > 1;
	localparam int unsigned  STEP = TREE? PE : 1;
	uwire [BITS-1:0]  cand;
	uwire [LANE_BITS-1:0]  lane;
	uwire  cand_valid;
	uwire  cand_ready;

	if(PE == 1) begin : genDirect
		assign	cand = values[0];
		assign	lane = '0;
		assign	cand_valid = in0_tvalid;
		assign	in0_tready = cand_ready;
	end : genDirect
	else if(TREE) begin : genTree
		localparam int unsigned  LEAVES = 2**LEVELS;
		logic [LEVELS-1:0]  Vld = '0;
		uwire  enable = !Vld[LEVELS-1] || cand_ready;
		always_ff @(posedge clk) begin
			if(rst)  Vld <= '0;
			else if(enable)  Vld <= LEVELS'({Vld, in0_tvalid});
		end

		// Node n has the children 2n and 2n+1; the leaves are LEAVES, LEAVES+1, ...
		// Leaves without a lane are 0, which never wins: they come last.
		logic [LEAVES-1:1][BITS-1:0]  Max;
		logic [LEAVES-1:1][LANE_BITS-1:0]  Lane;
		for(genvar  n = 1; n < LEAVES; n++) begin : genNodes
			uwire [1:0][BITS-1:0]  x;
			uwire [1:0][LANE_BITS-1:0]  from;
			for(genvar  c = 0; c < 2; c++) begin : genChildren
				localparam int unsigned  CHILD = 2*n + c;
				if(CHILD < LEAVES) begin : genNode
					assign	x[c] = Max[CHILD];
					assign	from[c] = Lane[CHILD];
				end : genNode
				else begin : genLeaf
					if(CHILD - LEAVES < PE) begin : genLane
						assign	x[c] = values[CHILD - LEAVES];
					end : genLane
					else begin : genNoLane
						assign	x[c] = '0;
					end : genNoLane
					assign	from[c] = LANE_BITS'(CHILD);
				end : genLeaf
			end : genChildren

			uwire  right = x[1] > x[0];
			always_ff @(posedge clk) begin
				if(enable) begin
					Max[n] <= x[right];
					Lane[n] <= from[right];
				end
			end
		end : genNodes
		assign	cand = Max[1];
		assign	lane = Lane[1];
		assign	cand_valid = Vld[LEVELS-1];
		assign	in0_tready = enable;
	end : genTree
	else begin : genSerial
		// The ones in Vld are the values that are left.
		logic [PE-1:0]  Vld = '0;
		logic [PE-1:0][BITS-1:0]  Dat;
		uwire  load = !Vld[0] || (cand_ready && !Vld[1]);
		always_ff @(posedge clk) begin
			if(rst)  Vld <= '0;
			else if(load)  Vld <= {PE{in0_tvalid}};
			else if(cand_ready)  Vld <= Vld >> 1;
		end
		always_ff @(posedge clk) begin
			if(load)  Dat <= values;
			else if(cand_ready)  Dat <= Dat >> BITS;
		end
		assign	cand = Dat[0];
		assign	lane = '0;
		assign	cand_valid = Vld[0];
		assign	in0_tready = load;
	end : genSerial

	//-----------------------------------------------------------------------
	// The largest so far, sorted: a candidate goes before the first that is
	// smaller, and moves that and all after it on by one.
	localparam int unsigned  STEPS = LABELS / STEP;
	localparam int unsigned  COUNT_BITS = STEPS > 1? $clog2(STEPS) : 1;
	typedef struct packed {
		logic [BITS-1:0]  value;
		logic [COUNT_BITS-1:0]  count;
		logic [LANE_BITS-1:0]  lane;
	} cell_t;
	logic [COUNT_BITS-1:0]  Count = '0;
	logic  First = 1;
	logic  Done = 0;  // the cells hold a whole frame
	uwire  last = Count == COUNT_BITS'(STEPS-1);
	uwire  take;  // the indices leave the cells
	uwire  accept = cand_valid && cand_ready;
	assign	cand_ready = !Done || take;
	always_ff @(posedge clk) begin
		if(rst) begin
			Count <= '0;
			First <= 1;
			Done <= 0;
		end
		else if(accept) begin
			Count <= last? '0 : COUNT_BITS'(Count + 1);
			First <= last;
			Done <= last;
		end
		else if(take)  Done <= 0;
	end

	cell_t  arrived;
	assign	arrived.value = cand;
	assign	arrived.count = Count;
	assign	arrived.lane = lane;
	cell_t [K-1:0]  Cells;
	// In every frame a 0 moves down the cells, by one with each value: where it is, the cell takes
	// what comes. What the cells below still hold of the frame before reaches none above.
	uwire [K-1:0]  filled;
	uwire [K-1:0]  beaten;
	for(genvar  k = 0; k < K; k++) begin : genCells
		assign	beaten[k] = !filled[k] || cand > Cells[k].value;
		if(k == 0) begin : genHead
			assign	filled[0] = !First;
			always_ff @(posedge clk) begin
				if(accept && beaten[0])  Cells[0] <= arrived;
			end
		end : genHead
		else begin : genTail
			logic  Filled;
			assign	filled[k] = Filled;
			always_ff @(posedge clk) begin
				if(accept) begin
					Filled <= filled[k-1];
					if(beaten[k])  Cells[k] <= beaten[k-1]? Cells[k-1] : arrived;
				end
			end
		end : genTail
	end : genCells

	//-----------------------------------------------------------------------
	// The indices on their way out; the ones in Left are those that are left.
	logic [K-1:0]  Left = '0;
	logic [K-1:0][INDEX_BITS-1:0]  Index;
	uwire [K-1:0]  left_next = K'({1'b0, Left} >> 1);
	assign	take = Done && (!Left[0] || (out0_tready && !left_next[0]));
	always_ff @(posedge clk) begin
		if(rst)  Left <= '0;
		else if(take)  Left <= '1;
		else if(out0_tready)  Left <= left_next;
	end
	for(genvar  k = 0; k < K; k++) begin : genIndices
		uwire [INDEX_BITS-1:0]  index =
			INDEX_BITS'(Cells[k].count)*INDEX_BITS'(STEP) + INDEX_BITS'(Cells[k].lane);
		always_ff @(posedge clk) begin
			if(take)  Index[k] <= index;
			else if(out0_tready)  Index[k] <= Index[k < K-1? k+1 : k];
		end
	end : genIndices
	assign	out0_tdata = Index[0];
	assign	out0_tvalid = Left[0];

endmodule : sdq_label_select
