"""Writes QONNX graphs node by node, in the form in which Brevitas exports them.

Every tensor carries its values for a few calibration frames, so that batch-norms are given
statistics with which activations fill the range of the quantizer that follows.

With scales that are powers of two, float32 computes every network exactly, and no value that a
batch-norm or a bias of half steps gives to a quantizer lies on one of its ties (a value midway
between two codes). Ties remain where a quantizer follows a sum, an average or another quantizer
of a finer scale; QONNX rounds them to the even code.
"""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, TensorProto, helper, numpy_helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from sdq_fpga.zoo.evaluate import Array, evaluate_node
from sdq_fpga.zoo.frames import draw_frames

__all__ = ["Bias", "GraphBuilder", "Scales", "Tensor", "WeightBits"]

Scales = Literal["power_of_two", "float"]
WeightBits = int | Literal["ternary"]
# "half": odd multiples of half an accumulator step. "whole": multiples of a step.
Bias = Literal["none", "half", "whole"]

_OPSET = 20
_QONNX_OPSET = 2  # Trunc takes its output's scale as an input since version 2
_QONNX_DOMAIN = "qonnx.custom_op.general"
_IR_VERSION = 10

_EXACT_EPSILON = 2.0**-17  # so that variance + epsilon can be a power of four
_FLOAT_EPSILON = 1e-5
_FINEST_HALF_STEP = 2.0**-12  # finer than half the step of any quantizer of 8 bits
_MANTISSA_BITS = 24  # of float32
# In accumulator steps, the smallest first.
_SHIFTS = np.array(sorted(np.linspace(-0.5, 0.5, 201), key=abs))


@dataclasses.dataclass(frozen=True)
class _Affine:
    """What a batch-norm or a bias does to accumulators, and where its offset is kept."""

    offset: str  # name of the initializer, one value for each channel
    gain: npt.NDArray[np.float64]
    center: npt.NDArray[np.float64]  # what is subtracted before the gain
    step: npt.NDArray[np.float64]  # of the accumulators
    negative_slope: float = 1.0  # of the activation function that follows


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A tensor of the graph under construction.

    Attributes:
        name: in the graph.
        values: for the calibration frames, [N, ...].
        scale: of a quantized tensor; None while a quantizer is still to come.
        step: all values are multiples of it; None where that is unknown.
        bits: of a quantized tensor, or of a sum that a Trunc may follow; else 0.
        signed: whether codes can be negative.
        bipolar: whether the codes are -1 and +1.
        steps: of each channel of accumulators, where a layer's weights have scales of their own.
    """

    name: str
    values: Array = dataclasses.field(repr=False)
    scale: float | None = None
    step: float | None = None
    bits: int = 0
    signed: bool = True
    bipolar: bool = False
    steps: npt.NDArray[np.float64] | None = dataclasses.field(default=None, repr=False)
    affine: _Affine | None = dataclasses.field(default=None, repr=False)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one frame."""
        return tuple(self.values.shape[1:])

    @property
    def rank(self) -> int:
        """Number of spatial axes."""
        return len(self.shape) - 1


