"""Packing of frames into beats, against bit-by-bit arithmetic and against FINN's own packing."""

import itertools

import numpy as np
import pytest
from finn.util.data_packing import npy_to_rtlsim_input, pack_innermost_dim_as_hex_string
from hypothesis import given, settings
from hypothesis import strategies as st
from qonnx.core.datatype import DataType

from sdq_fpga.errors import StageError
from sdq_fpga.rtl.design import Stream
from sdq_fpga.sim.streams import pack, unpack


def limits(stream: Stream) -> tuple[int, int]:
    if stream.signed:
        return -(1 << (stream.element_bits - 1)), (1 << (stream.element_bits - 1)) - 1
    return 0, (1 << stream.element_bits) - 1


def make(bits: int, elements: int, beats: int, signed: bool, extra_bytes: int = 0) -> Stream:
    width = -(-elements * bits // 8) * 8 + 8 * extra_bytes
    return Stream(
        width=width,
        element_bits=bits,
        elements=elements,
        beats=beats,
        signed=signed,
        shape=(beats, elements),
    )


STREAMS = st.builds(
    make,
    bits=st.integers(1, 24),
    elements=st.integers(1, 9),
    beats=st.integers(1, 5),
    signed=st.booleans(),
    extra_bytes=st.integers(0, 2),
)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Stream, np.ndarray]:
    stream = draw(STREAMS)
    low, high = limits(stream)
    count = draw(st.integers(0, 3))
    size = count * stream.beats * stream.elements
    values = draw(st.lists(st.integers(low, high), min_size=size, max_size=size))
    return stream, np.array(values, np.int64).reshape(count, *stream.shape)


def packed_by_hand(frames: np.ndarray, stream: Stream) -> list[list[bytes]]:
    """Element i at bits [i*b +: b], zeros above, in the arithmetic of Python's integers."""
    frames_of_beats = frames.reshape(len(frames), stream.beats, stream.elements).tolist()
    packed = []
    for frame in frames_of_beats:
        beats = []
        for beat in frame:
            tdata = 0
            for index, value in enumerate(beat):
                for bit in range(stream.element_bits):
                    if value & (1 << bit):
                        tdata += 1 << (index * stream.element_bits + bit)
            beats.append(tdata.to_bytes(stream.width // 8, "little"))
        packed.append(beats)
    return packed


@settings(deadline=None)
@given(case=cases())
def test_what_is_packed_is_unpacked(case):
    stream, frames = case
    again = unpack(pack(frames, stream), stream)
    assert again.dtype == np.int64
    assert again.shape == frames.shape
    assert again.tolist() == frames.tolist()


@settings(deadline=None)
@given(case=cases())
def test_layout(case):
    stream, frames = case
    beats = pack(frames, stream)
    assert beats.dtype == np.uint8
    assert beats.shape == (len(frames), stream.beats, stream.width // 8)
    assert [[each.tobytes() for each in frame] for frame in beats] == packed_by_hand(frames, stream)


def test_layout_of_one_beat():
    stream = make(bits=3, elements=3, beats=1, signed=True)
    (beat,) = pack(np.array([[[-1, 2, -4]]]), stream)[0]
    assert beat.tobytes() == bytes([0b00_010_111, 0b0000000_1])


@settings(deadline=None)
@given(case=cases(), garbage=st.integers(0, 255))
def test_padding_is_ignored(case, garbage):
    stream, frames = case
    beats = pack(frames, stream)
    bits = np.unpackbits(beats, axis=2, bitorder="little")
    used = stream.elements * stream.element_bits
    assert not bits[:, :, used:].any()
    noise = np.unpackbits(np.full_like(beats, garbage), axis=2, bitorder="little")
    bits[:, :, used:] = noise[:, :, used:]
    dirty = np.packbits(bits, axis=2, bitorder="little")
    assert unpack(dirty, stream).tolist() == frames.tolist()


@settings(deadline=None)
@given(case=cases())
def test_frames_of_any_rank(case):
    """Channels last: the last axis runs fastest, however many axes there are."""
    stream, frames = case
    image = stream.model_copy(update={"shape": (1, stream.beats, 1, stream.elements)})
    shaped = frames.reshape(len(frames), *image.shape)
    assert pack(shaped, image).tolist() == pack(frames, stream).tolist()
    assert unpack(pack(shaped, image), image).shape == shaped.shape


def test_pixels_need_not_be_widened_first():
    stream = make(bits=8, elements=4, beats=2, signed=False)
    pixels = np.arange(248, 256, dtype=np.uint8).reshape(1, 2, 4)
    assert pack(pixels, stream).ravel().tolist() == list(range(248, 256))


@pytest.mark.parametrize("elements", [1, 2, 5, 8])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [2, 3, 4, 7, 8, 9, 16, 17, 24])
def test_agrees_with_finn(bits, signed, elements):
    stream = make(bits, elements, 3, signed)
    low, high = limits(stream)
    frames = np.random.default_rng(bits * elements).integers(low, high + 1, (4, 3, elements))
    frames[0, 0, 0], frames[0, 0, -1] = low, high
    datatype = DataType[f"INT{bits}" if signed else f"UINT{bits}"]
    ours = [[int.from_bytes(beat, "little") for beat in frame] for frame in pack(frames, stream)]
    floats = frames.astype(np.float32)
    texts = pack_innermost_dim_as_hex_string(floats, datatype, stream.width, reverse_inner=True)
    assert ours == [[int(text, 16) for text in frame] for frame in texts]
    assert list(itertools.chain(*ours)) == npy_to_rtlsim_input(floats, datatype, stream.width)


# What is refused


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [1, 2, 8, 24])
def test_values_out_of_range(bits, signed):
    stream = make(bits, 2, 3, signed)
    low, high = limits(stream)
    for fits in (low, high):
        frames = np.zeros((2, 3, 2), np.int64)
        frames[1, 2, 1] = fits
        assert unpack(pack(frames, stream), stream).tolist() == frames.tolist()
    for out in (low - 1, high + 1, 2**40, -(2**40)):
        frames = np.zeros((2, 3, 2), np.int64)
        frames[1, 2, 1] = out
        with pytest.raises(StageError, match=rf"do not fit a stream of {low}\.\.{high}") as caught:
            pack(frames, stream)
        assert str(out) in str(caught.value)


@pytest.mark.parametrize("shape", [(3, 4), (12,), (2, 2, 3), (2, 5), (3, 3), (), (4, 3, 1)])
def test_frames_of_another_shape(shape):
    """Of another size, or of the same size with the axes in another order."""
    stream = make(4, 3, 4, False)
    with pytest.raises(StageError, match=r"frames of shape .* of shape \(4, 3\)"):
        pack(np.zeros((2, *shape), np.int64), stream)


@pytest.mark.parametrize("shape", [(4, 3), (3, 2), (4, 1), (8,), (2, 2, 2), ()])
def test_beats_of_another_shape(shape):
    stream = make(4, 3, 4, False)
    with pytest.raises(StageError, match=r"beats of shape .* of shape \(4, 2\)"):
        unpack(np.zeros((2, *shape), np.uint8), stream)
