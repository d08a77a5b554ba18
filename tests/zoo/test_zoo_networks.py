"""Every reference network builds, passes cleanup, executes exactly, and tells frames apart."""

import functools
from collections.abc import Callable

import numpy as np
import pytest
from onnx import ModelProto
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from sdq_fpga import zoo
from tests.zoo.execution import activation_quantizers, bits_spanned, constant, executed, outputs

NETWORKS: dict[str, Callable[[], ModelProto]] = {
    "tfc_1w1a": lambda: zoo.tfc((1, 1)),
    "tfc_2w4a": lambda: zoo.tfc((2, 4), seed=1),
    "tfc_mixed": lambda: zoo.tfc(None, seed=2),
    "lfc_1w1a": lambda: zoo.lfc((1, 1)),
    "cnv_1w1a": lambda: zoo.cnv((1, 1)),
    "cnv_1w2a": lambda: zoo.cnv((1, 2), seed=1, width=0.25),
    "cnv_2w2a": lambda: zoo.cnv((2, 2), seed=2, width=0.25),
    "cnv_mixed": lambda: zoo.cnv(None, seed=3, width=0.5),
    "cnn7": zoo.cnn7,
    "cnn7_mixed": lambda: zoo.cnn7(None, seed=4),
    "resnet8": lambda: zoo.resnet8((4, 4)),
    "resnet20_mixed": lambda: zoo.resnet20(None, seed=1, width=0.5, image_size=16),
    "resnet18": lambda: zoo.resnet18((4, 3), width=0.125, image_size=32, classes=20),
    "resnet50": lambda: zoo.resnet50((4, 4), width=0.0625, image_size=32, classes=20),
    "mobilenet_v1": lambda: zoo.mobilenet_v1(
        None, seed=2, width=0.25, image_size=32, blocks=7, classes=20
    ),
    "mobilenet_v1_quant": lambda: zoo.mobilenet_v1(
        (4, 4), width=0.125, image_size=48, blocks=6, classes=20
    ),
    "mobilenet_v2": lambda: zoo.mobilenet_v2(
        None, seed=3, width=0.25, image_size=32, blocks=6, classes=20
    ),
    "vgg10": lambda: zoo.vgg10((4, 4), length=128, width=0.5),
    "vgg10_mixed": lambda: zoo.vgg10(None, seed=4, length=256, width=0.25),
    "yolo_tiny": lambda: zoo.yolo_tiny((4, 4), width=0.25, image_size=64, outputs=18),
    "yolo_mixed": lambda: zoo.yolo_tiny(None, seed=5, width=0.125, image_size=64, outputs=21),
}
FLOAT_NETWORKS: dict[str, Callable[[], ModelProto]] = {
    "tfc": lambda: zoo.tfc((2, 4), scales="float"),
    "cnv": lambda: zoo.cnv((4, 4), width=0.25, scales="float"),
    "resnet8": lambda: zoo.resnet8((4, 4), scales="float"),
    "yolo": lambda: zoo.yolo_tiny((4, 5), width=0.125, image_size=64, scales="float"),
}


@functools.cache
def network(name: str) -> ModelProto:
    return NETWORKS[name]()


@pytest.mark.parametrize("name", NETWORKS)
def test_execution_is_exact(name: str) -> None:
    model = network(name)
    frames = zoo.frames_for(model, 2 if len(model.graph.node) < 70 else 1, seed=7)
    wide = zoo.evaluate(model, frames, np.float64)
    for scores, expected in zip(executed(model, frames), outputs(model, wide), strict=True):
        np.testing.assert_array_equal(scores, expected)
    for node in model.graph.node:
        if node.op_type in {"Conv", "Gemm", "MatMul"}:
            assert bits_spanned(wide[node.output[0]]) < 24, node.name


@pytest.mark.parametrize("name", NETWORKS)
def test_frames_are_told_apart(name: str) -> None:
    model = network(name)
    tensors = zoo.evaluate(model, zoo.frames_for(model, 6, seed=8), np.float32)
    for scores in outputs(model, tensors):
        assert len(np.unique(scores, axis=0)) == len(scores)
    for node in activation_quantizers(model):
        values = tensors[node.output[0]]
        two_valued = node.op_type == "BipolarQuant" or constant(model, node.input[3]) == 1
        most = 0.95 if two_valued else 0.85
        counts = np.unique(values, return_counts=True)[1]
        assert counts.max() < most * values.size, node.name


