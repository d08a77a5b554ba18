/*****************************************************************************
 * sdq_replay: passes each sequence of LENGTH beats on TIMES times over.
 *
 * Parameters: WIDTH   bits of a beat
 *             LENGTH  beats of a sequence
 *             TIMES   how often it is passed on
 * Handshake:  valid/ready. `out_last` marks the last beat of a sequence. Beats
 *             of the following sequence are taken while there is room: that of
 *             a beat is free once it has been passed on for the last time.
 * Latency:    2 cycles, 1 beat a cycle without any gap, no path from out_ready
 *             to in_ready. For LENGTH = 1 or TIMES = 1 it is a mere register:
 *             1 cycle, and out_ready passes through to in_ready.
 * Resources:  a memory of LENGTH words, rounded up to a power of two and to the
 *             32 of a LUT RAM, with a register behind; three pointers and two
 *             counters. For LENGTH = 1 or TIMES = 1 a register.
 *****************************************************************************/
module sdq_replay #(
	int unsigned  WIDTH  = 8,
	int unsigned  LENGTH = 4,
	int unsigned  TIMES  = 2
)(
	input	logic  clk,
	input	logic  rst,

	input	logic [WIDTH-1:0]  in_data,
	input	logic  in_valid,
	output	logic  in_ready,

	output	logic [WIDTH-1:0]  out_data,
	output	logic  out_last,
	output	logic  out_valid,
	input	logic  out_ready
);
	logic [WIDTH-1:0]  Dat = '0;
	logic  Vld = 0;
	assign	out_data  = Dat;
	assign	out_valid = Vld;

	// Position within a sequence, and within its repetitions
	logic  step, last, last_time;
	sdq_every #(.COUNT(LENGTH)) positions (.clk, .rst, .step, .last);
	sdq_every #(.COUNT(TIMES)) times (.clk, .rst, .step(step && last), .last(last_time));

	if((LENGTH == 1) || (TIMES == 1)) begin : genRegister
		assign	step = Vld && out_ready;
		assign	out_last = last;
		assign	in_ready = !Vld || (out_ready && last_time);
		always_ff @(posedge clk) begin
			if(rst)  Vld <= 0;
			else if(in_ready)  Vld <= in_valid;
		end
		always_ff @(posedge clk) begin
			if(in_ready)  Dat <= in_data;
		end
	end : genRegister
	else begin : genMemory
		localparam int unsigned  BITS = LENGTH <= 32? 5 : $clog2(LENGTH);

		// Pointers count modulo twice the size of the memory, to tell full from empty.
		logic [BITS:0]  Wr = '0;	// next to be written
		logic [BITS:0]  Rd = '0;	// next to be passed on
		logic [BITS:0]  Base = '0;	// oldest to be kept: the sequence's first, until its last time
		logic [WIDTH-1:0]  Mem[2**BITS];

		logic  write, load, some;
		assign	in_ready = (Wr ^ Base) != { 1'b1, {BITS{1'b0}} };
		assign	write = in_valid && in_ready;
		assign	some = Rd != Wr;
		assign	load = !Vld || out_ready;
		assign	step = load && some;

		always_ff @(posedge clk) begin
			if(write)  Mem[Wr[BITS-1:0]] <= in_data;
		end
		always_ff @(posedge clk) begin
			if(load)  Dat <= Mem[Rd[BITS-1:0]];
		end

		logic  Last = 0;
		assign	out_last = Last;
		always_ff @(posedge clk) begin
			if(rst) begin
				Wr   <= '0;
				Rd   <= '0;
				Base <= '0;
				Vld  <= 0;
				Last <= 0;
			end
			else begin
				if(write)  Wr <= Wr + (BITS+1)'(1);
				if(step) begin
					Rd <= last && !last_time? Base : Rd + (BITS+1)'(1);
					if(last_time)  Base <= Base + (BITS+1)'(1);
				end
				if(load) begin
					Vld  <= some;
					Last <= last;
				end
			end
		end
	end : genMemory

endmodule : sdq_replay
