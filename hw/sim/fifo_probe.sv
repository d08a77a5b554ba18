/*****************************************************************************
 * sdq_fifo_probe: stands in for a FIFO while its depth is being found. For
 * simulation only: it holds any number of words.
 *
 * Parameters: WIDTH  bits of a word
 * Ports:      limit  depth that it pretends to have
 *             peak   greatest occupancy since the reset
 * Handshake:  AXI-Stream. Latency: 1 cycle, as finn-rtllib/fifo in its shift
 *             registers.
 *****************************************************************************/
module sdq_fifo_probe #(
	int unsigned  WIDTH = 8
)(
	input	logic  clk,
	input	logic  rst,
	input	logic [31:0]  limit,
	output	logic [31:0]  peak,

	input	logic [WIDTH-1:0]  in0_tdata,
	input	logic  in0_tvalid,
	output	logic  in0_tready,

	output	logic [WIDTH-1:0]  out0_tdata,
	output	logic  out0_tvalid,
	input	logic  out0_tready
);
	logic [WIDTH-1:0]  Words[$];
	int unsigned  Count = 0;

	assign	in0_tready = Count < limit;

	always_ff @(posedge clk) begin
		if(rst) begin
			Words.delete();
			Count <= 0;
			peak <= 0;
			out0_tvalid <= 0;
		end
		else begin
			// Blocking: the queue is the state, and only this process sees it.
			if(out0_tvalid && out0_tready)  void'(Words.pop_front());
			if(in0_tvalid && in0_tready)  Words.push_back(in0_tdata);
			Count <= Words.size();
			if(Words.size() > peak)  peak <= Words.size();
			out0_tvalid <= Words.size() > 0;
			if(Words.size() > 0)  out0_tdata <= Words[0];
		end
	end

endmodule : sdq_fifo_probe
