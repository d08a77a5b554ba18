"""Cycle-accurate simulation of generated SystemVerilog."""
