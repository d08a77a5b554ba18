"""FINN's sliding windows, as the lowering makes them, in every folding that it may choose."""

import itertools
from dataclasses import dataclass, replace

import numpy as np
import pytest
from finn.util.basic import getHWCustomOp
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

from sdq_fpga.board import DspGeneration
from sdq_fpga.cost.folding.choices import divisors
from sdq_fpga.cost.window_cycles import can_generate
from sdq_fpga.lower.describe import describe_node
from sdq_fpga.lower.finn_session import finn_session
from sdq_fpga.lower.graph import Convolution, Depthwise, IntegerGraph, Tensor
from sdq_fpga.lower.hardware import to_hardware
from tests.hw.farm import Stitched, farms, one_farm

WINDOWS = "ConvolutionInputGenerator_rtl"


@dataclass(frozen=True, eq=False)
class Windows:
    """What a convolution asks for; down and across.

    Attributes:
        source: the image.
        folding: (SIMD, parallel_window).
    """

    source: Tensor
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    depthwise: bool
    folding: tuple[int, int] = (1, 0)

    @property
    def out(self):
        return tuple(
            (size - (taps - 1) * far - 1) // step + 1
            for size, taps, far, step in zip(
                self.source.shape[:2], self.kernel, self.dilation, self.stride, strict=True
            )
        )

    def operation(self):
        """The convolution; its weights do not matter."""
        channels, name = self.source.channels, f"{self.source.name}_done"
        sink = Tensor(name, (*self.out, channels), -(2**30), 2**30)
        shape = (*self.kernel, channels)
        shape += () if self.depthwise else (channels,)
        kind = Depthwise if self.depthwise else Convolution
        return kind(
            self.source.name, (self.source,), (sink,), np.full(shape, 2), False, self.stride,
            self.dilation,
        )  # fmt: skip

    def reference(self, frames):
        """In the order of the beats: for each channel fold of a depthwise unit all taps."""
        simd = self.folding[0] if self.depthwise else self.source.channels
        folds = self.source.channels // simd
        out = np.zeros((len(frames), *self.out, folds, *self.kernel, simd), np.int64)
        for y, x, fold, ky, kx in itertools.product(*map(range, out.shape[1:-1])):
            row = y * self.stride[0] + ky * self.dilation[0]
            column = x * self.stride[1] + kx * self.dilation[1]
            pixel = frames[:, row, column, fold * simd : (fold + 1) * simd]
            out[:, y, x, fold, ky, kx] = pixel
        return out.reshape(len(frames), *self.out, -1)


def lowered(all_windows):
    """The hardware graph of the windows alone, and their nodes."""
    operations = [each.operation() for each in all_windows]
    network = IntegerGraph(
        tuple(each.source for each in operations),
        tuple(each.sink for each in operations),
        tuple(operations),
    )
    model = to_hardware(network, DspGeneration.DSP48E2)
    kept = [node for node in model.graph.node if node.op_type in {WINDOWS, "SdqCrop_rtl"}]
    nodes = [node for node in kept if node.op_type == WINDOWS]
    del model.graph.node[:], model.graph.output[:]
    model.graph.node.extend(kept)
    for node in nodes:
        shape = model.get_tensor_shape(node.output[0])
        model.graph.output.append(helper.make_tensor_value_info(node.output[0], 1, shape))
    return model, nodes


def foldings(windows):
    """Every folding that a build may choose (sdq_fpga.cost.folding.choices)."""
    model, nodes = lowered([windows])
    found = []
    for node in nodes:  # none where every pixel is a window
        plain, channels = describe_node(model, node), windows.source.channels
        for simd, parallel in itertools.product(divisors(channels), (0, 1)):
            if parallel and (simd < channels or windows.kernel == (1, 1)):
                continue
            if can_generate(plain.with_attributes({"SIMD": simd, "parallel_window": parallel})):
                found.append((simd, parallel))
    return found


@st.composite
def axes(draw):
    """Size, kernel, stride and dilation along one axis."""
    kernel = draw(st.sampled_from([1, 2, 3, 3, 3, 4, 5]))
    dilation = draw(st.sampled_from([1, 1, 1, 2, 3])) if kernel > 1 else 1
    span = (kernel - 1) * dilation + 1
    stride = draw(st.sampled_from([1, 1, 1, 2, 2, 3, 4]))
    # Images that are hardly wider than a window are where line buffers are shortest.
    size = draw(st.integers(span, span + 3) | st.integers(span, max(span, 11)))
    return size, kernel, stride, dilation


@st.composite
def cases(draw):
    along = (1, 1, 1, 1)
    kind = draw(st.sampled_from(["image", "image", "image", "image", "row", "column"]))
    down = along if kind == "row" else draw(axes())
    across = along if kind == "column" else draw(axes())
    size, kernel, stride, dilation = zip(down, across, strict=True)
    bits, low = draw(st.integers(1, 8)), 0
    if draw(st.booleans()):
        low = -(2 ** (bits - 1))
    source = Tensor("x", (*size, draw(st.sampled_from([1, 2, 3, 4, 6]))), low, low + 2**bits - 1)
    windows = Windows(source, kernel, stride, dilation, draw(st.booleans()))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    frames = rng.integers(source.low, source.high + 1, (draw(st.integers(2, 4)), *source.shape))
    return windows, frames, draw(st.integers(0, 2**16))


def folded(drawn, work):
    """The windows and frames of what FINN can generate, each folded in one of the possible ways."""
    found = []
    with finn_session(work, work / "foldings.log"):
        for number, (windows, frames, pick) in enumerate(drawn):
            if ways := foldings(windows):
                whole = [way for way in ways if way[1]]
                ways = whole if whole and pick % 2 else ways
                source = replace(windows.source, name=f"x{number}")
                way = ways[pick // 2 % len(ways)]
                found.append((replace(windows, source=source, folding=way), frames))
    return found


def stitched(drawn, work):
    model, nodes = lowered([windows for windows, _ in drawn])
    ways = {windows.source.name: windows.folding for windows, _ in drawn}
    for node in model.graph.node:
        inst, (simd, parallel) = getHWCustomOp(node), ways[node.doc_string]
        if node.op_type == WINDOWS:
            inst.set_nodeattr("SIMD", simd)
            inst.set_nodeattr("parallel_window", parallel)
        else:
            inst.set_nodeattr("PE", simd)
    inputs = {windows.source.name: frames for windows, frames in drawn}
    expected, said = {}, {}
    for (windows, frames), node in zip(drawn, nodes, strict=True):
        expected[node.output[0]] = windows.reference(frames)
        said[node.output[0]] = windows
    return Stitched(model, inputs, expected, work, said)


@one_farm
@given(farms(cases(), 24), st.integers(0, 2**31))
def test_windows(tmp_path_factory, drawn, seed):
    work = tmp_path_factory.mktemp("farm")
    stitched(folded(drawn, work), work).check(seed)


@pytest.mark.parametrize(("width", "possible"), [(3, False), (4, False), (5, True)])
def test_no_line_buffer_has_fewer_than_two_pixels(tmp_path, width, possible):
    source = Tensor("x", (6, width, 2), 0, 15)
    with finn_session(tmp_path, tmp_path / "finn.log"):
        ways = foldings(Windows(source, (3, 3), (1, 1), (1, 1), depthwise=False))
    assert ((2, 1) in ways) == possible
    assert (2, 0) in ways