@pytest.mark.parametrize("name", NETWORKS)
def test_what_precedes_a_quantizer_is_never_a_tie(name: str) -> None:
    """After a batch-norm or a bias; sums and averages may be ties."""
    model = network(name)
    tensors = zoo.evaluate(model, zoo.frames_for(model, 2, seed=9), np.float64)
    makers = {node.output[0]: node for node in model.graph.node}
    for node in activation_quantizers(model):
        maker = makers[node.input[0]]
        while maker.op_type in {"Relu", "LeakyRelu"}:
            maker = makers[maker.input[0]]
        if maker.op_type == "BatchNormalization":
            half_codes = tensors[node.input[0]] / constant(model, node.input[1]) * 2
            if node.op_type == "BipolarQuant":
                assert half_codes.all(), node.name
            else:
                assert not (half_codes % 2 == 1).any(), node.name


@pytest.mark.parametrize("name", FLOAT_NETWORKS)
def test_float_scales_leave_no_code_to_rounding(name: str) -> None:
    model = FLOAT_NETWORKS[name]()
    frames = zoo.frames_for(model, 1, seed=7)
    wide = zoo.evaluate(model, frames, np.float64)
    narrow = zoo.evaluate(model, frames, np.float32)
    for node in activation_quantizers(model):
        scale = constant(model, node.input[1])
        np.testing.assert_allclose(
            narrow[node.output[0]] / scale, wide[node.output[0]] / scale, atol=1e-3
        )
    scales = [constant(model, node.input[1]) for node in activation_quantizers(model)]
    assert (np.log2(scales) % 1 != 0).any()
    scores = executed(model, frames)
    for found, expected in zip(scores, outputs(model, wide), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("model", "nodes"),
    [
        (lambda: zoo.resnet18((4, 4), width=0.0625, image_size=32), {"Conv": 20, "Add": 8}),
        (lambda: zoo.resnet20((4, 4), width=0.125, image_size=8), {"Conv": 21, "Add": 9}),
        (lambda: zoo.resnet50((4, 4), width=0.0625, image_size=32), {"Conv": 53, "Add": 16}),
        (lambda: zoo.mobilenet_v1((4, 4), width=0.125, image_size=32), {"Conv": 27, "Trunc": 1}),
        (lambda: zoo.mobilenet_v2((4, 4), width=0.25, image_size=32), {"Conv": 52, "Add": 10}),
        (lambda: zoo.yolo_tiny((4, 4), width=0.0625, image_size=32), {"Resize": 1, "Split": 1}),
        (lambda: zoo.vgg10((4, 4), length=128, width=0.125), {"Conv": 7, "MaxPool": 7}),
    ],
)
def test_architecture(model: Callable[[], ModelProto], nodes: dict[str, int]) -> None:
    operators = [node.op_type for node in model().graph.node]
    assert {operator: operators.count(operator) for operator in nodes} == nodes


def test_equal_seeds_give_equal_files() -> None:
    first, again, other = (zoo.resnet8(None, seed) for seed in (1, 1, 2))
    assert first.SerializeToString(deterministic=True) == again.SerializeToString(
        deterministic=True
    )
    assert first != other


def test_inputs_are_annotated() -> None:
    for model, expected in ((zoo.tfc(), "UINT8"), (zoo.vgg10(length=128), "INT8")):
        wrapper = ModelWrapper(model)
        assert wrapper.get_tensor_datatype(wrapper.graph.input[0].name) == DataType[expected]
        assert wrapper.check_all_tensor_shapes_specified()


def test_bits_that_a_network_lacks_are_refused() -> None:
    with pytest.raises(ValueError, match="activations of"):
        zoo.resnet8((4, 1))
    with pytest.raises(ValueError, match="multiple of 32"):
        zoo.yolo_tiny(image_size=100)
