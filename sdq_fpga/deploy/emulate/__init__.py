"""An emulated board: SSH, the driver's own environment, and pynq over the simulated RTL."""
