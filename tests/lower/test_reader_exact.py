"""Every node that the reader knows: the integer network equals QONNX' own execution.

Scales are powers of two, so that float32 is exact; the few others are said to be.
"""

from collections.abc import Callable

import numpy as np
import pytest
from graphs import IMAGE, QONNX, Graph
from lowered import differing_at_random, integers, read
from onnx import ModelProto

from sdq_fpga.lower.graph import Affine, Pad, Requantize, Threshold
from sdq_fpga.lower.read.model import load_qonnx, read_qonnx
from sdq_fpga.sim.verify import Model
from sdq_fpga.stages.model_build import random_vectors
from sdq_fpga.zoo import GraphBuilder
from sdq_fpga.zoo.random_net import random_network

CASES: dict[str, Callable[[], ModelProto]] = {}
RANDOM = range(24)


def case(function: Callable[[], ModelProto]) -> Callable[[], ModelProto]:
    CASES[function.__name__] = function
    return function


def conv_case(name: str, *, shape: tuple[int, ...] = IMAGE, weights: tuple[int, ...], **attributes):
    def make() -> ModelProto:
        g = Graph(shape)
        return g.model(g.node("Conv", g.x, g.weights(*weights), **attributes))

    CASES[name] = make


conv_case("conv_1d", shape=(1, 3, 16), weights=(4, 3, 3), pads=[2, 1], strides=[2])
conv_case("conv_pads", weights=(4, 3, 3, 3), pads=[0, 1, 2, 1])
conv_case("conv_same_upper", weights=(4, 3, 2, 2), auto_pad="SAME_UPPER")
conv_case("conv_same_lower", weights=(4, 3, 2, 2), auto_pad="SAME_LOWER")
conv_case("conv_valid", weights=(4, 3, 2, 2), auto_pad="VALID")
conv_case("conv_strides", weights=(4, 3, 3, 2), strides=[2, 3])
conv_case("conv_dilations", weights=(4, 3, 3, 2), dilations=[2, 3])
conv_case("conv_groups", shape=(1, 4, 6, 6), weights=(6, 2, 3, 3), group=2)
conv_case("conv_depthwise", weights=(3, 1, 3, 3), group=3, pads=[1, 1, 1, 1])


@case
def conv_of_bipolar_weights_by_channel():
    g = Graph()
    scale = 2.0 ** -np.arange(4).reshape(4, 1, 1, 1)
    return g.model(g.node("Conv", g.x, g.weights(4, 3, 2, 2, scale=scale, bipolar=True)))


@case
def input_of_signs_only():
    g = Graph((1, 6), "BIPOLAR")
    half = g.node("Div", g.node("Add", g.x, g.const(1.0)), g.const(2.0))
    return g.model(g.node("MatMul", half, g.weights(6, 4)))


@case
def conv_with_a_constant_bias():
    g = Graph()
    return g.model(g.node("Conv", g.x, g.weights(2, 3, 1, 1), g.const([0.5, -1.25])))


@case
def conv_with_a_quantized_bias():
    g = Graph()
    bias = g.quant(g.const([3.0, -5.0]), 8, 0.5)
    return g.model(g.node("Conv", g.x, g.weights(2, 3, 1, 1), bias))


@case
def conv_pads_with_the_zero_point():
    g = Graph(datatype=None)
    x = g.quant(g.x, 4, 0.5, signed=False, zero=5)
    return g.model(g.conv(x, 4, pads=[1, 1, 1, 1]))


@case
def conv_pads_bipolar_codes_with_a_third_value():
    g = Graph()
    x = g.bipolar(g.node("Add", g.conv(g.x, 4), g.const(0.125)))
    return g.model(g.conv(x, 2, inputs=4, pads=[1, 1, 1, 1]))


@case
def depthwise_of_channels_with_scales_of_their_own():
    g = Graph()
    x = g.quant(g.conv(g.x, 4, 1), 4, 2.0 ** np.arange(4).reshape(1, 4, 1, 1))
    return g.model(g.node("Conv", x, g.weights(4, 1, 3, 3), group=4))


@case
def matmul():
    g = Graph((1, 12))
    return g.model(g.node("MatMul", g.x, g.weights(12, 5, scale=2.0 ** -np.arange(5))))


