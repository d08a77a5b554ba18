"""The emulated ``pynq``: memory with a cache in front, DMAs, and what the hardware would not do."""

import time

import numpy as np
import pytest
from echo import CRASH, bitstream, frames

from sdq_fpga.deploy.board_side.refused import Refused
from sdq_fpga.deploy.board_side.work import _frames
from sdq_fpga.deploy.emulate.image.pynq import MMIO, Bitstream, Overlay, allocate

START, DONE, IDLE = 1, 2, 4


@pytest.fixture
def load(tmp_path):
    def loaded(**options: object) -> Overlay:
        path = tmp_path / "x.bit"
        path.write_bytes(bitstream(**options))
        return Overlay(str(path))

    return loaded


def start(dma, buffer, count: int) -> None:
    dma.write(0x10, buffer.device_address & 0xFFFFFFFF)
    dma.write(0x14, buffer.device_address >> 32)
    dma.write(0x1C, count)
    dma.write(0x00, START)


def finish(dma) -> None:
    until = time.monotonic() + 60
    while not dma.read(0) & DONE:
        assert time.monotonic() < until


def test_a_batch_needs_flush_and_invalidate(load):
    overlay = load()
    given, taken = (allocate((3, 2, 2), np.uint8) for _ in range(2))
    given[:] = frames(2).reshape(3, 2, 2)
    assert overlay.idma0.read(0) & IDLE
    for flushed in (False, True):
        if flushed:
            given.flush()
        start(overlay.odma0, taken, 3)
        assert not overlay.odma0.read(0) & (DONE | IDLE)
        start(overlay.idma0, given, 3)
        finish(overlay.odma0)
        assert not overlay.odma0.read(0) & DONE, "it is cleared by reading"
        assert not taken.any(), "it is in the cache still"
        if flushed:
            taken.invalidate()
    assert np.array_equal(taken, given)
    assert overlay.emulated_cycles["total"] == 30


def test_what_a_bus_does_not_do(load):
    overlay = load()
    small, large = allocate((1, 2, 2), np.uint8), allocate((9, 2, 2), np.uint8)
    start(overlay.odma0, large, 3)
    with pytest.raises(RuntimeError, match="bus error"):
        start(overlay.idma0, small, 3)
    with pytest.raises(RuntimeError, match="different numbers of frames"):
        start(overlay.idma0, large, 2)
    with pytest.raises(ValueError, match="does not fit"):
        MMIO().write(0, 2**32)


def test_an_accelerator_that_fails(load):
    overlay = load(script=CRASH)
    buffer = allocate((1, 2, 2), np.uint8)
    start(overlay.idma0, buffer, 1)
    start(overlay.odma0, buffer, 1)
    with pytest.raises(RuntimeError, match="no transfer for 100000 cycles"):
        finish(overlay.odma0)


def test_a_real_bitstream_is_not_loaded(load):
    with pytest.raises(RuntimeError, match="is for a real board"):
        load(emulated=False)
    with pytest.raises(RuntimeError, match="loads overlays only"):
        Bitstream("x.bit")


class Wide:
    """An overlay as the driver makes it, whose answers are given."""

    num_outputs = 1
    batch_size = 1

    def __init__(self, answer: float) -> None:
        self._answer = answer

    def execute(self, given: list) -> np.ndarray:
        return np.full((len(given[0]), 1), self._answer, np.float32)

    def execute_on_buffers(self) -> None:
        pass


class NoRails:
    def watts(self) -> None:
        return None


@pytest.mark.parametrize("answer", [2.0**24 - 1, 1 - 2.0**24])
def test_answers_are_exact_or_refused(tmp_path, answer):
    inputs = [np.zeros((3, 1), np.uint8)]
    _frames(Wide(answer), inputs, 2, tmp_path, NoRails(), lambda _: None)
    assert (np.load(tmp_path / "output-0.npy") == int(answer)).all()
    with pytest.raises(Refused, match=r"2\^24 or more"):
        _frames(Wide(answer + np.sign(answer)), inputs, 2, tmp_path, NoRails(), lambda _: None)
