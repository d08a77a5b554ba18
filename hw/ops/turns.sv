/*****************************************************************************
 * sdq_turns: whose turn it is, for N parties with BEATS[i] beats in a row each,
 * round and round.
 *
 * Parameters: N      number of parties, at least 2
 *             BEATS  beats of each turn, party 0 lowest, each at least 1
 * Handshake:  step moves on by one beat; sel is the party of the next beat.
 * Latency:    sel is a register.
 * Resources:  $clog2(N) + $clog2(longest turn) flip-flops, and about 1.5 LUTs
 *             for each.
 *****************************************************************************/
module sdq_turns #(
	int unsigned  N = 2,
	bit [N-1:0][31:0]  BEATS = {N{32'd1}},

	localparam int unsigned  SEL_BITS = $clog2(N)
)(
	input	logic  clk,
	input	logic  rst,

	input	logic  step,
	output	logic [SEL_BITS-1:0]  sel
);
	function automatic int unsigned longest();
		longest = 2;
		for(int unsigned  i = 0; i < N; i++) begin
			if(BEATS[i] > longest)  longest = BEATS[i];
		end
	endfunction : longest

	// Counts from BEATS-2 down to -1: the sign is the turn's last beat.
	localparam int unsigned  CNT_BITS = 1 + $clog2(longest() - 1);
	typedef logic signed [CNT_BITS-1:0]  cnt_t;

	// What the turn after each begins with.
	function automatic logic [N-1:0][CNT_BITS-1:0] reloads();
		for(int unsigned  i = 0; i < N; i++) begin
			reloads[i] = CNT_BITS'(BEATS[(i+1) % N] - 2);
		end
	endfunction : reloads
	localparam logic [N-1:0][CNT_BITS-1:0]  RELOADS = reloads();
	localparam cnt_t  INITIAL = cnt_t'(RELOADS[N-1]);

	logic [SEL_BITS-1:0]  Sel = '0;
	cnt_t  Cnt = INITIAL;
	uwire  done = Cnt < 0;
	always_ff @(posedge clk) begin
		if(rst) begin
			Sel <= '0;
			Cnt <= INITIAL;
		end
		else if(step) begin
			Cnt <= done? cnt_t'(RELOADS[Sel]) : Cnt + cnt_t'(-1);
			if(done)  Sel <= (Sel == SEL_BITS'(N-1))? '0 : SEL_BITS'(Sel + 1);
		end
	end
	assign	sel = Sel;

endmodule : sdq_turns