@case
def matmul_of_transposed_weights():
    g = Graph((1, 12))
    weights = g.weights(5, 12, scale=2.0 ** -np.arange(5).reshape(5, 1))
    return g.model(g.node("MatMul", g.x, g.node("Transpose", weights, perm=[1, 0])))


@case
def matmul_after_an_image():
    g = Graph()
    x = g.quant(g.conv(g.x, 4), 4, 8.0)
    return g.model(g.node("MatMul", g.flat(x), g.weights(64, 5)))


@case
def gemm():
    g = Graph((1, 12))
    return g.model(g.node("Gemm", g.x, g.weights(12, 5), g.const(np.arange(5) / 4), beta=2.0))


@case
def gemm_transposed():
    g = Graph((1, 12))
    weights = g.weights(5, 12, scale=2.0 ** -np.arange(5).reshape(5, 1))
    return g.model(g.node("Gemm", g.x, weights, transB=1))


# ---- element-wise -------------------------------------------------------------------------------


@case
def affine_nodes_before_a_quantizer():
    g = Graph()
    x = g.node("Add", g.conv(g.x, 4), g.const(np.arange(4).reshape(1, 4, 1, 1)))
    x = g.node("Mul", x, g.const(np.array([1, -0.5, 2, -1]).reshape(1, 4, 1, 1)))
    x = g.node("Div", g.node("Sub", g.const(3.0), g.node("Neg", x)), g.const(-2.0))
    return g.model(g.quant(g.node("Identity", x), 5, 16.0))


@case
def batch_norm_with_factors_of_both_signs():
    g = Graph()
    gamma, beta, mean, variance = (
        g.const(each)
        for each in ([1.0, -2.0, 0.5, -1.0], [1.0, 2.0, 3.0, 4.0], [8.0, 0, -4, 2], [4.0, 1, 16, 4])
    )
    x = g.node("BatchNormalization", g.conv(g.x, 4), gamma, beta, mean, variance, epsilon=0.0)
    return g.model(g.quant(g.node("Relu", x), 4, 4.0, signed=False))


def function_case(op: str, *inputs: object, **attributes: float) -> None:
    def make() -> ModelProto:
        g = Graph()
        x = g.node("Mul", g.conv(g.x, 4), g.const(2.0**-6))
        x = g.node(op, x, *(g.const(each) for each in inputs), **attributes)
        return g.model(g.quant(x, 4, 0.125))

    CASES[f"{op.lower()}_{len(CASES)}"] = make


function_case("Relu")
function_case("LeakyRelu", alpha=0.125)
function_case("PRelu", 2.0 ** -np.arange(4).reshape(4, 1, 1))
function_case("Clip", -0.5, 0.75)
function_case("Sigmoid")
function_case("Tanh")
function_case("HardSigmoid", alpha=0.25, beta=0.5)


def arms(scales: tuple[float, float] = (1.0, 1.0), zeros: tuple[int, int] = (0, 0)):
    g = Graph()
    return g, [
        g.quant(g.conv(g.x, 4), 5, 8.0 * scale, zero=zero)
        for scale, zero in zip(scales, zeros, strict=True)
    ]


def two_case(op: str, scales: tuple[float, float], zeros: tuple[int, int] = (0, 0)) -> None:
    def make() -> ModelProto:
        g, two = arms(scales, zeros)
        return g.model(g.node(op, *two))

    CASES[f"{op.lower()}_of_streams_{len(CASES)}"] = make


two_case("Add", (1, 1))
two_case("Add", (0.5, 2))
two_case("Add", (0.75, 1))
two_case("Add", (1, 0.5), (3, -2))
two_case("Sub", (1, 1))
two_case("Sub", (4, 1), (0, 5))
two_case("Mul", (1, 0.5))


# ---- quantizers ---------------------------------------------------------------------------------


def quant_case(name: str, bits: int, scale: object, **settings) -> None:
    def make() -> ModelProto:
        g = Graph()
        return g.model(g.quant(g.conv(g.x, 4), bits, scale, **settings))

    CASES[f"quant_{name}"] = make


for mode in ("ROUND", "HALF_EVEN", "FLOOR", "CEIL", "DOWN"):
    quant_case(mode.lower(), 4, 16.0, mode=mode)
