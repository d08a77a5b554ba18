"""Frames to the bytes of AXI-Stream beats, and back."""

import numpy as np
import numpy.typing as npt

from sdq_fpga.errors import StageError
from sdq_fpga.rtl.design import Stream

__all__ = ["pack", "unpack"]


def pack(frames: npt.NDArray[np.int64], stream: Stream) -> npt.NDArray[np.uint8]:
    """Packs frames into beats.

    Args:
        frames: integers of shape [N, *stream.shape] (channels last).
        stream: the port they go into.

    Returns:
        Bytes of shape [N, beats, width / 8], least significant first.

    Raises:
        StageError: a value does not fit in ``element_bits``, or the shape is another.
    """
    count = frames.shape[0]
    _check_shape("frames", frames.shape[1:], stream.shape)
    low, high = _range(stream)
    if frames.size and (frames.min() < low or frames.max() > high):
        raise StageError(
            f"values {frames.min()}..{frames.max()} do not fit a stream of {low}..{high}",
            "give values in that range",
        )
    if stream.bipolar:
        if np.any(frames == 0):
            raise StageError("a bipolar stream can't carry 0", "give values of -1 and +1")
        frames = (frames + 1) >> 1
    values = frames.reshape(count, stream.beats, stream.elements, 1)
    bits = (values >> np.arange(stream.element_bits)) & 1
    used = stream.elements * stream.element_bits
    flat = bits.reshape(count, stream.beats, used).astype(np.uint8)
    padding = stream.width - used
    padded = np.pad(flat, ((0, 0), (0, 0), (0, padding)))
    return np.packbits(padded, axis=2, bitorder="little")


def unpack(beats: npt.NDArray[np.uint8], stream: Stream) -> npt.NDArray[np.int64]:
    """Reads the frames out of beats; the padding of a beat is ignored.

    Args:
        beats: bytes of shape [N, beats, width / 8].
        stream: the port they came from.

    Returns:
        Integers of shape [N, *stream.shape].

    Raises:
        StageError: the shape is another.
    """
    _check_shape("beats", beats.shape[1:], (stream.beats, stream.width // 8))
    count = beats.shape[0]
    bits = np.unpackbits(beats, axis=2, bitorder="little")
    used = bits[:, :, : stream.elements * stream.element_bits].astype(np.int64)
    weights = np.left_shift(np.int64(1), np.arange(stream.element_bits, dtype=np.int64))
    if stream.signed:
        weights[-1] = -weights[-1]
    values = used.reshape(count, stream.beats, stream.elements, stream.element_bits) @ weights
    if stream.bipolar:
        values = 2 * values - 1
    return values.reshape(count, *stream.shape)


def _check_shape(what: str, found: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if found != expected:
        raise StageError(
            f"{what} of shape {found} do not fit a stream of {what} of shape {expected}",
            "give them in that shape",
        )


def _range(stream: Stream) -> tuple[int, int]:
    if stream.bipolar:
        return -1, 1
    if stream.signed:
        return -(2 ** (stream.element_bits - 1)), 2 ** (stream.element_bits - 1) - 1
    return 0, 2**stream.element_bits - 1
