"""FINN's thresholds, as the lowering makes them of a staircase."""

import numpy as np
from finn.util.basic import getHWCustomOp
from hypothesis import given
from hypothesis import strategies as st

from sdq_fpga.board import DspGeneration
from sdq_fpga.lower.graph import IntegerGraph, Tensor, Threshold
from sdq_fpga.lower.hardware import to_hardware
from tests.hw.farm import Stitched, farms, one_farm


@st.composite
def sources(draw, name, shape):
    """Inputs of 1 to 40 bits: all of a type, or a range inside it."""
    if draw(st.integers(0, 9)) == 0:
        return Tensor(name, shape, -1, 1, bipolar=True)
    bits = draw(st.integers(1, 8) | st.integers(9, 40))
    low = draw(st.sampled_from([0, -(2**bits)]))
    if draw(st.booleans()):
        low += draw(st.integers(0, 2**bits - 2))
    high = low + 2**bits - 1
    if draw(st.booleans()):
        high = draw(st.integers(low + 1, high))
    return Tensor(name, shape, low, high)


@st.composite
def sinks(draw, name, shape):
    """Outputs of 1 to 8 bits: bipolar, all of a type, or a range inside it."""
    kind = draw(st.sampled_from(["signed", "signed", "unsigned", "unsigned", "bipolar"]))
    if kind == "bipolar":
        return Tensor(name, shape, -1, 1, bipolar=True)
    bits = draw(st.integers(1 if kind == "unsigned" else 2, 8))
    least = 0 if kind == "unsigned" else -(2 ** (bits - 1))
    low, high = least, least + 2**bits - 1
    if draw(st.booleans()):
        low = draw(st.integers(low, high - 1 if kind == "unsigned" else -1))
        high = draw(st.integers(low + 1, high))
    return Tensor(name, shape, low, high)


@st.composite
def cases(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    pe, folds = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    channels = pe * folds
    shape = (*draw(st.sampled_from([(1, 1), (2, 3), (1, 5), ()])), channels)
    source, sink = draw(sources("x", shape)), draw(sinks("y", shape))
    steps = 1 if sink.bipolar else sink.high - sink.low
    rows = draw(st.sampled_from([1, channels, channels]))
    # Anywhere, or close to each other. A level that no input, or that every input reaches, and
    # several thresholds of the same value are possible too.
    middle = draw(st.integers(source.low, source.high + 1))
    spread = draw(st.sampled_from([1, 4, steps, source.high - source.low]))
    near = rng.integers(middle - spread, middle + spread + 1, (rows, steps))
    thresholds = np.sort(np.clip(near, source.low, source.high + 1), axis=1)
    frames = rng.integers(source.low, source.high + 1, (draw(st.integers(2, 4)), *shape))
    # Half of the inputs on a threshold or right below it.
    channel = np.broadcast_to(np.arange(channels) % rows, frames.shape)
    edges = thresholds[channel, rng.integers(0, steps, frames.shape)]
    edges = np.clip(edges - rng.integers(0, 2, frames.shape), source.low, source.high)
    frames = np.where(rng.integers(0, 2, frames.shape), edges, frames)
    if source.bipolar:
        frames = np.where(frames > 0, 1, -1)
    return source, sink, thresholds, pe, frames


def reference(sink, thresholds, frames):
    channel = np.broadcast_to(np.arange(sink.channels) % len(thresholds), frames.shape)
    outputs = np.full(frames.shape, sink.low)
    for step in range(thresholds.shape[1]):
        outputs += (frames >= thresholds[channel, step]) * (2 if sink.bipolar else 1)
    return outputs


def beyond_float32(bits):
    """Thresholds of more than 24 bits, next to each other, and inputs on all of them."""
    source = Tensor("x", (1, 16, 1), -(2**bits), 2**bits - 1)
    sink = Tensor("y", (1, 16, 1), -4, 3)
    around = 2**bits - 17 + np.arange(16)
    return source, sink, around[None, 3:10], 1, np.stack([around, -around]).reshape(2, 1, 16, 1)


WIDE = [beyond_float32(bits) for bits in (24, 25, 31, 39)]


def named(tensor, number):
    return Tensor(
        f"{tensor.name}{number}", tensor.shape, tensor.low, tensor.high, bipolar=tensor.bipolar
    )


def stitched(drawn, work):
    operations, foldings, inputs, expected, said = [], [], {}, {}, {}
    for number, (source, sink, thresholds, pe, frames) in enumerate(drawn):
        ends = named(source, number), named(sink, number)
        step = 2 if sink.bipolar else 1
        operations.append(
            Threshold(f"case {number}", ends[:1], ends[1:], thresholds, sink.low, step)
        )
        foldings.append(pe)
        # The node takes a bipolar input for the bit that it is.
        inputs[ends[0].name] = (frames + 1) // 2 if source.bipolar else frames
        expected[ends[1].name] = reference(sink, thresholds, frames)
        said[ends[1].name] = (*ends, pe, thresholds.tolist())
    network = IntegerGraph(
        tuple(each.source for each in operations),
        tuple(each.sink for each in operations),
        tuple(operations),
    )
    model = to_hardware(network, DspGeneration.DSP48E2)
    nodes = model.get_nodes_by_op_type("Thresholding_rtl")
    for node, pe in zip(nodes, foldings, strict=True):
        getHWCustomOp(node).set_nodeattr("PE", pe)
    return Stitched(model, inputs, expected, work, said)


@one_farm
@given(farms(cases(), 12), st.integers(0, 2**31))
def test_staircases(tmp_path_factory, drawn, seed):
    stitched([*drawn, *WIDE], tmp_path_factory.mktemp("farm")).check(seed)
