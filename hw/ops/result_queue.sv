/*****************************************************************************
 * sdq_result_queue: keeps the results of a pipeline that can't be stopped.
 *
 * Parameters: WIDTH   bits of a result
 *             PLACES  results that can be kept, at least 2
 * Handshake:  who lets something into the pipeline that will become a result
 *             waits for `free` and says `reserve`; `push` brings that result
 *             any number of cycles later. The output is AXI-Stream.
 * Latency:    2 cycles (PLACES = 2) or 3, 1 result a cycle; a place is free
 *             again in the cycle after its result has left.
 * Resources:  2*WIDTH flip-flops and a few LUTs: results move through two
 *             registers without a multiplexer. For PLACES > 2, WIDTH shift
 *             registers of 16 or 32 bits between them.
 *****************************************************************************/
module sdq_result_queue #(
	int unsigned  WIDTH  = 8,
	int unsigned  PLACES = 2
)(
	input	logic  clk,
	input	logic  rst,

	output	logic  free,
	input	logic  reserve,

	input	logic  push,
	input	logic [WIDTH-1:0]  data,

	output	logic [WIDTH-1:0]  out0_tdata,
	output	logic  out0_tvalid,
	input	logic  out0_tready
);
	if(PLACES < 2) begin : genBadPlaces
		$error("PLACES must be 2 or more");
	end : genBadPlaces

	// Free places - 1: negative if there is none
	localparam int unsigned  BITS = $clog2(PLACES) + 1;
	logic [BITS-1:0]  Free = BITS'(PLACES-1);
	logic  give;
	assign	give = out0_tvalid && out0_tready;
	always_ff @(posedge clk) begin
		if(rst)  Free <= BITS'(PLACES-1);
		else if(reserve != give)  Free <= Free + { {(BITS-1){reserve}}, 1'b1 };
	end
	assign	free = !Free[BITS-1];

	logic [WIDTH-1:0]  In = '0, Out = '0;
	logic  InVld = 0, OutVld = 0;
	logic  load;
	assign	load = !OutVld || out0_tready;
	always_ff @(posedge clk) begin
		if(push)  In <= data;
	end
	assign	out0_tdata  = Out;
	assign	out0_tvalid = OutVld;

	if(PLACES == 2) begin : genPair
		always_ff @(posedge clk) begin
			if(load)  Out <= In;
		end
		always_ff @(posedge clk) begin
			if(rst) begin
				InVld  <= 0;
				OutVld <= 0;
			end
			else begin
				InVld <= push || (InVld && !load);
				if(load)  OutVld <= InVld;
			end
		end
`ifndef SYNTHESIS
		always_ff @(posedge clk) begin
			assert(rst || !push || !InVld || load) else  $error("overflow of the result queue");
		end
`endif
	end : genPair
	else begin : genQueue
		localparam int unsigned  PTR_BITS = $clog2(PLACES) + 1;
		(* shreg_extract = "yes" *)
		logic [PLACES-1:0][WIDTH-1:0]  Srl = '0;
		logic [PTR_BITS-1:0]  Ptr = '1;	// newest is 0; oldest, or -1
		logic  empty;
		assign	empty = Ptr[PTR_BITS-1];
		always_ff @(posedge clk) begin
			if(InVld)  Srl <= { Srl[PLACES-2:0], In };
		end
		always_ff @(posedge clk) begin
			if(load)  Out <= Srl[Ptr[PTR_BITS-2:0]];
		end
		always_ff @(posedge clk) begin
			if(rst) begin
				InVld  <= 0;
				OutVld <= 0;
				Ptr <= '1;
			end
			else begin
				InVld <= push;
				if(InVld != (load && !empty))  Ptr <= Ptr + { {(PTR_BITS-1){!InVld}}, 1'b1 };
				if(load)  OutVld <= !empty;
			end
		end
`ifndef SYNTHESIS
		always_ff @(posedge clk) begin
			assert(rst || !InVld || (load && !empty) || (Ptr != PTR_BITS'(PLACES-1)))
				else  $error("overflow of the result queue");
		end
`endif
	end : genQueue

endmodule : sdq_result_queue
