"""From the hardware graph to SystemVerilog."""
