"""What the reader refuses: the node is named, and the way out is said."""

import re
from collections.abc import Callable

import numpy as np
import pytest
from graphs import QONNX, Graph
from lowered import read
from onnx import ModelProto

from sdq_fpga.errors import UserError
from sdq_fpga.lower.read.model import load_qonnx

CASES: dict[str, tuple[Callable[[], ModelProto], str, str]] = {}
NODE = r"^(\w+) '\w+': "
WINDOW = {"kernel_shape": [2, 2], "strides": [2, 2]}


def case(node: str, said: str):
    """The message names a node of this type, and says this."""

    def register(function: Callable[[], ModelProto]) -> Callable[[], ModelProto]:
        assert function.__name__ not in CASES
        CASES[function.__name__] = (function, node, said)
        return function

    return register


def image(bits: int = 4, scale: object = 8.0, **settings) -> tuple[Graph, str]:
    """A graph, and a quantized image of 4 channels in it."""
    g = Graph()
    return g, g.quant(g.conv(g.x, 4), bits, scale, **settings)


# ---- layers with weights ------------------------------------------------------------------------


@case("Conv", "are computed at run time")
def weights_that_are_a_stream():
    g, x = image()
    return g.model(g.node("Conv", x, g.quant(g.conv(x, 4, inputs=4), 4, 64.0)))


@case("Conv", "are not quantized")
def weights_that_are_not_quantized():
    g = Graph()
    return g.model(g.node("Conv", g.x, g.const(np.ones((2, 3, 1, 1)))))


@case("MatMul", "all its weights are zero")
def weights_that_are_zero():
    g = Graph((1, 8))
    return g.model(g.node("MatMul", g.x, g.quant(g.const(np.full((8, 2), 0.01)), 3)))


@case("MatMul", "its weights are its first input")
def weights_first():
    g = Graph((1, 1))
    return g.model(g.node("MatMul", g.weights(8, 1), g.x))


@case("Gemm", "its bias 'MatMul_.*' is computed at run time")
def bias_that_is_a_stream():
    g = Graph((1, 8))
    bias = g.node("MatMul", g.x, g.weights(8, 3))
    return g.model(g.node("Gemm", g.x, g.weights(8, 3), bias))


@case("Gemm", "its bias has shape")
def bias_that_varies_along_the_batch():
    g = Graph((1, 8))
    return g.model(g.node("Gemm", g.x, g.weights(8, 3), g.const(np.ones((1, 2)))))


@case("MatMul", "its accumulator would reach .*, beyond 32 bits")
def accumulator_that_is_too_wide():
    g = Graph((1, 8), "UINT16")
    return g.model(g.node("MatMul", g.x, g.quant(g.const(np.full((8, 2), 32767.0)), 16)))


@case("Conv", "its input has no code for zero")
def padding_between_two_codes():
    g, x = image()
    return g.model(g.conv(g.node("Add", x, g.const(3.0)), 2, inputs=4, pads=[1, 1, 1, 1]))


@case("Conv", "a convolution of 3 dimensions")
def three_dimensions():
    g = Graph((1, 2, 4, 4, 4))
    return g.model(g.node("Conv", g.x, g.weights(2, 2, 2, 2, 2)))


@case("Conv", "the scale of its weights has shape")
def scales_of_input_channels():
    g = Graph()
    scale = np.array([1, 2, 4]).reshape(1, 3, 1, 1)
    return g.model(g.node("Conv", g.x, g.weights(2, 3, 1, 1, scale=scale)))


@case("Gemm", "it transposes or scales its input")
def gemm_that_scales():
    g = Graph((1, 8))
    return g.model(g.node("Gemm", g.x, g.weights(8, 3), alpha=2.0))


@case("MatMul", "it is no product of a vector with a matrix")
def product_with_an_image():
    g, x = image()
    return g.model(g.node("MatMul", x, g.weights(4, 3)))


@case("Conv", "its input comes from Relu")
def convolution_without_a_quantizer_before_it():
    g = Graph()
    return g.model(g.conv(g.node("Relu", g.conv(g.x, 4)), 2, inputs=4))


@case("Conv", "the channels of its input have different scales")
def convolution_of_different_scales():
    g, x = image(scale=2.0 ** np.arange(4).reshape(1, 4, 1, 1))
    return g.model(g.conv(x, 2, inputs=4))


@case("Conv", "reads the input 'global_in' in floating point")
def input_without_a_quantizer():
    g = Graph(datatype=None)
    return g.model(g.conv(g.x, 2))


# ---- element-wise -------------------------------------------------------------------------------


@case("Mul", "it changes weights after their quantizer")
def weights_that_are_changed():
    g = Graph()
    weights = g.node("Mul", g.weights(2, 3, 1, 1), g.const(3.0))
    return g.model(g.node("Conv", g.x, weights))


