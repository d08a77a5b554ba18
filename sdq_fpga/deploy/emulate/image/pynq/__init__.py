"""``pynq`` of an emulated board: the names that finn-plus-driver uses, over the simulated RTL.

Plain Python and NumPy: it runs in the emulated board's own environment.
"""

from .memory import PynqBuffer, allocate
from .overlay import MMIO, Bitstream, Overlay

__all__ = ["EMULATED", "MMIO", "Bitstream", "Overlay", "PynqBuffer", "allocate", "get_rails"]

EMULATED = True
"""The board's program looks for this name, which the real ``pynq`` lacks."""


def get_rails() -> dict[str, object]:
    """PMBus rails: an emulated board has none, and so no power to tell of."""
    return {}
