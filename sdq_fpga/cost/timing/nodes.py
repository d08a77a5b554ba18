"""The actor of each node of the RTL library.

Every rule mirrors the control logic of one module; its file is named where it is applied. Cycles
are counted between handshakes: a step is the cycle in which a node takes what it needs.
"""

import math
from collections.abc import Callable, Mapping

import numpy as np

from sdq_fpga.cost.node import HardwareNode, bits_of, limits_of, signed_bits
from sdq_fpga.cost.timing.actor import (
    Actor,
    Cumulative,
    Input,
    Latch,
    Lock,
    Output,
    Places,
    every_step,
)
from sdq_fpga.cost.timing.windows import window_actor
from sdq_fpga.cost.tree import Format, NumberFormat, Tree, queue_places
from sdq_fpga.errors import StageError

__all__ = ["actor_of"]

_WEIGHTS_READY = 5  # cycles from a reset to the first product, with finn-rtllib/memstream
_PIPELINE = Lock()
"""A pipeline that stands still as long as its last stage is full and not taken."""
_NO_WAIT = Places(2**30, 1)
"""For beats that come out of a buffer: what waits there shows in its room, and nowhere else."""


def actor_of(node: HardwareNode) -> Actor:
    """The actor of a node.

    Raises:
        StageError: the timing of its operator is not known.
    """
    maker = _MAKERS.get(node.op)
    if maker is None:
        raise StageError(
            f"{node.op} '{node.name}' of layer '{node.layer}': its timing is not known",
            "report the operator",
        )
    return maker(node)


def _one_to_one(node: HardwareNode, beats: int, latency: int, streams: int = 1) -> Actor:
    """A rigid pipeline: a beat of each input, a beat of the output."""
    inputs = tuple(Input(beats, every_step()) for _ in range(streams))
    return Actor(node.name, beats, inputs, (Output(beats, every_step(), latency, _PIPELINE),))


def _beats(node: HardwareNode) -> int:
    return node.product("shape") // node.integer("PE")


# ---- matrix-vector units and depthwise convolution --------------------------------------------


def _mvu_dsp(node: HardwareNode) -> Actor:
    """finn-rtllib/mvu/mvu_vvu_axi.sv with mvu.sv, and replay_buffer.sv before it."""
    simd = node.integer("SIMD")
    columns, rows = node.integer("MW") // simd, node.integer("MH") // node.integer("PE")
    vectors = node.product("numInputVectors")
    steps = vectors * columns * rows
    depth = 4 + (simd - 1).bit_length() + (simd == 1)
    if rows == 1:
        taken = Input(vectors * columns, every_step())
    else:
        taken = _replayed(vectors * columns, columns, rows, 2 ** max(1, (columns - 1).bit_length()))
    sums = Output(
        vectors * rows,
        Cumulative.of(np.arange(columns) == columns - 1, 1),
        depth + 2,
        Latch(),
    )
    # A single word of weights is a constant.
    ready = _WEIGHTS_READY if columns * rows > 1 else 0
    return Actor(node.name, steps, (taken,), (sums,), ready=ready)


def _replayed(beats: int, length: int, times: int, words: int) -> Input:
    """Vectors of some beats, each passed on some times from a memory."""
    positions = np.arange(length) + 1
    need = np.concatenate([positions, np.full(length * (times - 1), length)])
    free = np.concatenate([np.zeros(length * (times - 1), np.int64), positions])
    return Input(
        beats,
        Cumulative.of(need, length),
        buffer=words,
        free=Cumulative.of(free, length),
        wait=2,
    )


def _mvu_lut(node: HardwareNode) -> Actor:
    """hw/ops/mvu_lut.sv with replay.sv."""
    columns = node.integer("MW") // node.integer("SIMD")
    rows = node.integer("MH") // node.integer("PE")
    vectors = node.product("shape")
    beats = vectors * columns
    if columns == 1 or rows == 1:
        taken = Input(
            beats,
            Cumulative.of([*[1] * rows], 1) if columns == 1 else every_step(),
            buffer=1,
            free=Cumulative.of([*[0] * (rows - 1), 1], 1) if columns == 1 else every_step(),
            wait=1,
        )
    else:
        taken = _replayed(beats, columns, rows, 2 ** max(5, (columns - 1).bit_length()))
    return _sums(node, vectors * rows, columns, taken, _tree_latency(node) + 1)


