/*****************************************************************************
 * Ports and parameters of the AMD primitives that the RTL instantiates, as
 * black boxes: the synthesis without Vivado counts them as they are. Names,
 * widths and defaults are those of AMD UG479, UG579, UG953 and UG974.
 *****************************************************************************/
(* blackbox *)
module LUT6_2 #(
	parameter bit [63:0]  INIT = 0
)(
	output	O6, O5,
	input	I0, I1, I2, I3, I4, I5
);
endmodule : LUT6_2

(* blackbox *)
module DSP48E1 #(
	parameter  A_INPUT = "DIRECT", B_INPUT = "DIRECT",
	parameter  USE_DPORT = "FALSE", USE_MULT = "MULTIPLY", USE_SIMD = "ONE48",
	parameter  AUTORESET_PATDET = "NO_RESET", USE_PATTERN_DETECT = "NO_PATDET",
	parameter  SEL_MASK = "MASK", SEL_PATTERN = "PATTERN",
	parameter bit [47:0]  MASK = 48'h3FFF_FFFF_FFFF, PATTERN = 0,
	parameter int  ACASCREG = 1, ADREG = 1, ALUMODEREG = 1, AREG = 1, BCASCREG = 1, BREG = 1,
	parameter int  CARRYINREG = 1, CARRYINSELREG = 1, CREG = 1, DREG = 1, INMODEREG = 1,
	parameter int  MREG = 1, OPMODEREG = 1, PREG = 1,
	parameter bit [3:0]  IS_ALUMODE_INVERTED = 0,
	parameter bit [4:0]  IS_INMODE_INVERTED = 0,
	parameter bit [6:0]  IS_OPMODE_INVERTED = 0,
	parameter bit  IS_CARRYIN_INVERTED = 0, IS_CLK_INVERTED = 0
)(
	output [29:0]  ACOUT,
	output [17:0]  BCOUT,
	output [47:0]  P, PCOUT,
	output [ 3:0]  CARRYOUT,
	output	CARRYCASCOUT, MULTSIGNOUT, OVERFLOW, UNDERFLOW, PATTERNBDETECT, PATTERNDETECT,

	input [29:0]  A, ACIN,
	input [17:0]  B, BCIN,
	input [47:0]  C, PCIN,
	input [24:0]  D,
	input [ 3:0]  ALUMODE,
	input [ 4:0]  INMODE,
	input [ 6:0]  OPMODE,
	input [ 2:0]  CARRYINSEL,
	input	CLK, CARRYIN, CARRYCASCIN, MULTSIGNIN,
	input	CEA1, CEA2, CEAD, CEALUMODE, CEB1, CEB2, CEC, CECARRYIN, CECTRL, CED, CEINMODE, CEM, CEP,
	input	RSTA, RSTALLCARRYIN, RSTALUMODE, RSTB, RSTC, RSTCTRL, RSTD, RSTINMODE, RSTM, RSTP
);
endmodule : DSP48E1

(* blackbox *)
module DSP48E2 #(
	parameter  AMULTSEL = "A", A_INPUT = "DIRECT", BMULTSEL = "B", B_INPUT = "DIRECT",
	parameter  PREADDINSEL = "A", USE_MULT = "MULTIPLY", USE_SIMD = "ONE48",
	parameter  USE_WIDEXOR = "FALSE", XORSIMD = "XOR24_48_96",
	parameter  AUTORESET_PATDET = "NO_RESET", AUTORESET_PRIORITY = "RESET",
	parameter  SEL_MASK = "MASK", SEL_PATTERN = "PATTERN", USE_PATTERN_DETECT = "NO_PATDET",
	parameter bit [47:0]  MASK = 48'h3FFF_FFFF_FFFF, PATTERN = 0, RND = 0,
	parameter int  ACASCREG = 1, ADREG = 1, ALUMODEREG = 1, AREG = 1, BCASCREG = 1, BREG = 1,
	parameter int  CARRYINREG = 1, CARRYINSELREG = 1, CREG = 1, DREG = 1, INMODEREG = 1,
	parameter int  MREG = 1, OPMODEREG = 1, PREG = 1,
	parameter bit [3:0]  IS_ALUMODE_INVERTED = 0,
	parameter bit [4:0]  IS_INMODE_INVERTED = 0,
	parameter bit [8:0]  IS_OPMODE_INVERTED = 0,
	parameter bit  IS_CARRYIN_INVERTED = 0, IS_CLK_INVERTED = 0,
	parameter bit  IS_RSTA_INVERTED = 0, IS_RSTALLCARRYIN_INVERTED = 0, IS_RSTALUMODE_INVERTED = 0,
	parameter bit  IS_RSTB_INVERTED = 0, IS_RSTC_INVERTED = 0, IS_RSTCTRL_INVERTED = 0,
	parameter bit  IS_RSTD_INVERTED = 0, IS_RSTINMODE_INVERTED = 0,
	parameter bit  IS_RSTM_INVERTED = 0, IS_RSTP_INVERTED = 0
)(
	output [29:0]  ACOUT,
	output [17:0]  BCOUT,
	output [47:0]  P, PCOUT,
	output [ 3:0]  CARRYOUT,
	output [ 7:0]  XOROUT,
	output	CARRYCASCOUT, MULTSIGNOUT, OVERFLOW, UNDERFLOW, PATTERNBDETECT, PATTERNDETECT,

	input [29:0]  A, ACIN,
	input [17:0]  B, BCIN,
	input [47:0]  C, PCIN,
	input [26:0]  D,
	input [ 3:0]  ALUMODE,
	input [ 4:0]  INMODE,
	input [ 8:0]  OPMODE,
	input [ 2:0]  CARRYINSEL,
	input	CLK, CARRYIN, CARRYCASCIN, MULTSIGNIN,
	input	CEA1, CEA2, CEAD, CEALUMODE, CEB1, CEB2, CEC, CECARRYIN, CECTRL, CED, CEINMODE, CEM, CEP,
	input	RSTA, RSTALLCARRYIN, RSTALUMODE, RSTB, RSTC, RSTCTRL, RSTD, RSTINMODE, RSTM, RSTP
);
endmodule : DSP48E2