@case("Div", "it divides by a stream")
def division_by_a_stream():
    g, x = image()
    return g.model(g.node("Div", g.const(1.0), x))


@case("Div", "no operator on two streams")
def division_of_streams():
    g, x = image()
    return g.model(g.node("Div", x, g.quant(g.conv(g.x, 4), 4, 16.0)))


@case("Mul", "it multiplies a channel by zero")
def channel_times_zero():
    g, x = image()
    return g.model(g.node("Mul", x, g.const(np.array([1, 0, 2, 3]).reshape(1, 4, 1, 1))))


@case("LeakyRelu", "its slope is negative")
def falling_leaky_relu():
    g = Graph()
    return g.model(g.quant(g.node("LeakyRelu", g.conv(g.x, 4), alpha=-0.5)))


@case("PRelu", "its slope is negative")
def falling_prelu():
    g = Graph()
    slopes = g.const(np.array([1, -1, 1, 1]).reshape(4, 1, 1))
    return g.model(g.quant(g.node("PRelu", g.conv(g.x, 4), slopes)))


@case("Mul", "scales the channels of the input differently")
def input_scaled_by_channel():
    g = Graph(datatype=None)
    return g.model(g.quant(g.node("Mul", g.x, g.const(np.ones((1, 3, 1, 1)) * [[[[2]]]]))))


@case("Add", "its inputs have shapes")
def broadcast_of_streams():
    g, x = image()
    return g.model(g.node("Add", x, g.node("GlobalMaxPool", x)))


@case("Mul", "an input has an offset")
def product_with_a_zero_point():
    g, x = image(zero=3)
    return g.model(g.node("Mul", x, g.quant(g.conv(g.x, 4), 4, 16.0)))


@case("Add", "whose ratio is no small fraction")
def sum_of_scales_that_do_not_fit():
    g, x = image()
    return g.model(g.node("Add", x, g.quant(g.conv(g.x, 4), 4, 8.0 * 2**0.5)))


@case("Add", "varies along other axes than channels")
def constant_that_varies_over_the_image():
    g, x = image()
    return g.model(g.quant(g.node("Add", x, g.const(np.arange(16).reshape(1, 1, 4, 4)))))


# ---- quantizers ---------------------------------------------------------------------------------


@case("Quant", r"its bit width is 2\.5")
def half_a_bit():
    return (g := Graph()).model(g.quant(g.conv(g.x, 4), 2.5))


@case("Quant", "its rounding mode is SIDEWAYS")
def unknown_rounding():
    return (g := Graph()).model(g.quant(g.conv(g.x, 4), mode="SIDEWAYS"))


@case("Quant", "its zero point is no integer")
def half_a_zero_point():
    return (g := Graph()).model(g.quant(g.conv(g.x, 4), zero=0.5))


@case("Quant", "is computed at run time")
def scale_that_is_a_stream():
    g = Graph()
    scale = g.node("GlobalMaxPool", g.x)
    settings = [g.const(0.0), g.const(4.0)]
    return g.model(g.node("Quant", g.x, scale, *settings, domain=QONNX))


@case("Quant", "it quantizes an input by channel")
def input_quantized_by_channel():
    g = Graph(datatype=None)
    return g.model(g.quant(g.x, 4, np.array([1, 2, 4]).reshape(1, 3, 1, 1)))


@case("Quant", "1024 levels after Sigmoid are too many")
def too_many_levels_after_a_curve():
    g = Graph()
    return g.model(g.quant(g.node("Sigmoid", g.conv(g.x, 4)), 10, 2.0**-9))


@case("Quant", "1024 levels after another rounding mode are too many")
def too_many_levels_rounded_down():
    return (g := Graph()).model(g.quant(g.conv(g.x, 4), 10, mode="FLOOR"))


@case("Quant", "does not bend at code 0")
def leaky_relu_that_bends_elsewhere():
    g = Graph()
    x = g.node("LeakyRelu", g.node("Add", g.conv(g.x, 4), g.const(5.0)), alpha=0.5)
    return g.model(g.quant(x, 10))


@case("Quant", "no 24-bit multiplier makes its 65536 levels exactly")
def levels_that_no_multiplier_makes():
    g = Graph((1, 64), "UINT16")
    x = g.node("MatMul", g.x, g.quant(g.const(np.full((64, 1), 7.0)), 4))
    return g.model(g.quant(x, 16, 1 / 3 + 1e-5))


@case("Trunc", "its zero point is not 0")
def trunc_with_a_zero_point():
    g, x = image()
    settings = [g.const(each) for each in (8.0, 1.0, 4.0, 2.0)]
    return g.model(g.node("Trunc", x, *settings, domain=QONNX))


# ---- pools, and what moves values ---------------------------------------------------------------