class GraphBuilder:
    """A QONNX graph with random weights, equal for equal seeds.

    Operators are methods that take tensors and return new ones; ``output`` marks the graph's
    outputs and ``finish`` returns the graph.

    Args:
        seed: of weights, batch-norms and calibration frames.
        scales: "power_of_two", or "float" for arbitrary ones (execution in float32 then rounds).
        frames: number of calibration frames.
    """

    def __init__(self, seed: int = 0, *, scales: Scales = "power_of_two", frames: int = 4) -> None:
        self.rng = np.random.default_rng(seed)
        self.exact = scales == "power_of_two"
        self._seed = seed
        self._frames = frames
        self._nodes: list[Any] = []
        self._constants: dict[str, Array] = {}
        self._shared: dict[tuple[str, bytes], str] = {}
        self._tensors: dict[str, Tensor] = {}
        self._inputs: dict[str, str] = {}
        self._outputs: list[str] = []
        self._weight_names: set[str] = set()  # of tensors that are the same for every frame
        self._counts: dict[str, int] = {}

    # Inputs and outputs

    def input(self, shape: Sequence[int], data_type: str = "UINT8") -> Tensor:
        """Adds the graph's input.

        Args:
            shape: of one frame: (C, H, W), (C, L) or (N,).
            data_type: "UINT8" or "INT8".
        """
        signed = data_type == "INT8"
        values = draw_frames(shape, self._frames, self._seed, signed=signed)
        tensor = Tensor("pixels", values, scale=1.0, step=1.0, bits=8, signed=signed)
        self._inputs[tensor.name] = data_type
        self._tensors[tensor.name] = tensor
        return tensor

    def scaled_input(self, shape: Sequence[int], data_type: str = "UINT8") -> Tensor:
        """Adds an input, and the multiplication that brings it to [0, 1) or [-1, 1)."""
        x = self.input(shape, data_type)
        return self.multiply(x, 2.0**-7 if x.signed else 2.0**-8)

    def output(self, *tensors: Tensor) -> None:
        """Marks tensors as outputs of the graph, in this order."""
        self._outputs += [tensor.name for tensor in tensors]

    def finish(self) -> ModelProto:
        """The graph as a model: one frame, opset 20, input annotated, all shapes known."""
        values = {
            name: helper.make_tensor_value_info(
                name,
                TensorProto.INT64 if tensor.values.dtype == np.int64 else TensorProto.FLOAT,
                tensor.values.shape if name in self._weight_names else (1, *tensor.shape),
            )
            for name, tensor in self._tensors.items()
        }
        graph = helper.make_graph(
            self._nodes,
            "zoo",
            [values[name] for name in self._inputs],
            [values[name] for name in self._outputs],
            [numpy_helper.from_array(array, name) for name, array in self._constants.items()],
            value_info=[
                value
                for name, value in values.items()
                if name not in self._inputs and name not in self._outputs
            ],
        )
        opsets = [
            helper.make_opsetid("", _OPSET),
            helper.make_opsetid(_QONNX_DOMAIN, _QONNX_OPSET),
        ]
        model = ModelWrapper(helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION))
        for name, data_type in self._inputs.items():
            model.set_tensor_datatype(name, DataType[data_type])
        return model.model

    # Layers with weights

    def conv(
        self,
        x: Tensor,
        channels: int,
        kernel: int | Sequence[int],
        *,
        stride: int | Sequence[int] = 1,
        pad: int | Sequence[int] = 0,
        groups: int = 1,
        weight_bits: WeightBits = 4,
        narrow: bool = True,
        per_channel: bool = False,
        bias: Bias = "none",
    ) -> Tensor:
        """Convolution; 1-D or 2-D as ``x`` is.

        Args:
            x: a quantized tensor.
            channels: of the output.
            kernel: its size, for all axes or for each.
            stride: for all axes or for each.
            pad: for all edges, for each axis, or for each edge as ONNX orders them.
            groups: 1, or the channels of ``x`` for a depthwise convolution.
            weight_bits: 1 for bipolar, "ternary", or 2 and more.
            narrow: whether the lowest code is left out.
            per_channel: whether each output channel has a weight scale of its own.
            bias: what kind of bias is added.

        Raises:
            ValueError: ``x`` is not quantized, or is bipolar and padded.
        """
        _check_quantized(x)
        kernel = _each(kernel, x.rank)
        pads = _pads(pad, x.rank)
        _check_padding(x, pads)
        shape = (channels, x.shape[0] // groups, *kernel)
        scale_shape = (channels,) + (1,) * (len(shape) - 1)
        weights, step = self._weights(shape, scale_shape, weight_bits, narrow, per_channel)
        result = self._emit(
            "Conv",
            [x, weights],
            {
                "group": groups,
                "kernel_shape": list(kernel),
                "pads": list(pads),
                "strides": list(_each(stride, x.rank)),
                "dilations": [1] * x.rank,
            },
        )
        return self._accumulated(x, result, step, bias)

    def linear(
        self,
        x: Tensor,
        units: int,
        *,
        weight_bits: WeightBits = 4,
        narrow: bool = True,
        per_channel: bool = False,
        bias: Bias = "none",
        form: Literal["gemm", "matmul"] = "gemm",
    ) -> Tensor:
        """Fully connected layer on a flat tensor.

        Args:
            x: a quantized tensor of shape (N,).
            units: number of outputs.
            weight_bits: as for ``conv``.
            narrow: as for ``conv``.
            per_channel: as for ``conv``.
            bias: as for ``conv``.
            form: a Gemm whose weights are [units, N], or a MatMul whose weights are [N, units].

        Raises:
            ValueError: ``x`` is not quantized or not flat.
        """
        _check_quantized(x)
        if x.rank:
            raise ValueError(f"{x.name} of shape {x.shape} has to be flattened first")
        gemm = form == "gemm"
        shape = (units, *x.shape) if gemm else (*x.shape, units)
        scale_shape = (units, 1) if gemm else (1, units)
        weights, step = self._weights(shape, scale_shape, weight_bits, narrow, per_channel)
        if gemm:
            attributes = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 1}
            result = self._emit("Gemm", [x, weights], attributes)
        else:
            result = self._emit("MatMul", [x, weights], {})
        return self._accumulated(x, result, step, bias)

    def _weights(
        self,
        shape: tuple[int, ...],
        scale_shape: tuple[int, ...],
        bits: WeightBits,
        narrow: bool,
        per_channel: bool,
    ) -> tuple[str, npt.NDArray[np.float64]]:
        """Adds weights and their quantizer: its output, and the step of each output channel."""
        count = max(scale_shape)
        if bits == "ternary":
            bits, narrow = 2, True
        scales = np.full(count, 1.0 if bits == 1 else 2.0 ** -(bits - 1))
        if per_channel:
            scales *= 2.0 ** -self.rng.integers(0, 3, count)
        if not self.exact:
            scales *= self.rng.uniform(0.7, 1.4, count if per_channel else 1)
        # As exports have it: a bipolar quantizer's scale has one axis, that of others none.
        scale = scales.reshape(scale_shape) if per_channel else scales[:1]
        scale = scale.astype(np.float32)
        if bits != 1 and not per_channel:
            scale = scale.reshape(())
        if bits == 1:
            codes = self.rng.choice([-1.0, 1.0], shape) * self.rng.uniform(0.2, 1, shape)
            quantizer, settings, attributes = "BipolarQuant", [], {}
        else:
            codes = self._codes(shape, scale_shape, bits, narrow)
            quantizer = "Quant"
            settings = [np.float32(0), np.float32(bits)]
            attributes = {"signed": 1, "narrow": int(narrow), "rounding_mode": "ROUND"}
        name = self._constant("weights", (codes * scale).astype(np.float32))
        inputs = [name, *(self._constant("setting", np.asarray(v)) for v in (scale, *settings))]
        result = self._emit(quantizer, inputs, attributes, domain=_QONNX_DOMAIN)
        self._weight_names.add(result.name)
        return result.name, np.broadcast_to(scale.reshape(-1), count).astype(np.float64)

    def _codes(
        self, shape: tuple[int, ...], scale_shape: tuple[int, ...], bits: int, narrow: bool
    ) -> Array:
        """Codes as a trained layer has them, each a little off its whole number."""
        high = 2 ** (bits - 1) - 1
        low = -high - (not narrow)
        if bits == 2:
            codes = self.rng.integers(low, high + 1, shape).astype(np.float64)
        else:
            codes = np.clip(np.rint(self.rng.normal(0, 0.4 * high, shape)), low, high)
        axis = int(np.argmax(scale_shape))
        channels = np.moveaxis(codes, axis, 0).reshape(scale_shape[axis], -1)
        dead = np.moveaxis(codes, axis, 0)[~channels.any(axis=1)]
        if dead.size:  # a channel whose weights are all 0 would be constant
            np.moveaxis(codes, axis, 0)[~channels.any(axis=1)] = high
        return codes + self.rng.uniform(-0.3, 0.3, shape)

    def _accumulated(
        self, x: Tensor, result: Tensor, weight_steps: npt.NDArray[np.float64], bias: Bias
    ) -> Tensor:
        """Notes the step of a layer's result, after adding a bias to the layer's own node."""
        if x.scale is None:
            raise ValueError(f"{x.name} is not quantized")
        steps = x.scale * weight_steps
        step = float(steps.min())
        self._check_accumulator(result, step)
        affine = None
        if bias != "none":
            result, affine = self._biased(result, steps, bias)
        if bias == "half":
            step /= 2
        return dataclasses.replace(result, step=step, steps=steps, affine=affine)

    def _check_accumulator(self, x: Tensor, step: float) -> None:
        largest = float(np.abs(x.values).max()) / step
        if self.exact and largest >= 2.0 ** (_MANTISSA_BITS - 1):
            raise ValueError(
                f"accumulators of {x.name} reach {largest:.0f}, more than float32 can count"
            )

    def _biased(
        self, x: Tensor, steps: npt.NDArray[np.float64], bias: Bias
    ) -> tuple[Tensor, _Affine]:
        deviation = np.maximum(_per_channel(np.std, x.values), steps)
        drawn = self.rng.normal(0, 0.5, len(steps)) * deviation / steps
        codes = np.rint(drawn) if bias == "whole" else np.floor(drawn) + 0.5
        name = self._constant("bias", (codes * steps).astype(np.float32))
        node = self._nodes[-1]
        if node.op_type == "MatMul":
            result = self._emit("Add", [x, name], {})
        else:
            node.input.append(name)
            values = x.values + self._constants[name].reshape(1, -1, *(1,) * x.rank)
            result = dataclasses.replace(x, values=values)
            self._tensors[x.name] = result
        return result, _Affine(name, np.ones_like(steps), np.zeros_like(steps), steps)

    # Batch-norm and activation functions

    def batch_norm(self, x: Tensor, center: float = 0.25) -> Tensor:
        """Batch-norm with gammas of both signs, whose results spread over about [0, 1).

        Args:
            x: the result of a layer with weights, or of a max pool of it.
            center: mean of the results: 0.25 for a ReLU to follow, 0 for a signed quantizer.

        Raises:
            ValueError: it is unknown of what step the values are multiples.
        """
        if x.step is None:
            raise ValueError(f"{x.name} is no multiple of one step")
        channels = x.shape[0]
        mean = _per_channel(np.mean, x.values)
        deviation = np.maximum(_per_channel(np.std, x.values), x.step / 2)
        signs = self.rng.choice([-1.0, 1.0], channels, p=[0.3, 0.7])
        gain = signs * self.rng.uniform(0.25, 0.5, channels) / deviation
        target = center + self.rng.uniform(-0.15, 0.15, channels)
        epsilon = _EXACT_EPSILON if self.exact else _FLOAT_EPSILON
        if self.exact:
            largest = float(np.abs(x.values).max()) / x.step
            gain, unit = _short(gain, _MANTISSA_BITS - 3 - math.ceil(math.log2(largest + 1)))
            mean = np.rint(mean / x.step) * x.step
            half = np.minimum(unit * x.step / 2, _FINEST_HALF_STEP)
            beta = (2 * np.floor(target / (2 * half)) + 1) * half
            root = 2.0 ** np.clip(np.rint(np.log2(deviation)), -7, 3)
            variance = root**2 - epsilon
        else:
            variance = (deviation**2).astype(np.float32).astype(np.float64)
            root = np.sqrt(variance + epsilon)
            gain = (gain * root).astype(np.float32) / root  # what the stored numbers amount to
            beta = target
        parameters = [
            self._constant(name, values.astype(np.float32))
            for name, values in (
                ("gamma", gain * root),
                ("beta", beta),
                ("mean", mean),
                ("variance", variance),
            )
        ]
        result = self._emit(
            "BatchNormalization", [x, *parameters], {"epsilon": epsilon, "momentum": 0.9}
        )
        steps = np.full(channels, x.step) if x.steps is None else x.steps
        return dataclasses.replace(result, affine=_Affine(parameters[1], gain, mean, steps))

    def relu(self, x: Tensor) -> Tensor:
        """ReLU."""
        result = self._emit("Relu", [x], {})
        return dataclasses.replace(result, affine=x.affine, step=x.step, signed=False)

    def leaky_relu(self, x: Tensor, slope: float = 0.125) -> Tensor:
        """Leaky ReLU; execution is exact if the slope is a power of two."""
        result = self._emit("LeakyRelu", [x], {"alpha": slope})
        affine = x.affine and dataclasses.replace(x.affine, negative_slope=slope)
        step = None if x.step is None else x.step * slope
        return dataclasses.replace(result, affine=affine, step=step)

    # Quantizers

    def unit_scale(self, bits: int, *, signed: bool) -> float:
        """The scale with which codes fill [0, 1) or [-1, 1); about that if scales are floats."""
        scale = 2.0 ** -(bits - 1 if signed else bits)
        return scale if self.exact else float(np.float32(scale * self.rng.uniform(0.8, 1.25)))

    def quant(
        self,
        x: Tensor,
        bits: int,
        *,
        signed: bool,
        narrow: bool = False,
        scale: float | None = None,
    ) -> Tensor:
        """Quantizer of ``bits``; its scale is ``unit_scale`` unless given."""
        if scale is None:
            scale = self.unit_scale(bits, signed=signed)
        self._settle(x, bits, signed, scale)
        settings = [np.float32(scale), np.float32(0), np.float32(bits)]
        result = self._emit(
            "Quant",
            [x, *(self._constant("setting", np.asarray(value)) for value in settings)],
            {"signed": int(signed), "narrow": int(narrow), "rounding_mode": "ROUND"},
            domain=_QONNX_DOMAIN,
        )
        return dataclasses.replace(result, scale=scale, step=scale, bits=bits, signed=signed)

    def quant_relu(self, x: Tensor, bits: int, *, scale: float | None = None) -> Tensor:
        """ReLU and an unsigned quantizer."""
        return self.quant(self.relu(x), bits, signed=False, scale=scale)

    def quant_identity(
        self, x: Tensor, bits: int, *, narrow: bool = False, scale: float | None = None
    ) -> Tensor:
        """A signed quantizer; a bipolar one for 1 bit."""
        if bits == 1:
            return self.bipolar(x, scale=scale)
        return self.quant(x, bits, signed=True, narrow=narrow, scale=scale)

    def bipolar(self, x: Tensor, *, scale: float | None = None) -> Tensor:
        """Quantizer to -scale and +scale."""
        if scale is None:
            scale = self.unit_scale(1, signed=True)
        self._settle(x, 1, True, scale)
        setting = self._constant("setting", np.asarray([scale], np.float32))
        result = self._emit("BipolarQuant", [x, setting], {}, domain=_QONNX_DOMAIN)
        return dataclasses.replace(result, scale=scale, step=scale, bits=1, bipolar=True)

    def trunc(self, x: Tensor, bits: int) -> Tensor:
        """Cuts the low bits of a sum off, as Brevitas does after an average pool.

        Args:
            x: the result of an average pool.
            bits: of the output; at most those of the sum.

        Raises:
            ValueError: ``x`` is no sum, or has fewer bits.
        """
        if x.step is None or not x.bits >= bits:
            raise ValueError(f"{x.name} has no {bits} bits to keep")
        scale = x.step * 2.0 ** (x.bits - bits)
        settings = [x.step, 0.0, x.bits, scale, bits]
        result = self._emit(
            "Trunc",
            [x, *(self._constant("setting", np.asarray(v, np.float32)) for v in settings)],
            {"signed": int(x.signed), "narrow": 0, "rounding_mode": "FLOOR"},
            domain=_QONNX_DOMAIN,
        )
        return dataclasses.replace(result, scale=scale, step=scale, bits=bits, signed=x.signed)

    def _settle(self, x: Tensor, bits: int, signed: bool, scale: float) -> None:
        """Moves offsets so that no threshold is where float32 rounding would decide.

        There is nothing to do where scales are powers of two: batch_norm left no ties. A move is
        below half an accumulator step, so that calibration values stay as they are.
        """
        if self.exact or x.affine is None:
            return
        codes = np.arange(-(2 ** (bits - 1)) if signed else 0, 2 ** (bits - 1 if signed else bits))
        levels = (codes[1:] - 0.5) * scale if bits > 1 else np.zeros(1)
        levels = np.where(levels < 0, levels / x.affine.negative_slope, levels)
        affine = x.affine
        offsets = self._constants[affine.offset].astype(np.float64)
        for channel, unit in enumerate(affine.gain * affine.step):
            candidates = (offsets[channel] - _SHIFTS * unit).astype(np.float32).astype(np.float64)
            constant = candidates - affine.center[channel] * affine.gain[channel]
            thresholds = (levels - constant[:, None]) / unit
            room = np.abs(thresholds - np.rint(thresholds)).min(axis=1)
            offsets[channel] = candidates[int(np.argmax(np.minimum(room, 0.05)))]
        self._constants[affine.offset] = offsets.astype(np.float32)

    # Pooling

    def max_pool(
        self,
        x: Tensor,
        kernel: int | Sequence[int],
        *,
        stride: int | Sequence[int] | None = None,
        pad: int | Sequence[int] = 0,
    ) -> Tensor:
        """Max pool; its stride is its kernel unless given."""
        pads = _pads(pad, x.rank)
        _check_padding(x, pads)
        result = self._emit("MaxPool", [x], self._window(x, kernel, stride, pads))
        return _like(x, result)

    def average_pool(
        self,
        x: Tensor,
        kernel: int | Sequence[int],
        *,
        stride: int | Sequence[int] | None = None,
        pad: int | Sequence[int] = 0,
    ) -> Tensor:
        """Average pool that counts its padding; a quantizer or a Trunc has to follow.

        Raises:
            ValueError: as ``global_average``.
        """
        pads = _pads(pad, x.rank)
        _check_padding(x, pads)
        attributes = self._window(x, kernel, stride, pads)
        area = int(np.prod(_each(kernel, x.rank)))
        self._check_area(x, area)
        result = self._emit("AveragePool", [x], {**attributes, "count_include_pad": 1})
        return self._averaged(x, result, area)

    def global_average(
        self, x: Tensor, form: Literal["ReduceMean", "GlobalAveragePool"] = "ReduceMean"
    ) -> Tensor:
        """Average over all positions; a quantizer or a Trunc has to follow.

        Raises:
            ValueError: the number of positions is even but no power of two: an average may then
                be a tie for the quantizer that is no float32 number.
        """
        area = int(np.prod(x.shape[1:]))
        self._check_area(x, area)
        return self._averaged(x, self._over_positions(x, form), area)

    def global_max(
        self, x: Tensor, form: Literal["ReduceMax", "GlobalMaxPool"] = "ReduceMax"
    ) -> Tensor:
        """Maximum over all positions."""
        return _like(x, self._over_positions(x, form))

    def _over_positions(self, x: Tensor, form: str) -> Tensor:
        if form.startswith("Global"):
            return self._emit(form, [x], {})
        axes = self._constant("setting", np.arange(2, 2 + x.rank))
        return self._emit(form, [x, axes], {"keepdims": 1, "noop_with_empty_axes": 0})

    def _check_area(self, x: Tensor, area: int) -> None:
        _check_quantized(x)
        if self.exact and area % 2 == 0 and area & (area - 1):
            raise ValueError(f"an average of {area} values of {x.name} may be an inexact tie")

    def _averaged(self, x: Tensor, result: Tensor, area: int) -> Tensor:
        """Notes of what step an average is a multiple, unless float32 has to round it."""
        rounded = self.exact and area & (area - 1)
        return dataclasses.replace(
            result,
            step=None if x.scale is None or rounded else x.scale / area,
            bits=x.bits + math.ceil(math.log2(area)),
            signed=x.signed,
        )

    def _window(
        self,
        x: Tensor,
        kernel: int | Sequence[int],
        stride: int | Sequence[int] | None,
        pads: Sequence[int],
    ) -> dict[str, Any]:
        kernel = _each(kernel, x.rank)
        return {
            "kernel_shape": list(kernel),
            "strides": list(kernel if stride is None else _each(stride, x.rank)),
            "pads": list(pads),
            "ceil_mode": 0,
        }

    # Joins, parts and shapes

    def add(self, x: Tensor, y: Tensor) -> Tensor:
        """Sum of two quantized tensors; a quantizer has to follow.

        Raises:
            ValueError: one of them is not quantized, or their scales do not fit.
        """
        _check_quantized(x, y)
        finer, coarser = sorted((x.scale or 0.0, y.scale or 0.0))
        if not (math.log2(coarser / finer)).is_integer():
            raise ValueError(f"the scales of {x.name} and {y.name} are no power of two apart")
        result = self._emit("Add", [x, y], {})
        return dataclasses.replace(result, step=finer, signed=x.signed or y.signed)

    def concat(self, *arms: Tensor) -> Tensor:
        """Joins the channels of quantized tensors.

        Raises:
            ValueError: they differ in scale, or only some are bipolar.
        """
        _check_quantized(*arms)
        if len({(arm.scale, arm.bipolar) for arm in arms}) > 1:
            raise ValueError(f"the types of {', '.join(arm.name for arm in arms)} differ")
        result = self._emit("Concat", list(arms), {"axis": 1})
        signed = any(arm.signed for arm in arms)
        bits = max(arm.bits + (signed and not arm.signed) for arm in arms)
        return dataclasses.replace(_like(arms[0], result), signed=signed, bits=bits)

    def split(self, x: Tensor, sizes: Sequence[int]) -> list[Tensor]:
        """Parts of the channels, ``sizes`` of them in each."""
        if len(set(sizes)) == 1:
            attributes: dict[str, Any] = {"axis": 1, "num_outputs": len(sizes)}
            parts = self._emit_many("Split", [x], attributes, len(sizes))
        else:
            counts_name = self._constant("setting", np.asarray(sizes))
            parts = self._emit_many("Split", [x, counts_name], {"axis": 1}, len(sizes))
        return [_like(x, part) for part in parts]

    def slices(self, x: Tensor, sizes: Sequence[int]) -> list[Tensor]:
        """As ``split``, by a Slice for each part."""
        edges = np.cumsum([0, *sizes]).tolist()
        return [self._slice(x, [a], [b], [1]) for a, b in itertools.pairwise(edges)]

    def crop(self, x: Tensor, before: Sequence[int], after: Sequence[int]) -> Tensor:
        """Leaves positions out before and after the rest, along each spatial axis."""
        stops = [size - count for size, count in zip(x.shape[1:], after, strict=True)]
        return self._slice(x, list(before), stops, list(range(2, 2 + x.rank)))

    def _slice(
        self, x: Tensor, starts: Sequence[int], stops: Sequence[int], axes: Sequence[int]
    ) -> Tensor:
        settings = [starts, stops, axes, [1] * len(axes)]
        names = [self._constant("setting", np.asarray(values)) for values in settings]
        return _like(x, self._emit("Slice", [x, *names], {}))

    def pad(self, x: Tensor, before: Sequence[int], after: Sequence[int]) -> Tensor:
        """Adds zeros along each spatial axis.

        Raises:
            ValueError: ``x`` is bipolar.
        """
        _check_padding(x, (*before, *after))
        pads = np.asarray([0, 0, *before, 0, 0, *after])
        result = self._emit("Pad", [x, self._constant("setting", pads)], {"mode": "constant"})
        return _like(x, result)

    def upsample(self, x: Tensor, factor: int | Sequence[int]) -> Tensor:
        """Repeats every position along each spatial axis."""
        scales = np.asarray([1, 1, *_each(factor, x.rank)], np.float32)
        result = self._emit(
            "Resize",
            [x, "", self._constant("setting", scales)],
            {
                "mode": "nearest",
                "nearest_mode": "floor",
                "coordinate_transformation_mode": "asymmetric",
            },
        )
        return _like(x, result)

    def flatten(self, x: Tensor, form: Literal["Reshape", "Flatten"] = "Reshape") -> Tensor:
        """One axis in place of channels and positions, channels slowest."""
        if form == "Flatten":
            return _like(x, self._emit("Flatten", [x], {"axis": 1}))
        shape = self._constant("setting", np.asarray([1, int(np.prod(x.shape))]))
        return _like(x, self._emit("Reshape", [x, shape], {"allowzero": 1}))

    def multiply(self, x: Tensor, factor: float) -> Tensor:
        """Product with a constant."""
        name = self._constant("setting", np.asarray(factor, np.float32))
        result = _like(x, self._emit("Mul", [x, name], {}))
        scale = None if x.scale is None else x.scale * factor
        return dataclasses.replace(result, scale=scale, step=scale)

    def subtract(self, x: Tensor, offset: float) -> Tensor:
        """Difference to a constant; a quantizer has to follow."""
        name = self._constant("setting", np.asarray(offset, np.float32))
        return self._emit("Sub", [x, name], {})

    # Ends

    def arg_max(self, x: Tensor) -> Tensor:
        """Index of the largest score."""
        attributes = {"axis": 1, "keepdims": 0, "select_last_index": 0}
        return self._emit("ArgMax", [x], attributes)

    def top_k(self, x: Tensor, count: int) -> Tensor:
        """Indices of the largest scores, the largest first."""
        name = self._constant("setting", np.asarray([count]))
        attributes = {"axis": -1, "largest": 1, "sorted": 1}
        return self._emit_many("TopK", [x, name], attributes, 2)[1]

    # Nodes and constants

    def _constant(self, kind: str, array: Array) -> str:
        """Adds an initializer; equal settings share one, as they do in an export."""
        key = (f"{array.dtype}{array.shape}", array.tobytes())
        if kind == "setting" and key in self._shared:
            return self._shared[key]
        name = self._name(kind)
        self._constants[name] = array
        if kind == "setting":
            self._shared[key] = name
        return name

    def _name(self, kind: str) -> str:
        number = self._counts.get(kind, 0)
        self._counts[kind] = number + 1
        return f"{kind}_{number}"

    def _emit(
        self,
        operator: str,
        inputs: Sequence[Tensor | str],
        attributes: dict[str, Any],
        **domain: str,
    ) -> Tensor:
        return self._emit_many(operator, inputs, attributes, 1, **domain)[0]

    def _emit_many(
        self,
        operator: str,
        inputs: Sequence[Tensor | str],
        attributes: dict[str, Any],
        outputs: int,
        *,
        domain: str = "",
    ) -> list[Tensor]:
        """Adds a node and computes its outputs for the calibration frames.

        Args:
            operator: its op_type.
            inputs: tensors, or names of constants; "" for an input that is left out.
            attributes: its attributes.
            outputs: how many outputs it has.
            domain: of the operator.
        """
        names = [x.name if isinstance(x, Tensor) else x for x in inputs]
        results = [self._name(operator) for _ in range(outputs)]
        self._nodes.append(
            helper.make_node(
                operator, names, results, name=f"{results[0]}_node", domain=domain, **attributes
            )
        )
        values = [self._value(name) for name in names]
        computed = evaluate_node(operator, values, attributes, outputs)
        tensors = [Tensor(n, v) for n, v in zip(results, computed, strict=True)]
        self._tensors.update({tensor.name: tensor for tensor in tensors})
        return tensors

    def _value(self, name: str) -> Array | None:
        if not name:
            return None
        return self._constants[name] if name in self._constants else self._tensors[name].values


