"""Tensors and their types; operations on them that need no file."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qonnx.core.datatype import DataType

from sdq_fpga.board import DspGeneration
from sdq_fpga.errors import StageError, UserError
from sdq_fpga.lower.graph import Affine, Dense, IntegerGraph, Requantize, Reshape, Tensor
from sdq_fpga.lower.hardware import to_hardware
from sdq_fpga.lower.integer import execute_integer, requantize

RANGE = st.integers(-(2**31), 2**31 - 1)


@given(RANGE, RANGE)
def test_the_type_of_a_tensor_is_the_smallest_that_holds_it(one, other):
    tensor = Tensor("t", (1,), min(one, other), max(one, other))
    datatype = DataType[tensor.datatype]
    assert (tensor.type_low, tensor.type_high) == (datatype.min(), datatype.max())
    assert tensor.type_low <= tensor.low <= tensor.high <= tensor.type_high
    assert datatype.signed() == (tensor.low < 0)
    smaller = f"{'INT' if datatype.signed() else 'UINT'}{datatype.bitwidth() - 1}"
    if datatype.bitwidth() > 1 + datatype.signed():
        assert not (
            DataType[smaller].min() <= tensor.low and tensor.high <= DataType[smaller].max()
        )


@pytest.mark.parametrize(
    ("low", "high", "name"),
    [(0, 0, "UINT1"), (0, 1, "UINT1"), (0, 2, "UINT2"), (-1, 0, "INT2"), (-1, 1, "INT2"),
     (-2, 1, "INT2"), (-2, 2, "INT3"), (0, 255, "UINT8"), (-1, 255, "INT9"), (-128, 127, "INT8")],
)  # fmt: skip
def test_types_at_the_edges(low, high, name):
    assert Tensor("t", (1,), low, high).datatype == name


def test_bipolar_tensors():
    tensor = Tensor("t", (2, 3, 4), -1, 1, bipolar=True)
    assert tensor.datatype == "BIPOLAR"
    assert (tensor.type_low, tensor.type_high, tensor.channels) == (-1, 1, 4)


X = Tensor("x", (4,), 0, 3)


def affine(source: Tensor, name: str, high: int = 6, gain: int = 2) -> Affine:
    sink = Tensor(name, source.shape, 0, high)
    return Affine(name, (source,), (sink,), np.array([gain]), np.zeros(1, np.int64))


def test_readers_counts_operations_and_outputs():
    a = affine(X, "a")
    b = affine(a.sink, "b", 12)
    graph = IntegerGraph((X,), (a.sink, b.sink), (a, b))
    assert graph.readers() == {"x": 1, "a": 2, "b": 1}


def test_a_value_out_of_its_range_is_no_silent_matter():
    graph = IntegerGraph((X,), (affine(X, "a", high=5).sink,), (affine(X, "a", high=5),))
    with pytest.raises(StageError, match=r"a: values 6\.\.6 leave the range 0\.\.5"):
        execute_integer(graph, {"x": np.full((1, 4), 3)})


def test_a_tensor_that_nobody_reads_is_refused():
    one, other = affine(X, "one"), affine(X, "other")
    graph = IntegerGraph((X,), (one.sink,), (one, other))
    with pytest.raises(UserError, match="nothing reads the result of 'other'"):
        to_hardware(graph, DspGeneration.DSP48E2)


def test_an_output_that_is_an_input_is_refused():
    with pytest.raises(UserError, match="an output of the network is its input"):
        to_hardware(IntegerGraph((X,), (X,)), DspGeneration.DSP48E2)


def test_a_product_that_no_unit_can_make_is_refused():
    wide = Tensor("x", (4,), 0, 2**16)
    sink = Tensor("y", (1,), 0, 2**26)
    dense = Dense("fc", (wide,), (sink,), np.full((4, 1), 100), False)
    with pytest.raises(UserError, match="'fc' multiplies UINT17 by INT8"):
        to_hardware(IntegerGraph((wide,), (sink,), (dense,)), DspGeneration.DSP48E2)


def test_constants_beyond_24_bits_are_not_rounded():
    wide = Tensor("x", (4,), 0, 2**30)
    offset = np.array([2**30 + 1, -(2**30) - 1, 2**24 + 1, 0])
    sink = Tensor("y", (4,), -(2**31), 2**32)
    one = Affine("one", (wide,), (sink,), np.ones(1, np.int64), offset)
    model = to_hardware(IntegerGraph((wide,), (sink,), (one,)), DspGeneration.DSP48E2)
    (node,) = model.graph.node
    assert np.array_equal(model.get_initializer(node.input[2]), offset)


def test_every_reader_of_a_tensor_gets_a_stream_of_its_own():
    flat = Reshape("flat", (X,), (Tensor("f", (4,), 0, 3),))
    one, other = affine(flat.sink, "one"), affine(flat.sink, "other")
    graph = IntegerGraph((X,), (one.sink, other.sink, flat.sink), (flat, one, other))
    model = to_hardware(graph, DspGeneration.DSP48E2)
    (copies,) = model.get_nodes_by_op_type("SdqDuplicate_rtl")
    assert len(copies.output) == 3
    read = [name for node in model.graph.node for name in node.input] + [
        each.name for each in model.graph.output
    ]
    assert sorted(name for name in read if "copy" in name) == sorted(copies.output)


@given(
    st.integers(-(2**12), 2**12),
    st.integers(-(2**12), 2**12) | st.none(),
    st.integers(-(2**16), 2**16),
    st.integers(0, 12),
)
def test_requantization_rounds_to_the_nearest_and_to_even(gain, negative, offset, shift):
    source = Tensor("x", (1,), -300, 300)
    sink = Tensor("y", (1,), -500, 400)
    operation = Requantize(
        "q",
        (source,),
        (sink,),
        np.array([gain]),
        None if negative is None else np.array([negative]),
        np.array([offset]),
        shift,
    )
    codes = np.arange(-300, 301)[:, None]
    gains = np.where(codes < 0, gain if negative is None else negative, gain)
    exact = np.rint((codes * gains + offset) / 2.0**shift)  # a power of two: nothing is lost
    np.testing.assert_array_equal(requantize(operation, codes), np.clip(exact, -500, 400))