quant_case("narrow", 4, 8.0, narrow=True)
quant_case("unsigned", 3, 8.0, signed=False)
quant_case("unsigned_narrow", 3, 8.0, signed=False, narrow=True)
quant_case("zero_point", 4, 8.0, signed=False, zero=7)
quant_case("by_channel", 4, 2.0 ** np.arange(1, 5).reshape(1, 4, 1, 1))
quant_case("one_bit", 1, 4.0, signed=False)
quant_case("eight_bits", 8, 2.0)
quant_case("no_power_of_two", 5, 11.25)
quant_case("ten_bits", 10, 1.0)
quant_case("twelve_bits_by_channel", 12, 2.0 ** -np.arange(4).reshape(1, 4, 1, 1))
quant_case("saturated", 2, 2.0**-6)


@case
def bipolar_quantizers():
    g = Graph()
    x = g.bipolar(g.node("Add", g.conv(g.x, 4), g.const(0.125)), 0.5)
    return g.model(g.bipolar(g.node("Sub", g.conv(x, 3, inputs=4, size=2), g.const(0.0625))))


@case
def ten_bits_after_a_relu():
    g = Graph()
    x = g.node("Relu", g.node("Add", g.conv(g.x, 4), g.const(1.0)))
    return g.model(g.quant(x, 10, 1.0, signed=False))


@case
def ten_bits_after_a_leaky_relu():
    g = Graph()
    return g.model(g.quant(g.node("LeakyRelu", g.conv(g.x, 4), alpha=0.125), 10, 1.0))


@case
def trunc_of_the_first_version():
    g = Graph()
    sums = g.node(
        "Mul", g.node("AveragePool", g.quant(g.conv(g.x, 4), 4, 8.0), **WINDOW), g.const(4.0)
    )
    settings = [g.const(each) for each in (8.0, 0.0, 6.0, 4.0)]
    return g.model(g.node("Trunc", sums, *settings, domain=QONNX, rounding_mode="FLOOR"))


WINDOW = {"kernel_shape": [2, 2], "strides": [2, 2]}


@case
def trunc_of_the_second_version():
    build = GraphBuilder()
    x = build.conv(build.scaled_input((3, 6, 6)), 4, 3)
    x = build.quant_relu(build.batch_norm(x), 4)
    build.output(build.trunc(build.average_pool(x, 2), 3))
    return build.finish()


# ---- pools, and what moves values ---------------------------------------------------------------


def spatial_case(
    name: str, op: str, *inputs: object, shape=IMAGE, scale: float = 8.0, **attributes
) -> None:
    def make() -> ModelProto:
        g = Graph(shape)
        bits = g.quant(g.conv(g.x, 4) if len(shape) == 4 else g.x, 5, scale)
        names = ["" if each is None else g.const(*each) for each in inputs]
        return g.model(g.node(op, bits, *names, **attributes))

    CASES[name] = make