def _tree_latency(node: HardwareNode) -> int:
    """hw/ops/mac_lut.sv: the registers of dot.sv."""
    x = NumberFormat.of(node.text("in_type")) or NumberFormat(Format.SIGNED, 1)
    w = NumberFormat.of(node.text("weight_type")) or NumberFormat(Format.SIGNED, 1)
    return Tree(node.integer("SIMD"), x, w).levels // node.integer("adder_step")


def _sums(node: HardwareNode, beats: int, length: int, taken: Input, latency: int) -> Actor:
    """Sums of some steps, which hw/ops/result_queue.sv keeps."""
    places = queue_places(length, latency - 1)
    sums = Output(
        beats,
        Cumulative.of(np.arange(length) == length - 1, 1),
        latency + (1 if places == 2 else 2),
        Places(places, 1),
    )
    return Actor(node.name, beats * length, (taken,), (sums,), ready=_WEIGHTS_READY)


def _depthwise(node: HardwareNode) -> Actor:
    """hw/ops/depthwise.sv."""
    length = node.integer("taps") // node.integer("SIMD")
    beats = _beats(node)
    if node.text("resType") == "dsp":
        latency = 3 + (node.integer("SIMD") - 1).bit_length()
        places = queue_places(length, latency)
        sums = Output(
            beats,
            Cumulative.of(np.arange(length) == length - 1, 1),
            latency + (2 if places == 2 else 3),
            Places(places, 1),
        )
        taken = Input(beats * length, every_step())
        return Actor(node.name, beats * length, (taken,), (sums,), ready=_WEIGHTS_READY)
    taken = Input(beats * length, every_step(), buffer=1, free=every_step(), wait=1)
    return _sums(node, beats, length, taken, _tree_latency(node) + 1)


# ---- values ------------------------------------------------------------------------------------


def _thresholding(node: HardwareNode) -> Actor:
    """finn-rtllib/thresholding/hdl/thresholding.sv."""
    beats = node.product("numInputVectors") * node.integer("NumChannels") // node.integer("PE")
    stages = node.integer("numSteps").bit_length()
    deep = 1 + node.integer("deep_pipeline")
    out = Output(beats, every_step(), deep * stages + 2, Places(deep * stages + 3, 1))
    return Actor(node.name, beats, (Input(beats, every_step()),), (out,))


def _elementwise(node: HardwareNode) -> Actor:
    """hw/ops/elementwise.sv."""
    multiply = node.text("operation") == "mul"
    types = node.text("left_type"), node.text("right_type")
    factors = node.integer("left_factor"), node.integer("right_factor")
    stages = 1
    if multiply and "BIPOLAR" not in types and node.integer("dsp", 0):
        bits = sorted(_signed_bits(each) for each in types)
        stages = 5 if bits[1] > 25 or bits[0] > 18 else 3
    elif not multiply and any(each.bit_count() > 1 for each in factors):
        stages = 2
    return _one_to_one(node, _beats(node), stages, streams=2)


def _signed_bits(datatype: str) -> int:
    """Bits as a signed number."""
    if datatype == "BIPOLAR":
        return 2
    return bits_of(datatype) + datatype.startswith("UINT")


def _affine_stages(node: HardwareNode) -> int:
    """hw/ops/affine.sv: STAGES."""
    gain, offset = node.text("gain_form"), node.text("offset_form")
    folds = node.integers("shape")[-1] // node.integer("PE")
    before = int(offset == "channels" and folds > 1)  # a ROM has a register
    if gain != "shift":
        before = 2
        if node.integer("dsp", 0):
            bits = sorted((node.integer("x_bits"), node.integer("gain_bits")))
            before += 2 if bits[1] > 25 or bits[0] > 18 else 0
    return before + (offset != "none" or before == 0)


def _affine(node: HardwareNode) -> Actor:
    """hw/ops/affine.sv."""
    return _one_to_one(node, _beats(node), _affine_stages(node))


def _requant(node: HardwareNode) -> Actor:
    """hw/ops/requant.sv: the stages of affine.sv, rounding, and clipping where it can happen."""
    return _one_to_one(node, _beats(node), _affine_stages(node) + 1 + _clips(node))