@case("MaxPool", "no image of layout N, C, H, W")
def pool_with_channels_last():
    g, x = image()
    return g.model(g.node("MaxPool", g.node("Transpose", x, perm=[0, 2, 3, 1]), **WINDOW))


@case("MaxPool", "a batch-norm before it has a negative factor")
def maximum_of_falling_channels():
    g, x = image()
    return g.model(g.node("MaxPool", g.node("Neg", x), **WINDOW))


@case("MaxPool", "it is dilated")
def dilated_pool():
    g, x = image()
    return g.model(g.node("MaxPool", x, dilations=[2, 2], **WINDOW))


@case("MaxPool", "its last window hangs over the edge")
def pool_over_the_edge():
    g, x = image()
    return g.model(g.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1))


@case("AveragePool", "its average at the border is over fewer values")
def average_that_leaves_the_border_out():
    g, x = image()
    return g.model(g.node("AveragePool", x, pads=[1, 1, 1, 1], **WINDOW))


@case("AveragePool", "its input has no code for zero")
def average_without_a_zero():
    g, x = image()
    x = g.node("Add", x, g.const(3.0))
    return g.model(g.node("AveragePool", x, pads=[1, 1, 1, 1], count_include_pad=1, **WINDOW))


@case("ReduceMean", "it does not reduce height and width")
def mean_over_channels():
    g, x = image()
    return g.model(g.node("ReduceMean", x, axes=[1]))


@case("Pad", "it does not pad with a constant")
def padding_by_reflection():
    g, x = image()
    return g.model(g.node("Pad", x, g.ints(0, 0, 1, 1, 0, 0, 1, 1), mode="reflect"))


@case("Pad", "it pads channels")
def padding_of_channels():
    g, x = image()
    return g.model(g.node("Pad", x, g.ints(0, 1, 0, 0, 0, 0, 0, 0)))


@case("Pad", "no code of its input means 3")
def padding_between_codes():
    g, x = image()
    return g.model(g.node("Pad", x, g.ints(0, 0, 1, 1, 0, 0, 1, 1), g.const(3.0)))


@case("Resize", "it interpolates")
def interpolation():
    g, x = image()
    return g.model(g.node("Resize", x, "", g.const([1, 1, 2, 2]), mode="linear"))


@case("Resize", "it resizes 4x4 to 6x6")
def factor_that_is_not_whole():
    g, x = image()
    scales = g.const([1, 1, 1.5, 1.5])
    return g.model(g.node("Resize", x, "", scales, coordinate_transformation_mode="asymmetric"))


@case("Flatten", "its input comes from Relu")
def flatten_between_function_and_quantizer():
    g = Graph()
    return g.model(g.quant(g.flat(g.node("Relu", g.conv(g.x, 4)))))


@case("Reshape", "it turns .* into .*")
def reshape_to_another_image():
    g, x = image()
    return g.model(g.node("Reshape", x, g.ints(1, 4, 2, 8)))


@case("Transpose", "it permutes axes by")
def transpose_of_height_and_width():
    g, x = image()
    return g.model(g.node("Transpose", x, perm=[0, 1, 3, 2]))


@case("Transpose", "it stands between a function and its quantizer")
def transpose_between_function_and_quantizer():
    g = Graph()
    x = g.node("Transpose", g.node("Relu", g.conv(g.x, 4)), perm=[0, 2, 3, 1])
    return g.model(g.quant(x))


@case("Concat", "it does not join channels")
def concat_along_the_width():
    g, x = image()
    return g.model(g.node("Concat", x, g.quant(g.conv(g.x, 4), 4, 8.0), axis=3))


@case("Concat", "it joins flattened images")
def concat_of_flattened_images():
    g, x = image()
    other = g.quant(g.conv(g.x, 4), 4, 8.0)
    return g.model(g.node("Concat", g.flat(x), g.flat(other), axis=1))


@case("Concat", "its inputs have scales")
def concat_of_scales_that_do_not_fit():
    g, x = image()
    return g.model(g.node("Concat", x, g.quant(g.conv(g.x, 4), 4, 12.0), axis=1))


@case("Split", "it does not split channels")
def split_along_the_width():
    g, x = image()
    return g.model(*g.nodes_of("Split", x, g.ints(2, 2), count=2, axis=3))


@case("Split", "its input comes from Relu")
def split_between_function_and_quantizer():
    g = Graph()
    x = g.node("Relu", g.conv(g.x, 4))
    one, other = g.nodes_of("Split", x, g.ints(2, 2), count=2, axis=1)
    return g.model(g.quant(one), g.quant(other))


@case("Slice", "its step is not 1")
def slice_of_every_second():
    g, x = image()
    return g.model(g.node("Slice", x, g.ints(0), g.ints(4), g.ints(2), g.ints(2)))


