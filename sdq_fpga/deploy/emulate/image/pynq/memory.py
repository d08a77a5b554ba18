"""Memory that processor and accelerator share, and the processor's cache in front of it."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["PynqBuffer", "allocate", "device_bytes"]

_PAGE = 4096
_FIRST_ADDRESS = 0x1000_0000


class PynqBuffer(np.ndarray):
    """An array in shared memory.

    What the processor writes is in its cache until ``flush``; what the accelerator writes is not
    seen before ``invalidate``. So a driver that forgets either gets wrong answers here, too.

    Attributes:
        device_address: address for DMAs.
    """

    device_address: int
    _memory: bytearray

    def flush(self) -> None:
        """Writes the cache into memory."""
        self._memory[:] = self.tobytes()

    def invalidate(self) -> None:
        """Reads memory into the cache."""
        fresh = np.frombuffer(bytes(self._memory), self.dtype)
        np.copyto(self, fresh.reshape(self.shape))


class _Memory:
    """The memory of the board: one for the process, as on a board."""

    def __init__(self) -> None:
        self.next = _FIRST_ADDRESS
        self.buffers: weakref.WeakValueDictionary[int, PynqBuffer] = weakref.WeakValueDictionary()


_BOARD = _Memory()


def allocate(
    shape: int | Sequence[int], dtype: npt.DTypeLike = "u4", target: object = None, **_: Any
) -> PynqBuffer:
    """Allocates an array that DMAs can reach, as ``pynq.allocate`` does.

    Args:
        shape: its shape.
        dtype: type of its elements.
        target: the device, of which there is one here.
    """
    buffer = np.zeros(shape, dtype).view(PynqBuffer)
    buffer.device_address = _BOARD.next
    buffer._memory = bytearray(buffer.nbytes)
    _BOARD.next += -(-max(buffer.nbytes, 1) // _PAGE) * _PAGE
    _BOARD.buffers[buffer.device_address] = buffer
    return buffer


def device_bytes(address: int, size: int) -> memoryview:
    """The memory at an address, as a DMA sees it.

    Raises:
        RuntimeError: there is no buffer, or a shorter one.
    """
    buffer = _BOARD.buffers.get(address)
    if buffer is None or len(buffer._memory) < size:
        raise RuntimeError(f"bus error: {size} bytes at 0x{address:x} are in no buffer")
    return memoryview(buffer._memory)[:size]
