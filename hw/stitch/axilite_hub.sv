/*****************************************************************************
 * sdq_axilite_hub: one AXI-Lite port for several slaves.
 *
 * Slave i has the addresses i*2^WINDOW_BITS and on; it gets the lower WINDOW_BITS
 * bits. Other addresses are answered with DECERR, and read as 0.
 *
 * Parameters: SLAVES        how many
 *             WINDOW_BITS   bits of the address of a slave
 *             ADDRESS_BITS  bits of the address of s, enough for all slaves
 * Handshake:  AXI-Lite. s takes the address of a write together with its data.
 *             One transaction at a time; of a write and a read that both wait, the
 *             one that is not like the last comes first. No output depends on an
 *             input of the same cycle.
 * Latency:    from s_awvalid or s_arvalid 2 cycles to the slave, and 1 cycle from
 *             its answer to that of s.
 * Resources:  about ADDRESS_BITS + 40 registers; 11 LUTs for each slave, most of
 *             them for its RDATA.
 *****************************************************************************/
module sdq_axilite_hub #(
	int unsigned  SLAVES       = 2,
	int unsigned  WINDOW_BITS  = 12,
	int unsigned  ADDRESS_BITS = 13
)(
	input	logic  clk,
	input	logic  rst,

	input	logic [ADDRESS_BITS-1:0]  s_awaddr,
	input	logic  s_awvalid,
	output	logic  s_awready,
	input	logic [31:0]  s_wdata,
	input	logic [3:0]  s_wstrb,
	input	logic  s_wvalid,
	output	logic  s_wready,
	output	logic [1:0]  s_bresp,
	output	logic  s_bvalid,
	input	logic  s_bready,
	input	logic [ADDRESS_BITS-1:0]  s_araddr,
	input	logic  s_arvalid,
	output	logic  s_arready,
	output	logic [31:0]  s_rdata,
	output	logic [1:0]  s_rresp,
	output	logic  s_rvalid,
	input	logic  s_rready,

	// All slaves see the same address and data.
	output	logic [WINDOW_BITS-1:0]  m_addr,
	output	logic [31:0]  m_wdata,
	output	logic [3:0]  m_wstrb,
	output	logic [SLAVES-1:0]  m_awvalid,
	input	logic [SLAVES-1:0]  m_awready,
	output	logic [SLAVES-1:0]  m_wvalid,
	input	logic [SLAVES-1:0]  m_wready,
	input	logic [SLAVES-1:0][1:0]  m_bresp,
	input	logic [SLAVES-1:0]  m_bvalid,
	output	logic [SLAVES-1:0]  m_bready,
	output	logic [SLAVES-1:0]  m_arvalid,
	input	logic [SLAVES-1:0]  m_arready,
	input	logic [SLAVES-1:0][31:0]  m_rdata,
	input	logic [SLAVES-1:0][1:0]  m_rresp,
	input	logic [SLAVES-1:0]  m_rvalid,
	output	logic [SLAVES-1:0]  m_rready
);
	localparam int unsigned  SELECT_BITS = ADDRESS_BITS - WINDOW_BITS;
	if(ADDRESS_BITS <= WINDOW_BITS || 64'(SLAVES) > 64'd1 << SELECT_BITS) begin : genBadAddress
		$error("ADDRESS_BITS must have room for all slaves");
	end : genBadAddress

	localparam bit [1:0]  DECERR = 2'b11;

	typedef enum logic [1:0] {
		IDLE,	// nothing to do
		TAKE,	// s hands over its request
		PASS,	// a slave is asked
		REPLY	// s gets the answer
	} state_e;
	state_e  State = IDLE;
	logic  Write = 0;	// the request is, or the last one was, a write
	logic  Address = 0;	// the slave has yet to take the address
	logic  Payload = 0;	// the slave has yet to take the data of a write
	logic [SLAVES-1:0]  Slave = '0;	// the one that is asked

	logic [ADDRESS_BITS-1:0]  Addr;
	logic [31:0]  Data;	// of the write, then of the answer
	logic [3:0]  Strb;
	logic [1:0]  Resp;

	logic  write, read;
	assign	write = s_awvalid && s_wvalid && !(s_arvalid && Write);
	assign	read = s_arvalid && !write;

	logic [SLAVES-1:0]  hit;
	for(genvar  i = 0; i < SLAVES; i++) begin : genHit
		assign	hit[i] = Addr[ADDRESS_BITS-1:WINDOW_BITS] == SELECT_BITS'(i);
	end : genHit

	// What the slave that is asked says.
	logic  taken, answered;
	logic [1:0]  resp;
	logic [31:0]  data;
	always_comb begin
		taken = |(Slave & (Write? m_awready : m_arready));
		answered = |(Slave & (Write? m_bvalid : m_rvalid)) && !Address && !Payload;
		resp = '0;
		data = '0;
		for(int unsigned  i = 0; i < SLAVES; i++) begin
			if(Slave[i])  resp |= Write? m_bresp[i] : m_rresp[i];
			if(Slave[i])  data |= m_rdata[i];
		end
	end

	always_ff @(posedge clk) begin
		if(rst) begin
			State   <= IDLE;
			Write   <= 0;
			Address <= 0;
			Payload <= 0;
			Slave   <= '0;
		end
		else unique case(State)
			IDLE: begin
				if(write || read) begin
					State <= TAKE;
					Write <= write;
				end
			end
			TAKE: begin
				State   <= |hit? PASS : REPLY;
				Slave   <= hit;
				Address <= |hit;
				Payload <= |hit && Write;
			end
			PASS: begin
				if(taken)  Address <= 0;
				if(|(Slave & m_wready))  Payload <= 0;
				if(answered)  State <= REPLY;
			end
			REPLY: if(Write? s_bready : s_rready)  State <= IDLE;
		endcase
	end

	always_ff @(posedge clk) begin
		if(State == IDLE) begin
			Addr <= write? s_awaddr : s_araddr;
			Data <= s_wdata;
			Strb <= s_wstrb;
		end
		if(State == TAKE)  Resp <= DECERR;
		if(State == TAKE && !Write)  Data <= '0;
		if(State == PASS && answered) begin
			Resp <= resp;
			Data <= data;
		end
	end

	assign	s_awready = State == TAKE && Write;
	assign	s_wready = State == TAKE && Write;
	assign	s_arready = State == TAKE && !Write;
	assign	s_bvalid = State == REPLY && Write;
	assign	s_bresp = Resp;
	assign	s_rvalid = State == REPLY && !Write;
	assign	s_rresp = Resp;
	assign	s_rdata = Data;

	assign	m_addr = Addr[WINDOW_BITS-1:0];
	assign	m_wdata = Data;
	assign	m_wstrb = Strb;
	assign	m_awvalid = Slave & {SLAVES{State == PASS && Write && Address}};
	assign	m_arvalid = Slave & {SLAVES{State == PASS && !Write && Address}};
	assign	m_wvalid = Slave & {SLAVES{State == PASS && Payload}};
	assign	m_bready = Slave & {SLAVES{State == PASS && Write && !Address && !Payload}};
	assign	m_rready = Slave & {SLAVES{State == PASS && !Write && !Address}};

endmodule : sdq_axilite_hub