def _clips(node: HardwareNode) -> bool:
    """Whether a rounded sum of these types can be out of bounds (ops/requant.py, sum_bits)."""
    shift = node.integer("shift")
    half = 1 << (shift - 1) if node.text("rounding") == "half_even" and shift else 0
    gains = limits_of(node.text("gain_type"))
    products = [x * gain for x in limits_of(node.text("in_type")) for gain in gains]
    low, high = (each + half for each in limits_of(node.text("offset_type")))
    bits = signed_bits(min(products) + low, max(products) + high)
    greatest = (1 << (max(bits - shift, 1) - 1)) - 1
    return -greatest - 1 < node.integer("low") or greatest > node.integer("high")


# ---- pooling -----------------------------------------------------------------------------------


def _pool(node: HardwareNode) -> Actor:
    """hw/ops/pool.sv."""
    simd = node.integer("SIMD", 1)
    length = node.integer("taps") // simd
    beats = _beats(node)
    out = Output(
        beats,
        Cumulative.of(np.arange(length) == length - 1, 1),
        1 + (simd - 1).bit_length(),
        _PIPELINE,
    )
    return Actor(node.name, beats * length, (Input(beats * length, every_step()),), (out,))


def _global_pool(node: HardwareNode) -> Actor:
    """hw/ops/global_pool.sv."""
    beats = _beats(node)
    folds = node.integers("shape")[-1] // node.integer("PE")
    gives = np.maximum(np.arange(beats) - (beats - folds) + 1, 0)
    out = Output(folds, Cumulative.of(gives, folds), 1, Places(1, 0))
    return Actor(node.name, beats, (Input(beats, every_step()),), (out,))