@case("Slice", "it slices a flattened image")
def slice_of_a_flattened_image():
    g, x = image()
    return g.model(g.node("Slice", g.flat(x), g.ints(0), g.ints(8), g.ints(1)))


def scores() -> tuple[Graph, str]:
    g = Graph((1, 8))
    return g, g.node("MatMul", g.x, g.weights(8, 5))


@case("ArgMax", "does not choose among the channels of one vector")
def arg_max_of_an_image():
    g, x = image()
    return g.model(g.node("ArgMax", x, axis=1), integers=True)


@case("ArgMax", "a bias that is no multiple of the accumulator's step")
def arg_max_with_a_bias_between_steps():
    g, x = scores()
    x = g.node("Add", x, g.const(np.arange(5) / 9))
    return g.model(g.node("ArgMax", x, axis=1), integers=True)


@case("ArgMax", "it takes the last of equal values")
def arg_max_that_takes_the_last():
    g, x = scores()
    return g.model(g.node("ArgMax", x, axis=1, select_last_index=1), integers=True)


@case("TopK", "its values are used")
def values_of_top_k():
    g, x = scores()
    return g.model(g.nodes_of("TopK", x, g.ints(2), count=2)[0])


@case("TopK", "it is not largest first")
def smallest_k():
    g, x = scores()
    return g.model(g.nodes_of("TopK", x, g.ints(2), count=2, largest=0)[1], integers=True)


# ---- ends ---------------------------------------------------------------------------------------


@case("Relu", "its result leaves the accelerator in floating point")
def output_that_is_not_quantized():
    g = Graph()
    return g.model(g.node("Relu", g.conv(g.x, 4)))


@case("Softmax", "it is not the last node")
def softmax_in_the_middle():
    g, x = scores()
    return g.model(g.quant(g.node("Softmax", x, axis=1)))


@pytest.mark.parametrize("name", CASES)
def test_node_is_named(name):
    make, node, said = CASES[name]
    with pytest.raises(UserError) as caught:
        read(make())
    assert caught.value.exit_code == 2
    message = str(caught.value)
    assert re.match(NODE, message)[1] == node
    assert re.search(said, message)
    assert "\n" not in message
    assert caught.value.fix


def refusal(model: ModelProto) -> str:
    with pytest.raises(UserError) as caught:
        read(model)
    return str(caught.value)


def test_all_unknown_operators_are_named_at_once():
    g, x = image()
    message = refusal(g.model(g.node("Sin", g.node("Elu", g.conv(x, 2, inputs=4)))))
    assert "no operator for Elu_0 (Elu), Sin_0 (Sin)" in message
    assert "AveragePool" in message


def test_a_batch_of_several():
    g = Graph((2, 3, 6, 6))
    assert "input 'global_in' has a batch of 2" in refusal(g.model(g.conv(g.x, 2)))


def test_an_input_without_channels():
    g = Graph((1,))
    message = refusal(g.model(g.quant(g.node("Mul", g.x, g.const(2.0)), 4)))
    assert "input 'global_in' has shape (1,)" in message


def test_an_output_that_is_a_function_of_a_float_input():
    g = Graph(datatype=None)
    message = refusal(g.model(g.node("Mul", g.x, g.const(2.0))))
    assert "does not depend on the input's quantized values" in message


def test_a_file_that_is_not_there_or_no_model(tmp_path):
    with pytest.raises(UserError, match=r"gone\.onnx is no ONNX model"):
        load_qonnx(tmp_path / "gone.onnx")
    (tmp_path / "text.onnx").write_text("this is no protobuf")
    with pytest.raises(UserError, match=r"text\.onnx is no ONNX model"):
        load_qonnx(tmp_path / "text.onnx")
    (tmp_path / "empty.onnx").write_bytes(b"xxxx")  # which protobuf takes for an unknown field
    with pytest.raises(UserError, match=r"empty\.onnx is no ONNX model \(it has no nodes\)"):
        load_qonnx(tmp_path / "empty.onnx")


@pytest.mark.parametrize(
    ("axis", "size", "said"),
    [
        (0, "N", r"'x' has a shape that varies at run time, \(N, 3, 6, 6\)"),
        (2, "height", r"'x' has a shape that varies at run time, \(1, 3, height, 6\)"),
        (3, None, r"'x' has a shape that varies at run time, \(1, 3, 6, \?\)"),
        (None, None, "'x' has no shape"),
    ],
)
def test_a_shape_that_is_not_fixed(tmp_path, axis, size, said):
    g = Graph()
    model = g.model(g.conv(g.x, 2))
    sizes = model.graph.input[0].type.tensor_type.shape.dim
    if axis is None:
        del sizes[:]
    else:
        sizes[axis].Clear()
        sizes[axis].dim_param = size or ""
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(UserError, match=rf"^input {said}; export the model with numbers"):
        load_qonnx(tmp_path / "m.onnx")