spatial_case("max_pool", "MaxPool", **WINDOW)
spatial_case("max_pool_padded", "MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
spatial_case("max_pool_ceil_that_fits", "MaxPool", ceil_mode=1, **WINDOW)
spatial_case("max_pool_1d", "MaxPool", shape=(1, 3, 9), kernel_shape=[2], strides=[2])
spatial_case("average_pool", "AveragePool", **WINDOW)
spatial_case(
    "average_pool_padded",
    "AveragePool",
    kernel_shape=[2, 2],
    strides=[2, 2],
    pads=[1, 1, 1, 1],
    count_include_pad=1,
)
spatial_case("global_average_pool", "GlobalAveragePool")
spatial_case("global_max_pool", "GlobalMaxPool", scale=32.0)
spatial_case("reduce_mean", "ReduceMean", axes=[2, 3], keepdims=0)
spatial_case("reduce_mean_negative_axes", "ReduceMean", axes=[-1, -2])
spatial_case("reduce_max", "ReduceMax", scale=32.0, axes=[2, 3], keepdims=1)
spatial_case("pad", "Pad", ([0, 0, 1, 0, 0, 0, 2, 1], np.int64))
spatial_case("pad_value", "Pad", ([0, 0, 1, 0, 0, 0, 2, 1], np.int64), (-16.0,))
spatial_case("pad_1d", "Pad", ([0, 0, 1, 0, 0, 2], np.int64), shape=(1, 3, 9))
spatial_case(
    "resize",
    "Resize",
    None,
    ([1, 1, 2, 3],),
    mode="nearest",
    coordinate_transformation_mode="asymmetric",
    nearest_mode="floor",
)
spatial_case(
    "slice_of_everything",
    "Slice",
    ([1, 0, 1], np.int64),
    ([3, 3, 1000], np.int64),
    ([1, 2, -1], np.int64),
)
spatial_case("slice_of_channels", "Slice", ([0], np.int64), ([-3], np.int64), ([1], np.int64))
spatial_case("reshape_to_flat", "Reshape", ([1, -1], np.int64))
spatial_case("reshape_to_the_same", "Reshape", ([0, 4, 4, 4], np.int64))
spatial_case("transpose_to_last", "Transpose", perm=[0, 2, 3, 1])
spatial_case("transpose_nothing", "Transpose", perm=[0, 1, 2, 3])


@case
def max_pool_before_the_batch_norm():
    g = Graph()
    x = g.node("Relu", g.node("MaxPool", g.conv(g.x, 4), **WINDOW))
    return g.model(g.quant(x, 4, 8.0, signed=False))


@case
def images_with_channels_last():
    g = Graph((1, 6, 6, 3))
    x = g.node("Transpose", g.x, perm=[0, 3, 1, 2])
    return g.model(g.node("Transpose", g.quant(g.conv(x, 4), 4, 8.0), perm=[0, 2, 3, 1]))


@case
def function_after_a_flattened_image():
    g = Graph()
    x = g.flat(g.conv(g.x, 4))
    x = g.node("Mul", x, g.const(2.0 ** -(np.arange(64) % 3).reshape(1, 64)))
    return g.model(g.quant(x, 4, 8.0))


@case
def concat_of_scales_and_zero_points():
    g = Graph()
    two = [
        g.quant(g.conv(g.x, 4), 4, 8.0, zero=3, signed=False),
        g.quant(g.conv(g.x, 2), 4, 32.0),
    ]
    return g.model(g.quant(g.node("Concat", *two, axis=1), 4, 16.0))


@case
def split_and_both_parts():
    g = Graph()
    x = g.quant(g.conv(g.x, 4), 4, 8.0)
    one, other = g.nodes_of("Split", x, g.ints(1, 3), count=2, axis=1)
    return g.model(g.conv(one, 2, inputs=1), other)


# ---- ends ---------------------------------------------------------------------------------------


def end_case(name: str, op: str, *inputs: int, output: int = 0, bias: bool = False, **attributes):
    def make() -> ModelProto:
        g = Graph((1, 12))
        x = g.node("MatMul", g.x, g.weights(12, 7))
        if bias:
            x = g.node("Add", x, g.const(np.arange(7) * 5 % 7 / 4 * 100))
        settings = [g.ints(each) for each in inputs]
        names = g.nodes_of(op, x, *settings, count=1 + output, **attributes)
        return g.model(names[output], integers=True)

    CASES[name] = make


end_case("arg_max", "ArgMax", axis=1)
end_case("arg_max_flat", "ArgMax", axis=-1, keepdims=0)
end_case("arg_max_with_a_bias", "ArgMax", axis=1, bias=True)
end_case("top_k", "TopK", 3, output=1)
end_case("top_1", "TopK", 1, output=1, axis=1)


@case
def softmax():
    g = Graph((1, 12))
    x = g.node("MatMul", g.x, g.weights(12, 7))
    return g.model(g.node("Softmax", g.node("Mul", x, g.const(2.0**-8)), axis=1))


@case
def log_softmax():
    g = Graph((1, 12))
    x = g.node("MatMul", g.x, g.weights(12, 7))
    return g.model(g.node("LogSoftmax", g.node("Mul", x, g.const(2.0**-8)), axis=1))


# ---- inputs -------------------------------------------------------------------------------------


@case
def input_that_the_host_scales_and_quantizes():
    g = Graph(datatype=None)
    x = g.node("Sub", g.node("Mul", g.x, g.const(0.5)), g.const(1.0))
    return g.model(g.conv(g.quant(x, 5, 0.25), 4))


@case
def input_that_is_flattened_first():
    g = Graph(datatype=None)
    return g.model(g.node("MatMul", g.quant(g.flat(g.x), 3), g.weights(108, 4)))


@case
def input_that_becomes_bipolar():
    g = Graph((1, 12), datatype=None)
    return g.model(g.node("MatMul", g.bipolar(g.x), g.weights(12, 4)))


@case
def bipolar_input():
    g = Graph((1, 12), datatype="BIPOLAR")
    return g.model(g.node("MatMul", g.x, g.weights(12, 4)))


@case
def signed_input_that_is_quantized_again():
    g = Graph(datatype="INT8")
    return g.model(g.quant(g.x, 3, 32.0))


@case
def two_inputs_and_three_outputs():
    g = Graph()
    y = g.input("y", (1, 3, 6, 6), "INT4")
    x = g.quant(g.conv(g.x, 4), 4, 8.0)
    total = g.node("Add", x, g.quant(g.conv(y, 4), 4, 8.0))
    return g.model(total, x, g.conv(x, 2, inputs=4))


# ---- tests --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_equals_qonnx(name):
    model = read(CASES[name]())
    vectors = random_vectors(model, 6, 3)
    assert differing_at_random(model, 6, 3) == 0
    assert any(np.ptp(each) > 0 for each in integers(model, vectors).values())


def test_frames_for_an_input_of_signs_have_no_zero():
    (frames,) = random_vectors(read(input_of_signs_only()), 6, 3).frames.values()
    assert set(np.unique(frames)) == {-1, 1}


@pytest.mark.parametrize("seed", RANDOM)
def test_random_network_equals_qonnx(seed):
    assert differing_at_random(read(random_network(seed)), 2, seed) == 0


def operations(name: str) -> list[type]:
    return [type(each) for each in read(CASES[name]()).network.operations]


def test_padding_takes_the_code_of_zero():
    (pad,) = (
        each
        for each in read(CASES["conv_pads_with_the_zero_point"]()).network.operations
        if isinstance(each, Pad)
    )
    assert pad.value == 5


def test_many_levels_are_multiplied():
    for name in ("quant_ten_bits", "quant_twelve_bits_by_channel", "ten_bits_after_a_relu"):
        assert Requantize in operations(name)
        assert Threshold not in operations(name)
    assert Requantize not in operations("quant_eight_bits")


def test_falling_channels_cost_nothing_where_weights_can_be_negated():
    assert Affine not in operations("batch_norm_with_factors_of_both_signs")


def test_a_quantizer_that_changes_nothing_is_no_operation():
    g = Graph()
    model = read(g.model(g.conv(g.quant(g.x, 8, 1.0, signed=False), 2)))
    assert Threshold not in [type(each) for each in model.network.operations]


def test_levels_that_are_never_reached_have_no_thresholds():
    """Sums of 1x1 windows of weights of 2 bits and 4-bit codes reach 15 of the 256 levels."""
    g = Graph((1, 1, 4, 4), "UINT4")
    weights = g.quant(g.const(np.ones((1, 1, 1, 1))), 2, 1.0)
    model = read(g.model(g.quant(g.node("Conv", g.x, weights), 8, 1.0)))
    *_, last = model.network.operations
    assert not isinstance(last, Threshold) or last.thresholds.shape[1] <= 15
    assert differing_at_random(model) == 0


def test_equal_channels_share_their_thresholds():
    g = Graph()
    model = read(g.model(g.quant(g.conv(g.x, 4), 4, 8.0)))
    (threshold,) = (each for each in model.network.operations if isinstance(each, Threshold))
    assert len(threshold.thresholds) == 1


def test_a_stream_added_to_itself(tmp_path):
    g, (x, y) = arms()
    twice = g.quant(g.node("Add", x, x), 6, 8.0)
    (tmp_path / "m.onnx").write_bytes(
        g.model(g.quant(g.node("Add", twice, y), 4, 32.0)).SerializeToString()
    )
    qonnx = load_qonnx(tmp_path / "m.onnx")
    assert differing_at_random(Model(qonnx, *read_qonnx(qonnx))) == 0
