"""Weight matrices as words of memories and streams, as AXI-Lite writes, and as beats."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from finn.util.basic import getHWCustomOp
from onnx import NodeProto
from qonnx.core.datatype import BaseDataType, DataType
from qonnx.core.modelwrapper import ModelWrapper

from sdq_fpga.errors import StageError, UserError
from sdq_fpga.rtl.design import RtlDesign, WeightLayout, WeightPort, Window

__all__ = [
    "WEIGHT_OPS",
    "layout_of",
    "matrix_of",
    "stored_words",
    "weight_beats",
    "weight_reads",
    "weight_words",
    "weight_writes",
    "weights_read",
    "word_beats",
    "word_writes",
    "words_text",
]

Integers = npt.NDArray[np.int64]
Writes = list[tuple[int, int]]

WEIGHT_OPS = frozenset({"MVAU_rtl", "SdqMvuLut_rtl", "SdqDepthwise_rtl"})
"""Nodes whose second input are weights."""

_REGISTER_BITS = 32


def layout_of(model: ModelWrapper, node: NodeProto) -> WeightLayout:
    """How the weights of a node lie in words.

    Args:
        model: the folded graph.
        node: one of ``WEIGHT_OPS``.
    """
    inst = getHWCustomOp(node)
    depthwise = node.op_type == "SdqDepthwise_rtl"
    if node.op_type == "MVAU_rtl":
        source, weight, total = (
            inst.get_input_datatype(0),
            inst.get_input_datatype(1),
            inst.get_output_datatype(),
        )
    else:
        source, weight, total = (
            DataType[inst.text(name)] for name in ("in_type", "weight_type", "out_type")
        )
    rows, columns = (int(size) for size in model.get_initializer(node.input[1]).shape)
    low = int(weight.min())
    if node.op_type == "MVAU_rtl" and int(model.get_initializer(node.input[1]).min()) > low:
        # The unit is generated for weights without their least value (NARROW_WEIGHTS).
        low += 1
    return WeightLayout(
        rows=rows,
        columns=columns,
        pe=int(inst.get_nodeattr("PE")),
        simd=int(inst.get_nodeattr("SIMD")),
        depthwise=depthwise,
        element_bits=int(weight.bitwidth()),
        bipolar=weight == DataType["BIPOLAR"],
        low=low,
        high=int(weight.max()),
        source_low=_least(source),
        source_high=int(source.max()),
        sum_low=_least(total),
        sum_high=int(total.max()),
    )


def _least(kind: BaseDataType) -> int:
    return int(kind.min())


# ---- matrices and words -------------------------------------------------------------------------


def _folded(layout: WeightLayout, matrix: Integers) -> Integers:
    """The elements of each word: [words, elements]."""
    split = matrix.reshape(layout.rows // layout.simd, layout.simd, -1, layout.pe)
    order = (2, 0, 1, 3) if layout.depthwise else (2, 0, 3, 1)
    return split.transpose(order).reshape(layout.words, -1)


def weight_words(layout: WeightLayout, layer: str, weights: Integers) -> list[int]:
    """The words of a weight matrix.

    Args:
        layout: where its weights lie.
        layer: whose it is, for errors.
        weights: integers of shape [rows, columns], or of any shape that has them in that order,
            such as [kernel row, kernel column, input channel, output channel].

    Raises:
        UserError: the shape is another, or a weight or a sum is out of range.
    """
    if weights.size != layout.rows * layout.columns or weights.shape[-1:] != (layout.columns,):
        raise UserError(
            f"'{layer}': weights of shape {weights.shape} instead of "
            f"({layout.rows}, {layout.columns})",
            "give them in that shape",
        )
    matrix = np.rint(weights).astype(np.int64).reshape(layout.rows, layout.columns)
    _check_range(layout, layer, matrix)
    elements = _folded(layout, (matrix + 1) >> 1 if layout.bipolar else matrix)
    bits = ((elements[..., None] >> np.arange(layout.element_bits)) & 1).astype(np.uint8)
    packed = np.packbits(bits.reshape(len(elements), -1), axis=1, bitorder="little")
    return [int.from_bytes(word.tobytes(), "little") for word in packed]


def _check_range(layout: WeightLayout, layer: str, matrix: Integers) -> None:
    low, high = int(matrix.min()), int(matrix.max())
    if low < layout.low or high > layout.high or (layout.bipolar and np.any(matrix == 0)):
        allowed = "-1 and +1" if layout.bipolar else f"{layout.low} to {layout.high}"
        raise UserError(
            f"'{layer}': weights of {low} to {high}, and the hardware has {allowed}",
            "clip them to that range",
        )
    positive, negative = np.maximum(matrix, 0).sum(axis=0), np.minimum(matrix, 0).sum(axis=0)
    least = int((positive * layout.source_low + negative * layout.source_high).min())
    greatest = int((positive * layout.source_high + negative * layout.source_low).max())
    if least < layout.sum_low or greatest > layout.sum_high:
        raise UserError(
            f"'{layer}': sums with these weights reach {least} to {greatest}, and the hardware has "
            f"{layout.sum_low} to {layout.sum_high}",
            "use smaller weights",
        )


def matrix_of(layout: WeightLayout, words: Sequence[int]) -> Integers:
    """The weight matrix [rows, columns] that words hold; inverse of ``weight_words``."""
    each = layout.element_bits
    count = layout.pe * layout.simd
    mask, half = 2**each - 1, 2 ** (each - 1)
    elements = np.array(
        [[word >> (each * index) & mask for index in range(count)] for word in words], np.int64
    )
    values = 2 * elements - 1 if layout.bipolar else (elements ^ half) - half
    inner = (layout.simd, layout.pe) if layout.depthwise else (layout.pe, layout.simd)
    split = values.reshape(-1, layout.rows // layout.simd, *inner)
    order = (1, 2, 0, 3) if layout.depthwise else (1, 3, 0, 2)
    return split.transpose(order).reshape(layout.rows, layout.columns)


def words_text(words: Sequence[int], width: int) -> str:
    """Words as a memory file of hexadecimal numbers."""
    return "".join(f"{word:0{-(-width // 4)}x}\n" for word in words)


def stored_words(rtl: Path, place: Window | WeightPort) -> list[int]:
    """The words that a design was generated with.

    Args:
        rtl: directory of the design's files.
        place: one of its windows or weight streams.

    Raises:
        StageError: the file can't be read.
    """
    try:
        lines = (rtl / place.contents).read_text(encoding="utf-8").split()
        words = [int(line, 16) for line in lines]
    except (OSError, ValueError) as error:
        raise StageError(
            f"{place.contents} can't be read ({error})", "generate the design again"
        ) from error
    if len(words) != place.words:
        raise StageError(
            f"{place.contents} has {len(words)} words instead of {place.words}",
            "generate the design again",
        )
    return words


# ---- AXI-Lite -----------------------------------------------------------------------------------


def word_writes(window: Window, words: Sequence[int]) -> Writes:
    """The writes, as (address, data), that put words into a weight memory."""
    return [
        (
            window.base + 4 * (window.registers * number + part),
            word >> (_REGISTER_BITS * part) & (2**_REGISTER_BITS - 1),
        )
        for number, word in enumerate(words)
        for part in range(window.used_registers)
    ]


def weight_writes(design: RtlDesign, weights: Mapping[str, Integers]) -> Writes:
    """The writes, as (address, data), that change weights; the last one makes them take effect.

    Thresholds, scales and what the host does stay as they were. No frame may be inside meanwhile.

    Args:
        design: a design with registers.
        weights: by layer, new integers as for ``weight_words``.

    Raises:
        UserError: a layer has no writable weights, or the weights do not fit its hardware.
    """
    windows = {window.layer: window for window in design.registers}
    writes: Writes = []
    for layer, matrix in weights.items():
        if layer not in windows or design.restart is None:
            known = ", ".join(windows) or "none"
            raise UserError(
                f"'{layer}' has no weights that can be written; those that have: {known}",
                "build with --writable-weights",
            )
        window = windows[layer]
        writes += word_writes(window, weight_words(window.layout, layer, matrix))
    return [*writes, (design.restart, 1)] if design.restart is not None else writes


def weight_reads(window: Window) -> list[int]:
    """The addresses to read, in this order, to get a weight memory back."""
    return [address for address, _ in word_writes(window, [0] * window.words)]


def weights_read(window: Window, values: Sequence[int]) -> Integers:
    """The weight matrix [rows, columns] that was read from ``weight_reads``."""
    parts = np.array(values, dtype=object).reshape(window.words, window.used_registers)
    words = [
        sum(int(value) << (_REGISTER_BITS * part) for part, value in enumerate(row))
        for row in parts
    ]
    return matrix_of(window.layout, words)


# ---- streams ------------------------------------------------------------------------------------


def word_beats(port: WeightPort, words: Sequence[int]) -> npt.NDArray[np.uint8]:
    """One passage of the weight matrix as bytes [words, width / 8], least significant first."""
    size = port.width // 8
    data = b"".join(word.to_bytes(size, "little") for word in words)
    return np.frombuffer(data, np.uint8).reshape(len(words), size)


def weight_beats(port: WeightPort, weights: Integers, frames: int) -> npt.NDArray[np.uint8]:
    """What a weight stream takes.

    Args:
        port: the stream.
        weights: integers as for ``weight_words``.
        frames: for how many frames.

    Returns:
        Bytes of shape [frames, beats, width / 8], least significant first.

    Raises:
        UserError: the weights do not fit the hardware.
    """
    once = word_beats(port, weight_words(port.layout, port.layer, weights))
    return np.tile(once, (frames, port.repeats, 1))