def _label_select(node: HardwareNode) -> Actor:
    """hw/ops/label_select.sv."""
    labels, pe, k = node.integer("labels"), node.integer("PE"), node.integer("k")
    latency, steps, places = 2, labels, 2 * k
    if k == 1:
        levels = (pe - 1).bit_length()
        latency, steps = 2 + levels, labels // pe
        # Frames in the tree, too; where each beat is a frame, none waits for another to leave.
        places += -(-levels // steps) + (steps == 1)
    taken = Input(steps, every_step())
    if k > 1 and pe > 1:  # one value after the other, from a register
        taken = Input(
            labels // pe,
            Cumulative.of([1] * pe, 1),
            buffer=1,
            free=Cumulative.of([*[0] * (pe - 1), 1], 1),
            wait=1,
        )
    gives = np.zeros(steps)
    gives[-1] = k
    out = Output(k, Cumulative.of(gives, k), latency, Places(places, 1))
    return Actor(node.name, steps, (taken,), (out,))


# ---- shapes ------------------------------------------------------------------------------------


def _duplicate(node: HardwareNode) -> Actor:
    """hw/ops/duplicate.sv."""
    beats = _beats(node)
    outs = tuple(Output(beats, every_step(), 1, _PIPELINE) for _ in range(node.integer("copies")))
    return Actor(node.name, beats, (Input(beats, every_step()),), outs)


def _turns(node: HardwareNode) -> tuple[list[tuple[int, Cumulative]], int]:
    """Streams that take turns: beats of a frame of each and its share of the steps; all steps."""
    pe = node.integer("PE")
    beats = [each // pe for each in node.integers("channels")]
    positions, pixel = node.product("shape"), sum(beats)
    step = np.arange(pixel) + 1
    before = np.cumsum([0, *beats[:-1]])
    streams = [
        (positions * own, Cumulative.of(np.clip(step - start, 0, own), own))
        for own, start in zip(beats, before, strict=True)
    ]
    return streams, positions * pixel


def _concat(node: HardwareNode) -> Actor:
    """hw/ops/concat.sv."""
    streams, steps = _turns(node)
    inputs = tuple(Input(beats, share) for beats, share in streams)
    return Actor(node.name, steps, inputs, (Output(steps, every_step(), 1, _PIPELINE),))


def _split(node: HardwareNode) -> Actor:
    """hw/ops/split.sv."""
    streams, steps = _turns(node)
    keep = node.integers("keep") or (1,) * len(streams)
    outs = tuple(
        Output(beats, share, 1, _PIPELINE)
        for (beats, share), kept in zip(streams, keep, strict=True)
        if kept
    )
    return Actor(node.name, steps, (Input(steps, every_step()),), outs)


def _crop(node: HardwareNode) -> Actor:
    """hw/ops/crop.sv."""
    _, height, width, channels = _image(node)
    folds = channels // node.integer("PE")
    top, left, bottom, right = node.integers("crops")
    kept = np.zeros((height, width, folds), bool)
    kept[top : height - bottom, left : width - right] = True
    gives = np.cumsum(kept.reshape(-1))
    beats = height * width * folds
    out = Output(int(gives[-1]), Cumulative.of(gives, int(gives[-1])), 1, Places(1, 0))
    return Actor(node.name, beats, (Input(beats, every_step()),), (out,))


def _image(node: HardwareNode) -> tuple[int, int, int, int]:
    shape = node.integers("shape")
    one, *sizes = shape if len(shape) == 4 else (1, *shape)
    height, width, channels = (1, *sizes)[-3:]
    return one, height, width, channels


def _pad(node: HardwareNode) -> Actor:
    """hw/ops/pad.sv."""
    _, height, width, channels = _image(node)
    folds = channels // node.integer("PE")
    top, left, bottom, right = node.integers("pads")
    passed = np.zeros((top + height + bottom, left + width + right, folds), bool)
    passed[top : top + height, left : left + width] = True
    taken = np.cumsum(passed.reshape(-1))
    beats = int(taken[-1])
    steps = passed.size
    # The first added beat of a frame waits for the frame's first input as well.
    need = Cumulative.of(np.maximum(taken, 1), beats)
    inner = Input(beats, need, buffer=1, free=Cumulative.of(taken, beats), wait=1)
    return Actor(node.name, steps, (inner,), (Output(steps, every_step(), 1, _PIPELINE),))


def _upsample(node: HardwareNode) -> Actor:
    """hw/ops/upsample.sv."""
    _, height, width, channels = _image(node)
    folds = channels // node.integer("PE")
    rows, columns = node.integer("factor_h"), node.integer("factor_w")
    first = np.zeros((height, rows, width, columns, folds), bool)
    first[:, 0, :, 0] = True
    need = np.cumsum(first.reshape(-1))
    beats = int(need[-1])
    words = (width if rows > 1 else 1) * folds
    latency = 1 if words == 1 else 3
    out = Output(first.size, every_step(), latency, Places(latency, 0))
    return Actor(node.name, first.size, (Input(beats, Cumulative.of(need, beats)),), (out,))


# ---- streams -----------------------------------------------------------------------------------


def _width_converter(node: HardwareNode) -> Actor:
    """finn-rtllib/dwc/hdl/vpc.sv, genGeneric; the two shift registers keep as much."""
    narrow, wide = node.integer("inWidth"), node.integer("outWidth")
    common = math.gcd(narrow, wide)
    came, goes = narrow // common, wide // common
    beats_in = node.product("inShape") * node.bits("dataType") // narrow
    beats_out = beats_in * narrow // wide
    # Content, in units of the greatest common divisor, is at most ``goes`` before a beat comes in.
    out = np.arange(came) + 1  # these many output beats are as much as ``goes`` input beats
    need = -(-out * goes // came)
    # After n output beats have left, input j may come if j * came - n * goes <= goes.
    free = (out * goes + goes) // came
    room = goes // came + 1
    return Actor(
        node.name,
        beats_out,
        (
            Input(
                beats_in,
                Cumulative.of(need, goes),
                buffer=room,
                free=Cumulative.of(free - (room - 1), goes),
                wait=1,
                release=1,
                freed_by_output=True,
            ),
        ),
        (Output(beats_out, every_step(), 0, _NO_WAIT),),
    )


_MAKERS: Mapping[str, Callable[[HardwareNode], Actor]] = {
    "MVAU_rtl": _mvu_dsp,
    "SdqMvuLut_rtl": _mvu_lut,
    "SdqDepthwise_rtl": _depthwise,
    "ConvolutionInputGenerator_rtl": window_actor,
    "Thresholding_rtl": _thresholding,
    "SdqElementwise_rtl": _elementwise,
    "SdqAffine_rtl": _affine,
    "SdqRequant_rtl": _requant,
    "SdqPool_rtl": _pool,
    "SdqGlobalPool_rtl": _global_pool,
    "SdqLabelSelect_rtl": _label_select,
    "SdqDuplicate_rtl": _duplicate,
    "SdqConcat_rtl": _concat,
    "SdqSplit_rtl": _split,
    "SdqCrop_rtl": _crop,
    "SdqPad_rtl": _pad,
    "SdqUpsample_rtl": _upsample,
    "StreamingDataWidthConverter_rtl": _width_converter,
}
