/*****************************************************************************
 * sdq_concat: concatenates the channels of N streams, pixel by pixel.
 *
 * Parameters: N         number of inputs, at least 2
 *             PE        elements of a beat, of every stream
 *             OUT_BITS  bits of an output element
 *             IN_WIDTH  bits of all inputs' beats together
 *             IN_BITS   bits of each input's elements, input 0 lowest;
 *                       at most OUT_BITS
 *             BEATS     beats of each input in a pixel
 *             SIGNED    whether each input's elements are sign-extended
 *             BIPOLAR   whether each input's elements are single bits for -1
 *                       and +1 that become two's complement
 * Handshake:  AXI-Stream; only the input whose turn it is is ready.
 * Latency:    1 cycle, 1 beat a cycle.
 * Resources:  PE*OUT_BITS + 1 flip-flops and a multiplexer of N inputs before
 *             them (a LUT a bit for up to 4 inputs); sdq_turns. The output is
 *             registered; TREADY passes through combinationally.
 *****************************************************************************/
module sdq_concat #(
	int unsigned  N        = 2,
	int unsigned  PE       = 1,
	int unsigned  OUT_BITS = 8,
	int unsigned  IN_WIDTH = N*PE*OUT_BITS,
	bit [N-1:0][31:0]  IN_BITS = {N{OUT_BITS}},
	bit [N-1:0][31:0]  BEATS   = {N{32'd1}},
	bit [N-1:0]        SIGNED  = '0,
	bit [N-1:0]        BIPOLAR = '0
)(
	input	logic  clk,
	input	logic  rst,

	input	logic [IN_WIDTH-1:0]  in_tdata,
	input	logic [N-1:0]  in_tvalid,
	output	logic [N-1:0]  in_tready,

	output	logic [PE-1:0][OUT_BITS-1:0]  out0_tdata,
	output	logic  out0_tvalid,
	input	logic  out0_tready
);
	// Where the beat of input i begins in in_tdata.
	function automatic int unsigned offset(int unsigned  i);
		offset = 0;
		for(int unsigned  j = 0; j < i; j++)  offset += PE*IN_BITS[j];
	endfunction : offset

	if(N < 2) begin : genNoStreams
		$error("sdq_concat: N must be 2 or more.");
	end : genNoStreams
	if(IN_WIDTH != offset(N)) begin : genNoWidth
		$error("sdq_concat: IN_WIDTH is not that of the inputs together.");
	end : genNoWidth

	// Every input as if it had the output's type.
	uwire [N-1:0][PE-1:0][OUT_BITS-1:0]  wide;
	for(genvar  i = 0; i < N; i++) begin : genInputs
		localparam int unsigned  BITS = IN_BITS[i];
		if(BITS > OUT_BITS || (BIPOLAR[i] && BITS != 1)) begin : genNoBits
			$error("sdq_concat: IN_BITS must be at most OUT_BITS, and 1 where BIPOLAR.");
		end : genNoBits
		for(genvar  e = 0; e < PE; e++) begin : genElements
			uwire [BITS-1:0]  x = in_tdata[offset(i) + e*BITS +: BITS];
			if(BIPOLAR[i] && OUT_BITS > 1) begin : genBipolar
				assign	wide[i][e] = { {(OUT_BITS-1){!x[0]}}, 1'b1 };
			end : genBipolar
			else if(SIGNED[i]) begin : genSigned
				assign	wide[i][e] = OUT_BITS'(signed'(x));
			end : genSigned
			else begin : genUnsigned
				assign	wide[i][e] = OUT_BITS'(x);
			end : genUnsigned
		end : genElements
	end : genInputs

	logic [PE-1:0][OUT_BITS-1:0]  Dat;
	logic  Vld = 0;

	uwire  free = !Vld || out0_tready;
	uwire [$clog2(N)-1:0]  sel;
	uwire  offered = in_tvalid[sel];
	sdq_turns #(.N(N), .BEATS(BEATS)) turns (.clk, .rst, .step(free && offered), .sel);

	always_ff @(posedge clk) begin
		if(rst)  Vld <= 0;
		else if(free)  Vld <= offered;
	end
	always_ff @(posedge clk) begin
		if(free)  Dat <= wide[sel];
	end

	always_comb begin
		in_tready = '0;
		in_tready[sel] = free;
	end
	assign	out0_tdata = Dat;
	assign	out0_tvalid = Vld;

endmodule : sdq_concat
