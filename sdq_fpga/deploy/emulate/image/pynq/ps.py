"""Clocks of the processing system."""

__all__ = ["Clocks"]


class Clocks:
    """Where the driver sets the clock; the simulation's is in its bitstream."""

    fclk0_mhz = 100.0
