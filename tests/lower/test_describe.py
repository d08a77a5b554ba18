"""The hardware graph as plain data."""

import numpy as np
import pytest
from finn.util.basic import getHWCustomOp
from onnx import TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

import sdq_fpga.ops  # noqa: F401  # registers our operators with FINN
from sdq_fpga.cost.resources import node_resources
from sdq_fpga.lower.describe import describe


def graph(thresholds):
    channels, steps = thresholds.shape
    node = helper.make_node(
        "Thresholding_rtl", ["x", "thresholds"], ["y"], name="Thresholding_rtl_0",
        domain="finn.custom_op.fpgadataflow.rtl", backend="fpgadataflow", PE=1,
        NumChannels=channels, numSteps=steps, inputDataType="INT8", weightDataType="INT8",
        outputDataType="UINT2", numInputVectors=[1, 4],
    )  # fmt: skip
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 4, channels]) for n in "xy"]
    model = ModelWrapper(helper.make_model(helper.make_graph([node], "g", ends[:1], ends[1:])))
    model.set_initializer("thresholds", thresholds.astype(np.float32))
    model.set_tensor_datatype("thresholds", DataType["INT8"])
    return model


@pytest.mark.parametrize(("step", "equal"), [(0, 1), (1, 0)])
def test_thresholds_say_whether_they_are_the_same_in_all_channels(step, equal):
    thresholds = np.array([[-5, 0, 9]]) + step * np.arange(64)[:, None]
    described = describe(graph(thresholds))
    (node,) = described.nodes
    assert (described.inputs, described.outputs) == (("x",), ("y",))
    assert (node.op, node.inputs, node.outputs) == ("Thresholding_rtl", ("x",), ("y",))
    assert node.integer("equal_channels") == equal
    assert node.bits("inputDataType") == 8
    assert node.narrow


def test_what_says_nothing_of_the_hardware_is_left_out():
    model = graph(np.array([[-5, 0, 9]]))
    before = describe(model)
    inst = getHWCustomOp(model.graph.node[0])
    inst.set_nodeattr("ip_path", "/somewhere")
    inst.set_nodeattr("inFIFODepths", [7])
    assert describe(model) == before


def test_bits_that_are_copies_are_not_counted():
    """-5 to 5 have 4 bits, -5 to 127 have 4 and what all the others are."""
    small = np.arange(-5, 6)[None, :]
    assert describe(graph(small)).nodes[0].integer("distinct_bits") == 4
    wide = np.array([[*range(-5, 6), 127]])
    assert describe(graph(wide)).nodes[0].integer("distinct_bits") == 5
    assert describe(graph(np.zeros((2, 3)))).nodes[0].integer("distinct_bits") == 0


def test_equal_channels_need_smaller_tables():
    same, different = (
        node_resources(describe(graph(values)).nodes[0], "xcup")
        for values in (
            np.tile([[-5, 0, 9]], (64, 1)),
            np.array([[-5, 0, 9]]) + np.arange(64)[:, None],
        )
    )
    assert same.lut < different.lut
    assert same.ff < different.ff