def _check_quantized(*tensors: Tensor) -> None:
    for tensor in tensors:
        if tensor.scale is None:
            raise ValueError(f"{tensor.name} is not quantized")


def _check_padding(x: Tensor, pads: Sequence[int]) -> None:
    if x.bipolar and any(pads):
        raise ValueError(f"{x.name} is bipolar, which has no 0 to pad with")


def _like(x: Tensor, result: Tensor) -> Tensor:
    """``result`` with the type of ``x``."""
    return dataclasses.replace(x, name=result.name, values=result.values)


def _each(value: int | Sequence[int], rank: int) -> tuple[int, ...]:
    return (value,) * rank if isinstance(value, int) else tuple(value)


def _pads(pad: int | Sequence[int], rank: int) -> tuple[int, ...]:
    pads = _each(pad, 2 * rank)
    return pads if len(pads) == 2 * rank else pads * 2


def _per_channel(function: Any, values: Array) -> npt.NDArray[np.float64]:  # noqa: ANN401
    axes = (0, *range(2, values.ndim))
    return np.asarray(function(values, axis=axes, dtype=np.float64))


def _short(
    values: npt.NDArray[np.float64], bits: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """``values`` rounded to 1..6 significant bits, and the unit of each one's last bit."""
    bits = min(max(bits, 1), 6)
    unit = 2.0 ** (np.floor(np.log2(np.abs(values))) - bits + 1)
    return np.rint(values / unit) * unit, unit
